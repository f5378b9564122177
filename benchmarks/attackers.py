"""Attackers: each does to a service what a hostile or broken caller does, until it is stopped.

`python -m benchmarks.attackers NAME ADDRESS [DATABASE]` runs one until it is killed. It prints "ready" when its files
are made, and then the answers that it got, as JSON, at most once a second.
"""

import io
import json
import os
import socket
import struct
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import numpy as np
from PIL import Image
from sqlalchemy import create_engine, text

SCANS, CHUNKS = 9_000, 1_250_000
LARGE_BODY = 19_500_000  # bytes; just below the usual limit of a body


class Attack(NamedTuple):
    """How many do what at once.

    callers: number of threads; act: makes what one caller does again and again, from the address and the database.
    """

    callers: int
    act: Callable[[str, str], Callable[[], str]]


def progressive_scans(address: str, database: str) -> Callable[[], str]:
    """A progressive JPEG with thousands of scans, a hundred kilobytes."""
    return _posting(address, "/segment", jpeg_of_scans(SCANS, 1448))


def png_chunks(address: str, database: str) -> Callable[[], str]:
    """A PNG with a million chunks of text."""
    return _posting(address, "/segment", png_of_chunks(CHUNKS))


def long_lists(address: str, database: str) -> Callable[[], str]:
    """Lists of a thousand answers."""
    return _getting(address, "/segmentations?limit=1000")


def large_crops(address: str, database: str) -> Callable[[], str]:
    """Crops of an image of forty megapixels."""
    noise = np.random.default_rng(0).integers(0, 256, (63, 63, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((6300, 6300), Image.Resampling.NEAREST).save(file, "PNG", compress_level=1)
    answer = httpx.post(f"{address}/segment", content=file.getvalue(), timeout=300).raise_for_status().json()
    return _getting(address, f"/segments/{answer['segments'][0]['segment_id']}/crop")


def held_uploads(address: str, database: str) -> Callable[[], str]:
    """Bodies of nineteen megabytes of which the last byte never comes."""
    body = b"x" * (LARGE_BODY - 1)
    head = f"POST /session HTTP/1.1\r\nHost: {_host(address)}\r\nContent-Length: {LARGE_BODY}\r\n"
    head += "Content-Type: application/json\r\n\r\n"
    return lambda: _raw(address, head.encode() + body, hold=25)


def large_headers(address: str, database: str) -> Callable[[], str]:
    """A hundred and fifty megabytes of header fields."""
    field = b"X-Filler: " + b"y" * 8000 + b"\r\n"
    head = f"GET /livez HTTP/1.1\r\nHost: {_host(address)}\r\n".encode()
    return lambda: _raw(address, head + field * (150_000_000 // len(field)) + b"\r\n", hold=25)


def nested_json(address: str, database: str) -> Callable[[], str]:
    """JSON that is nested millions of times."""
    half = LARGE_BODY // 2
    return _posting(address, "/session", b"[" * half + b"]" * half, "application/json")


def locked_database(address: str, database: str) -> Callable[[], str]:
    """Edits while another program holds the lock that every edit needs, for two seconds of three."""
    if not any(thread.name == "lock" for thread in threading.enumerate()):
        threading.Thread(target=_lock, args=(database,), name="lock", daemon=True).start()
    client, names = httpx.Client(base_url=address, timeout=60), iter(range(10**9))
    own = f"{os.getpid()} {threading.get_ident()}"
    return lambda: str(client.post("/classes", json={"name": f"c {own} {next(names)}"}).status_code)


def idle_connections(address: str, database: str) -> Callable[[], str]:
    """A connection that asks nothing."""
    return lambda: _raw(address, b"", hold=600)


def relabelling(address: str, database: str) -> Callable[[], str]:
    """The newest answer relabelled again and again."""
    newest = httpx.get(f"{address}/segmentations?limit=1", timeout=60).json()[0]["segmentation_id"]
    return _posting(address, f"/segmentations/{newest}/relabel", b"")


ATTACKS = {
    "none": Attack(0, long_lists),
    "progressive scans": Attack(2, progressive_scans),
    "png chunks": Attack(3, png_chunks),
    "long lists": Attack(30, long_lists),
    "large crops": Attack(12, large_crops),
    "held uploads": Attack(100, held_uploads),
    "large headers": Attack(2, large_headers),
    "nested json": Attack(12, nested_json),
    "locked database": Attack(60, locked_database),
    "idle connections": Attack(1100, idle_connections),
    "relabelling": Attack(16, relabelling),
}


def jpeg_of_scans(scans: int, side: int) -> bytes:
    """A progressive JPEG whose first coefficients are sent once, and then nothing again and again."""
    file = io.BytesIO()
    Image.new("L", (side, side), 128).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    scan = content.rindex(b"\xff\xda")
    length = struct.unpack(">H", content[scan + 2 : scan + 4])[0]
    return content[:-2] + content[scan : scan + 2 + length] * scans + b"\xff\xd9"


def png_of_chunks(chunks: int) -> bytes:
    """A PNG of one pixel with many chunks of text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes(range(8))) * 8)
    text_chunk = chunk(b"tEXt", b"a\0b")  # 15 bytes
    body = chunk(b"IHDR", header) + text_chunk * chunks + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _posting(address: str, path: str, content: bytes, kind: str = "application/octet-stream") -> Callable[[], str]:
    client = httpx.Client(base_url=address, timeout=60)
    return lambda: str(client.post(path, content=content, headers={"Content-Type": kind}).status_code)


def _getting(address: str, path: str) -> Callable[[], str]:
    client = httpx.Client(base_url=address, timeout=60)
    return lambda: str(client.get(path).status_code)


def _host(address: str) -> str:
    return urlsplit(address).netloc


def _raw(address: str, content: bytes, hold: float) -> str:
    """Send bytes, and wait for an answer or for seconds; the status, or what happened instead."""
    where = urlsplit(address)
    with socket.create_connection((where.hostname or "", where.port or 80), timeout=hold) as connection:
        if content:
            connection.sendall(content)
        answer = connection.recv(100)
    return answer[9:12].decode("latin-1") if answer else "closed"


def _lock(database: str) -> None:
    engine = create_engine(database)
    while True:
        try:
            with engine.connect() as connection:
                if engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                else:
                    connection.execute(text("SELECT * FROM revisions FOR UPDATE"))
                time.sleep(2)
                connection.rollback()
        except Exception as error:  # the lock may be taken
            print(f"lock: {error}", file=sys.stderr)
        time.sleep(1)


def _repeat(act: Callable[[], str], answers: Counter[str]) -> None:
    while True:
        try:
            answers[act()] += 1
        except (OSError, httpx.HTTPError) as error:
            answers[type(error).__name__] += 1
            time.sleep(0.05)


def main(name: str, address: str, database: str) -> None:
    """Attack until killed."""
    attack, answers = ATTACKS[name], Counter[str]()
    threading.stack_size(256 * 1024)
    acts = [attack.act(address, database)] * attack.callers
    if name not in ("idle connections", "held uploads", "large headers"):  # an httpx client is slow with many threads
        acts = [attack.act(address, database) for _ in range(attack.callers)] if attack.callers < 20 else acts
    print("ready", flush=True)
    sys.stdin.readline()  # the moment to begin
    for act in acts:
        threading.Thread(target=_repeat, args=(act, answers), daemon=True).start()
    while True:
        time.sleep(1)
        print(json.dumps(dict(answers)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
