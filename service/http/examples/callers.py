"""Examples of answers of /me, /session and the probes."""

from typing import Any

from service.http.examples.scene import STREETS

_LIMIT = {"name": "images_per_day", "quota": 1000, "window_s": 86400, "remaining": 988, "reset_s": 41_250.5}
_ANNA: dict[str, Any] = {"name": "anna", "role": "curator", "keys": True, "limits": [_LIMIT]}

ANSWERS: dict[tuple[str, int], Any] = {
    ("get_caller", 200): _ANNA,
    ("sign_in", 200): _ANNA,
    ("get_liveness", 200): {"status": "ok"},
    ("get_readiness", 200): {
        "status": "ready",
        "release": "streets",
        "release_digest": STREETS,
        "earlier_edits": 0,
        "device": "cpu",
        "runs_on": "CPUExecutionProvider",
        "network_bits": 32,
        "steps_run_on": {"network": "cpu", "sorting": "cpu", "search": "cpu", "name": "x86_64"},
        "exemplars": 6000,
        "index_revision": 0,
    },
}
