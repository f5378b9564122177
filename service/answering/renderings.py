"""Renderings of stored images for browsers. They have a queue of their own, and the recent ones are kept in memory."""

from collections.abc import Callable

from model_store.images import Decoded
from service.answering.admission import Admission
from service.byte_cache import ByteCache
from service.images.decode import decode_within
from service.images.decoded_images import DecodedImages
from service.images.rendering import Asked, pixels_to_decode, render
from service.records.image_store import ImageFacts, ImageStore
from service.settings import Settings

_CACHED_BYTES = 32_000_000
_CROP = "crop "  # before the id of a segment, as its name in the cache
_WAITING = 100  # of the largest images; their content is read only when it is their turn


class Renderings:
    """Renders stored images, few at once: images in work have at most `max_pixels` pixels, or there is only one.

    Attributes:
        admission: the queue of those who ask; `render` is called in a turn of it.
        crops: the queue of those who ask for a part of an image, which is decoded for it.
        marks: the queue of those who draw marks on an image; they do not wait for crops.
    """

    def __init__(self, settings: Settings, images: ImageStore) -> None:
        self._settings, self._images, self._cache = settings, images, ByteCache(_CACHED_BYTES)
        self._decoded = DecodedImages()
        at_once = min(2, max(1, settings.cores // 2))
        waiting = _WAITING * settings.max_pixels
        self.admission = Admission(waiting, settings.deadline_s, at_once, engine_pixels=settings.max_pixels)
        self.crops, self.marks = (
            Admission(waiting, settings.deadline_s, max(1, settings.cores), engine_pixels=settings.max_pixels)
            for _ in range(2)
        )

    def kept_crop(self, segment_id: str) -> bytes | None:
        """A crop of a segment that is kept; None if there is none. The caller checks that the image is still stored."""
        return self._cache.get(_CROP + segment_id)

    def crop(self, segment_id: str, image_id: str, draw: Callable[[Decoded], bytes]) -> bytes | None:
        """A crop of a segment, and keep it; None if the image is no longer stored.

        Args:
            segment_id: of the segment.
            image_id: of its image.
            draw: makes the crop from the decoded image.

        Raises:
            Problem: if the image cannot be decoded within the limits of now.
        """
        content = self.kept_crop(segment_id)  # another caller may have asked for it meanwhile
        if content is not None:
            return content
        if not self._images.has(image_id):
            return None
        try:
            decoded = self.decoded(image_id, lambda: self._content(image_id))
        except LookupError:  # it was deleted meanwhile
            return None
        content = draw(decoded)
        self._cache.add(_CROP + segment_id, content)
        return content

    def decoded(self, image_id: str, content: Callable[[], bytes]) -> Decoded:
        """An image in full, or a large JPEG at a fraction. It is kept for a moment, because other crops of it follow.

        Args:
            image_id: of the image file.
            content: reads the file, if the image is not kept.

        Raises:
            Problem: if it cannot be decoded within the limits of now.
        """
        settings = self._settings
        return self._decoded.get(
            image_id, lambda: decode_within(content(), settings.max_pixels, settings.max_full_pixels)
        )

    def _content(self, image_id: str) -> bytes:
        image = self._images.get(image_id)
        if image is None:
            raise LookupError(image_id)
        return image.content

    def forget(self) -> None:
        """Forget the decoded images that were not used for a while."""
        self._decoded.forget()

    def pixels(self, facts: ImageFacts, asked: Asked) -> int:
        """Pixels that this rendering decodes."""
        is_jpeg = facts.media_type == "image/jpeg"
        return min(pixels_to_decode(facts.width, facts.height, is_jpeg, asked.size), self._settings.max_pixels)

    def whole(self, width: int, height: int) -> int:
        """Pixels that decoding or drawing on an image takes, as far as they are counted."""
        return min(width * height, self._settings.max_pixels)

    def kept(self, facts: ImageFacts, asked: Asked) -> bytes | None:
        """A rendering that is kept; None if there is none."""
        return self._cache.get(asked.etag(facts.image_id))

    def render(self, facts: ImageFacts, asked: Asked) -> bytes | None:
        """A rendering, and keep it; None if the image is no longer stored.

        Raises:
            Problem: if the image cannot be decoded within the limits of now.
        """
        content = self.kept(facts, asked)  # another caller may have asked for it meanwhile
        if content is not None:
            return content
        image = self._images.get(facts.image_id)
        if image is None:
            return None
        content = render(image.content, asked, self._settings.max_pixels, self._settings.max_full_pixels)
        self._cache.add(asked.etag(facts.image_id), content)
        return content
