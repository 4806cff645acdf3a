"""Apache with PHP as its module, from Debian's packages in the cache."""

from php.packages import tree
from php.servers import apps, shared_memory, temporary
from world import free_port

CONFIGURATION = """ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog /dev/stderr
DefaultRuntimeDir {folder}
User www-data
Group www-data
StartServers 2
MinSpareServers 1
MaxSpareServers 2
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule rewrite_module {modules}/mod_rewrite.so
LoadModule php_module {modules}/libphp8.2.so
TypesConfig /dev/null
DocumentRoot {root}
<Directory {root}>
  Require all granted
  AllowOverride All
  DirectoryIndex index.php
  RewriteEngine On
  RewriteCond %{{REQUEST_FILENAME}} !-f
  RewriteRule . /index.php [L]
</Directory>
<FilesMatch "\\.php$">
  SetHandler application/x-httpd-php
</FilesMatch>
php_admin_value sys_temp_dir {tmp}
{more}
"""


def apache(world, env, more=""):
    """Apache, prefork; `tmp` is its temp dir."""
    shared_memory(world)
    root = tree(world)
    folder, tmp, port = temporary(world), temporary(world), free_port()
    (folder / "httpd.conf").write_text(CONFIGURATION.format(folder=folder, port=port, modules=root / "usr/lib/apache2/modules", root=apps(world),
                                                            tmp=tmp, more=more))
    library = {"LD_LIBRARY_PATH": root / "usr/lib/x86_64-linux-gnu"}
    server = world.start(root / "usr/sbin/apache2", "-DFOREGROUND", "-f", folder / "httpd.conf", env={**library, **env}, port=port)
    server.tmp = tmp
    return server.ready()
