"""Label Studio's requests to its ML backend, over a real service with the tiny release."""

import base64
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from segsort_label_studio import command
from segsort_label_studio.brush import pack, unpack
from segsort_label_studio.server import Application
from tests.conftest import Blocks

BRUSH = """<View><Image name="image" value="$image"/>
<BrushLabels name="brush" toName="image" smart="true"><Label value="Brick" background="#c8281e"/><Label value="grass"/>
<Label value="Sea" predicted_values="water,ocean"/></BrushLabels>
<KeyPointLabels name="point" toName="image" smart="true">
<Label value="Brick"/><Label value="grass"/><Label value="Sea"/></KeyPointLabels></View>"""
POLYGONS = BRUSH.replace("BrushLabels", "PolygonLabels").replace('"brush"', '"polygon"')
BOXES = BRUSH.replace("BrushLabels", "RectangleLabels").replace('"brush"', '"box"')
LABELS = {"brick": "Brick", "grass": "grass", "water": "Sea"}


def photo(number: int = 0) -> np.ndarray:
    """[72, 96, 3] uint8."""
    return Blocks("val")[number].image


def data_url(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def region(label: str, mask: np.ndarray, **changes: Any) -> dict[str, Any]:
    """A brush region that a person drew."""
    return {
        "id": "drawn", "type": "brushlabels", "from_name": "brush", "to_name": "image", "origin": "manual",
        "original_width": mask.shape[1], "original_height": mask.shape[0], "image_rotation": 0,
        "value": {"format": "rle", "rle": pack(mask), "brushlabels": [label]},
    } | changes  # fmt: skip


def mask_of(region: dict[str, Any]) -> np.ndarray:
    return unpack(bytes(region["value"]["rle"]), (region["original_height"], region["original_width"]))


@dataclass
class Studio:
    """What Label Studio sends to a backend, and the service behind it."""

    backend: TestClient
    application: Application
    service: httpx.Client
    config: str = BRUSH
    image: str = field(default_factory=lambda: data_url(photo()))

    def task(self, number: int = 1, image: str | None = None) -> dict[str, Any]:
        return {"id": number, "data": {"image": image or self.image}, "project": 3}

    def predict(self, *tasks: dict[str, Any], context: Any = None) -> httpx.Response:
        body = {
            "tasks": list(tasks) or [self.task()], "project": "3.1764488005", "label_config": self.config,
            "params": {"login": None, "password": None, "context": context},
        }  # fmt: skip
        return self.backend.post("/predict", json=body)

    def prediction(self, number: int = 1, image: str | None = None) -> dict[str, Any]:
        """The prediction of one task."""
        answer = self.predict(self.task(number, image))
        assert answer.status_code == 200, answer.text
        (found,) = answer.json()["results"]
        assert isinstance(found, dict)
        return found

    def webhook(self, action: str, number: int, results: list[dict[str, Any]] | None = None, **changes: Any) -> Any:
        """Send what Label Studio sends of an annotation."""
        annotation = {"id": number, "result": results, "completed_by": 7, "was_cancelled": False, "task": 1} | changes
        body = {"action": action, "project": {"id": 3, "label_config": self.config}}
        if action == "ANNOTATIONS_DELETED":
            body["annotations"] = [{"id": number}]
        else:
            body |= {"annotation": annotation, "task": self.task()}
        answer = self.backend.post("/webhook", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def settled(self, patience: float = 30.0) -> None:
        """Wait until no correction waits."""
        memory = self.application.backend.memory
        end = time.monotonic() + patience
        while memory.counts()[0]:
            assert time.monotonic() < end, memory.waiting()
            time.sleep(0.01)

    def edits(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.service.get("/edits").raise_for_status().json()
        return found

    def label_map(self, prediction: dict[str, Any]) -> np.ndarray:
        """[72, 96] names of labels; empty where no region is."""
        names = np.full(photo().shape[:2], "", dtype="<U10")
        for one in prediction["result"]:
            names[mask_of(one)] = one["value"]["brushlabels"][0]
        return names


@contextmanager
def studio(service: str, folder: Path, **options: str | None) -> Iterator[Studio]:
    """A backend of a service, with these options of its command; None for one without a value."""
    pairs = [(f"--{name.replace('_', '-')}", value) for name, value in options.items()]
    arguments = [part for pair in pairs for part in pair if part is not None]
    args = command.parser().parse_args(["--segsort", service, "--data", str(folder), *arguments])
    application = command.make(args)
    with TestClient(application.app()) as backend, httpx.Client(base_url=service, timeout=30) as client:
        yield Studio(backend, application, client)
    application.close()


def correction(label_studio: Studio) -> tuple[dict[str, Any], np.ndarray, str]:
    """The largest predicted region with another label, its mask, and this label."""
    one = max(label_studio.prediction()["result"], key=lambda entry: mask_of(entry).sum())
    wrong = "Sea" if one["value"]["brushlabels"] != ["Sea"] else "grass"
    changed = one | {"value": one["value"] | {"brushlabels": [wrong]}, "origin": "prediction-changed"}
    return changed, mask_of(one), wrong
