"""Answers of /webhooks."""

from typing import Literal

from pydantic import Field

from service.http.wire.base import Author, Time, Wire

_ID = "ab" * 16


class Webhook(Wire):
    """An address that events are sent to."""

    webhook_id: str = Field(description="Id of the webhook.", examples=[_ID])
    url: str = Field(description="Where events are sent.", examples=["https://example.com/segsort"])
    events: list[Literal["edit.made", "job.ended"]] = Field(
        description="What is sent: edit.made, each edit; job.ended, each job that succeeded, failed or was cancelled "
        "or interrupted."
    )
    author: Author
    created: Time
    state: Literal["active", "failing", "stopped"] = Field(
        description="failing: the last try failed, and another one follows. stopped: nothing is sent until it is "
        "resumed."
    )
    waiting: int = Field(ge=0, description="Number of events that wait.", examples=[3])
    failures: int = Field(ge=0, description="Number of tries in a row that failed.", examples=[5])
    problem: str | None = Field(
        description="Why the last try failed, or why it was stopped; null: it neither failed nor was stopped.",
        examples=["edit_7_0123456789abcdef: the receiver answered 503"],
    )
    next_try: Time | None = Field(description="Nothing is sent before; null: the next event is sent at once.")
    delivered: Time | None = Field(description="When the last event was delivered; null: none was.")


class NewWebhook(Webhook):
    """A webhook that was just made."""

    secret: str = Field(
        description="Verifies the signatures of its events. It is shown here only.",
        examples=["whsec_YOUR_SECRET"],
    )


class WebhookTest(Wire):
    """What became of a test event."""

    delivered: bool = Field(description="Whether the receiver answered with a status 2XX.")
    status: int | None = Field(description="Its status; null: there was no answer.", examples=[204])
    problem: str | None = Field(description="Why the event was not delivered; null: it was.")
    seconds: float = Field(ge=0, description="Time of the try, seconds.", examples=[0.031])
