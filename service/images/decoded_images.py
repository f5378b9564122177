"""Decoded images that are kept for a moment, because a page asks for several crops of one image after another."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from model_store.images import Decoded

_LIMIT = 160_000_000  # bytes; one image of 40 megapixels has 120 MB
_KEPT_S = 5.0  # since an image was last used


class DecodedImages:
    """Recently decoded images by the id of their file. Calls from several threads are safe.

    Args:
        limit: bytes of all images together. A larger image is not kept.
        kept_s: seconds for which one that is not used is kept, see `forget`.
        clock: monotonic time, seconds.
    """

    def __init__(
        self, limit: int = _LIMIT, kept_s: float = _KEPT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._kept_s, self._clock = limit, kept_s, clock
        self._kept: OrderedDict[str, tuple[Decoded, float]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Bytes of the images that are kept."""
        return sum(image.pixels.nbytes for image, _ in list(self._kept.values()))

    def get(self, image_id: str, decode: Callable[[], Decoded]) -> Decoded:
        """An image that is kept, or else what `decode` returns, which is kept from now on."""
        with self._lock:
            found = self._kept.pop(image_id, None)
            if found is not None:
                self._kept[image_id] = found[0], self._clock()
                return found[0]
        image = decode()
        with self._lock:
            if image.pixels.nbytes <= self._limit:
                self._kept[image_id] = image, self._clock()
                self._kept.move_to_end(image_id)
                while self.bytes > self._limit:
                    self._kept.popitem(last=False)
        return image

    def forget(self) -> None:
        """Forget the images that were not used for `kept_s` seconds."""
        with self._lock:
            before = self._clock() - self._kept_s
            for image_id in [name for name, (_, used) in self._kept.items() if used < before]:
                del self._kept[image_id]
