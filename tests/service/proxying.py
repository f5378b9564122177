"""Proxies that publish the service below a path: a small one of this process, and nginx if it is installed."""

import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.service.serving import wait_until

NGINX = os.environ.get("SEGSORT_NGINX") or shutil.which("nginx")


@dataclass(frozen=True)
class Publishing:
    """How a proxy publishes a service.

    path: below which it is published; strips: whether the proxy removes the path; port_in_host: whether the header Host
    keeps the port; headers: that the proxy adds, where {host} is the host with its port.
    """

    path: str = "/sub"
    strips: bool = True
    port_in_host: bool = True
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def small_proxy(service: str, how: Publishing) -> Iterator[str]:
    """A proxy in a thread; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            if not self.path.startswith(f"{how.path}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            host = self.headers["host"]
            headers = dict(self.headers) | {"Host": host if how.port_in_host else host.partition(":")[0]}
            headers |= {name: value.format(host=host) for name, value in how.headers.items()}
            there = http.client.HTTPConnection(urlsplit(service).netloc, timeout=60)
            path = self.path.removeprefix(how.path) if how.strips else self.path
            with closing(there):  # also if the browser has left
                there.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
                for name, value in headers.items():
                    there.putheader(name, value)
                there.endheaders(body)
                answer = there.getresponse()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.read())

        do_GET = do_POST = do_DELETE = do_HEAD = forward  # noqa: N815  # names of `http.server`

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def nginx(service: str, how: Publishing) -> Iterator[str]:
    """nginx as a process; yields its address. SEGSORT_NGINX may name the program."""
    if NGINX is None:
        pytest.skip("nginx is not installed; install it, or name the program in SEGSORT_NGINX")
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(_nginx_config(folder, port, service, how))
        process = subprocess.Popen([NGINX, "-c", str(config), "-p", folder, "-e", f"{folder}/error.log"])
        try:
            wait_until(lambda: process.poll() is not None or _answers(port), 10)
            assert process.poll() is None, Path(folder, "error.log").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _nginx_config(folder: str, port: int, service: str, how: Publishing) -> str:
    added = {"Host": "{host}" if how.port_in_host else "$host"} | how.headers
    headers = "\n".join(f"proxy_set_header {name} {value.format(host='$http_host')};" for name, value in added.items())
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    return f"""
daemon off; master_process off; pid {folder}/pid;
events {{}}
http {{
  access_log off; client_max_body_size 20m; {paths}
  server {{
    listen 127.0.0.1:{port};
    location {how.path}/ {{ proxy_pass {service}{"/" if how.strips else ""}; {headers} }}
  }}
}}
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
