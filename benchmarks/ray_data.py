"""`segsort build` and `segsort segment` over Ray Data beside one process: time, results, and a worker that is killed.

    python -m benchmarks.ray_data --camvid CAMVID [--images 1000] [--rounds 3] [--workers 2] [--work DIR] [--out DIR]

Both engines work in turn on the same images, as commands from their start to their end, with the bundled streets. The
images are CamVid's train and val frames with their labels; where more are asked for, crops of them, drawn with a fixed
seed. Then one run of each command over Ray has a worker killed by SIGKILL. Results are compared by the content of all
files: of a release without `created`, of answers without `timings_ms`. Runs that are done are kept in DIR, so that the
benchmark goes on where it was stopped.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.common import report
from benchmarks.running_service import COMMAND

CROP = (400, 320)  # width and height of a crop, pixels
ENGINES = ("local", "ray")


class Run(NamedTuple):
    """One run of a command. command: "build" or "segment"; engine: of ENGINES; kill: whether a worker is killed."""

    command: str
    engine: str
    number: int
    kill: bool = False

    @property
    def name(self) -> str:
        """Of its output folder."""
        return f"{self.command}-{self.engine}-{'killed' if self.kill else self.number}"


def make_images(camvid: Path, count: int, folder: Path) -> None:
    """Write `count` labelled images in CamVid's layout: frames first, then crops of frames."""
    if (folder / "done").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("train", "trainannot"):
        (folder / name).mkdir(parents=True)
    frames = [file for split in ("train", "val") for file in sorted((camvid / split).iterdir())]
    random = np.random.default_rng(0)
    for i in range(count):
        file = frames[i % len(frames)]
        labels = file.parent.with_name(f"{file.parent.name}annot") / f"{file.stem}.png"
        if i < len(frames):
            shutil.copy(file, folder / "train" / f"{i:05d}{file.suffix}")
            shutil.copy(labels, folder / "trainannot" / f"{i:05d}.png")
            continue
        with Image.open(file) as image, Image.open(labels) as mask:
            x, y = (int(random.integers(0, whole - part + 1)) for whole, part in zip(image.size, CROP, strict=True))
            box = (x, y, x + CROP[0], y + CROP[1])
            image.crop(box).save(folder / "train" / f"{i:05d}.png")
            mask.crop(box).save(folder / "trainannot" / f"{i:05d}.png")
    (folder / "done").touch()


def command_of(run: Run, images: Path, out: Path, workers: int) -> list[str]:
    """The command line of a run."""
    if run.command == "build":
        words = ["build", "--dataset", "camvid", "--root", str(images), "--embedder", "streets", "--name", "built"]
    else:
        words = ["segment", str(images / "train"), "--release", "streets"]
    engine = ["--engine", "ray", "--workers", str(workers)] if run.engine == "ray" else []
    return [str(COMMAND), *words, "--out", str(out), *engine]


def timed(run: Run, images: Path, folder: Path, workers: int) -> dict[str, Any]:
    """Run a command once, or read what it gave before: its seconds, the digest of its results, and workers killed."""
    kept = folder / f"{run.name}.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    out = folder / run.name
    shutil.rmtree(out, ignore_errors=True)
    environment = {**os.environ, "SEGSORT_DATA_DIR": str(folder / "data")}
    started = time.perf_counter()
    with (folder / f"{run.name}.log").open("wb") as log:
        process = subprocess.Popen(command_of(run, images, out, workers), env=environment, stderr=log, stdout=log)
        killed = kill_worker(process) if run.kill else 0
        status = process.wait()
    seconds = time.perf_counter() - started
    if status:
        raise RuntimeError(
            f"{run.name} ended with exit status {status}: {(folder / f'{run.name}.log').read_text()[-2000:]}"
        )
    result = {"seconds": seconds, "digest": digest(out), "killed": killed}
    shutil.rmtree(out)
    kept.write_text(json.dumps(result))
    return result


def kill_worker(process: "subprocess.Popen[bytes]") -> int:
    """Kill a process of Ray that has worked on images for some seconds; returns how many were killed."""
    while process.poll() is None:
        for pid in descendants(process.pid):
            if busy_seconds(pid) > 3:
                os.kill(pid, signal.SIGKILL)
                return 1
        time.sleep(0.1)
    return 0


def descendants(pid: int) -> list[int]:
    """Workers of Ray below a process that run a task of a map."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        stat = read(Path("/proc") / name / "stat")
        if stat:
            parents[int(name)] = int(stat.rpartition(")")[2].split()[1])
    found, level = [], [pid]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found += level
    return [one for one in found if re.match(r"ray::(Map|ReadM)", read(Path("/proc") / str(one) / "cmdline"))]


def busy_seconds(pid: int) -> float:
    """CPU time of a process."""
    fields = read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def read(file: Path) -> str:
    """The content of a file of a process; empty if that has ended."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def digest(out: Path) -> str:
    """SHA-256 of all files of a result, without the time of its making and the times of its stages."""
    found = hashlib.sha256()
    for file in sorted(out.rglob("*")):
        if not file.is_file() or ".segsort" in file.parts or file.name == "checksums.json":
            continue
        content = file.read_bytes()
        if file.suffix == ".json":
            content = re.sub(rb'"created": "[^"]*"', b"", content)
            content = re.sub(rb'"timings_ms": \{[^}]*\}', b"", content)
        found.update(f"{file.relative_to(out)}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def ratio(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Median of the ratios of runs beside each other, with the smallest and the largest."""
    found = np.asarray(one) / np.asarray(other)
    return {"ratio": float(np.median(found)), "least": float(found.min()), "most": float(found.max())}


def measure(run_once: Callable[[Run], dict[str, Any]], command: str, rounds: int) -> dict[str, Any]:
    """Runs of one command with both engines in turn, and one with a killed worker."""
    seconds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    digests: set[str] = set()
    for number in range(rounds):
        for engine in ENGINES if number % 2 == 0 else ENGINES[::-1]:
            found = run_once(Run(command, engine, number))
            seconds[engine].append(found["seconds"])
            digests.add(found["digest"])
    killed = run_once(Run(command, "ray", 0, kill=True))
    return {
        "command": command,
        "one process, s": round(float(np.median(seconds["local"])), 1),
        "Ray, s": round(float(np.median(seconds["ray"])), 1),
        **{name: round(value, 3) for name, value in ratio(seconds["ray"], seconds["local"]).items()},
        "identical": len(digests) == 1,
        "workers killed": killed["killed"],
        "identical after that": digests == {killed["digest"]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--command", choices=("build", "segment"), action="append", help="default: both")
    parser.add_argument("--work", type=Path, default=Path("out/ray-data"), help="folder of images and results")
    parser.add_argument("--out", type=Path, help="folder of the report")
    arguments = parser.parse_args()
    folder = arguments.work / f"{arguments.images}-{arguments.workers}"
    folder.mkdir(parents=True, exist_ok=True)
    images = folder / "images"
    make_images(arguments.camvid, arguments.images, images)

    def run_once(run: Run) -> dict[str, Any]:
        return timed(run, images, folder, arguments.workers)

    rows = [measure(run_once, one, arguments.rounds) for one in arguments.command or ("build", "segment")]
    details = {"images": arguments.images, "rounds": arguments.rounds, "workers": arguments.workers}
    report("ray_data", rows, details, arguments.out)


if __name__ == "__main__":
    main()
