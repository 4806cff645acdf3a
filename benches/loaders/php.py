"""PHP: FPM with two workers and opcache behind nginx; a span and a duration each request. nginx, the same before both, is not counted.
The distribution of OpenTelemetry needs an extension that has to be compiled."""

import pathlib
import shutil
import sys

from contender import Contender
from world import MOUNT, program

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent.parent / "tests/loaders/php"))

from servers import FPM, IMAGE, NGINX, POOL, settings, shared_memory, temporary  # noqa: E402


class Server:
    """An nginx and the command of the FPM behind it."""

    def __init__(self, world):
        self.world, self.nginx = world, None

    def __call__(self, port):
        if self.nginx is not None:
            self.nginx.kill()
            self.world.applications.remove(self.nginx)
        folder = temporary(self.world)
        (folder / "app").mkdir()
        shutil.copy(HERE / "apps/user.php", folder / "app/index.php")
        socket = folder / "fpm.sock"
        (folder / "fpm.conf").write_text(POOL.format(user="www-data", socket=socket, workers=2, more=""))
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, root=folder / "app", socket=socket))
        self.nginx = self.world.start(program("nginx"), "-c", folder / "nginx.conf", "-p", folder, env={}, port=port)
        return [program("php-fpm8.2"), "-F", "-R", *settings({"sys_temp_dir": folder, "opcache.enable": 1}), "-y", folder / "fpm.conf"]


def contenders(world, receiver):
    shared_memory(world)
    # PHP has no last words: its metrics are to come within the turns.
    ours = world.environment(IMAGE, FPM, receiver.url, env={"OBTRACE_METRIC_INTERVAL": "5"})
    return [
        Contender("bare", Server(world), {}),
        Contender("ours", Server(world), ours, files=MOUNT, signals=("traces", "metrics"))]
