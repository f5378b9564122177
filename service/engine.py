"""The engine: from the bytes of an image to its recorded answer, one function a step of the way."""

import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from model_store.predictor import Prediction, Predictor
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore
from segsort.masks import bounding_boxes, encode_rle
from segsort.segments import join_specks
from service.database import Records, Retrieved
from service.decode import decode
from service.polygons import polygons
from service.problems import Problem
from service.settings import Settings

Masks = Literal["rle", "polygon", "none"]
INDEX_REVISION = 0  # releases are not edited yet: every answer is of the release as it was built


@dataclass(frozen=True)
class Request:
    """What a caller may ask for beside the image; None: as the release's card says."""

    segments: int | None = None
    k: int | None = None
    exemplars: int = 5
    masks: Masks = "rle"


class Answer(NamedTuple):
    """body: the JSON of POST /segment; class_map: [H, W] uint8 or int64 class ids; image: [H, W, 3] uint8, upright."""

    body: dict[str, Any]
    class_map: np.ndarray
    image: np.ndarray


class _Described(NamedTuple):
    """body: the answer without its timings; the others: what `Records.add` takes."""

    body: dict[str, Any]
    facts: dict[str, Any]
    segments: list[dict[str, Any]]
    retrieved: Retrieved


@dataclass
class ServedRelease:
    """A release with what answering needs of it."""

    release: Release
    rows: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = {exemplar_id: row for row, exemplar_id in enumerate(self.release.exemplars.ids)}

    @property
    def name(self) -> str:
        return self.release.card.name

    @cached_property
    def class_names(self) -> list[str]:
        return [info.name for info in self.release.card.classes]

    @cached_property
    def classes(self) -> list[dict[str, Any]]:
        return [
            {"class_id": info.class_id, "name": info.name, "color": "#{:02x}{:02x}{:02x}".format(*info.color)}
            for info in self.release.card.classes
        ]


class Engine:
    """Answers requests with one release. Calls from several threads are safe; the network runs for one at a time.

    Raises:
        ValueError: if the release, the device or the database cannot be used.
    """

    def __init__(self, settings: Settings, records: Records | None = None) -> None:
        self.settings = settings
        own = settings.data_dir / "releases"
        self.store = ReleaseStore((BUNDLED, own), settings.data_dir / "active.json")
        self.served = ServedRelease(Release.open(self.store.resolve(settings.release)))
        self.predictor = Predictor(self.served.release, settings.device, settings.threads)
        self.records = records if records is not None else Records(settings.database)
        self._one_at_a_time = threading.Lock()
        self._opened = {self.served.name: self.served}
        self._warm()

    def segment(self, content: bytes, request: Request) -> Answer:
        """Answer one image, and record the answer.

        Raises:
            Problem: if the image or the request is not acceptable.
        """
        started = time.perf_counter()
        self._check(request)
        image = decode(content, self.settings.max_pixels)
        decoded = time.perf_counter()
        with self._one_at_a_time:
            prediction = self.predictor.predict(image, request.segments, request.k)
        body, facts, segments, retrieved = self._describe(prediction, request, (image.shape[0], image.shape[1]))
        self.records.add(facts, segments, retrieved)
        timings = {"decode": (decoded - started) * 1000, **prediction.timings_ms}
        timings["total"] = (time.perf_counter() - started) * 1000
        body["timings_ms"] = {name: round(ms, 3) for name, ms in timings.items()}
        return Answer(body, prediction.class_map, image)

    def find_release(self, name: str, path: str | None = None) -> ServedRelease:
        """A release by name, the served one or another, for explanations of answers that it gave.

        Raises:
            Problem: 410 if it is gone.
        """
        if name not in self._opened:
            place = Path(path) if path and Path(path).is_dir() else name
            try:
                self._opened[name] = ServedRelease(Release.open(self.store.resolve(place)))
            except ValueError as error:
                raise Problem(
                    410, f"The release {name!r} that gave this answer is gone.", received=name,
                    allowed=[stored.name for stored in self.store.list()],
                    mend="Put the release back; it is never changed.",
                ) from error  # fmt: skip
        return self._opened[name]

    def find_exemplar(self, exemplar_id: str) -> tuple[ServedRelease, int]:
        """The release that holds an exemplar, and its row there.

        Raises:
            Problem: 404 if no release has it.
        """
        for served in list(self._opened.values()):
            if exemplar_id in served.rows:
                return served, served.rows[exemplar_id]
        for stored in self.store.list():
            if stored.name not in self._opened and stored.problem is None:
                served = self.find_release(stored.name)
                if exemplar_id in served.rows:
                    return served, served.rows[exemplar_id]
        raise Problem(
            404, "There is no such exemplar.", received=exemplar_id,
            allowed="an exemplar_id of an answer or explanation",
            mend="Take the id from POST /segment or GET /explain.",
        )  # fmt: skip

    def close(self) -> None:
        """Close the database."""
        self.records.close()

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
                    mend=f"Ask for {name} within the range, or let the operator raise SEGSORT_MAX_{name.upper()}.",
                )  # fmt: skip

    def _warm(self) -> None:
        """Go the whole way but for the record, so that everything is compiled and allocated before the first caller."""
        noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        self._describe(self.predictor.predict(noise), Request(), (48, 64))
        join_specks(noise[:, :, 0].astype(np.int32), 4)  # which the picture may not have had

    def _describe(self, prediction: Prediction, request: Request, size: tuple[int, int]) -> _Described:
        """Number the segments; what is answered, and what is recorded of it."""
        card = self.served.release.card
        labels, count = prediction.segments.labels, len(prediction.segments.areas)
        segmentation_id = uuid.uuid4().hex
        counts = encode_rle(labels, count)
        boxes = bounding_boxes(labels, count).tolist()
        rows, places = np.unique(prediction.rows, return_inverse=True)
        ids = [self.served.release.exemplars.ids[row] for row in rows.tolist()]
        places = places.reshape(prediction.rows.shape)
        class_ids = prediction.vote.class_ids.tolist()
        shares = prediction.vote.shares[np.arange(count), prediction.vote.class_ids].tolist()
        columns = (
            class_ids,
            prediction.confidence.tolist(),
            prediction.known.tolist(),
            prediction.segments.areas.tolist(),
        )
        listed = self._listed(prediction, ids, places, request.exemplars)
        recorded, segments = [], []
        for n, (class_id, confidence, known, area) in enumerate(zip(*columns, strict=True)):
            common = {
                "class_id": class_id, "confidence": confidence, "known": known, "area": area, "bbox": boxes[n],
            }  # fmt: skip
            recorded.append(common | {"share": shares[n], "counts": counts[n]})
            segments.append(
                {
                    "segment_id": f"{segmentation_id}-{n}",
                    "class_id": class_id,
                    "class_name": self.served.class_names[class_id],
                }
                | common
                | _mask(request.masks, labels, n, counts[n])
                | {"exemplars": listed[n]}
            )
        facts = {"segmentation_id": segmentation_id, "width": size[1], "height": size[0]}
        facts |= {"release": self.served.name, "index_revision": INDEX_REVISION}
        path = str(self.served.release.path.absolute())
        return _Described(
            facts | {"classes": self.served.classes, "segments": segments},
            facts
            | {"release_path": path, "k": prediction.vote.weights.shape[1], "kappa": card.retrieval.kappa}
            | {"image_similarity": prediction.image_similarity},
            recorded,
            Retrieved(prediction.segments.prototypes, ids, places, prediction.similarities),
        )

    def _listed(
        self, prediction: Prediction, ids: list[str], places: np.ndarray, most: int
    ) -> list[list[dict[str, Any]]]:
        """The first exemplars of each segment's vote; places: [S, R] of its neighbours in `ids`."""
        most = min(most, prediction.vote.weights.shape[1])
        classes = self.served.release.exemplars.class_ids[prediction.rows[:, :most]]
        columns = (places[:, :most], classes, prediction.similarities[:, :most], prediction.vote.weights[:, :most])
        names = self.served.class_names
        return [
            [
                {"exemplar_id": ids[i], "class_name": names[c], "similarity": similarity, "weight": weight}
                for i, c, similarity, weight in zip(*one, strict=True)
            ]
            for one in zip(*(column.tolist() for column in columns), strict=True)
        ]


def _mask(form: Masks, labels: np.ndarray, segment: int, counts: str) -> dict[str, Any]:
    if form == "rle":
        return {"mask": {"size": list(labels.shape), "counts": counts}}
    if form == "polygon":
        return {"mask": {"size": list(labels.shape), "polygons": polygons(labels == segment)}}
    return {}
