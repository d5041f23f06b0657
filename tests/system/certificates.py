"""Certificates for tests: a CA of their own, and what it signs. Made by the openssl program."""
import os
import subprocess


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.pem = self._path(name, "pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=" + name,
                "-keyout", self._path(name, "key"), "-out", self.pem)

    def _path(self, name, kind):
        return os.path.join(self.folder, f"{name}.{kind}")

    def sign(self, name, names="IP:127.0.0.1,DNS:localhost", days=30):
        """(certificate, key, one file with both); a negative number of days: it has expired."""
        request, certificate, key, both = (self._path(name, kind) for kind in ("csr", "pem", "key", "both"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout", key, "-out", request)
        with open(self._path(name, "ext"), "w") as f:
            f.write(f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self._path(self.name, "key"), "-CAcreateserial", "-days", str(days),
                "-extfile", self._path(name, "ext"), "-out", certificate)
        with open(both, "w") as f:
            f.writelines(open(part).read() for part in (key, certificate))
        return certificate, key, both
