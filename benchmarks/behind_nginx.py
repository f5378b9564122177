"""nginx in front of replicas, with docs/proxies/nginx-replicas.conf but for ports and temporary files."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.running_service import free_port

NGINX = os.environ.get("SEGSORT_NGINX") or shutil.which("nginx")
CONFIG = Path(__file__).parents[1] / "docs" / "proxies" / "nginx-replicas.conf"
PORTS = (8001, 8002, 8003, 8004)  # of the replicas in the configuration


@contextmanager
def behind_nginx(ports: Sequence[int], folder: Path) -> Iterator[str]:
    """nginx in front of replicas, with the documented configuration; yields its address.

    Args:
        ports: of the replicas, as many as the configuration names at most.
        folder: for files of nginx; its workers, which are another user, can reach it.

    Raises:
        RuntimeError: if nginx is not installed, or does not start.
    """
    if NGINX is None:
        raise RuntimeError("nginx is not installed; install it, or name the program in SEGSORT_NGINX")
    port = free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    changes = {
        "listen 127.0.0.1:8000": f"listen 127.0.0.1:{port}", "/run/nginx.pid": f"{folder}/pid",
        "access_log off;": f"access_log off; {temporary}", "worker_processes auto;": "daemon off; worker_processes 1;",
        **{f"127.0.0.1:{known}": f"127.0.0.1:{used}" for known, used in zip(PORTS, ports, strict=False)},
    }  # fmt: skip
    text = CONFIG.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    text = "".join(line for line in text.splitlines(True) if not _names(line, PORTS[len(ports) :]))
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen([NGINX, "-c", f"{folder}/nginx.conf", "-p", str(folder), "-e", f"{folder}/error.log"])
    try:
        _wait_for(f"http://127.0.0.1:{port}", process, folder / "error.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _names(line: str, ports: Sequence[int]) -> bool:
    """Whether a line names one of the ports as a server."""
    return any(f"server 127.0.0.1:{port} " in line for port in ports)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(f"{address}/livez", timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nginx did not start: {log.read_text() if log.exists() else ''}")
