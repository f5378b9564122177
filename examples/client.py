"""The HTTP client of the examples."""

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
    """An image and the class of each pixel."""

    image: np.ndarray  # [H, W, 3] uint8, RGB
    mask: np.ndarray  # [H, W] uint8, class numbers


class Client:
    """Sends requests to a service.

    Every method raises ValueError, with the text of the answer, if the service answers with an error.

    Args:
        client: an HTTP client whose base URL is the service.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def class_ids(self) -> dict[str, int]:
        """The class_id of each class, by name."""
        return {info["name"]: info["class_id"] for info in self._json("GET", "/classes")}

    def class_map(self, image: np.ndarray, k: int | None = None) -> np.ndarray:
        """Segment an image.

        Args:
            image: [H, W, 3] uint8, RGB.
            k: number of exemplars that vote; None: that of the release.

        Returns:
            [H, W] uint8, class_id of each pixel; 255 without a class, while the service has no exemplars.
        """
        options = {} if k is None else {"k": k}
        answer = self._send("POST", "/segment", content=_png(image), params=options, headers={"accept": "image/png"})
        return np.asarray(Image.open(io.BytesIO(answer.content)))

    def teach(self, labelled: Labelled, names: Mapping[int, str], segments: int | None = None) -> list[int]:
        """Add the labelled pixels of an image as exemplars.

        Args:
            labelled: the image and its mask.
            names: class name of each number of the mask; other pixels are skipped. A new name creates a class.
            segments: K of pixel sorting; None: that of the release.

        Returns:
            The numbers of the edits.
        """
        files = {"image": ("image.png", _png(labelled.image)), "mask": ("mask.png", _png(labelled.mask))}
        fields = {"classes": json.dumps({str(number): name for number, name in names.items()})}
        options = {} if segments is None else {"segments": segments}
        return [self._json("POST", "/exemplars", files=files, data=fields, params=options)["index_revision"]]

    def correct(self, labelled: Labelled, names: Mapping[int, str]) -> list[int]:
        """Segment an image and correct wrong labels.

        A segment is corrected if one named class covers more than half of it and its label is another class.

        Args:
            labelled: the image and its mask.
            names: class name of each number of the mask.

        Returns:
            The numbers of the edits.
        """
        revisions = []
        for segment in self._json("POST", "/segment", content=_png(labelled.image))["segments"]:
            height, width = segment["mask"]["size"]
            inside = labelled.mask[decode_rle(segment["mask"]["counts"], (height, width))]
            numbers, counts = np.unique(inside, return_counts=True)
            number = int(numbers[counts.argmax()])
            wrong = names.get(number, segment["class_name"]) != segment["class_name"]
            if wrong and counts.max() > len(inside) / 2:
                url, body = f"/segments/{segment['segment_id']}/label", {"class_name": names[number]}
                answer = self._json("POST", url, json=body, params={"relabel": "false"})
                revisions.append(int(answer["index_revision"]))
        return revisions

    def revert(self, revisions: Sequence[int]) -> None:
        """Revert edits by number, the newest first."""
        for revision in reversed(revisions):
            self._json("POST", f"/edits/{revision}/revert", json={"reason": "end of an example"})

    def _json(self, method: str, url: str, **request: Any) -> Any:
        return self._send(method, url, **request).json()

    def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        answer = self.client.request(method, url, **request)
        if answer.is_error:
            raise ValueError(f"{method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
        return answer


@contextmanager
def connected(address: str | None, key: str | None) -> Iterator[Client]:
    """A client of the service at an address.

    Args:
        address: URL of a running service; None: start a service, and stop it after the block.
        key: key of the caller; None: the service needs no key.
    """
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
