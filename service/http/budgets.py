"""The budget of every route: bytes of its body and query, size of its JSON, and how many requests run at once.

Read the two tables to see what callers can make the service hold. `service.http.budgeted` applies them, and refuses to
make a route without a budget.
"""

import re
from typing import Literal, NamedTuple

from service.json_parsing import FIELD_BYTES, MANY_VALUES
from service.settings import Settings

KB, MB = 1000, 1_000_000
UNREAD = 64 * KB  # bytes of a body that a route does not read; a larger one is refused

Body = int | Literal["none", "max_bytes", "max_archive_bytes", "job_bytes"]
ON_DISK = ("max_archive_bytes", "job_bytes")  # bodies that the route itself writes to disk
LaneName = Literal[
    "quick", "rows", "files", "views", "explain", "explore", "audit", "edits", "relabel", "engine", "marks", "import",
    "export", "compare", "releases", "archives", "batches", "uploads", "webhooks",
]  # fmt: skip

Kind = Literal["reads", "edits", "images"]  # limits that a request of a caller counts for
Heavy = Literal["reads", "explore", "audit", "export"]  # lanes that take turns beside images


class LaneBudget(NamedTuple):
    """Requests of one kind that run at once.

    at_once: how many run, each in one thread at most; waiting: how many wait for that, in their order; others get 429.
    holds: megabytes that a request in the lane holds at most beside its body and decoded images.
    yields: it computes in Python, and gives way to images in the engine together with other lanes of this group, see
    `service.http.yielding`. None: it does not.
    """

    at_once: int
    waiting: int
    holds: int
    about: str
    yields: Heavy | None = None


class Budget(NamedTuple):
    """What one request to a route may take.

    Attributes:
        lane: the requests that it shares threads with; None: it needs no thread, or threads of its own.
        body: largest body in bytes, or the setting that limits it; "none": the route does not read a body.
        values: largest number of commas, brackets and braces in a JSON body.
        query: largest query string in bytes.
        spends: what it counts for; None: reads for GET, edits for other methods.
    """

    lane: LaneName | None
    body: Body = "none"
    values: int = 2000
    query: int = 4 * KB
    spends: Kind | None = None

    def most(self, settings: Settings) -> int:
        """Largest body in bytes; never above the limit of images, except for what goes to disk."""
        if self.body == "max_archive_bytes":
            return settings.max_archive_bytes
        if self.body == "job_bytes":
            return settings.job_bytes
        if self.body == "max_bytes":
            return settings.max_bytes
        return min(UNREAD if self.body == "none" else self.body, settings.max_bytes)


LANES: dict[LaneName, LaneBudget] = {
    "quick": LaneBudget(16, 400, 2, "reads of single rows, and small changes"),
    "rows": LaneBudget(4, 200, 10, "lists of up to 1000 rows", "reads"),
    "files": LaneBudget(4, 200, 20, "image files as they are stored"),
    "views": LaneBudget(8, 400, 2, "crops and renderings; their pixels are admitted in turn", "reads"),
    "explain": LaneBudget(4, 200, 40, "explanations, which search 500 answers for similar segments"),
    "explore": LaneBudget(2, 60, 120, "clusters, suggestions, previews of edits, effects of edits", "explore"),
    "audit": LaneBudget(8, 60, 10, "audits, which are computed one after another", "audit"),
    "edits": LaneBudget(4, 200, 20, "edits, which are made one after another"),
    "relabel": LaneBudget(2, 100, 20, "labelling answers again, without the network", "reads"),
    "engine": LaneBudget(48, 48, 2, "images for the network; their pixels are admitted in turn"),
    "marks": LaneBudget(4, 60, 60, "marks on answers and their previews; pixels are admitted in turn"),
    "import": LaneBudget(1, 4, 100, "archives of labelled images that become exemplars"),
    "export": LaneBudget(2, 20, 150, "exports", "export"),
    "compare": LaneBudget(2, 10, 20, "comparisons of releases; pixels are admitted in turn"),
    "releases": LaneBudget(2, 20, 50, "making and serving releases, starting jobs"),
    "archives": LaneBudget(2, 2, 20, "archives of labelled images to build a release from, which are written to disk"),
    "batches": LaneBudget(4, 16, 40, "batches of images for the network; each image is admitted in turn"),
    "uploads": LaneBudget(8, 16, 20, "images of jobs, which are written to disk"),
    "webhooks": LaneBudget(2, 20, 2, "changes of webhooks, and test events, which wait for the receiver"),
}

_SMALL = 32 * KB  # a JSON body with a few names and a reason of 1000 characters
_LABELS = Budget("edits", 3 * MB, values=100_000)  # of 10,000 exemplars
_MARKS = Budget("marks", FIELD_BYTES, values=MANY_VALUES)
_IMAGE = Budget("engine", "max_bytes", values=100, spends="images")

BUDGETS: dict[str, Budget] = {
    # answers
    "POST /segment": _IMAGE,
    "POST /segment/batch": Budget("batches", "max_bytes", spends="images"),
    "POST /segmentations/{segmentation_id}/segment": Budget("engine", spends="images"),
    "GET /segmentations": Budget("rows"),
    "GET /segmentations/{segmentation_id}": Budget("rows"),
    "DELETE /segmentations/{segmentation_id}": Budget("edits"),
    "PUT /segmentations/{segmentation_id}/pin": Budget("quick"),
    "DELETE /segmentations/{segmentation_id}/pin": Budget("quick"),
    "POST /segmentations/{segmentation_id}/relabel": Budget("relabel", spends="images"),
    "POST /segmentations/{segmentation_id}/marks": _MARKS,
    "POST /segmentations/{segmentation_id}/preview": _MARKS._replace(spends="reads"),
    "GET /segmentations/{segmentation_id}/image": Budget("files"),
    "GET /suggestions": Budget("explore"),
    "GET /clusters": Budget("explore"),
    "GET /export": Budget("export", query=64 * KB),  # 1000 ids of answers
    "POST /export": Budget("export", 2 * MB, values=50_000, spends="reads"),
    "POST /import": Budget("import", "max_bytes"),
    # segments and explanations
    "GET /explain/{segment_id}": Budget("explain"),
    "GET /segments/{segment_id}/crop": Budget("views"),
    "POST /segments/{segment_id}/label": Budget("edits", _SMALL),
    "POST /segments/labels": Budget("marks", 1 * MB, values=20_000),
    # exemplars, edits and classes
    "GET /exemplars": Budget("rows"),
    "POST /exemplars": Budget("engine", "max_bytes", values=MANY_VALUES),
    "GET /exemplars/audit": Budget("audit"),
    "POST /exemplars/remove": Budget("edits", 1 * MB, values=20_000),
    "POST /exemplars/labels": _LABELS,
    "POST /exemplars/preview": Budget("explore", 4 * MB, values=120_000, spends="reads"),
    "GET /exemplars/{exemplar_id}": Budget("quick"),
    "DELETE /exemplars/{exemplar_id}": Budget("edits"),
    "GET /exemplars/{exemplar_id}/image": Budget("files"),
    "GET /exemplars/{exemplar_id}/crop": Budget("views"),
    "GET /edits": Budget("rows"),
    "GET /edits/{revision}": Budget("quick"),
    "GET /edits/{revision}/effect": Budget("explore"),
    "POST /edits/{revision}/revert": Budget("edits", _SMALL),
    "GET /classes": Budget("quick"),
    "POST /classes": Budget("edits", _SMALL),
    # releases and jobs
    "GET /releases": Budget("rows"),
    "POST /releases": Budget("releases", _SMALL),
    "GET /releases/{name}": Budget("rows"),
    "POST /releases/{name}/activate": Budget("releases"),
    "POST /releases/{name}/carry": Budget("releases", _SMALL),
    "POST /releases/compare": Budget("compare", _SMALL, spends="reads"),
    "POST /releases/survey": Budget("archives", "max_archive_bytes"),
    "GET /releases/survey/{survey_id}": Budget("quick"),
    "DELETE /releases/survey/{survey_id}": Budget("quick"),
    "POST /releases/build": Budget("releases", 1 * MB, values=20_000),
    "POST /adapt": Budget("releases", _SMALL),
    "GET /jobs": Budget("rows"),
    "GET /jobs/{job_id}": Budget("quick"),
    "POST /jobs/segment": Budget("uploads", "job_bytes", spends="images"),
    "GET /jobs/{job_id}/images": Budget("rows"),
    "GET /jobs/{job_id}/result": Budget("quick"),
    "DELETE /jobs/{job_id}": Budget("quick"),
    "POST /jobs/{job_id}/cancel": Budget("quick"),
    "POST /jobs/{job_id}/accept": Budget("releases"),
    # webhooks
    "POST /webhooks": Budget("webhooks", _SMALL),
    "GET /webhooks": Budget("quick"),
    "GET /webhooks/{webhook_id}": Budget("quick"),
    "DELETE /webhooks/{webhook_id}": Budget("webhooks"),
    "POST /webhooks/{webhook_id}/test": Budget("webhooks"),
    "POST /webhooks/{webhook_id}/resume": Budget("webhooks", _SMALL),
    # open to everyone
    "GET /me": Budget("quick"),
    "POST /session": Budget("quick", 4 * KB, values=50),
    "DELETE /session": Budget("quick"),
    "GET /livez": Budget(None),
    "GET /readyz": Budget(None),
    "GET /metrics": Budget(None),
    "GET /": Budget(None),
    "GET /docs": Budget(None),
    "GET /docs/{name}": Budget(None),
    "GET /static/{name:path}": Budget(None),
}


def budget_of(method: str, path: str) -> Budget:
    """The budget of a route.

    Raises:
        ValueError: if it has none.
    """
    found = BUDGETS.get(f"{method} {path}")
    if found is None:
        raise ValueError(
            f"the route {method} {path} has no budget; add one to BUDGETS of service/http/budgets.py, so that a caller "
            "cannot make the service hold more than it says"
        )
    return found


def kind_of(method: str, path: str) -> Kind:
    """What limits a request counts for, before it is known which route answers it. path: without the root path."""
    spent = next((kind for of, form, kind in _SPENDING if of == method and form.fullmatch(path)), None)
    return spent or ("reads" if method in ("GET", "HEAD", "OPTIONS") else "edits")


def _form(path: str) -> re.Pattern[str]:
    """The paths of a route."""
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))


_SPENDING = [
    (route.split(" ")[0], _form(route.split(" ")[1]), budget.spends)
    for route, budget in BUDGETS.items()
    if budget.spends is not None
]


def threads() -> int:
    """Threads that the requests of all lanes need when each lane is full. With these, no lane waits for another."""
    return sum(lane.at_once for lane in LANES.values())
