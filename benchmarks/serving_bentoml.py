"""The pipeline served by BentoML: `bentoml serve benchmarks.serving_bentoml:Segment --port 8001`."""

from typing import Annotated

import bentoml
from bentoml.validators import ContentType

from benchmarks.serving_app import answering, threads_each, workers

Json = Annotated[bytes, ContentType("application/json")]


@bentoml.service(workers=workers(), threads=2 if workers() == 1 else 1, traffic={"timeout": 120})  # type: ignore[untyped-decorator,unused-ignore]
class Segment:
    """POST /segment: the body is the image."""

    def __init__(self) -> None:
        self.answer = answering(threads_each())

    @bentoml.api  # type: ignore[untyped-decorator,unused-ignore]
    def segment(self, image: bytes, /) -> Json:
        """The answer's JSON."""
        return self.answer(image)
