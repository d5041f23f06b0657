"""jobhook sign, verify and secret as an operator meets them. They need no Kafka and no Redis."""
import base64
import hmac
import ipaddress
import os
import random
import subprocess
import time

import pytest

import harness

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
BODY = b'{"test": 2432232314}'
ID, AT = "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
HMAC = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
ED25519 = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
HEADERS = f"webhook-id: {ID}\nwebhook-timestamp: {AT}\nwebhook-signature: "


def run(*arguments, content=b"", **settings):
    result = subprocess.run([harness.BINARY, *arguments], env={"PATH": "/usr/bin:/bin", **settings}, input=content, capture_output=True, timeout=60)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.fixture
def key_file(folder):
    path = os.path.join(folder, "keys")
    with open(path, "w") as file:
        file.write(KEY + "\n")
    return path


@pytest.mark.parametrize("keys, signature", [(KEY, HMAC), (PAIR, ED25519), (f"{PAIR} {KEY}", f"{ED25519} {HMAC}")])
def test_sign_prints_the_headers_of_the_published_vectors(keys, signature):
    assert run("sign", "--id", ID, "--timestamp", AT, content=BODY, JOBHOOK_SIGNING_KEYS=keys) == (0, HEADERS + signature + "\n", "")


def test_sign_takes_keys_from_a_file_and_the_time_from_the_clock(key_file):
    assert run("sign", "--id", ID, "--timestamp", AT, "--key-file", key_file, content=BODY) == (0, HEADERS + HMAC + "\n", "")
    status, output, _ = run("sign", "--id", "t", "--key-file", key_file, content=BODY)
    assert status == 0 and abs(int(output.splitlines()[1].split(": ")[1]) - time.time()) < 30
    assert run("verify", "--key-file", key_file, content=(output + "\n").encode() + BODY)[0] == 0


def test_a_strangers_url_or_header_is_shown_and_not_obeyed(key_file):
    evil, shown = "\x1b]0;x\x07/\nwhsec_AAAA\u202e", "\\x1b]0;x\\x07/\\nwhsec_AAAA\\u{202e}"
    request = (HEADERS + HMAC + "\n\n").encode() + BODY
    for *arguments, prefix in (["secret", "http://a"], ["sign", "--id", ID, "--url", "http://a"], ["verify", "--url", "http://a"],
                               ["verify", "--key-file", key_file, "--header", ""]):
        status, output, errors = run(*arguments, prefix + evil, content=request, JOBHOOK_SIGNING_KEYS=KEY, JOBHOOK_SIGNING_SCOPE="origin")
        assert status != 0 and output == "" and errors.startswith(f"jobhook {arguments[0]}: {prefix}{shown}: "), errors


def test_the_environment_steers_no_library(folder):
    """A configuration that leaves OpenSSL without any algorithm, wherever it is looked for."""
    path = os.path.join(folder, "openssl.cnf")
    with open(path, "w") as file:
        file.write("openssl_conf = a\n[a]\nproviders = b\n[b]\nnull = c\n[c]\nactivate = 1\n")
    more = {"OPENSSL_CONF": path, "OPENSSL_MODULES": folder, "OPENSSL_ENGINES": folder, "SSLKEYLOGFILE": path}
    signed = run("sign", "--id", ID, "--timestamp", AT, content=BODY, JOBHOOK_SIGNING_KEYS=f"{PAIR} {KEY}", **more)
    assert signed == (0, HEADERS + f"{ED25519} {HMAC}\n", "")


def test_a_body_may_hold_any_byte(key_file):
    body = bytes(range(256)) * 1000
    output = run("sign", "--id", "t", "--key-file", key_file, content=body)[1]
    assert run("verify", "--key-file", key_file, content=(output + "\n").encode() + body)[0] == 0
    assert run("verify", "--key-file", key_file, content=(output + "\n").encode() + body[:-1])[0] == 1


def test_each_receivers_secret_needs_the_receiver():
    settings = {"JOBHOOK_SIGNING_KEYS": KEY, "JOBHOOK_SIGNING_SCOPE": "origin"}
    own = "whsec_y6UuWGmW/GLD56undQfgOsyb4SLvhZWvwsyO3gcuj/s="
    assert run("secret", "https://Hooks.Example.com:443/in?x", **settings) == (0, own + "\n", "")
    status, _, errors = run("sign", "--id", "t", content=BODY, **settings)
    assert status == 1 and "--url" in errors
    output = run("sign", "--id", "t", "--url", "https://hooks.example.com/other", content=BODY, **settings)[1]
    request = (output + "\n").encode() + BODY
    assert run("verify", "--url", "https://hooks.example.com/", content=request, **settings)[0] == 0
    assert run("verify", "--url", "https://hooks.example.org/", content=request, **settings)[0] == 1
    assert run("verify", content=request, **settings)[0] == 1
    for url in ("ftp://hooks.example.com", "hooks.example.com", "https://user@hooks.example.com", "http://localhost/"):
        status, output, errors = run("secret", url, **settings)
        assert (status, output) == (1, "") and url in errors


# ---- against an independent implementation: cases with a seed, 12 or as many as JOBHOOK_TEST_SIGNATURES says ----


def random_receiver(r):
    """(URL, origin, path), the latter two as JOBHOOK_SIGNING_SCOPE has them."""
    scheme, port = r.choice(["http", "https"]), r.choice([None, 80, 443, 8080])
    v6 = ipaddress.IPv6Address(r.getrandbits(112) | 0x2600 << 112)
    host, written = r.choice([("hooks.example.com", "Hooks.EXAMPLE.com"), ("xn--bcher-kva.example", "XN--bcher-kva.example"), ("192.0.2.7", "192.0.2.7"),
                              (f"[{v6}]", f"[{v6.exploded.upper()}]")])  # fmt: skip
    path, query = r.choice(["", "/", "/in/42", "//a/../%2e/B;c@d:e"]), r.choice(["", "?", "?x=/1", "#f", "?a#b"])
    default = port in (None, 443 if scheme == "https" else 80)
    return (f"{r.choice([scheme, scheme.upper()])}://{written}{'' if port is None else f':{port}'}{path}{query}",
            f"{scheme}://{host}{'' if default else f':{port}'}", path or "/")  # fmt: skip


def derive(master, scope):
    """HKDF-SHA256, RFC 5869, of 32 bytes."""
    extracted = hmac.digest(bytes(32), master, "sha256")
    return hmac.digest(extracted, b"jobhook webhook secret v1\n" + scope.encode() + b"\1", "sha256")


def in_base64(content):
    return base64.b64encode(content).decode()


def test_signatures_are_those_that_pythons_hmac_makes():
    seed = int(os.environ.get("JOBHOOK_SEED", "20"))
    r = random.Random(seed)
    for case in range(int(os.environ.get("JOBHOOK_TEST_SIGNATURES", "12"))):
        keys = [r.randbytes(r.randint(24, 64)) for _ in range(r.choice([1, 2, 8]))]
        body = r.randbytes(r.choice([0, 1, 300, 70000])) if r.random() < 0.7 else bytes(r.randrange(300))
        (url, origin, path), scope = random_receiver(r), r.choice(["shared", "origin", "url"])
        settings = {"JOBHOOK_SIGNING_KEYS": " ".join("whsec_" + in_base64(key) for key in keys), "JOBHOOK_SIGNING_SCOPE": scope}
        secrets = keys if scope == "shared" else [derive(key, origin + (path if scope == "url" else "")) for key in keys]
        told = f"seed {seed}, case {case}: {scope} {url}"
        assert run("secret", url, **settings)[:2] == (0, "".join(f"whsec_{in_base64(secret)}\n" for secret in secrets)), told
        webhook_id, at = "".join(r.choices("Aa0_-", k=r.randint(1, 64))), str(r.getrandbits(31))
        content = f"{webhook_id}.{at}.".encode() + body
        expected = " ".join("v1," + in_base64(hmac.digest(secret, content, "sha256")) for secret in secrets)
        headers = f"webhook-id: {webhook_id}\nwebhook-timestamp: {at}\nwebhook-signature: {expected}\n"
        assert run("sign", "--id=" + webhook_id, "--timestamp", at, "--url", url, content=body, **settings) == (0, headers, ""), told
        request = (headers + "\n").encode() + body
        verify = ["verify", "--tolerance", "any", "--url", url]
        assert run(*verify, content=request, **settings)[0] == 0, told
        changed = bytearray(request)
        changed[r.choice([r.randrange(12, 12 + len(webhook_id)), headers.index("timestamp:") + 11, -1])] ^= 1  # id, time, body (or the line before it)
        assert run(*verify, content=bytes(changed), **settings)[0] == 1, told


def test_secret_shows_what_a_receiver_needs_and_no_more():
    settings = {"JOBHOOK_SIGNING_KEYS": f"{PAIR} {KEY}"}
    status, output, errors = run("secret", "https://a.example.com/", **settings)
    assert (status, output) == (0, KEY + "\n") and "every receiver has this secret" in errors
    assert run("secret", "https://a.example.com/", "--public", **settings) == (0, PUBLIC + "\n", "")
    assert run("secret", "--public", "https://a.example.com/", JOBHOOK_SIGNING_KEYS=KEY)[:2] == (1, "")
    assert run("secret", "https://a.example.com/", JOBHOOK_SIGNING_KEYS=PAIR)[:2] == (1, "")


def test_verify_says_why_not(key_file, folder):
    old = (HEADERS + HMAC + "\n\n").encode() + BODY
    cases = {"too old": (old, []), "no signature matches": (old + b" ", ["--tolerance", "any"]), "is missing": (b"webhook-id: x\n\n", []),
             "no empty line": (b"webhook-id: x", []), "stands there twice": (b"webhook-id: x\nwebhook-id: x\n\n", [])}
    for sentence, (content, more) in cases.items():
        status, output, errors = run("verify", "--key-file", key_file, *more, content=content)
        assert (status, output) == (1, "") and sentence in errors
    assert run("verify", "--key-file", key_file, "--tolerance", "any", content=old)[0] == 0
    assert run("verify", "--key-file", key_file, "--tolerance", str(int(time.time())), content=old)[0] == 0
    for content in (PAIR, "", "whsec_x"):
        path = os.path.join(folder, "other")
        with open(path, "w") as file:
            file.write(content)
        assert run("verify", "--key-file", path, content=old)[0] == 1
    assert run("verify", "--key-file", os.path.join(folder, "absent"), content=old)[0] == 1


def test_verify_takes_headers_one_by_one_and_files(key_file, folder):
    body, request = os.path.join(folder, "body"), os.path.join(folder, "request")
    with open(body, "wb") as file:
        file.write(BODY)
    with open(request, "wb") as file:
        file.write(b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n" + (HEADERS + HMAC).replace("\n", "\r\n").encode() + b"\r\n\r\n" + BODY + b"\n")
    headers = [part for line in (HEADERS + HMAC).splitlines() for part in ("--header", line)]
    common = ["verify", "--key-file", key_file, "--tolerance", "any"]
    assert run(*common, request)[0] == 0
    assert run(*common, *headers, "--body", body)[0] == 0
    assert run(*common, *headers, content=BODY)[0] == 0
    assert run(*common, *headers, content=BODY + b"\n")[0] == 1
    assert run(*common, *headers[:-2], content=BODY)[0] == 1


@pytest.mark.parametrize("arguments", [
    ["sign"], ["sign", "--id"], ["sign", "--id", "t", "extra"], ["sign", "--id", "t", "--timestamp", "now"], ["sign", "--id", "t", "--nonsense"],
    ["sign", "--id", "t", "--url", "https://a.example.com", "--key-file", "x"], ["verify", "--tolerance", "soon"], ["verify", "--header", "nonsense"],
    ["verify", "a", "b"], ["verify", "--body", "x"], ["verify", "--body", "x", "--header", "a: b", "c"], ["verify", "--url", "u", "--key-file", "k"],
    ["secret"], ["secret", "a", "b"], ["secret", "--nonsense", "https://a.example.com"]])  # fmt: skip
def test_wrong_usage_is_told_and_exits_with_2(arguments):
    status, output, errors = run(*arguments, JOBHOOK_SIGNING_KEYS=KEY)
    assert (status, output) == (2, "") and "usage: jobhook " + arguments[0] in errors


@pytest.mark.parametrize("command", ["sign", "verify", "secret"])
def test_help_has_examples(command):
    for arguments in ((command, "--help"), ("help", command)):
        status, output, errors = run(*arguments)
        assert (status, errors) == (0, "") and "usage: jobhook " + command in output and "examples:\n" in output


def test_no_key_and_bad_keys_are_told_without_showing_them():
    for command in (["sign", "--id", "t"], ["verify"], ["secret", "https://a.example.com/"]):
        status, output, errors = run(*command)
        assert (status, output) == (1, "") and "JOBHOOK_SIGNING_KEYS" in errors
        status, output, errors = run(*command, JOBHOOK_SIGNING_KEYS="whsec_aHVzaGh1c2g=")
        assert (status, output) == (1, "") and "JOBHOOK_SIGNING_KEYS=***" in errors and "aHVzaGh1c2g" not in errors
    assert run("sign", "--id", "a.b", JOBHOOK_SIGNING_KEYS=KEY)[0] == 1
