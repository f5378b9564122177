"""Whether the process that works on a job is alive, with real second processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from service.adapting.ownership import SILENCE, WorkFolder, is_dead, remove_leftovers
from service.records.jobs import Owner
from service.records.tables import now
from tests.service.records.test_jobs import job

HOLD = """
import sys
from pathlib import Path
from service.adapting.ownership import WorkFolder
folder = WorkFolder(Path(sys.argv[1]), "7b")
(folder.path / "half").write_text("a half-written file")
print(folder.owner.host, folder.owner.lock_file, sep="\\n", flush=True)
sys.stdin.read()
"""


def holding(parent: Path) -> tuple[subprocess.Popen[str], Owner]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Owner(process.stdout.readline().strip(), process.stdout.readline().strip())


def test_a_job_is_dead_as_soon_as_its_process_is_killed(tmp_path: Path) -> None:
    process, owner = holding(tmp_path)
    with process:
        assert not is_dead(job("7b", owner=owner))
        remove_leftovers(tmp_path)
        assert (tmp_path / "7b" / "half").exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert is_dead(job("7b", owner=owner))
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert is_dead(job("7b", owner=owner))


def test_a_job_of_this_process_is_alive_until_its_folder_is_removed(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path / "new", "7b")
    assert folder.path.is_dir()
    assert not is_dead(job("7b", owner=folder.owner))
    remove_leftovers(tmp_path / "new")
    assert folder.path.is_dir()
    folder.remove()
    folder.remove()
    assert is_dead(job("7b", owner=folder.owner))
    assert list((tmp_path / "new").iterdir()) == []


def test_a_job_of_another_machine_is_dead_after_a_silence(tmp_path: Path) -> None:
    elsewhere = Owner("another machine", str(tmp_path / "no such file"))
    assert not is_dead(job("1", owner=elsewhere))
    assert not is_dead(job("1", owner=elsewhere, beat=now() - SILENCE / 2))
    assert is_dead(job("1", owner=elsewhere, beat=now() - 1.1 * SILENCE))
