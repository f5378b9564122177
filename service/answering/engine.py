"""The engine: from the bytes of an image to its recorded answer, one function for each step."""

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from model_store.card import ClassInfo
from model_store.live import LiveExemplars
from model_store.predictor import Predictor, SegmentLabels, Sized
from model_store.release import Release
from model_store.store import kept_releases, open_store
from model_store.unfinished import remove_unfinished
from segsort.arrays import AnyArray, on_host
from segsort.loops import begin_compiling, run_in_background
from segsort.segments import Segments
from service.answering.answers import ComposedAnswer, Shapes, compose_answer
from service.answering.catalogue import ReleaseCatalogue
from service.answering.earlier import EarlierEdits
from service.answering.embedding_cache import EmbeddingCache
from service.answering.engine_health import EngineHealth
from service.answering.examination import Examination
from service.answering.keeping import Keeping
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
from service.records.head_file import HeadFile
from service.records.housekeeping import Housekeeping
from service.records.image_store import ImageFile, Kept
from service.records.live_release import LiveRelease
from service.records.notices import Notices
from service.records.packing.shapes import pack_map
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


class Recording(NamedTuple):
    """How an answer is recorded.

    segmentation_id: its id; None: a new one. kept: whether it is recorded at all; one that is not cannot be explained.
    marks_follow: whether someone may mark the image next, so that its embeddings are worth keeping in memory.
    """

    segmentation_id: str | None = None
    kept: bool = True
    marks_follow: bool = True


RECORDED = Recording()


class _Retrieved(NamedTuple):
    """The result of the stage "retrieve".

    view: the release as it voted; labels, shapes: of the segments; image_file: the file of the image; conversion: what
    was done to its values, in words; None: nothing; packed: waits for the shapes as they are recorded.
    """

    view: ReleaseView
    labels: SegmentLabels
    shapes: Shapes
    image_file: ImageFile
    conversion: str | None
    packed: Callable[[], bytes]


class Engine:
    """Answers requests with one release and the edits made on it. Calls from several threads are safe.

    Attributes:
        settings: as given.
        limits: what a request may ask for.
        records: the database of answers.
        follower: applies the edits of the database.
        notices: of other processes over the database.
        housekeeping: keeps the database small.
        image_chores: deletes files of the object store; nothing else waits for it.
        catalogue: the releases that are open.
        earlier: the edits of earlier releases of the served release's name.
        keeping: copies releases that are served, for explanations after they are changed or gone.
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
        predictor = Predictor(release, settings.device, settings.threads, settings.precision)
        self.records = records if records is not None else Records.of(settings)
        keeper = HeadFile.of(settings.data_dir, settings.database) if records is None else None
        self.records.images.check()
        examine, admit = Examination(settings, self.records.images), self.records.room.check_edit
        self.follower = Follower(self.records.engine, settings.lock_timeout_s, keeper, examine, admit)
        self.notices = Notices(self.records.engine)
        self.notices.on("edits", self.follower.wake)
        self.earlier = EarlierEdits(self.records.engine)
        kept = kept_releases(settings.data_dir)
        self.keeping = Keeping(kept, self.records.engine, lambda: self.served.live)
        self.housekeeping = Housekeeping(
            [*self.records.chores, lambda: self.earlier.refresh(self.served.live), self.keeping]
        )
        objects = self.records.images.objects
        self.image_chores = Housekeeping([] if objects is None else [objects.delete_unused])
        self.catalogue = ReleaseCatalogue(store, kept, self.follower, settings.device, self.records.engine)
        self.limits, self.segmenter = Limits(settings), Segmenter(settings)
        self.embeddings = EmbeddingCache()
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
        """Follow the edit log from now on, keep the database small, and remove releases that were never finished."""
        for folder in remove_unfinished(self.settings.data_dir / "releases"):
            _log.info("removed %s, a release whose writer was stopped", folder)
        self.follower.start()
        self.notices.start()
        self.housekeeping.start()
        self.image_chores.start()

    def close(self) -> None:
        """Stop following the edit log, and close the database."""
        self.housekeeping.stop()
        self.image_chores.stop()
        self.notices.stop()
        self.follower.stop()
        self.segmenter.close()
        self.records.close()

    def measure(self, content: bytes, request: SegmentRequest) -> int:
        """Count the pixels of an image before it waits for its turn, and refuse what would be refused later.

        Raises:
            Problem: if the image or the request is not acceptable, the log has no such revision, or there is no room
                for an answer.
        """
        self.limits.check(request)
        self.records.room.check_answer()
        live = self.served.live
        if request.min_index_revision > live.state.revision:
            self.follower.wait_for(live, request.min_index_revision)
        settings, working_size = self.settings, self.served.release.card.preprocessing.working_size
        return pixels_of(content, settings.max_pixels, settings.max_ratio, working_size, settings.max_full_pixels)

    def segment(
        self,
        content: bytes,
        request: SegmentRequest,
        author: str | None = None,
        stages: Stages | None = None,
        page: tuple[int, int] = (0, 1),
        recording: Recording = RECORDED,
        served: ServedRelease | None = None,
    ) -> Answer:
        """Answer one image, and record the answer.

        Args:
            content: the file, with one page.
            request: what is asked, see `measure`.
            author: who asks.
            stages: where the time of each stage is noted.
            page: number of the page in the file that was sent, from 0, and how many pages that had.
            recording: how the answer is recorded.
            served: the release that answers; None: the served one.

        Raises:
            Problem: if the image or the request is not acceptable.
            StageFailure: if a stage fails that must not fail.
        """
        self.limits.check(request)
        with self.health.watched(), self.segmenter.cores.joined():
            used = stages if stages is not None else Stages()
            return self._answer(content, request, author, used, page, recording, served or self.served)

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

    def embed(self, image: Sized, segments: int | None, served: ServedRelease) -> tuple[AnyArray, Segments]:
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

    def embeddings_of(self, content: bytes, image_id: str, served: ServedRelease) -> np.ndarray:
        """The embeddings [D, h, w] of an image of an answer, on the CPU. The network runs unless they are kept.

        Args:
            content: the image file.
            image_id: SHA-256 of the content.
            served: the release whose network runs.

        Raises:
            Problem: if the content is not an acceptable image.
        """
        found = self.embeddings.get(served.live.digest, image_id)
        if found is None:
            image = self.decode(content, served)
            with self.segmenter.cores.joined(), self.segmenter.cores.network():
                found = on_host(served.predictor.embedder.embed(image.image))
            self.embeddings.put(served.live.digest, image_id, found)
        return found

    def _answer(
        self,
        content: bytes,
        request: SegmentRequest,
        author: str | None,
        stages: Stages,
        page: tuple[int, int],
        recording: Recording,
        served: ServedRelease,
    ) -> Answer:
        started, before = time.perf_counter(), stages.ms.get("decode", 0.0)
        with stages.stage("decode"):
            sized = self.decode(content, served)
        keeping = self.records.images.begin_to_keep(content, sized.size) if recording.kept else None
        embeddings, found = self.segmenter.segments_of(served.predictor, sized, request.segments, stages)
        with stages.stage("retrieve"), self.segmenter.cores.share():
            retrieved = self._retrieve(served, found, request.k, content, sized)
        with stages.stage("record"):
            composed = self._record(retrieved, request, author, page, recording, keeping)
        timings = {name: stages.ms[name] for name in ("decode", "embed", "sort", "retrieve")}
        timings["total"] = (time.perf_counter() - started) * 1000 + before
        if recording.marks_follow and isinstance(embeddings, np.ndarray):  # a copy from a GPU would take time
            self.embeddings.put(served.live.digest, retrieved.image_file.image_id, embeddings)
        is_kept = recording.kept and self.records.images.budget
        url = image_url(composed.facts["segmentation_id"]) if is_kept else None
        image: dict[str, Any] = {"image_id": retrieved.image_file.image_id, "image_url": url}
        image |= {"conversion": retrieved.conversion, "page": page[0], "pages": page[1]}
        body = composed.body | image | {"timings_ms": rounded_timings(timings)}
        return Answer(body, found.labels, retrieved.labels.vote.class_ids, retrieved.view.infos)

    @staticmethod
    def _retrieve(served: ServedRelease, found: Segments, k: int | None, content: bytes, sized: Sized) -> _Retrieved:
        encoded = run_in_background(lambda: (Shapes.of_segments(found), ImageFile.of(content, sized.size)))
        packed = run_in_background(lambda: pack_map(found.labels, found.prototypes))
        view = ReleaseView.current(served.live)  # taken here and not earlier, to include the latest edit
        done = encoded() if view.state.has_exemplars_of_one_image else None
        if done is not None:
            view = view._replace(state=view.state.for_image(done[1].image_id))
        labels = served.predictor.retrieve(found.prototypes, found.areas, k, view.state)
        shapes, image_file = done if done is not None else encoded()
        return _Retrieved(view, labels, shapes, image_file, sized.conversion, packed)

    def _record(
        self,
        retrieved: _Retrieved,
        request: SegmentRequest,
        author: str | None,
        page: tuple[int, int],
        recording: Recording,
        keeping: Callable[[], Kept] | None,
    ) -> ComposedAnswer:
        composed = compose_answer(
            retrieved.view, retrieved.shapes, retrieved.labels, request.options, recording.segmentation_id, request.k
        )
        if not recording.kept:
            retrieved.packed()  # ends the work in the background
            return composed
        facts = composed.facts | {"image_id": retrieved.image_file.image_id, "author": author}
        facts |= {"conversion": retrieved.conversion, "page": page[0], "pages": page[1]}
        content = (composed.retrieved, retrieved.image_file, retrieved.packed())
        self.records.add(facts, composed.segments, *content, keeping)
        return composed

    def _replay(self) -> None:
        started = time.perf_counter()
        replayed = self.catalogue.add(self.served.live)
        self.earlier.refresh(self.served.live)
        _log.info(
            "replayed %d edits of release %s in %.2f s: index revision %d", replayed, self.served.name,
            time.perf_counter() - started, self.served.live.state.revision,
        )  # fmt: skip

    def _probe(self) -> None:
        with self.segmenter.cores.network(self.settings.deadline_s):
            probe(self.served)
