"""Builds: jobs that make a release from labelled images in a child process, and measure it on held-out images."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model_store.images import NO_LIMIT
from model_store.release import FEATURES
from model_store.snapshot_release import write_live
from service.adapting.background import BackgroundJobs
from service.adapting.labelled_archives import HELD_OUT, LabelledArchives, Survey
from service.adapting.moving import move_release
from service.adapting.names import check_free
from service.adapting.ownership import is_dead
from service.adapting.work import JobResult
from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.editing.class_names import check_name
from service.images.decode import decode
from service.problems import Problem, printable
from service.records.follower import Author
from service.records.jobs import Job

FILTERS = "filters"  # features that are no release
_SHARES = {
    "snapshot": 0.02, "images": 0.05, "features": 0.38, "head": 0.25, "calibration": 0.1, "evaluation": 0.1,
    "comparison": 0.08,
}  # fmt: skip


@dataclass(frozen=True)
class BuildRequest:
    """What is asked.

    survey_id: of the labelled images; name: of the new release; classes: new name by class, None leaves it out, classes
    without an entry keep their names; features: a release with features, or "filters"; budget_s: seconds for choosing a
    head, None: as the settings say.
    """

    survey_id: str
    name: str
    classes: dict[str, str | None] = field(default_factory=dict)
    features: str = "general"
    budget_s: float | None = None


class Builds:
    """Starts builds from labelled images that were sent.

    Args:
        engine: serves the release that a new one is compared with.
        background: works on the jobs.

    Attributes:
        archives: the labelled images.
    """

    def __init__(self, engine: Engine, background: BackgroundJobs) -> None:
        self._engine, self._background = engine, background
        self.archives = LabelledArchives(engine.settings, self._is_under_way)

    def begin(self, author: Author, request: BuildRequest) -> Job:
        """Start a build.

        Raises:
            Problem: 404 if the labelled images are gone; 409 if a job is under way; 422 if the name is taken, a class
                is not known or none is left, or the features do not exist; 503 if disk or database refuse it.
        """
        survey, root = self.archives.get(request.survey_id)
        check_free(self._engine, request.name)
        _check_classes(survey, request.classes)
        build = Build(self._engine, self.archives, request, survey, root, self._features(request.features))
        job = self._background.begin(author, build)
        self.archives.note_build(request.survey_id, job.job_id)
        return job

    def _is_under_way(self, job_id: str) -> bool:
        job = self._background.jobs.get(job_id)
        return job is not None and job.is_under_way and not is_dead(job)

    def _features(self, name: str) -> str:
        """What `segsort build --embedder` takes: "filters", or the folder of a release with features."""
        stored = {one.name: one.path for one in self._engine.catalogue.store.list() if one.problem is None}
        usable = [one for one, path in stored.items() if (path / FEATURES).is_file()]
        if name == FILTERS:
            return name
        if name not in usable:
            raise Problem(
                422, "There are no such features.", received=printable(name[:200]), allowed=[*usable, FILTERS],
                fix="Use one of the names in `allowed`.",
            )  # fmt: skip
        return str(stored[name].absolute())


class Build:
    """The work of one build, see `Work`."""

    kind = "build"
    last = "store"
    needs_pytorch = True

    def __init__(
        self, engine: Engine, archives: LabelledArchives, request: BuildRequest, survey: Survey, root: Path,
        features: str,
    ) -> None:  # fmt: skip
        self._engine, self._archives, self._request = engine, archives, request
        self._survey, self._root, self._features = survey, root, features
        self._served: ServedRelease = engine.served
        self.release, self.release_digest = self._served.name, self._served.live.digest
        self.shares: Mapping[str, float] = _SHARES

    def command(self, folder: Path) -> list[str]:
        """`segsort build`, which leaves the release in the folder, beside the present one with its edits."""
        request, settings = self._request, self._engine.settings
        (folder / "classes.json").write_text(json.dumps(request.classes), encoding="utf-8")
        budget = request.budget_s if request.budget_s is not None else settings.adapt_budget_s
        command = ["build", str(self._root), "--format", self._survey["format"], f"--split={self._survey['split']}"]
        command += ["--classes", str(folder / "classes.json"), "--embedder", self._features, "--name", request.name]
        command += ["--out", str(folder / "release"), "--hold-out", str(HELD_OUT), "--budget", str(budget)]
        command += ["--threads", str(settings.adapt_cores), "--description", "Built from labelled images."]
        if self._served.live.state.count:
            command += ["--compare-with", str(self._present(folder / "present"))]
        return command

    def in_words(self, problem: str) -> str:
        """Why the job failed, without the place of the data."""
        root = str(self._root)
        return problem.replace(f"{root}/", "").replace(root, "the archive")

    def finish(self, folder: Path, author: str, done: JobResult) -> JobResult:
        """Move the release into the store, and remove the labelled images."""
        move_release(folder / "release", self._engine.settings.data_dir / "releases" / self._request.name)
        shutil.rmtree(self._engine.settings.data_dir / "labelled" / self._request.survey_id, ignore_errors=True)
        return {name: value for name, value in done.items() if name != "path"}

    def _present(self, out: Path) -> Path:
        """Write the served release with its edits."""
        images = self._engine.records.images

        def content(image_id: str) -> bytes:
            image = images.get(image_id)
            if image is None:
                raise ValueError(f"image {image_id} of an exemplar is not in the database")
            return image.content

        return write_live(self._served.live.state, out, content, self._served.name, _pixels_of).path


def _pixels_of(content: bytes) -> np.ndarray:
    """Decode a stored image: [H, W, 3] uint8 RGB.

    Raises:
        ValueError: if that is not possible within the limits.
    """
    try:
        return decode(content, NO_LIMIT)
    except Problem as problem:
        raise ValueError(str(problem)) from problem


def _check_classes(survey: Survey, classes: dict[str, str | None]) -> None:
    """Check a mapping of classes.

    Raises:
        Problem: 422 if a class is not known, a new name is not valid, or fewer than two classes are left.
    """
    known = [one["name"] for one in survey["classes"]]
    unknown = sorted(set(classes) - set(known))
    if unknown:
        raise Problem(
            422, "The labelled images have no such class.", received=[printable(one[:100]) for one in unknown[:20]],
            allowed=known, fix="Use names of the survey.",
        )  # fmt: skip
    present = [one["name"] for one in survey["classes"] if one["images"]]
    left = {classes.get(name, name) for name in present} - {None}
    for name in left:
        check_name(str(name))
    if len(left) < 2:
        raise Problem(
            422, "A release needs two classes at least.", received=sorted(map(str, left)),
            allowed="two classes or more that occur in the images", fix="Leave fewer classes out, or merge fewer.",
        )  # fmt: skip
