"""Certificates for tests: a CA of their own, and what it signs. Made by the openssl program."""
import datetime
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
        now = datetime.datetime.now(datetime.timezone.utc)
        start, end = ((now + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in (min(days, 0) - 2, days))
        # `ca`, because `x509` takes no dates before OpenSSL 3.4, and no negative days after.
        openssl("ca", "-batch", "-notext", "-config", self._configuration(name, names), "-extensions", "ext", "-in", request, "-out", certificate,
                "-startdate", start, "-enddate", end)
        with open(both, "w") as f:
            f.writelines(open(part).read() for part in (key, certificate))
        return certificate, key, both

    def _configuration(self, name, names):
        index = self._path(self.name, "index")
        open(index, "a").close()
        lines = ["[ca]", "default_ca=own", "[own]", f"database={index}", f"new_certs_dir={self.folder}", "rand_serial=yes", "unique_subject=no",
                 "default_md=sha256", "policy=any", f"certificate={self.pem}", f"private_key={self._path(self.name, 'key')}",
                 "[any]", "commonName=supplied", "[ext]", "subjectAltName=" + names]
        with open(self._path(name, "cnf"), "w") as f:
            f.write("\n".join(lines) + "\n")
        return self._path(name, "cnf")
