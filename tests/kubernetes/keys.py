"""The keys of a cluster: its authorities, the certificates that they sign, and the files that clients are configured with."""

import subprocess

USAGES = {"server": "serverAuth", "client": "clientAuth"}
ELLIPTIC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: cluster, cluster: {{server: "{url}", certificate-authority: {folder}/ca.crt}}}}]
users: [{{name: {name}, user: {{client-certificate: {folder}/{name}.crt, client-key: {folder}/{name}.key}}}}]
contexts: [{{name: cluster, context: {{cluster: cluster, user: {name}}}}}]
current-context: cluster
"""


def openssl(*arguments, folder):
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr.strip()}")


def authority(folder, name):
    """Makes a CA: NAME.crt and NAME.key."""
    openssl("req", "-x509", *ELLIPTIC, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}", "-days", "30",
            "-addext", "basicConstraints=critical,CA:TRUE", folder=folder)


def certificate(folder, name, subject, usage, names=None, signer="ca"):
    """Makes NAME.crt and NAME.key for a client, or for a server of these names (`DNS:...,IP:...`)."""
    extensions = [f"extendedKeyUsage={USAGES[usage]}"] + ([f"subjectAltName={names}"] if names else [])
    (folder / f"{name}.ext").write_text("\n".join(extensions) + "\n")
    openssl("req", *ELLIPTIC, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject, folder=folder)
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{signer}.crt", "-CAkey", f"{signer}.key", "-CAcreateserial", "-days", "30",
            "-extfile", f"{name}.ext", "-out", f"{name}.crt", folder=folder)


def client(folder, url, name, subject):
    """Makes a client's certificate and NAME.conf, which says how to reach the API server at `url` with it; that file."""
    certificate(folder, name, subject, "client")
    path = folder / f"{name}.conf"
    path.write_text(KUBECONFIG.format(url=url, folder=folder, name=name))
    return path


def service_accounts(folder):
    """Makes the pair that signs and proves the tokens of service accounts: accounts.key and accounts.pub."""
    openssl("genrsa", "-out", "accounts.key", "2048", folder=folder)
    openssl("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub", folder=folder)
