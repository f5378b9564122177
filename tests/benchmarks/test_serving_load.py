import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.serving_load import Reply, Target, closed_loop, latency, open_loop, rate_of

TAKES = 0.05  # seconds


class Slow(BaseHTTPRequestHandler):
    """Answers after a delay and refuses the body b"no". `most` is the largest number of concurrent requests."""

    protocol_version = "HTTP/1.1"
    lock, now, most = threading.Lock(), 0, 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with Slow.lock:
            Slow.now += 1
            Slow.most = max(Slow.most, Slow.now)
        time.sleep(TAKES)
        with Slow.lock:
            Slow.now -= 1
        self.send_response(429 if body == b"no" else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Slow.most = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_callers_of_a_closed_loop_wait_for_their_answers(address: str) -> None:
    replies = closed_loop(Target(address, [b"yes"]), callers=3, seconds=0.5)
    assert Slow.most == 3
    assert {reply.status for reply in replies} == {200}
    assert min(reply.seconds for reply in replies) >= TAKES
    assert len(replies) <= 3 * (0.5 / TAKES + 1)


def test_arrivals_of_an_open_loop_wait_for_nobody(address: str) -> None:
    replies = open_loop(Target(address, [b"yes", b"no"]), rate=40, seconds=0.5)
    assert len(replies) == 20
    assert sorted({reply.status for reply in replies}) == [200, 429]
    gaps = sorted(reply.start for reply in replies)
    assert gaps[-1] >= 19 / 40


def test_a_connection_that_breaks_is_a_reply_without_status() -> None:
    assert {reply.status for reply in open_loop(Target("http://127.0.0.1:9", [b""]), rate=10, seconds=0.3)} == {0}


def test_goodput_counts_the_good_answers_between_two_moments() -> None:
    replies = [Reply(0, 0.5, 200), Reply(0, 1.5, 200), Reply(0, 1.6, 429), Reply(0, 3.5, 200)]
    assert rate_of(replies, 1, 3) == 0.5


def test_latency_is_that_of_the_good_answers() -> None:
    assert latency([Reply(0, 0.1, 200), Reply(1, 1.3, 200), Reply(0, 9, 429)])["p50_ms"] == pytest.approx(200)


@pytest.mark.parametrize("url", ["http://example.com/segment", "http://10.0.0.1/segment"])
def test_load_is_made_for_this_machine_alone(url: str) -> None:
    with pytest.raises(ValueError, match="this machine"):
        Target(url, [b""])


def test_load_is_bounded() -> None:
    target = Target("http://127.0.0.1:9/", [b""])
    with pytest.raises(ValueError, match="callers=1000"):
        closed_loop(target, callers=1000, seconds=1)
    with pytest.raises(ValueError, match="rate=1000000"):
        open_loop(target, rate=1_000_000, seconds=1)
