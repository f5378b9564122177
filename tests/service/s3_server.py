"""A server of S3 (moto) in a process of its own, which can be stopped, continued and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

BUCKET, KEY, SECRET = "pictures", "AKIATESTTESTTESTTEST", "SecretThatNobodyMaySee0123456789"
_SERVE = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"


class S3Server:
    """The server, as long as its process lives.

    Attributes:
        address: its URL.
    """

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._await()
        httpx.put(f"{self.address}/{BUCKET}").raise_for_status()

    def _await(self) -> None:
        end = time.monotonic() + 120
        while True:
            try:
                httpx.get(self.address, timeout=5)
                return
            except httpx.TransportError:
                assert self._process.poll() is None, "the server ended"
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.1)

    def names(self, prefix: str) -> list[str]:
        """Keys of the files in the bucket whose keys begin with `prefix`."""
        text = httpx.get(f"{self.address}/{BUCKET}?list-type=2&prefix={prefix}").raise_for_status().text
        return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It takes connections and answers nothing while the block runs."""
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server with an empty bucket, whose address and credentials are in the variables of AWS."""
    server = S3Server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.address)
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        try:
            yield server
        finally:
            server.end()
