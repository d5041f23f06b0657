"""What a POST under way takes of memory. With Debian 13's libraries the defaults would take 60, 153 and 184 KB here: libcurl 8 would have 64 KiB to
send from for each, and OpenSSL keep its buffers as long as the connection. An SSL_CTX for each connection would be 19 KB more there, 14 on Debian 12."""
import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
from nginx import Nginx, make_certificate  # noqa: E402

PROGRAM = os.path.join(os.environ.get("JOBHOOK_BUILD", os.path.join(os.path.dirname(os.path.dirname(HERE)), ".build", "release")), "tests", "bench_post")
FEW, MANY = 100, 700


@pytest.fixture
def nginx(tmp_path):
    one = Nginx(str(tmp_path), make_certificate(str(tmp_path)), "127.0.0.1:9")
    yield one.start()
    one.kill()


def each(*receiver):
    """Bytes that each of some more POSTs at once takes."""
    def kib(at_once):
        result = subprocess.run([PROGRAM, str(3 * at_once), str(at_once), "1", *receiver], capture_output=True, text=True, timeout=120, check=True)
        assert "lanes:" not in result.stdout, result.stdout
        return int(re.search(r"memory of the lanes at most: (\d+) KiB", result.stdout).group(1))
    return (kib(MANY) - kib(FEW)) * 1024 / (MANY - FEW)


def test_a_post_by_http_takes_no_more_than_it_has_to():
    assert each() < 40_000


def test_a_post_by_https_takes_no_more_than_it_has_to(nginx, tmp_path):
    ca = str(tmp_path / "receiver.pem.crt")
    assert each(f"https://127.0.0.1:{nginx.h1}/unread", ca) < 80_000
    assert each(f"https://127.0.0.1:{nginx.h2}/unread", ca, "h2") < 135_000
