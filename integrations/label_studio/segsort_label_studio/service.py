"""What this backend asks of the segsort service."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal, TypeVar

from segsort_client import Client, Edit, Relabelled, Segmentation, SegsortError, Stroke
from segsort_client.results.additions import Marked
from segsort_client.results.health import Readiness
from segsort_label_studio.errors import BackendError

_LISTED = 3  # exemplars of each segment
_PAGE = 50  # edits that are listed at once
_GONE = (404, 409, 410)

T = TypeVar("T")


class Service:
    """The service. Each method raises BackendError: 503 if it does not answer, 502 if it refuses."""

    def __init__(self, address: str, key: str | None) -> None:
        self._client = Client(address, key, retries=1, max_wait=1.0)

    def close(self) -> None:
        self._client.close()

    def ready(self) -> Readiness:
        return _asked(self._client.ready)

    def version(self) -> str:
        """The version of the model, see `version_of`."""
        return version_of(self.ready())

    def classes(self) -> list[str]:
        """Names of the present classes."""
        return [one.name for one in _asked(self._client.classes)]

    def segment(self, content: bytes) -> Segmentation:
        return _asked(lambda: self._client.segment(content, exemplars=_LISTED))

    def again(self, earlier: str) -> Segmentation | None:
        """The image of an answer, segmented once more; None if the service no longer has it."""
        return _asked_or_gone(lambda: self._client.segment_again(earlier, exemplars=_LISTED))

    def relabel(self, earlier: str) -> Segmentation | None:
        """An answer with the exemplars of now; None if the service no longer has it, or it is of another release."""
        return _asked_or_gone(lambda: self._client.relabel(earlier, exemplars=_LISTED))

    def mark(
        self, segmentation: str, labels: Sequence[tuple[str, str]], strokes: Sequence[Stroke],
        scope: Literal["all", "image"], reason: str,
    ) -> Marked:  # fmt: skip
        """Make exemplars of whole segments and of strokes, in one edit, and label the image again."""
        return _asked(
            lambda: self._client.mark(
                segmentation, strokes, labels=labels, scope=scope, reason=reason, exemplars=_LISTED
            )
        )

    def preview(self, segmentation: str, stroke: Stroke) -> Relabelled:
        """What an answer would be with a stroke. Nothing is written."""
        return _asked(
            lambda: self._client.preview(segmentation, [stroke], scope="image", elsewhere=0, exemplars=_LISTED)
        ).relabelled

    def revert(self, revision: int, exemplars: Sequence[str], reason: str) -> bool:
        """Undo an edit: revert it, or remove what is left of its exemplars where that is impossible.

        Returns:
            False if there was nothing to undo any more.
        """
        if _asked_or_gone(lambda: self._client.revert(revision, reason=reason)) is not None:
            return True
        if not exemplars:
            return False
        return _asked_or_gone(lambda: self._client.remove_exemplars(exemplars, reason=reason)) is not None

    def newest_revision(self) -> int:
        """Number of the newest edit; 0 if there is none."""
        return next((one.revision for one in _asked(lambda: self._client.edits(limit=1))), 0)

    def edits_after(self, revision: int) -> Iterator[Edit]:
        """The edits that were made after an edit, the newest first."""
        before: int | None = None
        while True:
            page = _asked(partial(self._client.edits, limit=_PAGE, before=before))
            yield from (one for one in page if one.revision > revision)
            if len(page) < _PAGE or page[-1].revision <= revision:
                return
            before = page[-1].revision


def version_of(found: Readiness | Segmentation) -> str:
    """What Label Studio calls the version of a model: a release by name and content, and the newest edit."""
    return f"{found.release}-{(found.release_digest or 'unknown')[:8]}-r{found.index_revision}"


def _asked(ask: Callable[[], T]) -> T:
    """The answer of the service."""
    try:
        return ask()
    except SegsortError as error:
        raise _refused(error) from error


def _asked_or_gone(ask: Callable[[], T]) -> T | None:
    """The answer of the service; None for 404, 409 and 410."""
    try:
        return ask()
    except SegsortError as error:
        if error.status in _GONE:
            return None
        raise _refused(error) from error


def _refused(error: SegsortError) -> BackendError:
    if error.status is None or error.status == 503:
        return BackendError(503, f"The segsort service does not answer: {error}", lasting=False)
    # A wrong key is corrected without a new annotation, so what waits for it is not lost.
    passing = error.status in (401, 403, 408, 425, 429) or error.status >= 500
    gone = error.status in _GONE
    return BackendError(502, f"The segsort service refused: {error}", lasting=not passing, gone=gone)
