"""A receiver of webhooks in a process of its own: `python -m benchmarks.webhook_receiver PORT LOG SECRET DELAY`.

It verifies each signature with code that shares nothing with the service, and writes one line of JSON for each request
to the log, with its time. It answers 204, or the status (and Retry-After) that the file LOG.status holds. It knows an
event by its id that it has answered with a status 2XX before, and marks it as `again`.
"""

import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_OLDEST_S = 300
_START_S = 120


def serve(port: int, log: Path, secret: str, delay: float) -> None:
    """Receive until the process ends.

    Args:
        port: of this machine.
        log: lines are appended; ids in it are known from before.
        secret: verifies signatures.
        delay: seconds before each answer.
    """
    known = {one["id"] for one in read(log) if one["status"] < 300}
    key = base64.b64decode(secret.removeprefix("whsec_"))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            message, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
            signed = f"{message}.{at}.".encode() + body
            expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            is_valid = f"v1,{expected}" in self.headers["webhook-signature"].split(" ")
            is_valid = is_valid and abs(time.time() - int(at)) < _OLDEST_S
            time.sleep(delay)
            status, *wait = _status(log) if is_valid else [401]
            line = {"id": message, "status": status, "again": message in known, "at": time.time(), **json.loads(body)}
            os.write(file, json.dumps(line).encode() + b"\n")
            if status < 300:
                known.add(message)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            for seconds in wait:
                self.send_header("Retry-After", str(seconds))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def read(log: Path) -> list[dict[str, Any]]:
    """What a receiver wrote so far. A line that is being written does not count."""
    return [json.loads(line) for line in log.read_text().split("\n")[:-1]] if log.exists() else []


def _status(log: Path) -> list[int]:
    wanted = log.with_name(log.name + ".status")
    return [int(word) for word in wanted.read_text().split()] if wanted.exists() else [204]


@contextmanager
def receiving(port: int, log: Path, secret: str, delay: float = 0.0) -> Iterator[None]:
    """Run a receiver in a process of its own until the block ends; see `serve`."""
    command = [sys.executable, "-m", "benchmarks.webhook_receiver", str(port), str(log), secret, str(delay)]
    process = subprocess.Popen(command)
    try:
        end = time.monotonic() + _START_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the receiver did not listen on port {port} within {_START_S} s")
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
