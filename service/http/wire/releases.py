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
    problem: str | None = Field(description="Why it cannot be served; null: it can be served.")
    bundled: bool = Field(description="Whether the package contains it.")
    classes: int | None = Field(description="Number of classes.")
    exemplars: int | None = Field(description="Number of exemplars; null if its card does not contain it.")
    network: NetworkInfo | None = Field(description="Its network.")
    metrics: dict[str, Any] | None = Field(description="Measured results and how they were measured.")
    licence: dict[str, Any] | None = Field(description="Licences of the network, of the exemplars and of added images.")


class ReleaseClass(CardClassInfo):
    """A class in a release's card."""


class ReleaseCard(Card):
    """The card of a release: how it was made, how it was measured, and its licence."""

    format_version: int = Field(1, description="Version of the card's format.")  # type: ignore[assignment]
    classes: list[ReleaseClass] = Field(  # type: ignore[assignment]
        description="Its classes. Their ids are 0, 1, 2, ... in order. An empty release has none."
    )


class ActivatedRelease(Wire):
    """The result of activating a release."""

    release: Release
    before: Release = Field(description="Name of the release that was served before.")
    changed: bool = Field(description="False: it was the served release before.")
    index_revision: IndexRevision
    exemplars: int = Field(ge=0, description="Number of its exemplars that take part in votes.")
    after_restart: str | None = Field(
        description="Release that this process would serve after a restart: the setting `release` overrides activation."
    )
    seconds: float = Field(ge=0, description="Duration of the activation in seconds.")
