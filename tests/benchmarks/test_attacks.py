"""The benchmark of attacks: its files are valid images, and its watch notices a service that hangs."""

import io
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

from benchmarks.attackers import jpeg_of_scans, png_of_chunks
from benchmarks.attacks import Watch, computing_of, memory_of


class Hanging(BaseHTTPRequestHandler):
    """Answers /livez at once and /readyz after half a second, with 503."""

    def do_GET(self) -> None:
        ready = self.path == "/livez"
        time.sleep(0 if ready else 0.5)
        self.send_response(200 if ready else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def test_the_files_of_the_attackers_are_valid_images() -> None:
    jpeg = jpeg_of_scans(5, 64)
    assert jpeg.count(b"\xff\xda") >= 6
    Image.open(io.BytesIO(jpeg)).load()
    png = png_of_chunks(50)
    assert png.count(b"tEXt") == 50
    Image.open(io.BytesIO(png)).load()


def test_the_watch_measures_each_health_route_and_counts_its_failures() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hanging)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with Watch(f"http://127.0.0.1:{server.server_port}", os.getpid()) as watch:
            time.sleep(1.5)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert watch.failures["/livez"] == 0
    assert watch.failures["/readyz"] == len(watch.seconds["/readyz"]) > 0
    assert min(watch.seconds["/readyz"]) >= 0.5
    assert watch.peak > 10_000_000


def test_memory_includes_that_of_children() -> None:
    alone = memory_of(os.getpid())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        held = b"x" * 50_000_000
        os.write(writer, b"1")
        time.sleep(60)
        os._exit(len(held) % 2)
    try:
        os.read(reader, 1)
        assert memory_of(os.getpid()) > alone + 30_000_000
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_computing_includes_that_of_children() -> None:
    alone = computing_of(os.getpid())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
        os.write(writer, b"1")
        time.sleep(60)
        os._exit(0)
    try:
        os.read(reader, 1)
        assert computing_of(os.getpid()) > alone + 0.4
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
