"""The caller, and the state of the service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """How the caller stands with a limit of its key, or of its address where the service asks for no keys.

    Attributes:
        name: what is limited. Images are requests that segment or relabel; pixels are those of images.
        quota: the limit.
        window_s: its time in seconds. A day begins at midnight UTC.
        remaining: what is left of the quota now.
        reset_s: seconds until the whole quota is available again.
    """

    name: str
    quota: int
    window_s: int
    remaining: int
    reset_s: float


@dataclass(frozen=True)
class Caller:
    """Who sends the request.

    Attributes:
        name: name of the key; `local` where the service asks for no keys.
        role: a reader may read; a curator may also edit.
        keys: whether the service asks for keys.
        limits: limits that hold for the caller; empty: there are none.
    """

    name: str
    role: str
    keys: bool
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class DeviceSteps:
    """The device of each step: cpu or cuda.

    Attributes:
        network: what runs the network.
        sorting: what sorts pixels.
        search: what searches exemplars.
        name: name of the device or of the processor.
    """

    network: str
    sorting: str
    search: str
    name: str


@dataclass(frozen=True)
class Readiness:
    """The service can segment images.

    Attributes:
        status: always ready; a service that is not answers 503.
        release: name of the release.
        release_digest: SHA-256 that identifies its content.
        earlier_edits: number of edits that were made on earlier releases of this name. They have no effect on
            this one until they are carried over: `carry`.
        device: device in the settings.
        runs_on: provider by which ONNX Runtime runs the network.
        network_bits: bits of the numbers in the network.
        steps_run_on: what each step runs on.
        exemplars: number of exemplars that take part in votes.
        index_revision: number of the last edit that the answer takes into account; 0: none.
    """

    status: str
    release: str
    release_digest: str
    earlier_edits: int
    device: str
    runs_on: str
    network_bits: int
    steps_run_on: DeviceSteps
    exemplars: int
    index_revision: int
