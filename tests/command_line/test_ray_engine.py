"""`--engine ray` on a real cluster of two nodes: the results of one process, also after kills."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from index_builder.build import BuildOptions, build_release
from index_builder.embedder_source import load_embedder_source
from index_builder.kept_results import Working
from model_store import ray_cluster, ray_spread
from model_store.ray_spread import RaySpread
from model_store.spreading import Failed, RayOptions
from tests.command_line.test_commands import COMMAND
from tests.conftest import Blocks
from tests.index_builder.test_kept_results import content
from tests.service.serving import wait_until

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray (the extra `ray`) is not installed"),
    pytest.mark.filterwarnings("ignore"),  # of Ray
    pytest.mark.timeout(1200),
]
COUNT = 24


class Cluster:
    """A cluster of two nodes of this machine, whose second one can be killed. spread: uses both."""

    def __init__(self, spread: RaySpread, address: str, folder: Path) -> None:
        self.spread, self._address, self._log = spread, address, folder / "second.log"
        self._second = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        names = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port")
        ports = zip(names, ray_cluster._free_ports(len(names)), strict=True)
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--address={self._address}",
            "--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000", "--include-log-monitor=false",
            *(f"--{name}={port}" for name, port in ports),
        ]  # fmt: skip
        environment = {**os.environ, **ray_cluster._NODE, "RAY_raylet_start_wait_time_s": "40"}
        return subprocess.Popen(
            command, env=environment, stdout=self._log.open("wb"), stderr=subprocess.STDOUT, start_new_session=True
        )

    def wait(self) -> None:
        """Wait until the second node takes part. It is started again where Ray gives up on a busy machine."""
        import ray

        end = time.monotonic() + 300
        while ray.cluster_resources().get("CPU", 0) < 2:
            assert time.monotonic() < end, self._log.read_text()
            if self._second.poll() is not None:
                self._second = self._start()
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill the raylet of the second node and its workers, as when a machine loses power."""
        mine = [
            int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(int(name)) == self._second.pid
        ]
        for raylet in [pid for pid in mine if "/raylet" in command_of(pid)]:
            workers = [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(int(name)) == raylet]
            for pid in [raylet, *workers]:
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End the second node."""
        self._second.terminate()
        try:
            self._second.wait(20)
        except subprocess.TimeoutExpired:
            self._second.kill()
            self._second.wait()


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0]
    except OSError:
        return ""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with RaySpread(RayOptions(workers=1)) as spread:
        assert spread._cluster is not None
        address = spread._cluster.wait_until_started()
        made = Cluster(spread, address, tmp_path_factory.mktemp("ray"))
        try:
            yield made
        finally:
            made.close()


class Marking:
    """Squares numbers; those in `fatal` kill their process, once each or always. It notes who worked in a folder."""

    def __init__(self, folder: Path, fatal: tuple[int, ...] = (), always: bool = False, pause: float = 0) -> None:
        self._folder, self._fatal, self._always, self._pause = folder, fatal, always, pause

    def __call__(self, number: int) -> int:
        mark = self._folder / f"killed-{number}"
        if number in self._fatal and (self._always or not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number < 0:
            raise ValueError(f"{number} has no square here")
        time.sleep(self._pause)
        (self._folder / f"worker-{os.getpid()}").touch()
        return number * number


def same(number: int) -> int:
    return number


def test_results_are_complete_after_a_worker_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    made = partial(Marking, tmp_path, (11,))
    assert dict(cluster.spread.each(made, range(30), same, str)) == {n: n * n for n in range(30)}
    assert (tmp_path / "killed-11").exists()


def test_the_first_failure_in_order_is_raised_with_its_own_message(cluster: Cluster, tmp_path: Path) -> None:
    items = [n if n not in (13, 25) else -n for n in range(30)]
    found: dict[int, int] = {}
    with pytest.raises(ValueError, match="-13 has no square here"):
        found.update(cluster.spread.each(partial(Marking, tmp_path), items, same, str))


def test_an_item_that_always_kills_its_worker_is_named(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_spread, "ATTEMPTS", 1)
    made = partial(Marking, tmp_path, (4,), True)
    with pytest.raises(Failed, match=r"4.png: the process that worked on it ended 1 times"):
        list(cluster.spread.each(made, range(6), same, "{}.png".format))
    lost = dict(cluster.spread.each(made, range(6), same, "{}.png".format, lost=len))
    assert {n: lost[n] for n in lost if n != 4} == {n: n * n for n in range(6) if n != 4}
    assert lost[4] > 20


class OfAnotherVersion:
    """Work that this version cannot read. It notes in a folder that someone tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __setstate__(self, state: dict[str, Path]) -> None:
        (state["folder"] / "read").touch()
        raise AttributeError("something that this version does not have")

    def __call__(self) -> Callable[[int], int]:
        return same


def test_a_node_of_another_version_is_found_out_before_it_reads_the_work(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AttributeError, match="does not have"):
        list(cluster.spread.each(OfAnotherVersion(tmp_path), range(3), same, str))
    assert (tmp_path / "read").exists()
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(ray_spread, "version", lambda name: "99.0")  # of the command; workers have their own
    with pytest.raises(ValueError, match=r"has segsort .*, and the command is of segsort 99\.0; install the same"):
        list(cluster.spread.each(OfAnotherVersion(other), range(3), same, str))
    assert not (other / "read").exists()


def size(content: bytes) -> int:
    return len(content)


def sizing() -> Callable[[bytes], int]:
    return size


def test_files_that_are_sent_are_read_where_the_command_runs(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.spread, "_options", RayOptions(workers=1, address="auto", send_files=True))
    files = [tmp_path / f"{n}.txt" for n in range(20)]
    for n, file in enumerate(files):
        file.write_bytes(bytes(n))
    assert dict(cluster.spread.each(sizing, files, Path.read_bytes, str)) == {n: n for n in range(20)}
    files[3].unlink()
    with pytest.raises(FileNotFoundError, match=r"3\.txt"):
        list(cluster.spread.each(sizing, files, Path.read_bytes, str))


def test_a_build_is_the_same_as_in_one_process(cluster: Cluster, tiny_run: Path, tmp_path: Path) -> None:
    source, options = load_embedder_source(tiny_run), BuildOptions(max_exemplars=60, webp_quality=60)
    plain = build_release(Blocks(count=COUNT), source, tmp_path / "plain", options=options)
    working = Working(cluster.spread, tmp_path / "work", "blocks")
    spread = build_release(Blocks(count=COUNT), source, tmp_path / "spread", options=options, working=working)
    assert content(spread) == content(plain)


def test_results_are_complete_after_a_node_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    cluster.wait()
    cluster.spread._workers = 2
    found, killed = {}, False
    for place, result in cluster.spread.each(partial(Marking, tmp_path, pause=0.05), range(96), same, str):
        assert place not in found
        found[place] = result
        if not killed and len(list(tmp_path.glob("worker-*"))) == 2:
            cluster.kill()
            killed = True
    assert killed, "the second node took no part"
    assert found == {n: n * n for n in range(96)}


def answers(out: Path) -> dict[str, Any]:
    """The files of an output folder, without the times that answers note."""
    found: dict[str, Any] = {}
    for file in sorted(file for file in out.iterdir() if file.is_file()):
        found[file.name] = file.read_bytes()
        if file.suffix == ".json":
            found[file.name] = {**json.loads(found[file.name]), "timings_ms": None}
    return found


def left_running(home: Path) -> list[int]:
    """Processes that a command with this home has started."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and f"HOME={home}\0" in variables(int(name))]


def variables(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def short_folder() -> Iterator[str]:
    """A folder for temporary files with a short path, because Ray's sockets are below it."""
    with tempfile.TemporaryDirectory(prefix="s", ignore_cleanup_errors=True) as folder:
        yield folder


def test_a_command_that_is_stopped_or_killed_leaves_no_process_and_goes_on(
    tiny_release: Path, tmp_path: Path, short_folder: str
) -> None:
    folder, count = tmp_path / "photos", 64  # so many that the command is stopped before the last one
    folder.mkdir()
    for i in range(count):
        Image.fromarray(Blocks(count=count)[i].image).save(folder / f"{i:03d}.png")
    (folder / "bad.jpg").write_text("no image")
    environment = {**os.environ, "HOME": str(tmp_path), "SEGSORT_DATA_DIR": str(tmp_path / "data")}
    environment["TMPDIR"] = short_folder
    plain = [str(COMMAND), "segment", str(folder), "--release", str(tiny_release), "--out"]
    alone = subprocess.run([*plain, str(tmp_path / "alone")], env=environment, capture_output=True, text=True)
    assert alone.returncode == 3
    command = [*plain, str(tmp_path / "spread"), "--engine", "ray", "--workers", "1"]
    for sent, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        first = next(line for line in process.stderr if "done before" not in line)
        wait_until(lambda process=process: set(left_running(tmp_path)) - {process.pid}, 60)  # type: ignore[misc]
        process.send_signal(sent)
        told = process.stderr.read()
        assert process.wait(300) == status, first + told
        assert ("the same command goes on" in told) == (sent == signal.SIGINT)
        wait_until(lambda: not left_running(tmp_path), 60)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "1 of 65 images failed" in done.stderr
    assert answers(tmp_path / "spread") == answers(tmp_path / "alone")
    wait_until(lambda: not left_running(tmp_path), 30)
