"""Examples of answers and bodies of /webhooks."""

from typing import Any

_WEBHOOK: dict[str, Any] = {
    "webhook_id": "ab" * 16,
    "url": "https://example.com/segsort",
    "events": ["edit.made", "job.ended"],
    "author": "anna",
    "created": "2026-05-04T09:30:00.000Z",
    "state": "active",
    "waiting": 0,
    "failures": 0,
    "problem": None,
    "next_try": None,
    "delivered": None,
}
_FAILING = _WEBHOOK | {
    "state": "failing",
    "waiting": 3,
    "failures": 5,
    "problem": "edit_7_0123456789abcdef: the receiver answered 503",
    "next_try": "2026-05-04T09:45:31.214Z",
    "delivered": "2026-05-04T09:44:12.620Z",
}

ANSWERS: dict[tuple[str, int], Any] = {
    ("make_webhook", 201): _WEBHOOK | {"secret": "whsec_YOUR_SECRET"},
    ("list_webhooks", 200): [_FAILING],
    ("get_webhook", 200): _FAILING,
    ("test_webhook", 200): {"delivered": True, "status": 204, "problem": None, "seconds": 0.031},
    ("resume_webhook", 200): _FAILING | {"state": "active", "failures": 0, "problem": None, "next_try": None},
}

BODIES: dict[str, Any] = {
    "make_webhook": {
        "everything": {"summary": "All events", "value": {"url": "https://example.com/segsort"}},
        "jobs": {
            "summary": "Ended jobs alone",
            "value": {"url": "http://10.0.0.7:9000/jobs", "events": ["job.ended"]},
        },
    },
    "resume_webhook": {"skip": {"summary": "Without the events that wait", "value": {"skip": True}}},
}
