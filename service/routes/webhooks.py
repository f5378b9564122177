"""Routes of webhooks: make, list, read, test, resume and delete them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from service.answering.rounding import rounded
from service.http import wire
from service.http.budgeted import Budgeted
from service.records.tables import iso
from service.routes.dependencies import Body, Curator, json
from service.webhooks.events import NAMES, Name
from service.webhooks.sender import Standing
from service.webhooks.webhooks import Webhooks

router = APIRouter(route_class=Budgeted, prefix="/webhooks", tags=["webhooks"])

WebhookId = Annotated[str, Path(description="Id of a webhook.", examples=["ab" * 16])]


class WebhookBody(Body):
    """A new webhook."""

    url: str = Field(description="Where events are sent: http or https.", examples=["https://example.com/segsort"])
    events: list[Name] = Field(
        list(NAMES), min_length=1, max_length=len(NAMES), description="What is sent. By default, everything."
    )


class Resume(Body):
    """Which events are sent."""

    skip: bool = Field(False, description="Leave out the events that wait, and send only later ones.")


@router.post(
    "", status_code=201, operation_id="make_webhook", summary="Make a webhook", response_model=wire.NewWebhook,
    response_description="The webhook was made. Its secret is in this answer only.",
)  # fmt: skip
def make_webhook(body: WebhookBody, request: Request, caller: Curator) -> Response:
    """Make a webhook: edits and ended jobs are sent to an address from now on, signed, in order, and again until the
    receiver answers with a status 2XX.
    """
    made, secret = _webhooks(request).make(body.url, body.events, caller.name)
    answer = json(wire.NewWebhook(**_columns(made), secret=secret), 201)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.get("", operation_id="list_webhooks", summary="List webhooks", response_model=list[wire.Webhook])
def list_webhooks(request: Request, caller: Curator) -> Response:
    """List the webhooks, the oldest first, with how far each is. There are at most 20."""
    return json([_webhook(one) for one in _webhooks(request).all()])


@router.get("/{webhook_id}", operation_id="get_webhook", summary="Read a webhook", response_model=wire.Webhook)
def get_webhook(webhook_id: WebhookId, request: Request, caller: Curator) -> Response:
    """Read a webhook: how many events wait, and why they are not delivered."""
    return json(_webhook(_webhooks(request).get(webhook_id)))


@router.delete(
    "/{webhook_id}", status_code=204, operation_id="delete_webhook", summary="Delete a webhook",
    response_description="The webhook was deleted.",
)  # fmt: skip
def delete_webhook(webhook_id: WebhookId, request: Request, caller: Curator) -> Response:
    """Delete a webhook. Events that wait for it are not sent."""
    _webhooks(request).remove(webhook_id, caller.name)
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/test", operation_id="test_webhook", summary="Send a test event", response_model=wire.WebhookTest
)
def test_webhook(webhook_id: WebhookId, request: Request, caller: Curator) -> Response:
    """Send an event of type webhook.test once, at once, and wait for the answer of the receiver."""
    reply, seconds = _webhooks(request).test(webhook_id)
    delivered = reply.problem is None
    return json(
        wire.WebhookTest(
            delivered=delivered, status=reply.status, problem=reply.problem, seconds=rounded(round(seconds, 3))
        )
    )


@router.post(
    "/{webhook_id}/resume", operation_id="resume_webhook", summary="Resume a webhook", response_model=wire.Webhook
)
def resume_webhook(webhook_id: WebhookId, request: Request, caller: Curator, body: Resume | None = None) -> Response:
    """Send the events of a webhook again that was stopped, or try again at once. Nothing is lost unless you skip it."""
    skip = body is not None and body.skip
    return json(_webhook(_webhooks(request).resume(webhook_id, skip, caller.name)))


def _webhooks(request: Request) -> Webhooks:
    webhooks: Webhooks = request.app.state.webhooks
    return webhooks


def _webhook(one: Standing) -> wire.Webhook:
    return wire.Webhook(**_columns(one))


def _columns(one: Standing) -> dict[str, Any]:
    webhook, progress, waiting = one
    state = "stopped" if progress.stopped else "failing" if progress.failures else "active"
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "events": list(webhook.events),
        "author": webhook.author,
        "created": iso(webhook.created),
        "state": state,
        "waiting": waiting,
        "failures": progress.failures,
        "problem": progress.problem,
        "next_try": None if progress.next_try is None else iso(progress.next_try),
        "delivered": None if progress.delivered is None else iso(progress.delivered),
    }
