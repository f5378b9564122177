"""Workers: their results, their limits, and their ends."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model_store import images
from model_store.images import ImageFault
from model_store.workers import Ended, Stop, Worker, WorkerPool, WorkLimits, stopping_with
from tests import hostile_images as hostile
from tests.robustness.images import rare
from tests.service.serving import wait_until

LIMITS = WorkLimits(seconds=600, megabytes=1500, pixels=40_000_000)
TIGHT = WorkLimits(seconds=0.1, megabytes=50, pixels=40_000_000)
LARGE = 1 << 40  # pixels


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(LIMITS, at_most=3)
    pool.start()
    yield pool
    pool.close()


def test_a_worker_decodes_every_kind_of_file_to_the_same_bits(pool: WorkerPool) -> None:
    for name, content in rare().items():
        here, there = images.decode(content), pool.run("decode", content, max_pixels=LARGE)
        assert np.array_equal(here.pixels, there.arrays[0]), name
        assert there.arrays[0].dtype == np.uint8
        assert there.arrays[0].flags.writeable
        assert (list(here.size), here.conversion) == (there.value["size"], there.value["conversion"]), name
        assert images.pixels_of(content, LARGE) == pool.run("pixels_of", content, max_pixels=LARGE).value


def test_masks_keep_all_their_maps(pool: WorkerPool) -> None:
    for content in rare().values():
        try:
            here = images.decode_mask(content)
        except ImageFault as fault:
            with pytest.raises(ImageFault, match=re.escape(str(fault))):
                pool.run("decode_mask", content, max_pixels=LARGE)
            continue
        there = pool.run("decode_mask", content, max_pixels=LARGE)
        given = [one for one in (here.colours, here.indices, here.transparent) if one is not None]
        assert len(given) == len(there.arrays)
        for mine, other_ in zip(given, there.arrays, strict=True):
            assert mine.dtype == other_.dtype
            assert np.array_equal(mine, other_)


def test_a_page_comes_back_only_if_it_is_another_file(pool: WorkerPool) -> None:
    single, several = rare()["CMYK TIFF"], rare()["animated TIFF"]
    assert pool.run("take_page", single, number=0).content is None
    assert pool.run("take_page", several, number=2).content == images.take_page(several, 2).content


def test_faults_are_those_of_this_process(pool: WorkerPool) -> None:
    with pytest.raises(ImageFault, match="not an image") as fault:
        pool.run("decode", b"text", max_pixels=LARGE)
    assert fault.value.fault == "unsupported"


def test_work_that_takes_too_long_is_killed_and_the_next_is_done(pool: WorkerPool) -> None:
    before = pool.ended["time"]
    with pytest.raises(Ended) as ended:
        pool.run_with(TIGHT, "pixels_of", hostile.ppm_with_comment(), {"max_pixels": LARGE})
    assert ended.value.cause == "time"
    assert pool.ended["time"] == before + 1
    assert pool.run("pixels_of", hostile.encoded(64, "GIF"), max_pixels=LARGE).value == 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not limit memory")
def test_work_that_needs_too_much_memory_ends_and_the_service_keeps_its_own(pool: WorkerPool) -> None:
    with pytest.raises(Ended) as ended:
        pool.run_with(TIGHT, "decode", hostile.encoded(9000, "GIF", "P"), {"max_pixels": LARGE})
    assert ended.value.cause == "memory"
    assert pool.run("decode", hostile.encoded(64, "GIF"), max_pixels=LARGE).arrays[0].shape == (64, 64, 3)


def test_work_ends_when_it_is_stopped(pool: WorkerPool) -> None:
    stop = Stop()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    with stopping_with(stop), pytest.raises(Ended) as ended:
        pool.run("decode", hostile.bmp_of_runs(6000), max_pixels=LARGE)
    assert ended.value.cause == "stopped"
    assert time.monotonic() - started < 5  # it takes 6 s of computing


def test_work_ends_at_its_deadline(pool: WorkerPool) -> None:
    with stopping_with(Stop(time.monotonic() + 0.3)), pytest.raises(Ended) as ended:
        pool.run("decode", hostile.bmp_of_runs(6000), max_pixels=LARGE)
    assert ended.value.cause == "deadline"


def test_a_crash_ends_the_worker_alone(pool: WorkerPool) -> None:
    def crash() -> None:
        wait_until(lambda: pool.busy)
        for worker in list(pool._busy):
            os.kill(worker.pid, signal.SIGSEGV)

    threading.Thread(target=crash).start()
    with pytest.raises(Ended, match="SIGSEGV") as ended:
        pool.run("decode", hostile.bmp_of_runs(6000), max_pixels=LARGE)
    assert ended.value.cause == "crash"


@pytest.mark.parametrize("kills", [1, 2])
def test_work_is_done_again_once_if_something_else_kills_its_worker(pool: WorkerPool, kills: int) -> None:
    def kill() -> None:
        killed: set[int] = set()
        while len(killed) < kills:
            wait_until(lambda: [one for one in list(pool._busy) if one.pid not in killed])
            [worker] = [one for one in list(pool._busy) if one.pid not in killed]
            time.sleep(0.05)  # it works
            os.kill(worker.pid, signal.SIGKILL)
            killed.add(worker.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises((ImageFault, Ended)) as found:  # the file is damaged, which the work finds at its end
        pool.run("decode", hostile.bmp_of_runs(2000), max_pixels=LARGE)
    thread.join()
    assert getattr(found.value, "cause", None) == (None if kills == 1 else "killed")


def test_others_do_not_wait_for_slow_work(pool: WorkerPool) -> None:
    stop = Stop()

    def slow() -> None:
        with stopping_with(stop), pytest.raises(Ended):
            pool.run("decode", hostile.bmp_of_runs(6000), max_pixels=LARGE)

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        wait_until(lambda: pool.busy)
        for _ in range(5):
            pool.run("pixels_of", hostile.encoded(64, "GIF"), max_pixels=LARGE)
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join()


def test_no_more_workers_run_than_are_allowed_and_idle_ones_are_used_again(pool: WorkerPool) -> None:
    content = hostile.encoded(64, "GIF")
    threads = [threading.Thread(target=pool.run, args=("pixels_of", content), kwargs={"max_pixels": LARGE})
               for _ in range(12)]  # fmt: skip
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, pool.workers)
    assert 1 <= most <= 3


def test_a_worker_knows_no_secrets_and_starts_without_heavy_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSORT_API_KEYS", "secret")
    worker = Worker()
    worker.wait_until_ready()
    try:
        assert b"secret" not in Path(f"/proc/{worker.pid}/environ").read_bytes()
        maps = Path(f"/proc/{worker.pid}/maps").read_text()
        assert "numpy" in maps
        assert not any(name in maps for name in ("torch", "onnxruntime", "pydantic", "faiss"))
    finally:
        worker.close()
    assert not Path(f"/proc/{worker.pid}").exists()


@pytest.mark.parametrize("work", ["idle", "busy"])
def test_workers_end_with_a_process_that_is_killed(work: str) -> None:
    code = (
        "import threading, time\nfrom model_store.workers import *\nfrom tests import hostile_images as hostile\n"
        "pool = WorkerPool(WorkLimits(600, 1500, 1000), 2)\npool.start()\n"
        "content = hostile.bmp_of_runs(6000)\n"
        "pool.run('pixels_of', content, max_pixels=1 << 40)\n"
        f"busy = {work == 'busy'}\n"
        "if busy: threading.Thread(target=pool.run, args=('decode', content), kwargs={'max_pixels': 1 << 40}).start()\n"
        "while busy and not pool.busy: time.sleep(0.01)\n"
        "time.sleep(0.5)\n"
        "print(*[worker.pid for worker in [*pool._busy, *(one for _, one in pool._idle)]], flush=True)\n"
        "time.sleep(600)"
    )
    root = Path(__file__).parents[3]
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert workers
    assert all(_is_alive(pid) for pid in workers)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(_is_alive, workers)), 20)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
