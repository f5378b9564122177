"""Many images: a job over HTTP and `segsort segment`, each killed half-way, beside single requests of 8 callers.

    python -m benchmarks.batches [--count 500] [--images FOLDER] [--release RELEASE] [--database URL] [--out DIR]

In the same run: single requests of 8 callers over the images; the images as a job, whose service is killed by SIGKILL
when half of them are done, and started again; single requests of one caller beside a job and without it; and the
command, which is killed half-way too, and run again. Each image must be in each result once, the recorded answers must
be those of the job, the progress may not fall, and pycocotools must open the exports. The images are painted streets,
or those of a folder. `.ci/postgres sh -c 'python -m benchmarks.batches --database $SEGSORT_TEST_POSTGRES'` runs it over
PostgreSQL.
"""

import argparse
import contextlib
import io
import os
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from pycocotools.coco import COCO

from benchmarks.common import report
from benchmarks.running_service import COMMAND, start_service, stop
from benchmarks.street_images import photographs

CALLERS = 8
_ALONE = 40  # single requests beside a job, and without it
_PATIENCE = 3600.0  # seconds


class Result(NamedTuple):
    """What came of a way to segment the images. seconds: of work, without the time between a kill and the next start;
    faults: what was not as it must be."""

    images: int
    seconds: float
    kills: int
    faults: list[str]


class Service:
    """A service that is killed and started again. `client` asks it."""

    def __init__(self, data: Path, flags: Sequence[str]) -> None:
        self._data, self._flags = data, flags
        self.start()

    def start(self) -> None:
        """Start it."""
        self.process, address = start_service(self._data, *self._flags)
        self.client = httpx.Client(base_url=address, timeout=120)

    def kill(self) -> None:
        """End it without any warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.client.close()

    def close(self) -> None:
        """Stop it."""
        self.client.close()
        stop(self.process)


def single_requests(client: httpx.Client, files: dict[str, bytes]) -> Result:
    """All images by callers that each wait for an answer."""

    def ask(content: bytes) -> int:
        return client.post("/segment", content=content).status_code

    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as callers:
        statuses = list(callers.map(ask, files.values()))
    faults = [f"{statuses.count(status)} requests got {status}" for status in set(statuses) - {200}]
    return Result(len(files), time.perf_counter() - began, 0, faults)


def job(service: Service, files: dict[str, bytes]) -> Result:
    """All images as a job, whose service is killed half-way."""
    faults: list[str] = []
    progress = (0, 0.0)
    job_id = service.client.post("/jobs/segment", content=_archive(files)).raise_for_status().json()["job_id"]
    began, away, kills = time.perf_counter(), 0.0, 0
    while True:
        state = service.client.get(f"/jobs/{job_id}").raise_for_status().json()
        if (state["done"], state["progress"]) < progress:
            faults.append(f"the progress fell from {progress} to {state['done']}, {state['progress']}")
        progress = (state["done"], state["progress"])
        if state["ended"]:
            break
        if not kills and 2 * state["done"] >= len(files):
            killed = time.perf_counter()
            service.kill()
            service.start()
            away, kills = time.perf_counter() - killed, 1
        if time.perf_counter() - began > _PATIENCE:
            raise TimeoutError(f"the job has not ended: {state}")
        time.sleep(0.05)
    seconds = time.perf_counter() - began - away
    faults += _faults_of_job(service.client, job_id, list(files), state)
    return Result(len(files), seconds, kills, faults)


def beside_a_job(client: httpx.Client, files: dict[str, bytes]) -> dict[str, float]:
    """Median milliseconds of single requests without a job and beside one, in that order."""
    content = next(iter(files.values()))

    def median() -> float:
        times = []
        for _ in range(_ALONE):
            began = time.perf_counter()
            client.post("/segment", content=content).raise_for_status()
            times.append(time.perf_counter() - began)
        return 1000 * float(np.median(times))

    median()
    alone = median()
    job_id = client.post("/jobs/segment", params={"keep": False}, content=_archive(files)).json()["job_id"]
    before = client.get(f"/jobs/{job_id}").json()["done"]
    beside = median()
    found = client.get(f"/jobs/{job_id}").json()
    if found["ended"]:
        raise ValueError("the job ended before the requests did; give more images")
    client.post(f"/jobs/{job_id}/cancel").raise_for_status()
    return {"alone_ms": alone, "beside_ms": beside, "job_images_meanwhile": float(found["done"] - before)}


def command(folder: Path, out: Path, release: str | None, count: int) -> Result:
    """All images by the command, which is killed half-way and run again."""
    words = [str(COMMAND), "segment", str(folder), "--out", str(out), "--export", "coco"]
    words += [] if release is None else ["--release", release]
    answers = out / ".segsort" / "answers"
    with _running(words) as process:
        began = _wait_for(lambda: any(answers.glob("*.answer")), process)
        _wait_for(lambda: 2 * len(list(answers.glob("*.answer"))) >= count, process)
        process.send_signal(signal.SIGKILL)
        seconds = time.perf_counter() - began
        kills = int(process.wait() == -signal.SIGKILL)
    before = {file.name: file.stat().st_mtime_ns for file in answers.glob("*.answer")}
    with _running(words) as process:
        began = _wait_for(lambda: len(list(answers.glob("*.answer"))) > len(before), process)
        status = process.wait()
        seconds += time.perf_counter() - began
    after = {file.name: file.stat().st_mtime_ns for file in answers.glob("*.answer")}
    faults = [] if status == 0 else [f"the exit status is {status}"]
    faults += [] if before.items() <= after.items() else ["images that were done were segmented again"]
    names = [one["file_name"] for one in _coco(out / "annotations" / "instances_default.json").dataset["images"]]
    if sorted(names) != sorted(file.name for file in folder.iterdir()):
        faults.append(f"the export has {len(names)} images, {len(set(names))} different ones")
    return Result(count, seconds, kills, faults)


def _faults_of_job(client: httpx.Client, job_id: str, names: list[str], state: dict[str, Any]) -> list[str]:
    faults = [] if state["state"] == "succeeded" else [f"the job is {state['state']}: {state['problem']}"]
    if (state["done"], state["total"]) != (len(names), len(names)):
        faults.append(f"{state['done']} of {state['total']} images are done")
    images: list[dict[str, Any]] = []
    while page := client.get(
        f"/jobs/{job_id}/images", params={"limit": 1000, "after": images[-1]["position"] if images else -1}
    ).json()["images"]:
        images += page
    kept = [image["segmentation_id"] for image in images]
    if [image["name"] for image in images] != names or len(set(kept)) != len(names) or None in kept:
        faults.append("the images of the job are not those that were sent, each with an answer of its own")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(client.get(f"/jobs/{job_id}/result").content)) as archive:
            archive.extract("annotations/instances_default.json", folder)
        coco = _coco(Path(folder) / "annotations" / "instances_default.json")
    if [image["file_name"] for image in coco.dataset["images"]] != names:
        faults.append("the export does not have every image once")
    for segmentation_id in kept:
        if client.get(f"/segmentations/{segmentation_id}", params={"masks": "none"}).status_code != 200:
            faults.append(f"the answer {segmentation_id} is not recorded")
    return faults


def _coco(file: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(file)
        coco.annToMask(coco.loadAnns(coco.getAnnIds())[0])
    return coco


@contextmanager
def _running(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(words, stderr=output, stdout=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _wait_for(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> float:
    """Wait until something holds, or the process has ended; returns the time."""
    while not holds() and process.poll() is None:
        time.sleep(0.01)
    return time.perf_counter()


def _archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, one in files.items():
            archive.writestr(name, one)
    return content.getvalue()


def _images(folder: Path | None, count: int) -> dict[str, bytes]:
    if folder is None:
        return {f"{n:05d}.jpg": content for n, content in enumerate(photographs(count))}
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))[:count]
    return {f"{n:05d}-{file.name}": file.read_bytes() for n, file in enumerate(found)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--release")
    parser.add_argument("--database")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.database is not None:
        os.environ["SEGSORT_DATABASE_URL"] = options.database
    release = None if options.release is None else str(Path(options.release).absolute())
    files = _images(options.images, options.count)
    with tempfile.TemporaryDirectory() as scratch:
        data, folder = Path(scratch, "data"), Path(scratch, "images")
        data.mkdir()
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        service = Service(data, () if release is None else ("--release", release))
        try:
            list(map(lambda content: service.client.post("/segment", content=content), list(files.values())[:8]))
            results = {"single, 8 callers": single_requests(service.client, files), "job": job(service, files)}
            latency = beside_a_job(service.client, files)
        finally:
            service.close()
        os.environ["SEGSORT_DATA_DIR"] = str(data)
        results["command"] = command(folder, Path(scratch, "out"), release, len(files))
    rows = [
        {"way": name, "images": one.images, "s": round(one.seconds, 1), "images/s": round(one.images / one.seconds, 2),
         "kills": one.kills, "faults": len(one.faults)}
        for name, one in results.items()
    ]  # fmt: skip
    report("batches", rows, {"latency": latency, **{name: one._asdict() for name, one in results.items()}}, options.out)
    print({name: round(value, 1) for name, value in latency.items()})
    if any(one.faults for one in results.values()):
        print(*(fault for one in results.values() for fault in one.faults), sep="\n")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
