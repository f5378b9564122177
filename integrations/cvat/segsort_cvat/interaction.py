"""The interactor for CVAT's SDK, in agent mode: points and boxes choose whole segments.

cvat-cli function create-native segsort --function-module segsort_cvat.interaction -p address=str:http://localhost:8000
"""

from __future__ import annotations

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import PIL.Image
from cvat_sdk.masks import encode_mask
from numpy.typing import NDArray

from segsort_client import Client
from segsort_cvat.prompts import chosen
from segsort_cvat.service import service


def create(address: str | None = None, key: str | None = None, segments: int = 0) -> SegsortInteractor:
    """Make the interactor.

    Args:
        address: of the service; None: SEGSORT_ADDRESS, or port 8000 of this machine.
        key: of a reader; None: SEGSORT_KEY.
        segments: number of segments that pixel sorting starts with; more of them are finer. 0: that of the release.
    """
    return SegsortInteractor(service(address, key), segments)


class SegsortInteractor:
    """Finds what points and a box mean. An image is segmented once, and each click takes no request.

    Args:
        client: of the service.
        segments: number of segments that pixel sorting starts with; 0: that of the release.
    """

    def __init__(self, client: Client, segments: int = 0) -> None:
        self._client, self._segments = client, segments

    def close(self) -> None:
        """Close the connections to the service."""
        self._client.close()

    @property
    def spec(self) -> cvataa.InteractionFunctionSpec:
        """A point or a box is enough."""
        return cvataa.InteractionFunctionSpec(min_pos_points=0, min_neg_points=0, min_bounding_boxes=0)

    def preprocess_image(self, context: cvataa.InteractionFunctionContext, image: PIL.Image.Image) -> NDArray[np.int32]:
        """Segment an image: [H, W], number of the segment of each pixel."""
        answer = self._client.segment(image, segments=self._segments or None, exemplars=1)
        return answer.to_label_map("segment")

    def detect(
        self,
        context: cvataa.InteractionFunctionContext,
        pp_image: NDArray[np.int32],
        prompts: cvataa.InteractionPrompts,
    ) -> list[cvataa.InteractionResultShape]:
        """The chosen segments as one mask; nothing where nothing is chosen."""
        mask = chosen(pp_image, prompts.pos_points, prompts.neg_points, prompts.bounding_box)
        return [cvataa.InteractionResultShape(type="mask", points=encode_mask(mask))] if mask.any() else []
