"""Answers of /livez and /readyz."""

from typing import Literal

from pydantic import Field

from service.http.wire.base import IndexRevision, Release, Wire


class Liveness(Wire):
    """The process is running."""

    status: Literal["ok"] = Field(description="Always ok.")


class DeviceSteps(Wire):
    """The device of each step: cpu or cuda."""

    network: str = Field(description="What runs the network.", examples=["cpu"])
    sorting: str = Field(description="What sorts pixels.", examples=["cpu"])
    search: str = Field(description="What searches exemplars.", examples=["cpu"])
    name: str = Field(description="Name of the device or of the processor.", examples=["x86_64"])


class Readiness(Wire):
    """The service can segment images."""

    status: Literal["ready"] = Field(description="Always ready; a service that is not answers 503.")
    release: Release
    release_digest: str = Field(description="SHA-256 that identifies its content.", examples=["3f" * 32])
    earlier_edits: int = Field(
        ge=0,
        description="Number of edits that were made on earlier releases of this name. They have no effect on this one "
        "until they are carried over: POST /releases/{name}/carry.",
    )
    device: Literal["cpu", "cuda"] = Field(description="Device in the settings.")
    runs_on: str = Field(
        description="Provider by which ONNX Runtime runs the network.", examples=["CPUExecutionProvider"]
    )
    network_bits: Literal[8, 16, 32] = Field(
        description="Bits of the numbers in the network: 8 for int8, where the release and the processor allow it."
    )
    steps_run_on: DeviceSteps = Field(description="What each step runs on.")
    exemplars: int = Field(ge=0, description="Number of exemplars that take part in votes.")
    index_revision: IndexRevision
