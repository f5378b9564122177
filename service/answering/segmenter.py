"""The segmenter: embeds an image and sorts its pixels, alone or in a batch with other images."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from model_store.predictor import Predictor, Sized
from segsort.arrays import AnyArray
from segsort.loops import at_most
from segsort.segments import Outlined, Segments
from service.answering.batches import Batches
from service.answering.core_sharing import CoreSharing
from service.answering.stages import Stages
from service.settings import Settings


class _Batched(NamedTuple):
    """One image of a batch after pixel sorting; sort_ms: milliseconds that sorting took for the whole batch."""

    outlined: Outlined
    sort_ms: float


class Segmenter:
    """Runs the stages "embed" and "sort". Calls from several threads are safe.

    Attributes:
        cores: how images divide the cores.
        batches: collects images that wait, if the settings allow batches; else None.
        on_batch: called with the number of images each time the network runs.
    """

    def __init__(self, settings: Settings) -> None:
        batched = settings.largest_batch > 1
        self.cores = CoreSharing(settings.cores, 1 if batched or settings.device != "cpu" else settings.lanes)
        self.batches: Batches[Sized, _Batched] | None = Batches(settings.largest_batch) if batched else None
        self.on_batch: Callable[[int], object] = lambda count: None

    def segments_of(
        self, predictor: Predictor, sized: Sized, segments: int | None, stages: Stages
    ) -> tuple[AnyArray, Segments]:
        """Embed an image and sort its pixels into segments.

        Args:
            predictor: of the release that answers.
            sized: the image, perhaps reduced, and the size (H, W) of its segments.
            segments: K at the start of pixel sorting; None: the card's.
            stages: where the times of "embed" and "sort" are noted.

        Returns:
            Embeddings [D, h, w], and the segments.

        Raises:
            StageFailure: if a stage fails.
        """
        if self.batches is not None:
            return self._in_batch(self.batches, predictor, sized, segments, stages)
        with self.cores.network(), stages.stage("embed"):
            self.on_batch(1)
            embeddings = predictor.embedder.embed(sized.image)
        with stages.stage("sort"), self.cores.share():
            return embeddings, predictor.sort(embeddings, sized.size, segments)

    def close(self) -> None:
        """End the thread that runs batches."""
        if self.batches is not None:
            self.batches.close()

    def _in_batch(
        self,
        batches: Batches[Sized, _Batched],
        predictor: Predictor,
        sized: Sized,
        segments: int | None,
        stages: Stages,
    ) -> tuple[AnyArray, Segments]:
        def outline(images: Sequence[Sized]) -> list[_Batched]:
            with self.cores.network(), at_most(self.cores.cores):  # only the images of this batch use the cores
                self.on_batch(len(images))
                several, taken = predictor.outline(images, segments)
            return [_Batched(one, taken["sort"]) for one in several]

        with stages.stage("embed"):  # includes the wait for the batch before
            bucket = predictor.embedder.bucket(sized.image.shape[0], sized.image.shape[1])
            outlined, sort_ms = batches.ask((id(predictor), bucket, segments), outline, sized)
        stages.ms["embed"] -= sort_ms
        with stages.stage("sort"):
            found = predictor.finish(outlined)
        stages.ms["sort"] += sort_ms
        return outlined.embeddings, found
