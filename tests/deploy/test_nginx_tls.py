"""The lines for TLS in configs/nginx.d, taken out of their comments as the comments say."""

import re
import ssl
import subprocess
from pathlib import Path

import httpx

from tests.support.nginx import CONFIGS, nginx_before
from tests.support.ports import free_port

OPENSSL = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"


def uncommented(name: str, start: str, *left: str) -> str:
    """The file, with the commented lines of the block that begins with `start` in force but for those in `left`."""
    before, block, after = re.split(rf"(# {start}.*?\n(?:#.*\n)+)", (CONFIGS / name).read_text(), maxsplit=1)
    first, *lines = block.splitlines()
    kept = [line if any(word in line for word in left) else line.removeprefix("#") for line in lines]
    return before + "\n".join([first, *kept, after])


def test_with_tls_all_goes_by_tls(folder: Path) -> None:
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    subprocess.run(
        [*OPENSSL.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    secure = free_port()
    server = uncommented("nginx.d/server.conf", "With TLS", "[::]", "http2")
    server = server.replace("listen 80 default_server;", "").replace("listen 443", f"listen 127.0.0.1:{secure}")
    server = server.replace("/etc/letsencrypt/live/chat.example.org", str(folder))
    http = uncommented("nginx.d/http.conf", "With TLS").replace("listen 80;", "listen 80 default_server;")
    files = {"nginx.d/server.conf": server, "nginx.d/http.conf": http}
    with nginx_before(f"http://127.0.0.1:{free_port()}", folder / "nginx", files=files) as nginx:
        plain = httpx.get(f"{nginx.url}/v1/users/x?y=1", trust_env=False)
        assert (plain.status_code, plain.headers["location"]) == (308, "https://127.0.0.1/v1/users/x?y=1")
        context = ssl.create_default_context(cafile=str(certificate))
        context.check_hostname = False
        answer = httpx.get(f"https://127.0.0.1:{secure}/service/live", verify=context, trust_env=False)
        assert answer.status_code == 404
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
