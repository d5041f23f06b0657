"""nginx from Debian as a receiver: HTTP/2 and HTTP/1.1 by TLS, in front of the scripted receiver, with a log of its own."""
import os
import re
import shutil
import subprocess

from harness import Process, free_ports, wait_for

CONFIGURATION = """
daemon off;
master_process off; # one process: a worker would outlive a killed master
pid {folder}/nginx.pid;
error_log {folder}/nginx.errors warn;
events {{ worker_connections 1024; }}
http {{
    log_format seen '$server_protocol $connection $status $http_webhook_id';
    access_log {folder}/nginx.access seen;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_max_body_size 16m; client_body_buffer_size 16m;
    ssl_certificate {certificate}; ssl_certificate_key {certificate};
    keepalive_requests {keepalive_requests};
    server {{
        listen 127.0.0.1:{h2} ssl http2;
        location / {{ proxy_pass http://{behind}; }}
        location /unread {{ return 200 "ok"; }}
    }}
    server {{
        listen 127.0.0.1:{h1} ssl;
        location / {{ proxy_pass http://{behind}; }}
        location /unread {{ return 200 "ok"; }}
    }}
}}
"""


def make_certificate(folder, host="127.0.0.1"):
    """A PEM file with key and certificate."""
    path = os.path.join(folder, "receiver.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path + ".key", "-out",
                    path + ".crt", "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName=IP:{host}"], check=True, capture_output=True)
    with open(path, "wb") as whole:
        for part in (".key", ".crt"):
            with open(path + part, "rb") as file:
                shutil.copyfileobj(file, whole)
    return path


class Nginx(Process):
    def __init__(self, folder, certificate, behind, keepalive_requests=1000):
        super().__init__(folder, "nginx")
        self.h2, self.h1 = free_ports(2)
        self.configuration = os.path.join(folder, "nginx.conf")
        with open(self.configuration, "w") as file:
            file.write(CONFIGURATION.format(folder=folder, certificate=certificate, behind=behind, h2=self.h2, h1=self.h1,
                                            keepalive_requests=keepalive_requests))

    def start(self):
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.spawn([program, "-c", self.configuration, "-p", self.folder, "-e", "stderr"])
        wait_for(lambda: os.path.exists(os.path.join(self.folder, "nginx.pid")), 20, "nginx listens")
        return self

    def seen(self):
        """(protocol, connection, status, webhook-id) of each request so far."""
        with open(os.path.join(self.folder, "nginx.access")) as file:
            return [line.split() for line in re.findall(r".*\n", file.read())]
