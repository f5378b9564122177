"""The engine: from the bytes of an image to its recorded answer, one function for each step."""

import logging
import time
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from model_store.card import ClassInfo
from model_store.live import LiveExemplars
from model_store.predictor import Predictor, SegmentLabels, Sized
from model_store.release import Release
from model_store.store import open_store
from segsort.loops import begin_compiling, run_in_background
from segsort.segments import Segments
from service.answering.answers import ComposedAnswer, Shapes, compose_answer
from service.answering.catalogue import ReleaseCatalogue
from service.answering.engine_health import EngineHealth
from service.answering.limits import Limits, SegmentRequest
from service.answering.links import image_url
from service.answering.release_view import ReleaseView
from service.answering.rounding import rounded_timings
from service.answering.segmenter import Segmenter
from service.answering.served import ServedRelease, probe
from service.answering.stages import Stages
from service.images.decode import decode_reduced, decode_within, pixels_of
from service.records.database import Records
from service.records.follower import Follower
from service.records.image_store import ImageFile
from service.records.live_release import LiveRelease
from service.settings import Settings

_log = logging.getLogger("segsort.engine")


class Answer(NamedTuple):
    """An answer and its label map.

    body: the JSON of POST /segment; labels: [H, W] int32, segments; class_ids: [S] int64, the class of each segment or
    `NO_CLASS`; classes: by class_id, with the names that this answer uses.
    """

    body: dict[str, Any]
    labels: np.ndarray
    class_ids: np.ndarray
    classes: list[ClassInfo]

    @property
    def class_map(self) -> np.ndarray:
        """[H, W] int16, class of each pixel or `segsort.retrieval.NO_CLASS`."""
        return np.asarray(self.class_ids.astype(np.int16)[self.labels])


class _Retrieved(NamedTuple):
    """The result of the stage "retrieve".

    view: the release as it voted; labels, shapes: of the segments; image_file: the file of the image; conversion: what
    was done to its values, in words; None: nothing.
    """

    view: ReleaseView
    labels: SegmentLabels
    shapes: Shapes
    image_file: ImageFile
    conversion: str | None


class Engine:
    """Answers requests with one release and the edits made on it. Calls from several threads are safe.

    Attributes:
        settings: as given.
        limits: what a request may ask for.
        records: the database of answers.
        follower: applies the edits of the database.
        catalogue: the releases that are open.
        segmenter: runs the network and pixel sorting.
        served: the release that answers; one assignment serves another.
        health: whether the last answer failed.

    Raises:
        ValueError: if the release, the device or the database cannot be used.
    """

    def __init__(self, settings: Settings, records: Records | None = None) -> None:
        self.settings = settings
        store = open_store(settings.data_dir)
        release = Release.open(store.resolve(settings.release))
        predictor = Predictor(release, settings.device, settings.threads, settings.half)
        kept = settings.keep_images_mb * 1_000_000
        self.records = records if records is not None else Records(settings.database, kept)
        self.follower = Follower(self.records.engine, [self.records.images.trim])
        self.catalogue = ReleaseCatalogue(store, self.follower, settings.device)
        self.limits, self.segmenter = Limits(settings), Segmenter(settings)
        self.served = ServedRelease(LiveRelease.of(predictor.as_built), predictor)
        self.health = EngineHealth(self._probe)
        with begin_compiling(settings.cores, on_device=settings.device != "cpu"):
            self._replay()
        probe(self.served)

    @property
    def live(self) -> LiveExemplars:
        """The exemplars of the served release, at the present revision."""
        return self.served.live.state

    def start(self) -> None:
        """Follow the edit log from now on."""
        self.follower.start()

    def close(self) -> None:
        """Stop following the edit log, and close the database."""
        self.follower.stop()
        self.segmenter.close()
        self.records.close()

    def measure(self, content: bytes, request: SegmentRequest) -> int:
        """Count the pixels of an image before it waits for its turn, and refuse what would be refused later.

        Raises:
            Problem: if the image or the request is not acceptable, or the log has no such revision.
        """
        self.limits.check(request)
        live = self.served.live
        if request.min_index_revision > live.state.revision:
            self.follower.wait_for(live, request.min_index_revision)
        settings, working_size = self.settings, self.served.release.card.preprocessing.working_size
        return pixels_of(content, settings.max_pixels, settings.max_ratio, working_size, settings.max_full_pixels)

    def segment(
        self, content: bytes, request: SegmentRequest, author: str | None = None, stages: Stages | None = None
    ) -> Answer:
        """Answer one image, and record the answer.

        Args:
            content: the file.
            request: what is asked, see `measure`.
            author: who asks.
            stages: where the time of each stage is noted.

        Raises:
            Problem: if the image or the request is not acceptable.
            StageFailure: if a stage fails that must not fail.
        """
        self.limits.check(request)
        with self.health.watched(), self.segmenter.cores.joined():
            return self._answer(content, request, author, stages if stages is not None else Stages())

    def decode(self, content: bytes, served: ServedRelease) -> Sized:
        """Decode an image for the network of a release, a large JPEG at a reduced size.

        Raises:
            Problem: if the content is not an acceptable image.
        """
        working_size, settings = served.release.card.preprocessing.working_size, self.settings
        return Sized(*decode_reduced(content, settings.max_pixels, working_size, settings.max_full_pixels))

    def decode_in_full(self, content: bytes, served: ServedRelease) -> Sized:
        """Decode an image whose areas become exemplars: at full size, or as `decode` if that exceeds `max_pixels`.

        Raises:
            Problem: if the content is not an acceptable image.
        """
        settings = self.settings
        if pixels_of(content, settings.max_full_pixels) > settings.max_pixels:
            return self.decode(content, served)
        return Sized(*decode_within(content, settings.max_pixels, settings.max_full_pixels))

    def embed(self, image: Sized, segments: int | None, served: ServedRelease) -> tuple[Tensor, Segments]:
        """Embed and sort an image whose segments become exemplars.

        Args:
            image: upright, perhaps reduced, with the size of its segments.
            segments: K at the start of pixel sorting; None: the card's.
            served: the release whose network runs.

        Returns:
            Embeddings [D, h, w], and the segments.

        Raises:
            Problem: 422 if so many segments are not allowed.
        """
        self.limits.check_segments(segments)
        with self.segmenter.cores.joined():
            return self.segmenter.segments_of(served.predictor, image, segments, Stages())

    def _answer(self, content: bytes, request: SegmentRequest, author: str | None, stages: Stages) -> Answer:
        started, served = time.perf_counter(), self.served
        with stages.stage("decode"):
            sized = self.decode(content, served)
        found = self.segmenter.segments_of(served.predictor, sized, request.segments, stages)[1]
        with stages.stage("retrieve"), self.segmenter.cores.share():
            retrieved = self._retrieve(served, found, request.k, content, sized)
        with stages.stage("record"):
            composed = self._record(retrieved, request, author)
        timings = {name: stages.ms[name] for name in ("decode", "embed", "sort", "retrieve")}
        timings["total"] = (time.perf_counter() - started) * 1000
        url = image_url(composed.facts["segmentation_id"]) if self.records.images.budget else None
        image = {"image_id": retrieved.image_file.image_id, "image_url": url, "conversion": retrieved.conversion}
        body = composed.body | image | {"timings_ms": rounded_timings(timings)}
        return Answer(body, found.labels, retrieved.labels.vote.class_ids, retrieved.view.infos)

    @staticmethod
    def _retrieve(served: ServedRelease, found: Segments, k: int | None, content: bytes, sized: Sized) -> _Retrieved:
        encoded = run_in_background(lambda: (Shapes.of_segments(found), ImageFile.of(content, sized.size)))
        view = ReleaseView.current(served.live)  # taken here and not earlier, to include the latest edit
        labels = served.predictor.retrieve(found.prototypes, found.areas, k, view.state)
        return _Retrieved(view, labels, *encoded(), sized.conversion)

    def _record(self, retrieved: _Retrieved, request: SegmentRequest, author: str | None) -> ComposedAnswer:
        composed = compose_answer(retrieved.view, retrieved.shapes, retrieved.labels, request.options, k=request.k)
        facts = composed.facts | {"image_id": retrieved.image_file.image_id, "author": author}
        facts |= {"conversion": retrieved.conversion}
        self.records.add(facts, composed.segments, composed.retrieved, retrieved.image_file)
        return composed

    def _replay(self) -> None:
        started = time.perf_counter()
        replayed = self.catalogue.add(self.served.live)
        _log.info(
            "replayed %d edits of release %s in %.2f s: index revision %d", replayed, self.served.name,
            time.perf_counter() - started, self.served.live.state.revision,
        )  # fmt: skip

    def _probe(self) -> None:
        with self.segmenter.cores.network(self.settings.deadline_s):
            probe(self.served)
