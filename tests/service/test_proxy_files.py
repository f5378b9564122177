"""docs/proxies: the configurations of nginx and Caddy, as they are but for ports, paths and the certificate."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from benchmarks.running_service import free_port
from service.app import create_app
from service.http.keys import new_key
from service.settings import Settings
from tests.service.proxying import NGINX
from tests.service.serving import serving, wait_until

FOLDER = Path(__file__).parents[2] / "docs" / "proxies"
CADDY = os.environ.get("SEGSORT_CADDY") or shutil.which("caddy")
HOST = "segsort.example.com"
KEY, LINE = new_key("anna", "curator")


@dataclass
class Published:
    """A service behind a proxy. port: of the proxy, with TLS; trust: file of the authority of its certificate."""

    port: int
    trust: Path

    def client(self, host: str = HOST) -> httpx.Client:
        """A client that reaches the proxy by its public name, which no name server knows here."""
        context = ssl.create_default_context(cafile=str(self.trust))
        found = httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}/segsort",
            verify=context,
            timeout=60,
            headers={"Host": host, "X-API-Key": KEY},
        )
        found.event_hooks = {"request": [lambda request: request.extensions.update(sni_hostname=host)]}
        return found

    def has_certificate(self) -> bool:
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.trust))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 60), server_hostname=HOST)


@contextmanager
def running(command: list[str], port: int, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A proxy as a process, once it accepts connections."""
    log = folder / "output.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | environment, stdout=sink, stderr=sink)
    try:
        wait_until(lambda: process.poll() is not None or _accepts(port), 60)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def edited(name: str, changes: dict[str, str]) -> str:
    """A file of docs/proxies with some parts replaced. Each part has to occur."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def with_nginx(service: int, folder: Path, header_timeout: str) -> Iterator[Published]:
    if NGINX is None:
        pytest.skip("nginx is not installed; install it, or name the program in SEGSORT_NGINX")
    port, plain = free_port(), free_port()
    crt, key = folder / "segsort.crt", folder / "segsort.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", str(key), "-out", str(crt)],
        check=True, capture_output=True,
    )  # fmt: skip
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl", "listen 80": f"listen 127.0.0.1:{plain}",
        "127.0.0.1:8000": f"127.0.0.1:{service}", "/run/nginx.pid": f"{folder}/pid",
        "/etc/nginx/segsort": f"{folder}/segsort",
        "client_header_timeout 10s": f"client_header_timeout {header_timeout}",
        "access_log off;": f"access_log off; {temporary}",
    }  # fmt: skip
    config = folder / "nginx.conf"
    config.write_text(f"daemon off; master_process off;\n{edited('nginx.conf', changes)}")
    with running([NGINX, "-c", str(config), "-p", str(folder), "-e", f"{folder}/error.log"], port, folder, {}):
        yield Published(port, crt)


@contextmanager
def with_caddy(service: int, folder: Path, header_timeout: str) -> Iterator[Published]:
    if CADDY is None:
        pytest.skip("Caddy is not installed; install it, or name the program in SEGSORT_CADDY")
    port, plain = free_port(), free_port()
    changes = {
        "# tls internal": "tls internal", "127.0.0.1:8000": f"127.0.0.1:{service}",
        "read_header 10s": f"read_header {header_timeout}",
        "\n{\n": f"\n{{\n\tadmin off\n\tskip_install_trust\n\thttps_port {port}\n\thttp_port {plain}\n",
    }  # fmt: skip
    config = folder / "Caddyfile"
    config.write_text(edited("Caddyfile", changes))
    command = [CADDY, "run", "--adapter", "caddyfile", "--config", str(config)]
    home = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    with running(command, port, folder, home):
        root = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        published = Published(port, root)
        wait_until(lambda: root.exists() and published.has_certificate())
        yield published


PROXIES = pytest.mark.parametrize("proxy", [with_nginx, with_caddy])
Proxy = Callable[[int, Path, str], AbstractContextManager[Published]]


@pytest.fixture
def service(settings: Settings) -> Iterator[int]:
    """The service with the settings that both files name; its port."""
    changes = {"root_path": "/segsort", "trusted_proxies": "127.0.0.1", "allowed_hosts": HOST, "api_keys": LINE.line}
    with serving(create_app(settings.model_copy(update=changes))) as address:
        yield int(address.rpartition(":")[2])


@PROXIES
def test_the_service_is_used_through_the_proxy(proxy: Proxy, service: int, tmp_path: Path, photo: bytes) -> None:
    with proxy(service, tmp_path, "10s") as published, published.client() as client:
        answer = client.post("/segment", content=photo).raise_for_status().json()
        assert answer["image_url"].startswith("/segsort/")
        assert client.get(answer["image_url"].removeprefix("/segsort")).content == photo
        assert client.get("/").raise_for_status().headers["content-type"].startswith("text/html")
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/segsort"}]
        signed_in = client.post("/session", json={"key": KEY}, headers={"Origin": f"https://{HOST}"})
        cookie = signed_in.raise_for_status().headers["set-cookie"].lower()
        assert "secure" in cookie
        assert "path=/segsort" in cookie
        page = {"Origin": f"https://{HOST}:{published.port}", "Host": f"{HOST}:{published.port}"}
        made = client.post("/classes", json={"name": "fog"}, headers=page)
        assert made.status_code == 201, made.text
        forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-For": "10.9.8.7"}
        assert client.get("/classes", headers=forged).status_code == 200, "what the caller forwards is replaced"
        assert client.get(f"https://127.0.0.1:{published.port}/livez").status_code == 404


@PROXIES
def test_bodies_are_limited_and_archives_have_a_larger_limit(proxy: Proxy, service: int, tmp_path: Path) -> None:
    with proxy(service, tmp_path, "10s") as published, published.client() as client:
        large = bytes(21_000_000)
        assert client.post("/segment", content=large).status_code == 413
        answered = client.post("/releases/survey", content=large, headers={"Content-Type": "application/zip"})
        assert answered.status_code in (400, 415, 422), answered.text
        assert "problem+json" in answered.headers["content-type"], "the service answered, not the proxy"


@PROXIES
def test_a_slow_head_ends_at_the_proxy(proxy: Proxy, service: int, tmp_path: Path) -> None:
    with proxy(service, tmp_path, "1s") as published:
        with published.connect() as one:
            one.sendall(b"GET /segsort/livez HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nX: ")
            stop = threading.Event()
            threading.Thread(target=_drip, args=(one, stop), daemon=True).start()
            began = time.monotonic()
            try:
                answer = one.recv(1000)
            except OSError:
                answer = b""
            stop.set()
            assert time.monotonic() - began < 30
            assert not answer.startswith(b"HTTP/1.1 200")
        with published.client() as client:
            assert client.get("/livez").status_code == 200


def _drip(one: ssl.SSLSocket, stop: threading.Event) -> None:
    while not stop.wait(0.1):
        try:
            one.sendall(b"a")
        except OSError:
            return


@PROXIES
def test_another_host_name_does_not_reach_the_service(proxy: Proxy, service: int, tmp_path: Path) -> None:
    with proxy(service, tmp_path, "10s") as published, published.client() as client:
        answer = client.get("/classes", headers={"Host": "evil.example"})
        assert answer.status_code != 200 or not answer.content
        with published.client("evil.example") as other, pytest.raises(httpx.ConnectError):
            other.get("/classes")
