"""Answers of /releases."""

from typing import Any

from pydantic import Field

from model_store.card import Card, NetworkInfo
from model_store.card import ClassInfo as CardClassInfo
from service.http.wire.base import IndexRevision, Release, Wire


class ReleaseSummary(Wire):
    """A release in a list."""

    name: Release
    active: bool = Field(description="Whether it is served.")
    created: str | None = Field(description="When it was built, ISO 8601.")
    description: str | None = Field(description="What it is for.")
    problem: str | None = Field(description="Why it cannot be served; null: it can.")
    bundled: bool = Field(description="Whether it came with the program.")
    classes: int | None = Field(description="Number of classes.")
    exemplars: int | None = Field(description="Number of exemplars; null where its card does not say.")
    network: NetworkInfo | None = Field(description="Its network.")
    metrics: dict[str, Any] | None = Field(description="How it was measured, and the results.")


class ReleaseClass(CardClassInfo):
    """A class in a release's card; its colour is [red, green, blue], each 0 to 255."""


class ReleaseCard(Card):
    """Everything that is recorded about a release: how it was made, how it was measured, under which licence."""

    format_version: int = Field(1, description="Version of the card's format.")  # type: ignore[assignment]
    classes: list[ReleaseClass] = Field(min_length=1)  # type: ignore[assignment]


class ActivatedRelease(Wire):
    """A release that is served from now on."""

    release: Release
    before: Release = Field(description="Name of the release that was served before.")
    changed: bool = Field(description="False: it was served already.")
    index_revision: IndexRevision
    exemplars: int = Field(ge=0, description="Number of its exemplars that take part in votes.")
    after_restart: str | None = Field(
        description="Release that this process would serve after a restart: the setting `release` overrides activation."
    )
    seconds: float = Field(ge=0, description="How long it took, in seconds.")
