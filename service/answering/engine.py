"""The engine: from the bytes of an image to its recorded answer, one function a step of the way."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model_store.card import ClassInfo
from model_store.live import MAX_CLASSES, LiveExemplars
from model_store.predictor import Predictor, Sized
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore
from segsort.loops.cache import loops_are_kept
from segsort.loops.threads import at_most, beside
from segsort.segments import Outlined, Segments
from service.answering.answers import At, Form, Masks, Shapes, describe, image_url
from service.answering.batches import Batches
from service.answering.crowd import Crowd
from service.answering.served import Served, probe
from service.answering.stages import StageFailure, Stages
from service.images.decode import decode_reduced, pixels_of
from service.problems import Problem
from service.records.database import Answered, Records
from service.records.follower import Follower, LiveRelease
from service.records.image_store import Picture
from service.settings import Settings

_log = logging.getLogger("segsort.engine")


@dataclass(frozen=True)
class Request:
    """What a caller may ask for beside the image; None: as the release's card says."""

    segments: int | None = None
    k: int | None = None
    exemplars: int = 5
    masks: Masks = "rle"
    min_index_revision: int = 0


class Answer(NamedTuple):
    """body: the JSON of POST /segment; labels: [H, W] int32, segments; class_ids: [S] of each; classes: by class_id, as
    they are called in this answer.
    """

    body: dict[str, Any]
    labels: np.ndarray
    class_ids: np.ndarray
    classes: list[ClassInfo]

    @property
    def class_map(self) -> np.ndarray:
        """[H, W] uint8, or int64 where a release has more classes: the class of each pixel."""
        kind = np.uint8 if len(self.classes) <= MAX_CLASSES else np.int64
        return np.asarray(self.class_ids.astype(kind)[self.labels])


class _Outlined(NamedTuple):
    """An image after its batch; sort_ms: how long the batch took to be sorted."""

    outlined: Outlined
    sort_ms: float


class Engine:
    """Answers requests with one release and the edits made on it. Calls from several threads are safe: those that are
    in the engine at the same time share the cores, and one that is alone has them all.

    Raises:
        ValueError: if the release, the device or the database cannot be used.
    """

    def __init__(self, settings: Settings, records: Records | None = None) -> None:
        self.settings = settings
        if not loops_are_kept():
            _log.info("compiling loops for this processor: this start takes longer than the next")
        own = settings.data_dir / "releases"
        self.store = ReleaseStore((BUNDLED, own), settings.data_dir / "active.json")
        release = Release.open(self.store.resolve(settings.release))
        predictor = Predictor(release, settings.device, settings.threads, settings.half)
        kept = settings.keep_images_mb * 1_000_000
        self.records = records if records is not None else Records(settings.database, kept)
        self.follower = Follower(self.records.engine, [self.records.images.trim])
        self.served = Served(LiveRelease.of(predictor.as_built), predictor)
        self.trouble: str | None = None  # why the last answer failed that never should
        several = settings.largest_batch > 1
        self.crowd = Crowd(settings.cores, 1 if several or settings.device != "cpu" else settings.lanes)
        self.batches: Batches[Sized, _Outlined] | None = Batches(settings.largest_batch) if several else None
        self.begun: Callable[[int], object] = lambda count: None  # told how many images go through the network at once
        self._opening = threading.Lock()
        self._opened = {self.served.name: self.served.live}
        started = time.perf_counter()
        replayed = self.follower.follow(self.served.live)
        _log.info(
            "replayed %d edits of release %s in %.2f s: index revision %d", replayed, self.served.name,
            time.perf_counter() - started, self.served.live.state.revision,
        )  # fmt: skip
        if self.live.count:  # else each answer says what is missing
            probe(self.served)

    @property
    def live(self) -> LiveExemplars:
        """The exemplars that are asked, at the present revision."""
        return self.served.live.state

    def start(self) -> None:
        """Follow the log of edits from now on."""
        self.follower.start()

    def close(self) -> None:
        """Follow no more, and close the database."""
        self.follower.stop()
        if self.batches is not None:
            self.batches.close()
        self.records.close()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Remember whether the last answer failed that never should."""
        try:
            yield
            self.trouble = None
        except StageFailure as failure:
            self.trouble = f"{failure}: {str(failure.__cause__)[:200]}"
            raise

    def try_again(self) -> list[str]:
        """What fails where the last answer did: a probe says, which takes as long as a small image."""
        try:
            with self.crowd.network(self.settings.deadline_s):
                probe(self.served)
            self.trouble = None
            return []
        except TimeoutError:
            return ["the network does not end"]
        except Exception as error:  # whatever it is, it is what is asked for
            return [str(error)[:200] or type(error).__name__]

    def measure(self, content: bytes, request: Request) -> int:
        """The pixels of an image that may wait for its turn: what is refused anyway is refused before.

        Raises:
            Problem: if the image or the request is not acceptable, or the log has no such revision.
        """
        self._check(request)
        live = self.served.live
        if request.min_index_revision > live.state.revision:
            self.follower.wait_for(live, request.min_index_revision)
        return pixels_of(content, self.settings.max_pixels, self.settings.max_ratio)

    def segment(
        self, content: bytes, request: Request, author: str | None = None, stages: Stages | None = None
    ) -> Answer:
        """Answer one image, and record the answer.

        Args:
            content: the file.
            request: what is asked, see `measure`.
            author: who asks.
            stages: where to note how long each stage took.

        Raises:
            Problem: if the image or the request is not acceptable.
            StageFailure: if a stage fails that never should.
        """
        self._check(request)
        with self._watched(), self.crowd.joined():
            return self._segment(content, request, author, stages if stages is not None else Stages())

    def _segment(self, content: bytes, request: Request, author: str | None, stages: Stages) -> Answer:
        started, served = time.perf_counter(), self.served
        with stages.stage("decode"):
            looked_at = served.release.card.preprocessing.working_size
            image, size = decode_reduced(content, self.settings.max_pixels, looked_at)
        found = self._segments(image, size, request.segments, served, stages)[1]
        with stages.stage("retrieve"), self.crowd.share():
            drawn = beside(lambda: (Shapes.of_segments(found), Picture.of(content, size)))
            at = At.now(served.live)  # as new as can be
            labelled = served.predictor.retrieve(found.prototypes, found.areas, request.k, at.state)
            shapes, picture = drawn()
        with stages.stage("record"):
            form = Form(request.exemplars, request.masks)
            body, facts, segments, retrieved = describe(at, shapes, labelled, form)
            self.records.add(facts | {"image_id": picture.image_id, "author": author}, segments, retrieved, picture)
        timings = {name: stages.ms[name] for name in ("decode", "embed", "sort", "retrieve")}
        timings["total"] = (time.perf_counter() - started) * 1000
        url = image_url(facts["segmentation_id"]) if self.records.images.budget else None
        body |= {"image_id": picture.image_id, "image_url": url, "timings_ms": _rounded(timings)}
        return Answer(body, found.labels, labelled.vote.class_ids, at.infos)

    def relabel(
        self, answered: Answered, form: Form, author: str | None = None, served: Served | None = None
    ) -> dict[str, Any]:
        """The same segments under the present state, from their recorded prototypes: a new answer, recorded.

        Args:
            answered: the answer as it was.
            form: how the new one is told.
            author: who asks.
            served: the release to ask; None: the one that is served.

        Raises:
            Problem: 409 if another release answered.
        """
        started = time.perf_counter()
        self.check_form(form)
        served, facts = self.served if served is None else served, answered.facts
        check_release(served, answered)
        at, shapes = At.now(served.live), Shapes.of_answer(answered)
        areas = np.array(shapes.areas)
        labelled = served.predictor.retrieve(answered.prototypes, areas, facts.k, at.state)
        body, new_facts, segments, retrieved = describe(at, shapes, labelled, form)
        self.records.add(new_facts | {"image_id": facts.image_id, "author": author}, segments, retrieved)
        then = At.then(served.live, facts.index_revision)
        changed = [
            {
                "segment_id": new["segment_id"],
                "before_segment_id": answered.segment_id(n),
                "before": then.name(old["class_id"]),
                "after": new["class_name"],
            }
            for n, (old, new) in enumerate(zip(answered.segments, body["segments"], strict=True))
            if old["class_id"] != new["class_id"]
        ]
        kept = self.records.images.has(facts.image_id)
        body |= {"image_id": facts.image_id, "image_url": image_url(new_facts["segmentation_id"]) if kept else None}
        body |= {"relabelled_from": facts.segmentation_id, "changed": changed}
        milliseconds = (time.perf_counter() - started) * 1000
        return body | {"timings_ms": _rounded({"retrieve": milliseconds, "total": milliseconds})}

    def embed(self, image: np.ndarray, segments: int | None, served: Served) -> tuple[Any, Segments]:
        """Embeddings [D, h, w] and segments of an image that becomes exemplars of a release: [H, W, 3] uint8.

        Raises:
            Problem: 422 if so many segments are not allowed.
        """
        self._check(Request(segments=segments))
        with self.crowd.joined():
            return self._segments(image, (image.shape[0], image.shape[1]), segments, served, Stages())

    def _segments(
        self, image: np.ndarray, size: tuple[int, int], segments: int | None, served: Served, stages: Stages
    ) -> tuple[Any, Segments]:
        """Embeddings and segments of an image of size (H, W), with others in a batch if the settings say so."""
        predictor = served.predictor
        if self.batches is None:
            with self.crowd.network(), stages.stage("embed"):
                self.begun(1)
                embeddings = predictor.embedder.embed(image)
            with stages.stage("sort"), self.crowd.share():
                return embeddings, predictor.sort(embeddings, size, segments)

        def outline(images: Sequence[Sized]) -> list[_Outlined]:
            with self.crowd.network(), at_most(self.crowd.cores):  # of all in the engine, these alone are worked on
                self.begun(len(images))
                several, taken = predictor.outline(images, segments)
            return [_Outlined(one, taken["sort"]) for one in several]

        with stages.stage("embed"):  # and waiting for the batch before
            key = (id(predictor), predictor.embedder.bucket(image.shape[0], image.shape[1]), segments)
            outlined, sort_ms = self.batches.ask(key, outline, Sized(image, size))
        stages.ms["embed"] -= sort_ms
        with stages.stage("sort"):
            found = predictor.finish(outlined)
        stages.ms["sort"] += sort_ms
        return outlined.embeddings, found

    def check_form(self, form: Form) -> None:
        """Refuse more exemplars a segment than are allowed.

        Raises:
            Problem: 422.
        """
        self._check(Request(exemplars=form.exemplars))

    def find_release(self, name: str, path: str | None = None) -> LiveRelease:
        """A release by name, the served one or another, for explanations of answers that it gave.

        Raises:
            Problem: 410 if it is gone.
        """
        if name in self._opened:
            return self._opened[name]
        with self._opening:  # for whoever needs another release; the others do not wait while it is read
            if name not in self._opened:
                place = Path(path) if path and Path(path).is_dir() else name
                try:
                    self._follow(name, Release.open(self.store.resolve(place)))
                except ValueError as error:
                    raise Problem(
                        410, f"The release {name!r} that gave this answer is gone: {error}.", received=name,
                        allowed=[stored.name for stored in self.store.list()],
                        fix="Put the release back; it is never changed.",
                    ) from error  # fmt: skip
            return self._opened[name]

    def opened(self, name: str) -> LiveRelease | None:
        """A release that was served, or asked for an explanation, since the start; None if it was not."""
        return self._opened.get(name)

    def adopt(self, release: Release) -> LiveRelease:
        """A release at the end of the log. There is one of each name, that all requests share.

        Raises:
            Problem: 409 if another one of this name is open.
            ValueError: if its edits do not fit it.
        """
        name = release.card.name
        with self._opening:
            if name not in self._opened:
                self._follow(name, release)
            opened = self._opened[name].release
        if opened.card != release.card or opened.exemplars.ids != release.exemplars.ids:
            raise Problem(
                409, "Another release of this name is open, which old explanations need.", received=name,
                allowed="releases that do not change once they are opened",
                fix="Give the new one another name, or restart.",
            )  # fmt: skip
        return self._opened[name]

    def _follow(self, name: str, release: Release) -> None:
        live = LiveRelease.of(LiveExemplars.of_release(release, self.settings.device))
        self.follower.follow(live)
        self._opened[name] = live

    def release_of(self, answered: Answered) -> LiveRelease:
        """The release that gave an answer, at the answer's revision or a later one.

        Raises:
            Problem: 410 if it is gone.
        """
        live = self.find_release(answered.facts.release, answered.facts.release_path)
        if answered.facts.index_revision > live.state.revision:
            self.follower.catch_up()  # another replica answered, a moment ago
        return live

    def find_exemplar(self, exemplar_id: str) -> tuple[LiveRelease, int]:
        """The release that holds an exemplar, alive or not, and its row there.

        Raises:
            Problem: 404 if no release has it.
        """
        for live in list(self._opened.values()):
            row = live.state.row(exemplar_id)
            if row is not None:
                return live, row
        for stored in self.store.list():
            if stored.name not in self._opened and stored.problem is None:
                live = self.find_release(stored.name)
                row = live.state.row(exemplar_id)
                if row is not None:
                    return live, row
        raise Problem(
            404, "There is no such exemplar.", received=exemplar_id,
            allowed="an exemplar_id of an answer or explanation",
            fix="Take the id from POST /segment or GET /explain.",
        )  # fmt: skip

    def _check(self, request: Request) -> None:
        limits = self.settings
        for name, value, least, most in (
            ("segments", request.segments, 1, limits.max_segments),
            ("k", request.k, 1, limits.max_k),
            ("exemplars", request.exemplars, 0, limits.max_exemplars),
        ):
            if value is not None and not least <= value <= most:
                raise Problem(
                    422, f"{name} is out of range.", received=value, allowed=f"{least} to {most}",
                    fix=f"Ask for {name} within the range, or let the operator raise SEGSORT_MAX_{name.upper()}.",
                )  # fmt: skip


def check_release(served: Served, answered: Answered) -> None:
    """Refuse what only the release that answered can do.

    Raises:
        Problem: 409 if it is not the one that is served.
    """
    if answered.facts.release != served.name:
        raise Problem(
            409, "Another release gave this answer, and its prototypes mean nothing to this one.",
            received=answered.facts.release, allowed=served.name,
            fix="Send the picture to POST /segment again.",
        )  # fmt: skip


def _rounded(timings: dict[str, float]) -> dict[str, float]:
    return {name: round(ms, 3) for name, ms in timings.items()}
