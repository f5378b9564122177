"""The API of a Label Studio server: images of tasks, webhooks and annotations."""

import base64
import binascii
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

import httpx

from segsort_label_studio.errors import BackendError

_CLOUD = ("s3:", "gs:", "azure-blob:")  # beginnings of addresses that Label Studio resolves
_SPARE = 30.0  # seconds before its end at which an access token is renewed
_PAGE = 50


class LabelStudio:
    """A Label Studio server.

    Args:
        address: for example http://localhost:8080; empty: only images that need no server can be read.
        key: a personal access token, or a legacy token; None: no token is sent.
        most_bytes: the largest image that is read.
    """

    def __init__(self, address: str, key: str | None, most_bytes: int) -> None:
        self.address, self.key, self.most_bytes = address.rstrip("/"), key, most_bytes
        self._lock = threading.Lock()
        self._access, self._ends = "", 0.0
        self._http = httpx.Client(
            timeout=httpx.Timeout(30, connect=5), follow_redirects=True, event_hooks={"request": [_refuse_link_local]}
        )

    def close(self) -> None:
        self._http.close()

    def image(self, address: str, task: int) -> bytes:
        """The file of an image of a task.

        Args:
            address: as the task has it: a path on the server, a URL, data:, or a file of cloud storage.
            task: its number, through which the server resolves cloud storage.

        Raises:
            BackendError: 424 if it cannot be read.
        """
        if address.startswith("data:"):
            return _inline(address)
        url = self._url(address, task)
        try:
            return self._download(url)
        except httpx.HTTPError as error:
            raise BackendError(
                424, f"The image {_short(url)} could not be read: {error}. Check that this machine reaches it.",
                lasting=False,
            ) from error  # fmt: skip

    def _url(self, address: str, task: int) -> str:
        if address.startswith(_CLOUD):
            coded = base64.urlsafe_b64encode(address.encode()).decode()
            address = f"/tasks/{task}/resolve/?fileuri={quote(coded)}"
        elif address.startswith("upload/"):
            address = f"/data/{address}"
        if address.startswith(("http://", "https://")):
            return address
        if not address.startswith("/") or address.startswith("//"):
            raise BackendError(
                424, f"{_short(address)} is no address of an image. Paths of Label Studio, http:, https:, data:, s3:, "
                "gs: and azure-blob: are read.",
            )  # fmt: skip
        if not self.address:
            raise BackendError(424, f"The image {_short(address)} is on Label Studio. Start with --label-studio URL.")
        return self.address + address

    def _download(self, url: str) -> bytes:
        own = bool(self.address) and urlsplit(url)[:2] == urlsplit(self.address)[:2]
        for renewed in (False, True):
            with self._http.stream("GET", url, headers=self._headers(renewed) if own else {}) as response:
                if response.status_code == 401 and own and self._is_refresh_token and not renewed:
                    continue
                if response.status_code >= 400:
                    raise _unread(url, response, own)
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > self.most_bytes:
                        raise BackendError(424, f"The image {_short(url)} has more than {self.most_bytes} bytes.")
                return bytes(content)
        raise AssertionError("unreachable")

    @property
    def _is_refresh_token(self) -> bool:
        return self.key is not None and _payload(self.key) is not None

    def _headers(self, renew: bool = False) -> dict[str, str]:
        """What identifies this backend: a legacy token as it is, or an access token for a personal access token."""
        if self.key is None:
            return {}
        if not self._is_refresh_token:
            return {"Authorization": f"Token {self.key}"}
        with self._lock:
            if renew or time.time() > self._ends - _SPARE:
                answer = self._http.post(f"{self.address}/api/token/refresh", json={"refresh": self.key})
                if answer.status_code in (400, 401, 403):
                    raise BackendError(
                        424, "Label Studio refuses the personal access token. Make a new one.", lasting=False
                    )
                self._access = answer.raise_for_status().json()["access"]
                self._ends = float((_payload(self._access) or {}).get("exp", time.time() + 60))
            return {"Authorization": f"Bearer {self._access}"}

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Call the API, and return its JSON.

        Raises:
            BackendError: 424 if it cannot be reached or refuses.
        """
        try:
            response = self._http.request(method, self.address + path, headers=self._headers(), **options)
            if response.status_code == 401 and self._is_refresh_token:
                response = self._http.request(method, self.address + path, headers=self._headers(True), **options)
            response.raise_for_status()
            return response.json() if response.content else None
        except (httpx.HTTPError, ValueError) as error:
            raise BackendError(424, f"Label Studio did not answer {method} {path}: {error}", lasting=False) from error

    def ensure_webhook(self, project: int, url: str, headers: dict[str, str]) -> str:
        """Register a webhook of a project, or give it these headers if it exists. Returns what was done.

        Label Studio registers one itself when a model is connected, but without headers. An address that is not that of
        a connected model gets no webhook: whoever reaches the backend can send one, and the headers are secret.
        """
        models = self.call("GET", f"/api/ml?project={project}")
        if url.rstrip("/") not in [f"{model['url'].rstrip('/')}/webhook" for model in models]:
            return f"not registered: the project has no model at {url.removesuffix('/webhook')}"
        hooks = self.call("GET", f"/api/webhooks/?project={project}")
        hooks = hooks if isinstance(hooks, list) else hooks["results"]
        found = [hook for hook in hooks if hook["url"].rstrip("/") == url.rstrip("/")]
        wanted = {"url": url, "send_payload": True, "send_for_all_actions": True, "is_active": True}
        if not found:
            self.call("POST", "/api/webhooks/", json=wanted | {"project": project, "headers": headers})
            return "registered"
        if headers.items() <= found[0]["headers"].items() and found[0]["is_active"]:
            return "already registered"
        self.call("PATCH", f"/api/webhooks/{found[0]['id']}/", json=wanted | {"headers": found[0]["headers"] | headers})
        return "updated"

    def annotated_tasks(self, project: int, since: float | None = None) -> Iterator[dict[str, Any]]:
        """The tasks of a project with their annotations.

        Args:
            project: its number.
            since: only tasks that changed after this time, in seconds since 1970; None: all.
        """
        query: dict[str, Any] = {"project": project, "page_size": _PAGE, "fields": "all"}
        if since is not None:
            changed = {"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime"}
            value = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            query["query"] = json.dumps({"filters": {"conjunction": "and", "items": [changed | {"value": value}]}})
        page, seen = 1, 0
        while True:
            answer = self.call("GET", "/api/tasks", params=query | {"page": page})
            yield from (task for task in answer["tasks"] if task.get("annotations"))
            seen += len(answer["tasks"])
            page += 1
            if not answer["tasks"] or seen >= answer["total"]:
                return

    def project(self, project: int) -> dict[str, Any]:
        answer: dict[str, Any] = self.call("GET", f"/api/projects/{project}")
        return answer

    def user(self, number: int) -> str:
        """The e-mail address of a user; empty if it cannot be read."""
        try:
            return str(self.call("GET", f"/api/users/{number}")["email"]) if self.address and self.key else ""
        except (BackendError, KeyError, TypeError):
            return ""


def _payload(token: str) -> dict[str, Any] | None:
    """The payload of a JSON Web Token, which is not verified; None if it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    return found if isinstance(found, dict) else None


def _inline(address: str) -> bytes:
    """The content of a data: URL."""
    head, comma, text = address.partition(",")
    try:
        if not comma:
            raise ValueError("it has no comma")
        raw = unquote_to_bytes(text)
        return base64.b64decode(raw, validate=False) if head.endswith(";base64") else raw
    except ValueError as error:
        raise BackendError(424, f"The data: URL of the image is malformed ({error}).") from error


def _unread(url: str, response: httpx.Response, own: bool) -> BackendError:
    """The error of an image that was refused."""
    help_for_own = " Check --api-key: Label Studio shows its images to members only." if own else ""
    status = response.status_code
    lasting = status in (404, 410) and not own
    return BackendError(424, f"The image {_short(url)} could not be read: {status}.{help_for_own}", lasting=lasting)


def _refuse_link_local(request: httpx.Request) -> None:
    """Refuse addresses such as 169.254.169.254, where clouds keep credentials: tasks may name any URL."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(request.url.host, None)}
    except OSError:
        return  # the request itself says that the name is unknown
    for text in found:
        address = ipaddress.ip_address(str(text).partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        if address.is_link_local or (mapped is not None and mapped.is_link_local):
            raise BackendError(424, f"{request.url.host} is a link-local address, from which no image is read.")


def _short(text: str) -> str:
    """An address for messages, without its query: a presigned one holds a signature."""
    return text.split("?")[0][:200]
