"""Answers of /releases."""

from typing import Any

from pydantic import Field

from model_store.card import Card, NetworkInfo
from model_store.card import ClassInfo as CardClassInfo
from service.http.wire.base import IndexRevision, Release, Time, Wire


class Licence(Wire):
    """The licences of the parts of a release."""

    network: dict[str, str] = Field(
        description="Licences of the network by their subject: `weights`, `training data`, `statistics` and others.",
        examples=[{"weights": "Apache-2.0"}],
    )
    exemplars: str | None = Field(
        description="Licence of the images that the release was built from; null: the card does not state it."
    )
    added: str | None = Field(description="Licence of the images that users added; null: the card does not state it.")


class ReleaseSummary(Wire):
    """A release in a list. What only its card says is null if the card cannot be read."""

    name: Release
    active: bool = Field(description="Whether it is served.")
    created: Time | None = Field(description="When it was built; null if its card does not say it.")
    description: str | None = Field(description="What it is for; null if its card cannot be read.")
    problem: str | None = Field(description="Why it cannot be served; null: it can be served.")
    bundled: bool = Field(description="Whether the package contains it.")
    classes: int | None = Field(description="Number of classes; null if its card cannot be read.")
    exemplars: int | None = Field(description="Number of exemplars; null if its card does not contain it.")
    network: NetworkInfo | None = Field(description="Its network; null if its card cannot be read.")
    metrics: dict[str, Any] | None = Field(
        description="Measured results and how they were measured; null if its card cannot be read."
    )
    licence: Licence | None = Field(description="Licences of its parts; null if its card cannot be read.")


class ReleaseClass(CardClassInfo):
    """A class in a release's card."""


class ReleaseCard(Card):
    """The card of a release: how it was made, how it was measured, and its licence."""

    format_version: int = Field(1, description="Version of the card's format.")  # type: ignore[assignment]
    created: Time | None = Field(  # type: ignore[assignment]
        description="When it was built; null if its card does not say it."
    )
    classes: list[ReleaseClass] = Field(  # type: ignore[assignment]
        description="Its classes. Their ids are 0, 1, 2, ... in order. An empty release has none."
    )
    licence: Licence = Field(description="Licences of its parts.")  # type: ignore[assignment]


class ActivatedRelease(Wire):
    """The result of activating a release."""

    release: Release
    before: Release = Field(description="Name of the release that was served before.")
    changed: bool = Field(description="False: it was the served release before.")
    index_revision: IndexRevision
    exemplars: int = Field(ge=0, description="Number of its exemplars that take part in votes.")
    after_restart: str | None = Field(
        description="Release that this process would serve after a restart: the setting `release` overrides "
        "activation. Null: there is none in the store."
    )
    seconds: float = Field(ge=0, description="Duration of the activation in seconds.")
