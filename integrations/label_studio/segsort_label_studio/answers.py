"""Present answers of the segsort service to images of tasks, each image fetched and sent once."""

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from segsort_client import Segmentation
from segsort_label_studio.errors import BackendError
from segsort_label_studio.memory import Memory
from segsort_label_studio.service import Service

_KEPT = 64  # answers that are kept in memory
_SIGNED = ("x-amz-", "x-goog-", "signature=", "sig=", "expires=")  # of queries that change while the image does not

T = TypeVar("T")

log = logging.getLogger(__name__)


class Answers:
    """Answers by image. Which segmentation an image has outlives a restart; the answer itself is asked for again.

    Its methods raise BackendError if the service or the image cannot be read.
    """

    def __init__(self, service: Service, memory: Memory) -> None:
        self.service, self.memory = service, memory
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Segmentation] = OrderedDict()
        self._busy: dict[str, threading.Lock] = {}

    def present(self, address: str, fetch: Callable[[], bytes]) -> Segmentation:
        """The answer to an image as the exemplars of now give it.

        Args:
            address: of the image.
            fetch: reads the image; it is called only if the service no longer has it.
        """
        image = image_key(address)
        with self._only(image):
            state = self.service.ready()
            with self._lock:
                kept = self._kept.get(image)
            if kept and (kept.release_digest, kept.index_revision) == (state.release_digest, state.index_revision):
                return kept
            earlier = kept.segmentation_id if kept else self.memory.answer(image)
            found = (self.service.relabel(earlier) or self.service.again(earlier)) if earlier else None
            return self._keep(image, found or self.service.segment(fetch()))

    def renew(self, image: str) -> None:
        """Segment an image once more, given by its key, so that nothing is left of strokes that were undone."""
        with self._only(image):
            earlier = self.memory.answer(image)
            if earlier and (found := self.service.again(earlier)) is not None:
                self._keep(image, found)

    def use(self, address: str, fetch: Callable[[], bytes], use: Callable[[Segmentation], T]) -> T:
        """Use the present answer; a new one, if the service has deleted the answer that is remembered.

        Args:
            address: of the image.
            fetch: reads the image.
            use: what is done with the answer.
        """
        answer = self.present(address, fetch)
        try:
            return use(answer)
        except BackendError as error:
            if not error.gone:
                raise
            log.info("the answer to an image is gone, so it is segmented again: %s", error.message)
            self._forget(image_key(address))
            return use(self.present(address, fetch))

    def _forget(self, image: str) -> None:
        self.memory.drop_answer(image)
        with self._lock:
            self._kept.pop(image, None)

    def put(self, address: str, answer: Segmentation) -> None:
        """Note the answer that marks gave."""
        self._keep(image_key(address), answer)

    def _keep(self, image: str, answer: Segmentation) -> Segmentation:
        if self.memory.answer(image) != answer.segmentation_id:
            self.memory.put_answer(image, answer.segmentation_id)
        with self._lock:
            self._kept[image] = answer
            self._kept.move_to_end(image)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return answer

    def _only(self, image: str) -> threading.Lock:
        """A lock for this image, so that two requests do not send it twice. Images share locks by chance."""
        with self._lock:
            return self._busy.setdefault(image[:2], threading.Lock())


def image_key(address: str) -> str:
    """What stands for an image: a hash of its address, without a query that is a signature."""
    parts = urlsplit(address) if address.startswith(("http://", "https://")) else None
    if parts and any(sign in parts.query.lower() for sign in _SIGNED):
        address = parts._replace(query="").geturl()
    return hashlib.sha256(address.encode()).hexdigest()
