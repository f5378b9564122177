"""The embeddings of the last images, so that marks on their answers do not run the network again."""

import threading
from collections import OrderedDict

import numpy as np

MAX_IMAGES = 16
MAX_BYTES = 128 << 20  # of all embeddings


class EmbeddingCache:
    """Embeddings by the digest of the release and the image, the least recently used ones removed.

    Calls from several threads are safe.

    Args:
        max_images: largest number of images.
        max_bytes: largest size of all embeddings.
    """

    def __init__(self, max_images: int = MAX_IMAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_images, self._max_bytes = max_images, max_bytes
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()

    def get(self, digest: str, image_id: str) -> np.ndarray | None:
        """The embeddings of an image [D, h, w]; None if they are not kept."""
        with self._lock:
            found = self._found.get((digest, image_id))
            if found is not None:
                self._found.move_to_end((digest, image_id))
            return found

    def put(self, digest: str, image_id: str, embeddings: np.ndarray) -> None:
        """Keep the embeddings of an image, unless they are larger than all that may be kept."""
        with self._lock:
            self._found.pop((digest, image_id), None)
            self._found[digest, image_id] = embeddings
            while len(self._found) > self._max_images or self._bytes() > self._max_bytes:
                self._found.popitem(last=False)

    def _bytes(self) -> int:
        return sum(one.nbytes for one in self._found.values())
