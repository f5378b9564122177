"""What the examples ask of a running service, over HTTP alone."""

import io
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from PIL import Image

from benchmarks.running_service import running_service
from segsort.masks import decode_rle


class Labelled(NamedTuple):
    """image: [H, W, 3] uint8 RGB; mask: [H, W] uint8, the number of each pixel's class."""

    image: np.ndarray
    mask: np.ndarray


class Client:
    """Asks a service; an error it answers becomes a ValueError that tells it."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def class_ids(self) -> dict[str, int]:
        """class_id of each class by its name."""
        return {info["name"]: info["class_id"] for info in self._json("GET", "/classes")}

    def class_map(self, image: np.ndarray, k: int | None = None) -> np.ndarray:
        """[H, W] uint8 class ids of an image; k exemplars vote, None: as many as the release says."""
        asked = {} if k is None else {"k": k}
        answer = self._ask("POST", "/segment", content=_png(image), params=asked, headers={"accept": "image/png"})
        return np.asarray(Image.open(io.BytesIO(answer.content)))

    def teach(self, labelled: Labelled, names: Mapping[int, str], segments: int | None = None) -> list[int]:
        """Make exemplars of the parts of an image whose number has a name; the revisions of the edits.

        Args:
            labelled: the image and its mask.
            names: class names by number; a name that is new makes a class.
            segments: K of pixel sorting; None: as the release says.
        """
        files = {"image": ("image.png", _png(labelled.image)), "mask": ("mask.png", _png(labelled.mask))}
        fields = {"classes": json.dumps({str(number): name for number, name in names.items()})}
        asked = {} if segments is None else {"segments": segments}
        return [self._json("POST", "/exemplars", files=files, data=fields, params=asked)["index_revision"]]

    def correct(self, labelled: Labelled, names: Mapping[int, str]) -> list[int]:
        """Correct what is answered wrongly: segments that lie mostly in a named part of the mask; the revisions."""
        revisions = []
        for segment in self._json("POST", "/segment", content=_png(labelled.image))["segments"]:
            height, width = segment["mask"]["size"]
            inside = labelled.mask[decode_rle(segment["mask"]["counts"], (height, width))]
            numbers, counts = np.unique(inside, return_counts=True)
            number = int(numbers[counts.argmax()])
            wrong = names.get(number, segment["class_name"]) != segment["class_name"]
            if wrong and counts.max() > len(inside) / 2:
                url, asked = f"/segments/{segment['segment_id']}/label", {"class_name": names[number]}
                answer = self._json("POST", url, json=asked, params={"relabel": "false"})
                revisions.append(int(answer["index_revision"]))
        return revisions

    def take_back(self, revisions: Sequence[int]) -> None:
        """Revert edits, the newest first."""
        for revision in reversed(revisions):
            self._json("POST", f"/edits/{revision}/revert", json={"reason": "the end of an example"})

    def _json(self, method: str, url: str, **request: Any) -> Any:
        return self._ask(method, url, **request).json()

    def _ask(self, method: str, url: str, **request: Any) -> httpx.Response:
        answer = self.client.request(method, url, **request)
        if answer.is_error:
            raise ValueError(f"{method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
        return answer


@contextmanager
def connected(address: str | None, key: str | None) -> Iterator[Client]:
    """A client of the service at an address, or else of one that is started for it and ended after."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if address is not None:
        with httpx.Client(base_url=address, headers=headers, timeout=120) as client:
            yield Client(client)
        return
    with (
        tempfile.TemporaryDirectory() as data,
        running_service(Path(data)) as started,
        httpx.Client(base_url=started, headers=headers, timeout=120) as client,
    ):
        yield Client(client)


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
