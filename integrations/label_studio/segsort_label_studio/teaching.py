"""Corrections: annotations wait in a queue on disk, and a thread teaches the service with them, one at a time."""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from segsort_client import Segmentation
from segsort_client.results.additions import Marked
from segsort_label_studio.answers import image_key
from segsort_label_studio.backend import Backend, Image, Task, images_of, surfaces_of
from segsort_label_studio.corrections import Corrections, corrections, results_on
from segsort_label_studio.errors import BackendError
from segsort_label_studio.memory import Begun, Taught, Waiting

_LONGEST_PAUSE = 60.0  # seconds between two tries
_GIVE_UP = 7 * 24 * 3600.0  # seconds after which a correction that fails is no longer tried

log = logging.getLogger(__name__)


class Teacher:
    """Teaches the service what people annotated.

    An annotation is taught once in each of its versions. A new version replaces what the version before taught, and a
    deleted annotation takes back what it taught.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend, self.memory = backend, backend.memory
        self.made = self.undone = 0  # edits since the start
        self._wake, self._stop = threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="teacher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread after what it does now. What waits stays in the queue."""
        self._stop = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def annotated(self, annotation: Mapping[str, Any], task: Mapping[str, Any], project: str, config: str) -> None:
        """Queue a new or changed annotation."""
        results = [] if annotation.get("was_cancelled") else annotation.get("result") or []
        body = {
            "results": results, "task": task["id"], "data": task["data"], "project": project, "config": config,
            "user": annotation.get("updated_by") or annotation.get("completed_by"),
        }  # fmt: skip
        self.memory.wait(int(annotation["id"]), body)
        self._wake.set()

    def deleted(self, annotations: Iterable[int]) -> None:
        """Queue that annotations were deleted."""
        for annotation in annotations:
            self.memory.wait(annotation, {"results": None})
        self._wake.set()

    def task_deleted(self, task: int) -> None:
        """Queue that the annotations of a task were deleted with it."""
        self.deleted(taught.annotation for taught in self.memory.taught_by_task(task))

    def try_again(self) -> None:
        """Try all corrections again now, those that failed for good too."""
        self.memory.try_again()
        self._wake.set()

    def _work(self) -> None:
        pause = 0.5
        while not self._stop:
            self._wake.clear()
            entry = self.memory.next()
            if entry is None:
                self._wake.wait(5.0)
            elif self._attempt(entry):
                pause = 0.5
            else:  # the service or Label Studio is away for all others, too
                self._wake.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _attempt(self, entry: Waiting) -> bool:
        """Teach one annotation. Returns False if the others should wait, too."""
        try:
            note = self.teach(entry.annotation, entry.body)
        except BackendError as error:
            away = error.status == 503
            waited = time.time() - entry.received
            again_in = None if error.lasting or waited > _GIVE_UP else min(2.0 ** min(entry.tries, 6), _LONGEST_PAUSE)
            self.memory.failed(entry, error.message, 0.0 if away and again_in is not None else again_in)
            log.warning(
                "annotation %d: %s%s", entry.annotation, error.message, "" if again_in is None else " (again later)"
            )
            return not away
        except Exception as error:  # the thread must live
            log.exception("annotation %d could not be taught", entry.annotation)
            self.memory.failed(entry, f"{type(error).__name__}: {error}", None)
            return True
        log.info("annotation %d: %s", entry.annotation, note)
        self.memory.done(entry)
        return True

    def teach(self, annotation: int, body: Mapping[str, Any]) -> str:
        """Teach a version of an annotation in place of the version before. Returns what was done.

        Raises:
            BackendError: if the service or an image cannot be read, or the annotation cannot be used.
        """
        results = body["results"]
        version = "" if results is None else _digest(results)
        before = self.memory.taught(annotation)
        begun = self.memory.begun(annotation)
        if begun is not None and begun.revision is not None:
            begun = self._recover(begun, before)
        if results is not None and before is not None and before.version == version:
            return "this version was taught before"
        if begun is not None and begun.version == version:
            return self._teach_images(begun, before, body)
        self.memory.drop_begun(annotation)
        undone = self._undo(before) if before is not None else 0
        if results is None:
            self.memory.drop_taught(annotation)
            made = 0 if before is None else len(before.edits)
            return f"deleted; {undone} of {made} edits were undone"
        return self._teach_images(Begun(annotation, body["task"], version), None, body)

    def _teach_images(self, begun: Begun, before: Taught | None, body: Mapping[str, Any]) -> str:
        """Teach the images of a version that are not taught yet, and note each. Returns what was done.

        Args:
            begun: the images that were taught already.
            before: what they taught.
            body: fields of the event.
        """
        annotation, results = begun.annotation, body["results"]
        task = Task(body["task"], body["data"])
        surfaces = surfaces_of(body["config"])
        images = [one for one in images_of(task, surfaces) if results_on(results, one.item, one.surface)]
        reason = self._reason(annotation, body, begun.version)
        edits = list(before.edits) if before is not None else []
        notes = [before.note] if before is not None and begun.images else []
        for number, image in enumerate(images[begun.images :], begun.images):
            edit, said = self._teach_image(replace(begun, images=number), task, image, results, body["project"], reason)
            edits += edit
            notes += said
            self.memory.put_taught(Taught(annotation, task.number, "", edits, "; ".join(notes)))
            self.memory.put_begun(replace(begun, images=number + 1))
        note = "; ".join(notes) or "nothing to teach"
        self.memory.put_taught(Taught(annotation, task.number, begun.version, edits, note))
        self.memory.drop_begun(annotation)
        return note

    def _undo(self, before: Taught) -> int:
        """Undo the edits of the version before, the newest first; each is forgotten as soon as it is undone."""
        edits = list(before.edits)
        count = 0
        while edits:
            revision, exemplars, image = edits.pop()
            reason = f"Label Studio task {before.task}, annotation {before.annotation} changed or was deleted"
            count += self.backend.service.revert(revision, exemplars, reason)
            if image:
                self.backend.answers.renew(image)
            self.memory.put_taught(Taught(before.annotation, before.task, "", edits, before.note))
        self.undone += count
        return count

    def _recover(self, begun: Begun, before: Taught | None) -> Begun:
        """Undo the edit of an image that was made before a crash and is in no list. It is made again."""
        begin, end = _begin(begun.task, begun.annotation), _end(begun.version)
        listed = [revision for revision, _, _ in before.edits] if before is not None else []
        for edit in self.backend.service.edits_after(begun.revision or 0):
            ours = edit.kind == "mark" and edit.reverted_by is None and _within(edit.reason or "", begin, end)
            if ours and edit.revision not in listed:
                reason = f"{begin} is taught again, or changed"
                self.undone += self.backend.service.revert(edit.revision, edit.exemplar_ids, reason)
        recovered = replace(begun, revision=None)
        self.memory.put_begun(recovered)
        return recovered

    def _teach_image(
        self, begun: Begun, task: Task, image: Image, results: list[Any], project: str, reason: str
    ) -> tuple[list[tuple[int, list[str], str]], list[str]]:
        """Mark what one image of an annotation corrects."""
        backend, service = self.backend, self.backend.service
        answers = backend.answers

        def fetch() -> bytes:
            return backend.label_studio.image(image.address, task.number)

        scope = backend.project_options(project).scope

        def mark(answer: Segmentation) -> tuple[Corrections, Marked | None]:
            found = corrections(results, image.item, image.surface, answer, service.classes())
            if not found:
                return found, None
            self.memory.put_begun(replace(begun, revision=service.newest_revision()))
            return found, service.mark(answer.segmentation_id, found.whole, found.strokes, scope, reason)

        found, marked = answers.use(image.address, fetch, mark)
        said = [*_counted(found), *found.notes]
        if marked is None:
            return [], said
        if marked.relabelled is not None:
            answers.put(image.address, marked.relabelled)
        if marked.edit is None:
            return [], [*said, "the service knew it already"]
        self.made += 1
        made = (marked.edit.revision, list(marked.edit.exemplar_ids), image_key(image.address))
        return [made], [f"edit {marked.edit.revision}", *said]

    def _reason(self, annotation: int, body: Mapping[str, Any], version: str) -> str:
        """The reason of the edits: where they come from, and a sign of the version."""
        user = body.get("user")
        name = self.backend.label_studio.user(user) if isinstance(user, int) else ""
        who = f", user {user}" + (f" ({name})" if name else "") if user else ""
        return f"{_begin(body['task'], annotation)}{who}{_end(version)}"


def _begin(task: int, annotation: int) -> str:
    return f"Label Studio task {task}, annotation {annotation}"


def _end(version: str) -> str:
    return f" [{version[:8]}]"


def _within(reason: str, begin: str, end: str) -> bool:
    """Whether a reason is of an annotation and its version."""
    return reason.startswith((begin + ",", begin + " ")) and reason.endswith(end)


def _counted(found: Corrections) -> list[str]:
    counts = {"segments": len(found.whole), "parts": len(found.strokes), "unchanged regions": found.unchanged}
    return [f"{count} {name}" for name, count in counts.items() if count]


def _digest(results: list[Any]) -> str:
    """A version of an annotation: what its regions say, without what Label Studio adds to them."""
    said = [
        {key: one.get(key) for key in ("id", "type", "from_name", "to_name", "value", "item_index")} for one in results
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
