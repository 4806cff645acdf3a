"""What Debian has of PHP's frameworks and servers, unpacked into the cache: nothing is installed."""

import pathlib
import subprocess

from world import Missing, program

NAMES = ("php-laravel-framework", "php-symfony-framework-bundle", "php-symfony-runtime", "php-slim", "wordpress", "libapache2-mod-php8.2")
# Of what these need, this; the rest any machine has that has PHP.
KINDS = ("php-", "php8.2-mbstring", "php8.2-xml", "wordpress", "libapache2-mod-php", "apache2-bin", "libonig", "libapr", "libxslt1.1", "liblua5.3")
MODULES = "usr/lib/php/20220829"


def needed():
    """Names of the packages to unpack."""
    apt = program("apt-get")
    done = subprocess.run([apt, "-o", "Dir::State::status=/dev/null", "install", "--print-uris", "-y", "-qq", "--no-install-recommends", *NAMES],
                          capture_output=True, text=True)
    names = [line.split()[1].split("_")[0] for line in done.stdout.splitlines() if line.startswith("'")]
    if not names:
        raise Missing(f"apt offers no {NAMES[0]}: {done.stderr.strip()[-200:]}")
    return sorted(name for name in names if name.startswith(KINDS))


def tree(world):
    """A folder with `usr` as these packages have it."""
    def build(folder):
        debs = folder / "debs"
        debs.mkdir()
        world.run(program("apt-get"), "download", *needed(), folder=debs)
        for deb in sorted(debs.iterdir()):
            world.run(program("dpkg"), "-x", deb, folder)
            deb.unlink()

    return world.made("php-debian", [pathlib.Path(__file__)], build)


def php_ini(world, folder, more=""):
    """A php.ini that finds the frameworks."""
    root = tree(world)
    modules = "".join(f"extension={root / MODULES / name}.so\n" for name in ("mbstring", "dom", "xml", "simplexml"))
    path = folder / "php.ini"
    path.write_text(f'include_path=".:{root}/usr/share/php:{root}/usr/share/wordpress/wp-includes"\n{modules}{more}')
    return path
