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


class AdaptedScores(Wire):
    """Scores of an adaptation: mIoU, 0 to 1, by cross-validation; null: images could not be compared."""

    before: float | None = Field(
        ge=0, le=1, description="Of the head before, on the same images; null: not compared.", examples=[0.62]
    )
    after: float | None = Field(ge=0, le=1, description="Of the new head; null: not compared.", examples=[0.71])
    images: int | None = Field(ge=0, description="Number of images with marks; null: the card does not say it.")


class HeldOutScores(Wire):
    """mIoU, 0 to 1, on labelled images that a build did not use."""

    images: int = Field(ge=0, description="Number of images held out.", examples=[8])
    miou: float | None = Field(ge=0, le=1, description="Of the new release; null: no image could be measured.")
    compared_with: str | None = Field(description="Release that was served meanwhile; null: none was compared.")
    miou_compared: float | None = Field(
        ge=0, le=1, description="Of that release on the same images, classes matched by name; null: no class matches."
    )


class ReleaseSummary(Wire):
    """A release in a list. What only its card says is null if the card cannot be read."""

    name: Release
    digest: str | None = Field(
        description="SHA-256 that identifies its content; null if its files cannot be read.", examples=["3f" * 32]
    )
    active: bool = Field(description="Whether it is served.")
    stored: bool = Field(
        description="Whether it is in the store. False: it was given by its path, and a restart without this path does "
        "not find it."
    )
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
    edits: int = Field(ge=0, description="Number of edits made on it. They apply whenever it is served.", examples=[12])
    earlier_edits: int = Field(
        ge=0,
        description="Number of edits that were made on earlier releases of this name. They are kept, and have no "
        "effect on this one until POST /releases/{name}/carry carries them over.",
    )
    adaptable: bool = Field(description="Whether POST /adapt can fit its head: it contains the feature extractor.")
    starts_empty: bool = Field(description="Whether POST /releases can make an empty release with its features.")
    parent: str | None = Field(description="Release that it was made of; null: none.", examples=["general"])
    adapted: AdaptedScores | None = Field(description="Scores of its adaptation; null: it was not adapted.")
    built: HeldOutScores | None = Field(
        description="Scores on the images that were held out of its build; null: none were."
    )


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
    release_digest: str = Field(description="SHA-256 that identifies its content.", examples=["3f" * 32])
    before: Release = Field(description="Name of the release that was served before.")
    changed: bool = Field(description="False: it was the served release before.")
    index_revision: IndexRevision
    exemplars: int = Field(ge=0, description="Number of its exemplars that take part in votes.")
    after_restart: str | None = Field(
        description="Release that this process would serve after a restart: the setting `release` overrides "
        "activation. Null: there is none in the store."
    )
    seconds: float = Field(ge=0, description="Duration of the activation in seconds.")
