"""POST /segment over real HTTP, one caller, beside the network's own session.run on the same image in the same run.

The network alone is run in float32 and in the numbers that the service uses. All are called several times in a row, in
turn.

python -m benchmarks.latency [--rounds 20] [--image photo.jpg] [--release NAME|PATH] [--out DIR]
"""

import argparse
import io
import json
import tempfile
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import interleave, report, spread
from benchmarks.running_service import running_service
from index_builder.datasets import open_dataset
from model_store.embedder import Embedder
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore

SIZE = (480, 360)
BLOCK = 5  # calls in a row


def photo(path: Path | None) -> bytes:
    """A JPEG of 480x360 pixels: the given image at that size, or a painted street."""
    image = (
        Image.fromarray(open_dataset("streets", None, "val", count=1)[0].image) if path is None else Image.open(path)
    )
    file = io.BytesIO()
    image.convert("RGB").resize(SIZE).save(file, "JPEG", quality=90)
    return file.getvalue()


def measure(address: str, release: Release, jpeg: bytes, rounds: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of the table, and the service's own timings."""
    embedder, served = Embedder(release, precision="float32"), Embedder(release)
    network_input = embedder.prepare(np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")))
    answers: list[bytes] = []
    host = address.removeprefix("http://")
    with closing(HTTPConnection(host, timeout=60)) as client:  # the library with the least overhead

        def request() -> None:
            client.request("POST", "/segment", jpeg, {"content-type": "image/jpeg"})
            answers.append(client.getresponse().read())

        tasks: dict[str, Callable[[], object]] = {
            "session.run, float32": lambda: embedder.run(network_input),
            "session.run, as served": lambda: served.run(network_input),
            "POST /segment": request,
        }
        seconds = interleave(tasks, rounds, warmup=2, block=BLOCK)
    steps = [json.loads(answer)["timings_ms"] for answer in answers]
    network = float(np.median(seconds["session.run, float32"]))
    rows = [
        {"what": name, **spread(taken), "of session.run": float(np.median(taken)) / network}
        for name, taken in seconds.items()
    ]
    measured = [one for n, one in enumerate(steps) if n % (BLOCK + 1)][-rounds * BLOCK :]  # the first of a turn is not
    medians = {step: float(np.median([one[step] for one in measured])) for step in measured[0]}
    return rows, {"input": list(network_input.shape), "steps_median_ms": medians}


def main() -> None:
    """Start the service, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--image", type=Path, help="resized to 480x360; default: a painted street")
    parser.add_argument("--release", help="name or path; default: the bundled one that is active")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    store = ReleaseStore([BUNDLED], None)
    release = Release.open(store.resolve(arguments.release) if arguments.release else store.active())
    jpeg = photo(arguments.image)
    with tempfile.TemporaryDirectory() as data, running_service(Path(data), "--release", str(release.path)) as address:
        rows, details = measure(address, release, jpeg, arguments.rounds)
    details |= {"release": release.card.name, "rounds": arguments.rounds, "jpeg_bytes": len(jpeg)}
    report("latency", rows, details, arguments.out)
    for step, taken in details["steps_median_ms"].items():
        print(f"  {step}: {taken:.2f} ms")


if __name__ == "__main__":
    main()
