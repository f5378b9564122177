"""A stand-in for a CVAT server, which cannot run where its container images cannot be fetched.

It answers the REST routes that CVAT's SDK, its command line and its agents use for one task of images or of a video,
over real HTTP. What it answers is read by the SDK's own models, which refuse what a server may not send. What it
receives is checked as far as a server does: labels, attributes, types, and that masks fit the image.
"""

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cvat_sdk.masks import decode_mask
from cvat_sdk.version import VERSION
from PIL import Image

TASK = 7
FUNCTION = 3
_TIME = "2026-05-04T09:30:00.000000Z"
_MEMBERS = {"tags": [], "shapes": [], "tracks": []}


@dataclass
class CvatServer:
    """One task and what was sent.

    Attributes:
        address: of the server.
        images: files by name, in the order of the frames.
        labels: of the task, as CVAT stores them.
        annotations: of the task.
        deleted: numbers of deleted frames.
        video: name of the video that the frames are of; empty: they are images.
        uploads: bodies of annotations as they came.
        requests: annotation requests that wait for an agent.
        results: what agents sent for them, and why they failed.
    """

    images: dict[str, bytes]
    labels: list[dict[str, Any]]
    address: str = ""
    annotations: dict[str, Any] = field(default_factory=lambda: {"version": 0, **{name: [] for name in _MEMBERS}})
    deleted: list[int] = field(default_factory=list)
    video: str = ""
    uploads: list[dict[str, Any]] = field(default_factory=list)
    function: dict[str, Any] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    version: int = 0

    @contextmanager
    def serving(self) -> Iterator["CvatServer"]:
        """Serve until the block ends."""
        stub = self

        class Handler(_Handler):
            server_state = stub

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(width, height) of each frame."""
        return [Image.open(io.BytesIO(content)).size for content in self.images.values()]

    def label_id(self, name: str) -> int:
        return next(int(one["id"]) for one in self.labels if one["name"] == name)

    def draw(self, frame: int, label: str, kind: str, points: list[float], **more: Any) -> dict[str, Any]:
        """Store a shape that a person drew, and return it."""
        self.version += 1
        shape = {
            "type": kind, "occluded": False, "outside": False, "z_order": 0, "rotation": 0.0, "points": points,
            "id": 1000 + self.version, "frame": frame, "label_id": self.label_id(label), "group": 0,
            "source": "manual", "attributes": [], "elements": [], "score": 1.0,
        }  # fmt: skip
        shape |= more
        self.annotations["shapes"].append(shape)
        return shape

    def receive(self, body: dict[str, Any]) -> str | None:
        """Store annotations as a server does; why they are refused; None: they are not."""
        self.uploads.append(body)
        for shape in body.get("shapes") or []:
            why = self._refusal(shape)
            if why is not None:
                return why
            self.draw(label=self._name(shape["label_id"]), kind=shape["type"], **shape)
        return None

    def _name(self, label_id: int) -> str:
        return next(str(one["name"]) for one in self.labels if one["id"] == label_id)

    def _refusal(self, shape: dict[str, Any]) -> str | None:
        label = next((one for one in self.labels if one["id"] == shape["label_id"]), None)
        if label is None:
            return f"label_id {shape['label_id']}"
        if label["type"] not in ("any", shape["type"]):
            return f"label {label['name']} takes no {shape['type']}"
        known = {one["id"] for one in label["attributes"]}
        if not {one["spec_id"] for one in shape.get("attributes", [])} <= known:
            return f"attributes {shape['attributes']}"
        width, height = self.sizes[shape["frame"]]
        if shape["type"] == "mask":
            decode_mask(shape["points"], image_width=width, image_height=height)
        elif shape["type"] == "polygon" and (len(shape["points"]) < 6 or len(shape["points"]) % 2):
            return f"a polygon of {len(shape['points'])} numbers"
        return None


class _Handler(BaseHTTPRequestHandler):
    server_state: CvatServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state, parts = self.server_state, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.rstrip("/")
        if path == "/api/server/about":
            self._json({"name": "CVAT", "description": "-", "version": VERSION, "logo_url": "", "subtitle": ""})
        elif path == "/api/users/self":
            self._json({"id": 1, "username": "anna"})
        elif path == f"/api/tasks/{TASK}":
            self._json(_task(state))
        elif path == "/api/labels":
            self._json({"count": len(state.labels), "next": None, "previous": None, "results": state.labels})
        elif path == f"/api/tasks/{TASK}/data/meta":
            self._json(_meta(state))
        elif path == f"/api/tasks/{TASK}/data":
            self._bytes(_data(state, query["type"], int(query["number"])))
        elif path == f"/api/tasks/{TASK}/annotations":
            self._json(state.annotations)
        elif path == f"/api/functions/{FUNCTION}":
            self._json({"id": FUNCTION, **state.function})
        else:
            self._json({"detail": f"no such route: {self.path}"}, 404)

    def do_POST(self) -> None:
        state, body, path = self.server_state, self._body(), unquote(urlsplit(self.path).path).rstrip("/")
        queue = f"/api/functions/queues/function:{FUNCTION}/requests"
        if path == "/api/auth/login":
            self._bytes(b'{"key": "abc"}', 200, "application/json", ("sessionid=abc; Path=/", "csrftoken=def; Path=/"))
        elif path == "/api/functions":
            state.function = body
            self._json({"id": FUNCTION, **body}, 201)
        elif path == f"{queue}/acquire":
            mine = body.get("request_category") == "batch" and state.requests
            self._json({"ar_assignment": state.requests.pop(0) if mine else None})
        elif re.fullmatch(queue + r"/[^/]+/(complete|fail|update)", path):
            if not path.endswith("update"):
                state.results.append(body)
            self._json({})
        else:
            self._json({"detail": f"no such route: {self.path}"}, 404)

    def do_PATCH(self) -> None:
        self._annotate("action=create" in self.path)

    def do_PUT(self) -> None:
        self.server_state.annotations |= {name: [] for name in _MEMBERS}
        self._annotate(True)

    def _annotate(self, known: bool) -> None:
        why = self.server_state.receive(self._body()) if known else f"no such action: {self.path}"
        self._json(self.server_state.annotations if why is None else {"detail": why}, 200 if why is None else 400)

    def _body(self) -> Any:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return json.loads(content or b"{}")

    def _json(self, value: Any, status: int = 200) -> None:
        self._bytes(json.dumps(value).encode(), status, "application/vnd.cvat+json")

    def _bytes(
        self, content: bytes, status: int = 200, kind: str = "application/octet-stream", cookies: Sequence[str] = ()
    ) -> None:
        self.send_response(status)
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _task(state: CvatServer) -> dict[str, Any]:
    return {
        "url": f"{state.address}/api/tasks/{TASK}", "id": TASK, "name": "streets", "project_id": None,
        "created_date": _TIME, "updated_date": f"2026-05-04T09:30:00.{state.version:06}Z", "status": "annotation",
        "jobs": {"count": 1, "completed": 0, "validation": 0, "url": f"{state.address}/api/jobs?task_id={TASK}"},
        "labels": {"url": f"{state.address}/api/labels?task_id={TASK}"},
        "data_chunk_size": 2, "data_compressed_chunk_type": "imageset",
        "data_original_chunk_type": "video" if state.video else "imageset",
        "mode": "interpolation" if state.video else "annotation",
        "size": len(state.images), "image_quality": 70, "data": TASK, "dimension": "2d",
        "overlap": 0, "segment_size": len(state.images), "subset": "", "bug_tracker": "", "organization": None,
    }  # fmt: skip


def _meta(state: CvatServer) -> dict[str, Any]:
    """The frames of a task. Those of a video have one entry in common."""
    frames = [
        {"name": state.video or name, "width": width, "height": height, "related_files": 0}
        for name, (width, height) in zip(state.images, state.sizes, strict=True)
    ]
    size, frames = len(frames), frames[:1] if state.video else frames
    return {
        "chunks_updated_date": _TIME, "chunk_size": 2, "size": size, "image_quality": 70, "start_frame": 0,
        "stop_frame": size - 1, "frame_filter": "", "frames": frames, "deleted_frames": state.deleted,
        "storage": "local",
    }  # fmt: skip


def _data(state: CvatServer, kind: str, number: int) -> bytes:
    """A frame, or the ZIP file of two frames."""
    files = list(state.images.items())
    if kind == "frame":
        return files[number][1]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, image in files[2 * number : 2 * number + 2]:
            archive.writestr(name, image)
    return content.getvalue()
