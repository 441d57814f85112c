"""Certificates for tests, made by the openssl program the way docs/operations.md shows it."""

import contextlib
import os
import shutil
import ssl
import subprocess
import tempfile


def openssl(*args):
    done = subprocess.run(["openssl", *args], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(args)}: {done.stderr}")
    return done.stdout


class Authority:
    """A root of its own, in a folder of its own."""

    def __init__(self, folder, name="authority"):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        self.certificate, self.key = self.path("ca.pem"), self.path("ca-key.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.certificate)

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, alternatives, days=30, more=()):
        """(certificate, key) of `alternatives`: "DNS:...,URI:sip:..."; days below zero: over already."""
        certificate, key, wish, extra = (self.path(f"{name}{end}") for end in (".pem", "-key.pem", ".csr", ".ext"))
        with open(extra, "w") as f:
            f.write("\n".join([f"subjectAltName={alternatives}", *more]) + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", wish)
        openssl("x509", "-req", "-in", wish, "-CA", self.certificate, "-CAkey", self.key, "-days", str(days), "-extfile", extra,
                "-out", certificate)
        os.chmod(key, 0o600)
        return certificate, key

    def settings(self, name="srs", days=30, verify="none"):
        """Settings of a recorder that has a certificate of ours."""
        certificate, key = self.issue(name, "DNS:srs.example.com,IP:127.0.0.1", days)
        return {"tls__enabled": "true", "tls__certificate": certificate, "tls__key": key, "tls__client_ca": self.certificate,
                "tls__client_verify": verify}

    def context(self, own=None):
        """A client's view: this authority is trusted, and `own` (certificate, key) is shown."""
        context = ssl.create_default_context(cafile=self.certificate)
        if own:
            context.load_cert_chain(*own)
        return context


@contextlib.contextmanager
def temporary(name="authority"):
    """An authority whose files go with the test."""
    folder = tempfile.mkdtemp(prefix="capstan-ca-")
    try:
        yield Authority(folder, name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
