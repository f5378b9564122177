"""The backend: what each request of Label Studio does."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from segsort_client import Segmentation
from segsort_label_studio.answers import Answers
from segsort_label_studio.config import Surface, read_config
from segsort_label_studio.errors import BackendError
from segsort_label_studio.label_studio import LabelStudio
from segsort_label_studio.memory import Memory
from segsort_label_studio.options import Options
from segsort_label_studio.predictions import predict
from segsort_label_studio.prompts import answer_prompt, read_prompt
from segsort_label_studio.service import Service, version_of

_PATIENCE = 75.0  # seconds for all tasks of a request; Label Studio waits for 100
_AT_ONCE = 4  # tasks of a request

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A task of Label Studio: its number and its fields."""

    number: int
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Image:
    """An image of a task: its place in the labelling configuration, its place in a list of images, its address."""

    surface: Surface
    item: int
    address: str


class Backend:
    """Answers the requests of Label Studio.

    Args:
        service: that segments.
        memory: what outlives a restart.
        label_studio: the server whose images are read; without address, that of the request of /setup is used.
        options: of projects that set none.
        explain: address of the service as browsers reach it.
    """

    def __init__(
        self, service: Service, memory: Memory, label_studio: LabelStudio, options: Options, explain: str
    ) -> None:
        self.service, self.memory, self.options = service, memory, options
        self.label_studio, self.explain = label_studio, explain.rstrip("/")
        self.answers = Answers(service, memory)
        self.unlabelled: dict[str, dict[str, float]] = {}  # by project: classes without a label, and their share
        self._lock = threading.Lock()

    def adopt(self, address: str, key: str | None) -> None:
        """Read images from the server that /setup names, with the token that it gave."""
        self.label_studio = LabelStudio(address, key, self.label_studio.most_bytes)

    def in_background(self, work: Callable[[], None]) -> None:
        """Do something in a thread; an error is logged."""

        def run() -> None:
            try:
                work()
            except BackendError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("a task in the background failed")

        threading.Thread(target=run, daemon=True).start()

    def project_options(self, project: str) -> Options:
        """The options of a project.

        Raises:
            BackendError: 400 if they are malformed.
        """
        try:
            return self.options.of_project(self.memory.options(project))
        except ValueError as error:
            raise BackendError(400, str(error)) from error

    def set_up(self, project: str, config: str, extra: Any) -> str:
        """Remember a project, and return the version of the model.

        Raises:
            BackendError: 422 if the labelling configuration or an option cannot be used.
        """
        options = extra if isinstance(extra, str) else json.dumps(extra) if extra else ""
        surfaces_of(config)
        try:
            self.options.of_project(options)
        except ValueError as error:
            raise BackendError(400, str(error)) from error
        self.memory.put_project(project, config, options)
        return self.service.version()

    def predict(self, tasks: Sequence[Task], config: str, project: str) -> list[Any]:
        """A prediction for each task; an empty list for a task that failed, so that Label Studio asks again later.

        Where the tasks take longer than Label Studio waits, only the first has a prediction in the answer: Label Studio
        then asks for each task on its own.

        Raises:
            BackendError: if no task has a prediction.
        """
        surfaces, options, end = surfaces_of(config), self.project_options(project), time.monotonic() + _PATIENCE
        failed: list[BackendError] = []

        def attempt(task: Task) -> Any:
            if time.monotonic() > end:
                return None
            try:
                return self._predicted(task, surfaces, options, project)
            except BackendError as error:
                log.warning("task %d of project %s has no prediction: %s", task.number, project, error.message)
                failed.append(error)
                return []

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(attempt, tasks))
        if failed and len(failed) == len(tasks):
            raise failed[0]
        return found[:1] if None in found else found

    def _predicted(self, task: Task, surfaces: list[Surface], options: Options, project: str) -> dict[str, Any]:
        regions: list[dict[str, Any]] = []
        scores: list[float] = []
        version = ""
        images = images_of(task, surfaces)
        if not images:
            raise BackendError(424, f"Task {task.number} has none of the fields {[one.key for one in surfaces]}.")
        for image in images:
            answer = self.present(task, image)
            version = version_of(answer)
            found = predict(answer, image.surface, options, self.explain)
            regions += [region | _item(image) for region in found.regions]
            scores += [] if found.score is None else [found.score]
            self._report(project, found.unlabelled)
        score = {"score": round(sum(scores) / len(scores), 4)} if scores else {}
        return {"result": regions, "model_version": version} | score

    def _report(self, project: str, unlabelled: dict[str, float]) -> None:
        """Say once which classes have no label in a project."""
        with self._lock:
            known = self.unlabelled.setdefault(project, {})
            new = unlabelled.keys() - known.keys()
            known |= {name: max(share, known.get(name, 0.0)) for name, share in unlabelled.items()}
        if new:
            log.warning(
                "project %s has no label for the classes %s, which are left out of predictions. Add labels of these "
                'names, or predicted_values="NAME" to a label', project, sorted(new),
            )  # fmt: skip

    def present(self, task: Task, image: Image) -> Segmentation:
        """The present answer to an image of a task."""
        return self.answers.present(image.address, lambda: self.label_studio.image(image.address, task.number))

    def interactive(self, task: Task, config: str, project: str, context: Mapping[str, Any]) -> dict[str, Any]:
        """The regions that a smart tool asks for."""
        surfaces, options = surfaces_of(config), self.project_options(project)
        asked = [one for one in context.get("result") or [] if isinstance(one, dict)]
        names = {one.get("to_name") for one in asked}
        items = {int(one.get("item_index") or 0) for one in asked}
        for image in images_of(task, surfaces):
            if (image.surface.name in names or names == {None}) and (image.item in items):
                return self._prompted(task, image, options, context)
        return {"result": [], "model_version": self.service.version(), "score": 0.0}

    def _prompted(self, task: Task, image: Image, options: Options, context: Mapping[str, Any]) -> dict[str, Any]:
        """The regions that a smart tool asks for on one image."""

        def ask(answer: Segmentation) -> dict[str, Any]:
            prompt = read_prompt(context, image.surface, (answer.height, answer.width))
            found = answer_prompt(prompt, answer, image.surface, options, self.service, self.explain)
            scores = [region["score"] for region in found if "score" in region]
            regions = [region | _item(image) for region in found]
            return {"result": regions, "model_version": version_of(answer), "score": max(scores, default=0.0)}

        return self.answers.use(image.address, lambda: self.label_studio.image(image.address, task.number), ask)


def surfaces_of(config: str) -> list[Surface]:
    """The images of a labelling configuration.

    Raises:
        BackendError: 422 if it has none that can be drawn on.
    """
    try:
        return read_config(config)
    except ValueError as error:
        raise BackendError(422, str(error)) from error


def images_of(task: Task, surfaces: Sequence[Surface]) -> list[Image]:
    """The images of a task that its labelling configuration shows."""
    found = []
    for surface in surfaces:
        value = task.data.get(surface.key)
        addresses = value if isinstance(value, list) else [value]
        found += [Image(surface, i, one) for i, one in enumerate(addresses) if isinstance(one, str) and one]
    return found


def _item(image: Image) -> dict[str, int]:
    """What places a region in a list of images."""
    return {"item_index": image.item} if image.surface.several else {}
