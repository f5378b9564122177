"""Archives of labelled images that were sent to build releases from: unpacked, surveyed, and kept for a while."""

import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model_store.labelled import FORMATS, IGNORE, hold_out
from model_store.workers import Ended, WorkLimits
from model_store.workers.labelled import LabelledReader
from service.adapting.ownership import holding, is_held
from service.editing.importing import as_problems, opened_labelled, root_of, unpack
from service.problems import Problem, printable
from service.settings import Settings

KEPT = 3  # archives, the newest
KEPT_S = 24 * 3600.0  # seconds that an archive is kept
MAX_FILES = 20_000
UNPACKED_RATIO = 2  # unpacked size to the largest archive: images are compressed already
COUNTING_S = 20.0  # seconds for reading labels in a survey
HELD_OUT = 0.2  # share of the images
LISTED = 100  # skipped files in a survey

Survey = dict[str, Any]


class Place(NamedTuple):
    """Where an archive is: its id and its folder."""

    survey_id: str
    folder: Path

    @property
    def archive(self) -> Path:
        """The ZIP file while it arrives."""
        return self.folder / "archive.zip"

    @property
    def lock(self) -> Path:
        """The file that is locked until the archive is surveyed."""
        return self.folder / "lock"

    @property
    def survey(self) -> Path:
        """The file of the survey. A folder that has none and is not locked was left by a process that has ended."""
        return self.folder / "survey.json"

    @property
    def build(self) -> Path:
        """The file that has the id of the job that reads the archive, or read it last."""
        return self.folder / "build"

    @property
    def files(self) -> Path:
        """The folder of its unpacked files."""
        return self.folder / "files"


class LabelledArchives:
    """Keeps archives of labelled images below the data folder. Calls from several threads are safe.

    Args:
        settings: name the data folder and the largest archive.
        is_under_way: whether a job works at present. An archive that one reads must stay.
    """

    def __init__(self, settings: Settings, is_under_way: Callable[[str], bool]) -> None:
        self._parent, self._most = settings.data_dir / "labelled", settings.max_archive_bytes
        self._limits = WorkLimits(settings.decode_s, settings.decode_mb, settings.max_pixels)
        self._is_under_way = is_under_way
        self._making = threading.Lock()  # a folder that is not locked yet is not taken for a leftover

    @contextmanager
    def receiving(self) -> Iterator[Place]:
        """A new place for an archive. It is removed if the block raises.

        Raises:
            Problem: 503 if the disk refuses it.
        """
        with ExitStack() as held:
            place = self._new_place(held)
            try:
                yield place
            except BaseException:
                shutil.rmtree(place.folder, ignore_errors=True)
                raise

    def remove_leftovers(self) -> None:
        """Remove archives that processes received which have ended before the survey."""
        for place in self._places():
            if not place.survey.exists() and not is_held(place.lock):
                shutil.rmtree(place.folder, ignore_errors=True)

    def survey(self, place: Place, format_: str, split: str, known: list[str]) -> Survey:
        """Unpack an archive that has arrived, and tell what is in it.

        Args:
            place: of the archive.
            format_: one of `model_store.labelled.FORMATS`, or "auto".
            split: part of the data.
            known: names of the classes of the served release, which similar names are mapped to.

        Returns:
            The JSON of the survey without what the wire adds.

        Raises:
            Problem: 400, 413, 415 and 422 as `unpack`; 422 if the labelled images cannot be read, or there are none.
        """
        with place.archive.open("rb") as file:
            unpack(file, place.files, UNPACKED_RATIO * self._most, MAX_FILES)
        place.archive.unlink()
        root = root_of(place.files)
        with opened_labelled(place.files, format_, split, self._limits) as data:
            counts = _counted(data, place.files)
            found = _described(data, root, counts, known) | {"survey_id": place.survey_id, "split": split}
        place.survey.write_text(json.dumps(found), encoding="utf-8")
        return found

    def get(self, survey_id: str) -> tuple[Survey, Path]:
        """The survey of an archive, and the folder of its data.

        Raises:
            Problem: 404 if it is not kept.
        """
        place = self._place(survey_id)
        try:
            found: Survey = json.loads(place.survey.read_bytes())
            return found, root_of(place.files)
        except (OSError, ValueError) as error:
            raise _gone(survey_id) from error

    def remove(self, survey_id: str) -> None:
        """Remove an archive.

        Raises:
            Problem: 404 if it is not kept; 409 if a build reads it.
        """
        place = self._place(survey_id)
        if self._is_in_use(place):
            raise Problem(
                409, "A release is being built from these labelled images.", received=survey_id,
                allowed="labelled images that no job reads", fix="Wait for the job of GET /jobs, or cancel it.",
            )  # fmt: skip
        shutil.rmtree(place.folder, ignore_errors=True)

    def note_build(self, survey_id: str, job_id: str) -> None:
        """Note which job reads an archive, for all processes that share the data folder."""
        with suppress(OSError, Problem):  # the archive was removed just now, and the job fails
            self._place(survey_id).build.write_text(job_id, encoding="utf-8")

    def _is_in_use(self, place: Place) -> bool:
        """Whether a build of any process reads an archive at present."""
        try:
            return self._is_under_way(place.build.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False

    def _place(self, survey_id: str) -> Place:
        usual = survey_id.isascii() and survey_id.isalnum() and len(survey_id) == 32  # as uuid4().hex
        if not usual or not (self._parent / survey_id).is_dir():
            raise _gone(survey_id)
        return Place(survey_id, self._parent / survey_id)

    def _new_place(self, held: ExitStack) -> Place:
        """A new folder for an archive, locked until `held` ends."""
        survey_id = uuid.uuid4().hex
        place = Place(survey_id, self._parent / survey_id)
        try:
            with self._making:
                self._remove_old()
                place.folder.mkdir(parents=True)
                held.enter_context(holding(place.lock))
        except OSError as error:
            raise disk_problem(error) from error
        return place

    def _places(self) -> list[Place]:
        """The places of all archives, the newest first."""
        found = []
        for folder in self._parent.glob("*"):
            with suppress(FileNotFoundError):  # another request has just removed it
                found.append((folder.stat().st_mtime, Place(folder.name, folder)))
        return [place for _, place in sorted(found, reverse=True)]

    def _remove_old(self) -> None:
        """Remove all but the newest archives, and those that are too old, to make room for another one.

        Those that are being received, or that a build reads, stay.
        """
        self.remove_leftovers()
        surveyed = [place for place in self._places() if place.survey.exists()]
        for number, place in enumerate(surveyed):
            with suppress(FileNotFoundError):
                old = number >= KEPT - 1 or time.time() - place.survey.stat().st_mtime > KEPT_S
                if old and not self._is_in_use(place):
                    shutil.rmtree(place.folder, ignore_errors=True)


class _Counts(NamedTuple):
    """Labels that were read: classes by image, pixels by class, images by class, and faults by file."""

    positions: list[int]
    present: list[frozenset[int]]
    pixels: np.ndarray
    images: np.ndarray
    faults: dict[str, str]


def _counted(data: LabelledReader, folder: Path) -> _Counts:
    """Read labels until the time is used, of images at equal distances first."""
    end = time.monotonic() + COUNTING_S
    pixels, images = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    read: dict[int, frozenset[int]] = {}
    faults: dict[str, str] = {}
    for i in _spread(len(data.images)):
        if time.monotonic() > end and read:
            break
        try:
            with as_problems(folder):
                values, counts = data.label_counts(i)
        except Problem as problem:
            if isinstance(problem.__context__, Ended):  # the worker is gone
                raise
            faults[data.images[i].name] = str(problem.received)
            continue
        pixels[values] += counts
        images[values] += 1
        read[i] = frozenset(int(one) for one in values if one != IGNORE)
    positions = sorted(read)
    return _Counts(positions, [read[i] for i in positions], pixels, images, faults)


def _spread(count: int) -> list[int]:
    """Numbers 0..count-1 in an order whose beginnings are spread evenly."""
    order = sorted(range(count), key=lambda i: int(f"{i:032b}"[::-1], 2))
    return order


def _described(data: LabelledReader, root: Path, counts: _Counts, known: list[str]) -> Survey:
    if not any(counts.present):
        raise Problem(
            422, "No image has labels.", received=[f"{n}: {why}" for n, why in list(counts.faults.items())[:20]]
            or [f"{name}: {why}" for name, why in list(data.skipped.items())[:20]],
            allowed=list(FORMATS), fix="Send the folder that the labelling tool exported, with its images and labels.",
        )  # fmt: skip
    labelled = max(int(counts.pixels[:IGNORE].sum()), 1)
    names = [data.images[i].relative_to(root).as_posix() for i in counts.positions]
    own = data.own_part()
    held = hold_out(names, counts.present, HELD_OUT)
    skipped = {**data.skipped, **counts.faults}
    return {
        "format": data.name,
        "images": len(data.images),
        "counted": len(counts.positions),
        "classes": [
            {
                "name": info.name,
                "color": "#{:02x}{:02x}{:02x}".format(*info.color),
                "images": int(counts.images[info.class_id]),
                "share": round(int(counts.pixels[info.class_id]) / labelled, 6),
                "proposed": _proposed(info.name, known) if counts.images[info.class_id] else None,
            }
            for info in data.classes
        ],
        "skipped": [{"name": name, "reason": why} for name, why in list(skipped.items())[:LISTED]],
        "skipped_files": len(skipped),
        "notes": list(data.notes),
        "held_out": len(held.positions) if own is None else own.images,
        "held_out_rule": held.rule if own is None else own.rule,
        "proposed_name": _usual(root.name if root.name != "files" else "") or "my-release",
    }


def _proposed(name: str, known: list[str]) -> str:
    """The name of a class of the served release that differs in case and separators alone; else the name itself."""
    plain = {_plain(one): one for one in known}
    return plain.get(_plain(name), name.strip())


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def _usual(name: str) -> str:
    """A name of a folder in the form of names of releases."""
    kept = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "-" for one in name)
    return kept.strip("-._")[:80]


def disk_problem(error: OSError) -> Problem:
    """503: the archive could not be written."""
    return Problem(
        503, "The archive could not be written to disk.", received=str(error.strerror)[:200],
        fix="Ask the operator to check SEGSORT_DATA_DIR and the disk.",
    )  # fmt: skip


def _gone(survey_id: str) -> Problem:
    return Problem(
        404, "These labelled images are not kept any more.", received=printable(survey_id[:200]),
        allowed="the survey_id of a survey of the last 24 hours",
        fix="Send the archive to POST /releases/survey again.",
    )  # fmt: skip
