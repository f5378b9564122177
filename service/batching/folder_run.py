"""A run of `segsort segment` over many images: what an earlier run has done is not done again."""

import errno
import hashlib
import json
import shutil
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from model_store.exporting import EXPORTS, ExportImage, ExportOptions, ExportSummary, write
from model_store.spreading import Spread
from service.adapting.ownership import holding
from service.answering.engine import Engine
from service.batching.answer_files import AnswerFiles, export_image, write_whole
from service.batching.image_files import AnswerOutputs, output_names, place_of
from service.batching.image_work import (
    ImageTask,
    ImageWork,
    MadeImage,
    WorkerSettings,
    answer_id,
    file_key,
    lost_image,
    name_of_task,
    open_worker,
    read_task,
)
from service.batching.output_folder import OutputFolder

FAILED = "failed.txt"
_WRITERS = 4  # threads


class Outcome(NamedTuple):
    """What became of an image. file: the image; segments: how many; failed: why it failed; None: it did not; skipped:
    whether an earlier run has done it."""

    file: Path
    segments: int = 0
    failed: str | None = None
    skipped: bool = False


class FolderRun:
    """Segments image files into an output folder. Use it in a `with` statement.

    The folder has the answers of its images in a folder `.segsort`, each under the SHA-256 of its image file, and the
    release that gave them. So a run that was killed goes on, and a further run does what is new.

    Args:
        engine: segments the images.
        files: image files.
        out: output folder.
        outputs: writes files of each image; None: only answers are stored, for an export.
        again: forget what earlier runs have done.

    Raises:
        ValueError: if the folder has answers of another release, or another command works in it.
    """

    def __init__(
        self, engine: Engine, files: Sequence[Path], out: Path, outputs: AnswerOutputs | None, again: bool = False
    ) -> None:
        self._engine, self._files, self._out, self._outputs = engine, files, out, outputs
        self._names = output_names(files)
        self._output = OutputFolder(out)
        self._state = self._output.state
        self._answers = AnswerFiles(self._state / "answers")
        self._seen: Counter[str] = Counter()
        self._stop = threading.Event()
        self._keys: dict[int, str] = {}
        self._known: dict[int, int] = {}  # segments that an earlier run found, by place
        self._work = ImageWork(engine, outputs)
        self._held = ExitStack()
        self._open(again)

    def __enter__(self) -> "FolderRun":
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()

    def outcomes(self) -> Generator[Outcome, None, None]:
        """Segment the images that are left, as many at once as the engine takes; yields each as it is done.

        Raises:
            OSError: if an output cannot be written.
        """
        places = iter(range(len(self._files)))
        with ThreadPoolExecutor(self._engine.settings.lanes, "segsort-images") as threads:
            pending: set[Future[Outcome]] = set()
            try:
                while True:
                    while len(pending) < 2 * self._engine.settings.lanes and (place := next(places, None)) is not None:
                        pending.add(threads.submit(self._one, place, self._key(place)))
                    if not pending:
                        break
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            finally:
                self._stop.set()
                for future in pending:
                    future.cancel()

    def outcomes_by(self, spread: Spread) -> Generator[Outcome, None, None]:
        """Segment the images that are left by workers; yields each as it is done. This process reads and writes files.

        Raises:
            OSError: if an output cannot be written.
            ValueError: if the workers cannot be used.
        """
        tasks: list[ImageTask] = []
        for place, file in enumerate(self._files):
            try:
                task = self._task(place, self._key(place))
            except OSError as error:
                yield Outcome(file, failed=str(error))
                continue
            if task is None:
                yield self._skipped(place)
            else:
                tasks.append(task)
        worker, digest = WorkerSettings.of(self._engine, self._outputs), self._engine.served.live.digest
        made = spread.each(partial(open_worker, worker, digest), tasks, read_task, name_of_task, lost=lost_image)
        with ThreadPoolExecutor(_WRITERS, "segsort-writers") as threads:  # they wait for the disk
            pending: set[Future[Outcome]] = set()
            for n, one in made:
                pending.add(threads.submit(self._finished, tasks[n], one))
                done, pending = wait(pending, 0 if len(pending) < 2 * _WRITERS else None, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            yield from (future.result() for future in pending)

    def export(self, form: str, with_images: bool, join: bool) -> ExportSummary:
        """Write the labels of all images that have an answer, in their order, into the output folder.

        The files are written beside their places first, so that a kill leaves no half of a file.

        Args:
            form: one of `model_store.exporting.EXPORTS`.
            with_images: whether the images are copied beside their labels.
            join: whether touching segments of one class are one object.
        """
        live = self._engine.served.live
        classes = [state.info for state in live.log.class_states()]
        made = self._state / "export"
        shutil.rmtree(made, ignore_errors=True)
        options = ExportOptions(release=live.name, join=join, digest=live.digest)
        summary = write(form, self._results(with_images), classes, made, options)
        for file in sorted(made.rglob("*")):
            if file.is_file():
                place = self._out / file.relative_to(made)
                place.parent.mkdir(parents=True, exist_ok=True)
                file.replace(place)
        shutil.rmtree(made)
        return summary

    def note_failed(self, failed: Sequence[Outcome]) -> Path | None:
        """List the images that failed in a file, or remove the list of an earlier run. Returns the file."""
        if not failed:
            self._output.remove_list(FAILED)
            return None
        lines = ["\t".join(" ".join(str(part).split()) for part in (one.file, one.failed)) for one in failed]
        return self._output.write_list(FAILED, ("\n".join(lines) + "\n").encode(errors="surrogateescape"))

    def _task(self, place: int, key: str | None) -> ImageTask | None:
        """What is to be done for an image; None: nothing.

        Raises:
            OSError: if its file cannot be read.
        """
        file = self._files[place]
        if key is None:
            file.read_bytes()
            raise OSError(errno.ENOENT, "the file could not be read a moment ago", str(file))
        self._keys[place] = key
        body = self._answers.get(key)
        with_files = self._outputs is not None and (body is None or not self._has_files(place, key))
        self._known[place] = 0 if body is None else len(body["segments"])
        return ImageTask(place, file, key, body, with_files) if body is None or with_files else None

    def _has_files(self, place: int, key: str) -> bool:
        """Whether the files of an image show its answer. The same name may have been that of another image."""
        suffixes = () if self._outputs is None else self._outputs.suffixes
        return self._output.has_files(self._names[place], answer_id(self._engine, key), suffixes)

    def _one(self, place: int, key: str | None) -> Outcome:
        file = self._files[place]
        if self._stop.is_set():
            return Outcome(file, failed="the command was stopped")
        try:
            task = self._task(place, key)
        except OSError as error:
            return Outcome(file, failed=str(error))
        return self._skipped(place) if task is None else self._finished(task, self._work(read_task(task)))

    def _skipped(self, place: int) -> Outcome:
        return Outcome(self._files[place], self._known[place], skipped=True)

    def _finished(self, task: ImageTask, made: MadeImage) -> Outcome:
        """Write what was made of an image.

        Raises:
            OSError: if it cannot be written.
        """
        if made.failed is not None:
            return Outcome(task.file, failed=made.failed)
        if self._outputs is not None and made.files:
            self._output.write_files(self._names[task.place], answer_id(self._engine, task.key), made.files)
        if made.answer is not None:
            self._answers.put_packed(task.key, made.answer)  # last: an image with an answer is done
        return Outcome(task.file, made.segments, skipped=task.body is not None)

    def _key(self, place: int) -> str | None:
        """The key of an image; None: it cannot be read. Equal images are numbered in their order."""
        try:
            with self._files[place].open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError:
            return None
        self._seen[digest] += 1
        return file_key(digest, self._seen[digest])

    def _results(self, with_images: bool) -> Iterator[ExportImage]:
        for place, file in enumerate(self._files):
            key = self._keys.get(place)
            body = None if key is None else self._answers.get(key)
            if body is not None:
                yield export_image(body, file.name, place_of(file), file.read_bytes() if with_images else None)

    def _open(self, again: bool) -> None:
        try:
            self._output.make()
        except OSError as error:
            raise ValueError(f"{self._out} cannot be used as output folder: {error.strerror}") from error
        try:
            self._held.enter_context(holding(self._state / "lock"))
        except OSError as error:
            raise ValueError(f"another command works in {self._out}; wait for it, or give another --out") from error
        self._check_release(again)
        self._answers.remove_unfinished()
        self._output.begin()

    def _check_release(self, again: bool) -> None:
        live, file = self._engine.served.live, self._state / "run.json"
        present = {"release": live.name, "release_digest": live.digest}
        try:
            earlier = json.loads(file.read_bytes())
        except (OSError, ValueError):
            earlier = None
        if earlier is not None and earlier != present and not again:
            raise ValueError(
                f"{self._out} has answers of release {earlier.get('release')!r}, and not of {live.name!r} as it is "
                "now; give another --out, or --again to segment all images anew"
            )
        if again or earlier is None:
            shutil.rmtree(self._answers.folder, ignore_errors=True)
        write_whole(file, json.dumps(present).encode())


def check_format(form: str) -> None:
    """Check the name of a format of exports.

    Raises:
        ValueError: if it is not known.
    """
    if form not in EXPORTS:
        raise ValueError(f"{form!r} is no format of exports; choose {', '.join(EXPORTS)}")
