import django
from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(DEBUG=True, SECRET_KEY="only for a test", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
urlpatterns = []

if __name__ == "__main__":
    django.setup()
    execute_from_command_line(["django_app.py", "runserver", "--noreload", "127.0.0.1:0"])
