"""Certificates of a private authority, as a receiver inside of a company has them."""

import functools
import ssl

from machine import program


class Authority:
    """A private authority with a certificate for `localhost` and 127.0.0.1, made in a folder. `root`: the file that whoever
    trusts it names; `stranger`: another authority's, which vouches for nobody here."""

    def __init__(self, world, folder):
        self.root, self.stranger = folder / "root.pem", folder / "stranger.pem"
        self.key, self.certificate = folder / "server.key", folder / "server.pem"
        folder.mkdir()
        openssl, curve = program("openssl"), ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        for name in ("root", "stranger"):
            world.run(openssl, "req", "-x509", *curve, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "2",
                      "-subj", f"/CN=Authority of the tests: {name}", "-addext", "basicConstraints=critical,CA:TRUE",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        extensions = folder / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
                              "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        world.run(openssl, "req", *curve, "-keyout", self.key, "-out", folder / "request", "-subj", "/CN=localhost")
        world.run(openssl, "x509", "-req", "-in", folder / "request", "-CA", self.root, "-CAkey", folder / "root.key", "-set_serial", "7",
                  "-days", "2", "-extfile", extensions, "-out", self.certificate)

    def context(self):
        """What a server speaks with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


@functools.cache
def authority(world):
    """The authority of a run, made at its first use."""
    return Authority(world, world.folder / "tls")
