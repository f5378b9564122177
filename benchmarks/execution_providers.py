"""The networks of a release on the execution providers of the installed ONNX Runtime, in turn, on one thread.

python -m benchmarks.execution_providers [--rounds 25] [--release PATH] [--out DIR]

For OpenVINO, install onnxruntime-openvino instead of onnxruntime, in an environment of its own: both packages have the
same module. Times are processor times of the process.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.beside import ratio
from benchmarks.common import report, spread
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore

INPUT = (1, 3, 480, 640)
OPENVINO = "OpenVINOExecutionProvider"
CPU = "CPUExecutionProvider"


def opened(network: Path, provider: str) -> onnxruntime.InferenceSession:
    """A session of one thread. What a provider does not compute is left to the CPU's."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    settings = {"device_type": "CPU", "num_of_threads": "1"} if provider == OPENVINO else {}
    providers = [(provider, settings)] if provider == CPU else [(provider, settings), (CPU, {})]
    return onnxruntime.InferenceSession(str(network), options, providers=providers)


def measure(networks: dict[str, Path], providers: list[str], rounds: int) -> list[dict[str, Any]]:
    """Rows of the table; ratios are to the CPU's provider with the same network."""
    sessions = {(name, one): opened(file, one) for name, file in networks.items() for one in providers}
    image, taken = np.random.default_rng(0).normal(size=INPUT).astype(np.float32), dict[tuple[str, str], list[float]]()
    for _ in range(rounds):
        for key, session in sessions.items():
            session.run(["embedding"], {"image": image})
            start = time.process_time()
            session.run(["embedding"], {"image": image})
            taken.setdefault(key, []).append(time.process_time() - start)
    rows = []
    for (name, provider), seconds in taken.items():
        middle, low, high = ratio(np.array(seconds), np.array(taken[name, CPU]))
        rows.append(
            {"network": name, "provider": provider, **spread(seconds), "ratio": middle, "ratio, low": low,
             "ratio, high": high}
        )  # fmt: skip
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--release", help="name or path; default: the bundled one that is active")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    store = ReleaseStore([BUNDLED], None)
    release = Release.open(store.resolve(arguments.release) if arguments.release else store.active())
    networks = {"float32": release.network_path}
    if release.card.quantised is not None:
        networks["int8"] = release.quantised_path
    providers = [one for one in (CPU, OPENVINO) if one in onnxruntime.get_available_providers()]
    rows = measure(networks, providers, arguments.rounds)
    report("execution_providers", rows, {"onnxruntime": onnxruntime.__version__, "input": list(INPUT)}, arguments.out)


if __name__ == "__main__":
    main()
