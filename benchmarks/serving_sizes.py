"""Time of one POST /segment by the size of the image, and the time of each step.

python -m benchmarks.serving_sizes [--rounds 10] [--out DIR]

The network sees all images at the working size of the release. Decoding, outlines and masks are at the image's own
size.
"""

import argparse
import json
import tempfile
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import interleave, report, spread
from benchmarks.running_service import running_service
from benchmarks.street_images import encoded, streets

SIZES = ((160, 120), (480, 360), (1280, 960), (2048, 1536), (4000, 3000))
STEPS = ("decode", "embed", "sort", "retrieve")


def measure(address: str, rounds: int) -> list[dict[str, Any]]:
    """Rows of the table."""
    street = streets(1)[0]
    jpegs = {f"{width}x{height}": encoded(street, (width, height)) for width, height in SIZES}
    timings: dict[str, list[dict[str, float]]] = {name: [] for name in jpegs}
    with closing(HTTPConnection(address.removeprefix("http://"), timeout=120)) as client:

        def ask(name: str) -> None:
            client.request("POST", "/segment", jpegs[name], {"content-type": "image/jpeg"})
            timings[name].append(json.loads(client.getresponse().read())["timings_ms"])

        seconds = interleave({name: partial(ask, name) for name in jpegs}, rounds, warmup=2)
    return [
        {
            "image": name,
            "kB": len(jpegs[name]) / 1000,
            **spread(seconds[name]),
            **{f"{step}_ms": float(np.median([one[step] for one in timings[name][-rounds:]])) for step in STEPS},
        }
        for name in jpegs
    ]


def main() -> None:
    """Start the service, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, running_service(Path(data)) as address:
        rows = measure(address, arguments.rounds)
    report("serving_sizes", rows, {"rounds": arguments.rounds}, arguments.out)


if __name__ == "__main__":
    main()
