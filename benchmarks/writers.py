"""Writers that edit a service over HTTP while it is killed and restarted, and record its answers."""

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from PIL import Image

_LABELS, _CLASSES = 11, 30  # names of classes of one writer, of which there may be 255 in all
_CUT_OFF = (502, 504)
Asked = tuple[str, str, dict[str, Any]]  # method, path, and what httpx takes beside them


@dataclass
class Address:
    """The current addresses of the processes of a service, by number; those that are down have none."""

    urls: dict[int, str] = field(default_factory=dict)
    up: threading.Condition = field(default_factory=threading.Condition)
    asked: int = 0
    held: bool = False

    def set(self, url: str | None, process: int = 0) -> None:
        """Change the address of a process; None: it is down."""
        with self.up:
            if url is None:
                self.urls.pop(process, None)
            else:
                self.urls[process] = url
            self.up.notify_all()

    def hold(self, held: bool) -> None:
        """Let no request begin from now on, or let them begin again."""
        with self.up:
            self.held = held
            self.up.notify_all()

    def wait(self) -> str:
        """An address of the service: of each process in turn."""
        with self.up:
            if not self.up.wait_for(lambda: self.urls and not self.held, timeout=300):
                raise TimeoutError("the service did not come back within 300 s")
            self.asked += 1
            return sorted(self.urls.values())[self.asked % len(self.urls)]


@dataclass
class Writer:
    """Makes edits of all kinds until `count` are acknowledged. Each has a unique reason; answers are recorded.

    It makes `classes` classes, and a few others by labels; a release has 255 at most.

    A request that was interrupted by a kill is not repeated, because its edit may exist. The next request has another
    reason.
    """

    name: str
    address: Address
    segments: list[str]  # ids of answered segments, this writer's alone
    count: int
    classes: int = _CLASSES
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)  # by reason: the edit as it was answered
    cut_off: set[str] = field(default_factory=set)
    explained: dict[str, dict[str, Any]] = field(default_factory=dict)  # by segment: GET /explain
    failures: list[str] = field(default_factory=list)
    _stopped: bool = False
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def run(self) -> None:
        """Edit until enough edits are acknowledged, or until `stop`."""
        attempt = 0
        while len(self.acknowledged) < self.count and not self.failures and not self._stopped:
            reason = f"{self.name} {attempt}"
            kinds = (self._exemplars, self._label, self._class, self._remove, self._revert, self._mark)
            kind = kinds[attempt % len(kinds)]
            attempt += 1
            try:
                self._edit(reason, kind)
                if attempt % 7 == 0:
                    self._segment_and_explain(attempt)
            except httpx.TransportError:
                self.cut_off |= {reason} - self.acknowledged.keys()
                time.sleep(0.02)
            except Exception as error:  # a thread's error would be lost
                self.failures.append(f"{reason}: {error!r}")
        self._client.close()

    def stop(self) -> None:
        """Make no further edit."""
        self._stopped = True

    def _edit(self, reason: str, kind: Callable[[str], Asked]) -> None:
        method, path, asked = kind(reason)
        answer = self._ask(method, path, **asked)
        if answer.status_code in (409, 503):  # because of an interrupted edit, or of a lock; no edit was made
            return
        result = answer.raise_for_status().json()
        if result["edit"] is None:  # it is so already, because of an interrupted edit
            return
        assert result["edit"]["reason"] == reason
        assert result["index_revision"] == result["edit"]["revision"]
        self.acknowledged[reason] = result["edit"]

    def _exemplars(self, reason: str) -> Asked:
        """Add an exemplar from a unique image of two blocks, one of them labelled."""
        random = np.random.default_rng([ord(self.name), int(reason.split()[1])])
        image = np.repeat(np.repeat(random.integers(0, 256, (1, 2, 3), dtype=np.uint8), 48, 0), 32, 1)
        mask = np.zeros((48, 64), np.uint8)
        mask[:, 32:] = 1
        files = {"image": ("image.png", encoded(image)), "mask": ("mask.png", encoded(mask))}
        fields = {"classes": f'{{"1": "{self.name}-things"}}', "reason": reason}
        return "POST", "/exemplars", {"files": files, "data": fields}

    def _label(self, reason: str) -> Asked:
        segment, name = self.segments[len(self.acknowledged) % len(self.segments)], self._label_name(reason)
        return "POST", f"/segments/{segment}/label?relabel=false", {"json": {"class_name": name, "reason": reason}}

    def _mark(self, reason: str) -> Asked:
        """Mark a segment as a whole."""
        segment = self.segments[(1 + len(self.acknowledged)) % len(self.segments)]
        body = {"labels": [{"segment_id": segment, "class_name": self._label_name(reason)}], "reason": reason}
        return "POST", "/segments/labels", {"json": body}

    def _label_name(self, reason: str) -> str:
        return f"{self.name}-label-{int(reason[2:]) % _LABELS}"

    def _class(self, reason: str) -> Asked:
        mine = [edit["classes"][0] for edit in self._made("class")]
        renamed = {"class_id": mine[-1]["class_id"]} if len(mine) % 2 or len(mine) >= self.classes else {}
        return "POST", "/classes", {"json": {"name": f"{self.name}-class-{reason[2:]}", "reason": reason, **renamed}}

    def _remove(self, reason: str) -> Asked:
        """Remove the newest exemplar of this writer that is not yet removed."""
        gone = {name for edit in self._made("remove") for name in edit["exemplar_ids"]}
        mine = [name for edit in self._made("add") for name in edit["exemplar_ids"] if name not in gone]
        return ("DELETE", f"/exemplars/{mine[-1]}", {"params": {"reason": reason}}) if mine else self._class(reason)

    def _revert(self, reason: str) -> Asked:
        """Revert the newest removal or revert of this writer."""
        done = self._made("remove") + self._made("revert")
        newest = max(done, key=lambda edit: int(edit["revision"]), default=None)
        if newest is None:
            return self._class(reason)
        return "POST", f"/edits/{newest['revision']}/revert", {"json": {"reason": reason}}

    def _segment_and_explain(self, number: int) -> None:
        """Check that an answer includes the last edit of this writer, and record the explanation of a segment."""
        own = max((edit["revision"] for edit in self.acknowledged.values()), default=0)
        image = np.random.default_rng([ord(self.name), number, 1]).integers(0, 256, (3, 4, 3), dtype=np.uint8)
        content = encoded(np.repeat(np.repeat(image, 16, 0), 16, 1))
        answer = self._ask("POST", f"/segment?min_index_revision={own}", content=content).raise_for_status().json()
        assert answer["index_revision"] >= own
        segment = answer["segments"][0]["segment_id"]
        self.explained[segment] = self._ask("GET", f"/explain/{segment}").raise_for_status().json()

    def _made(self, kind: str) -> list[dict[str, Any]]:
        return [edit for edit in self.acknowledged.values() if edit["kind"] == kind]

    def _ask(self, method: str, path: str, **asked: Any) -> httpx.Response:
        answer = self._client.request(method, self.address.wait() + path, **asked)
        if answer.status_code in _CUT_OFF:  # of a proxy whose connection to the service ended: the edit may exist
            raise httpx.RemoteProtocolError(f"the proxy answered {answer.status_code}")
        return answer


def encoded(image: np.ndarray) -> bytes:
    """An image as PNG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
