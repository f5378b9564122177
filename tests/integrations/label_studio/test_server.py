"""Our ML backend behind a real Label Studio server, over its API and in its page with Chromium."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, TimeoutError, expect

from index_builder.datasets import open_dataset
from segsort_label_studio.server import SECRET_HEADER, Application
from service.app import create_app
from service.settings import Settings
from tests.browser.conftest import SCREENSHOTS, launched
from tests.integrations.label_studio.server import PASSWORD, TOKEN, USER, Project, backend_server, label_studio_server
from tests.integrations.label_studio.studio import mask_of
from tests.service.conftest import encoded
from tests.service.serving import serving, wait_until

pytestmark = pytest.mark.timeout(400)  # Label Studio migrates its database first
SECRET = "a secret of webhooks"
VIEWPORT = {"width": 1280, "height": 800}


@dataclass
class Connected:
    """A project with two painted streets, whose model is our backend."""

    project: Project
    tasks: list[int]
    service: httpx.Client
    backend: str
    application: Application

    def settled(self) -> None:
        wait_until(lambda: self.application.backend.memory.counts() == (0, 0))

    def edits(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.service.get("/edits").raise_for_status().json()
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with label_studio_server(tmp_path_factory.mktemp("label-studio")) as client:
        yield client


@pytest.fixture(scope="module")
def service(server: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("service"), threads=1)
    with serving(create_app(settings)) as address:
        yield address


def configuration(service: str) -> str:
    """A labelling configuration with the classes of the release."""
    classes = httpx.get(f"{service}/classes", timeout=60).raise_for_status().json()
    labels = "".join(f'<Label value="{one["name"].capitalize()}" background="{one["color"]}"/>' for one in classes)
    tags = "".join(
        f'<{tag}Labels name="{tag.lower()}" toName="image" smart="true">{labels}</{tag}Labels>'
        for tag in ("Brush", "KeyPoint")
    )
    return f'<View><Image name="image" value="$image"/>{tags}</View>'


@pytest.fixture(scope="module")
def connected(server: httpx.Client, service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    options = {
        "label_studio": str(server.base_url), "api_key": TOKEN, "webhook_secret": SECRET, "basic_auth_user": "ls",
        "basic_auth_pass": "ls-password",
    }  # fmt: skip
    streets = open_dataset("streets", None, "val", count=2)
    with (
        backend_server(service, tmp_path_factory.mktemp("backend"), **options) as (address, application),
        httpx.Client(base_url=service, timeout=60) as client,
    ):
        project = Project(server, "Streets", configuration(service))
        tasks = [project.upload(f"street{i}.png", encoded(streets[i].image)) for i in range(2)]
        refused = project.connect(address)
        assert "authentication parameters" in refused.text, "Label Studio says that a password is needed"
        auth = {"auth_method": "BASIC_AUTH", "basic_auth_user": "ls", "basic_auth_pass": "ls-password"}
        answer = project.connect(address, **auth)
        assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == "CO"
        assert answer.json()["model_version"].startswith("streets-")
        yield Connected(project, tasks, client, address, application)


def test_an_uploaded_image_is_predicted_with_brush_regions_over_its_segments(connected: Connected) -> None:
    connected.project.retrieve()
    (prediction,) = connected.project.predictions(connected.tasks[0])
    newest = connected.service.get("/segmentations").json()
    answers = [connected.service.get(f"/segmentations/{one['segmentation_id']}").json() for one in newest]
    sizes = {one["segmentation_id"]: len(one["segments"]) for one in answers}
    regions = prediction["result"]
    assert len(sizes) == 2
    assert 5 < len(regions) < max(sizes.values())
    covered = np.sum([mask_of(one) for one in regions], axis=0)
    assert covered.max() == 1, "no pixel is in two regions"
    assert covered.mean() > 0.8
    assert {"Road", "Sky", "Building"} <= {one["value"]["brushlabels"][0] for one in regions}
    assert 0.5 < prediction["score"] <= 1


def test_label_studios_own_webhook_gets_the_secret(connected: Connected) -> None:
    path = f"/api/webhooks/?project={connected.project.number}"
    wait_until(lambda: connected.project.client.get(path).json()[0]["headers"] != {})
    (hook,) = connected.project.client.get(path).json()
    assert hook["headers"] == {SECRET_HEADER: SECRET}
    assert hook["url"] == f"{connected.backend}/webhook"
    assert httpx.post(hook["url"], json={"action": "TASKS_CREATED"}, timeout=60).status_code == 401


def test_no_other_address_gets_a_webhook_with_the_secret(connected: Connected) -> None:
    label_studio, number = connected.application.backend.label_studio, connected.project.number
    done = label_studio.ensure_webhook(number, "http://192.0.2.7:9090/webhook", {SECRET_HEADER: SECRET})
    assert done == "not registered: the project has no model at http://192.0.2.7:9090"
    (hook,) = connected.project.client.get(f"/api/webhooks/?project={number}").json()
    assert hook["url"] == f"{connected.backend}/webhook"


def test_a_correction_over_the_api_changes_the_next_prediction_and_its_deletion_undoes_it(connected: Connected) -> None:
    task, project = connected.tasks[1], connected.project
    before = project.predictions(task)[-1]
    changed = max(before["result"], key=lambda one: mask_of(one).sum() * (one["value"]["brushlabels"] == ["Car"]))
    region = changed | {"value": changed["value"] | {"brushlabels": ["Fence"]}}
    path = f"/api/tasks/{task}/annotations/"
    number = project.client.post(path, json={"result": [region]}).raise_for_status().json()["id"]
    wait_until(lambda: len(connected.edits()) == 1)
    connected.settled()
    project.retrieve()
    after = project.predictions(task)[-1]
    assert after["model_version"] != before["model_version"]
    fence = np.any([mask_of(one) for one in after["result"] if one["value"]["brushlabels"] == ["Fence"]], axis=0)
    assert fence[mask_of(changed)].all()
    assert USER in connected.edits()[0]["reason"]

    project.client.delete(f"/api/annotations/{number}/").raise_for_status()
    wait_until(lambda: len(connected.edits()) == 2)
    connected.settled()
    project.retrieve()
    assert [one["id"] for one in project.predictions(task)[-1]["result"]] == [one["id"] for one in before["result"]]


def test_a_smart_key_point_gives_the_object_below_it(connected: Connected) -> None:
    project, task = connected.project, connected.tasks[0]
    (model,) = project.client.get(f"/api/ml?project={project.number}").json()
    road = next(one for one in project.predictions(task)[-1]["result"] if one["value"]["brushlabels"] == ["Road"])
    y, x = (int(part[len(part) // 2]) for part in np.nonzero(mask_of(road)))
    H, W = mask_of(road).shape
    click = {
        "original_width": W, "original_height": H, "image_rotation": 0, "is_positive": True, "id": "s1rePYessp",
        "value": {"x": 100 * (x + 0.5) / W, "y": 100 * (y + 0.5) / H, "width": 0.26, "keypointlabels": ["Road"]},
        "from_name": "keypoint", "to_name": "image", "type": "keypointlabels", "origin": "manual",
    }  # fmt: skip
    body = {"task": task, "context": {"result": [click]}}
    answer = project.client.post(f"/api/ml/{model['id']}/interactive-annotating", json=body).raise_for_status().json()
    (found,) = answer["data"]["result"]
    np.testing.assert_array_equal(mask_of(found), mask_of(road))


def test_label_studio_shows_why_a_labelling_interface_cannot_be_used(
    connected: Connected, server: httpx.Client
) -> None:
    config = '<View><Image name="i" value="$image"/><Choices name="c" toName="i"><Choice value="a"/></Choices></View>'
    project = Project(server, "Choices", config)
    auth = {"auth_method": "BASIC_AUTH", "basic_auth_user": "ls", "basic_auth_pass": "ls-password"}
    refused = project.connect(connected.backend, **auth)
    assert refused.status_code == 400
    assert "The labelling interface has no Image with BrushLabels" in refused.text


def test_a_personal_access_token_reads_images_too(connected: Connected, service: str, tmp_path: Path) -> None:
    server = connected.project.client
    token = server.post("/api/token").raise_for_status().json()["token"]
    options = {"label_studio": str(server.base_url), "api_key": token}
    task = server.get(f"/api/tasks/{connected.tasks[0]}").json()
    with backend_server(service, tmp_path, **options) as (address, application):
        body = {
            "tasks": [{"id": task["id"], "data": task["data"]}], "project": "99.1", "params": {},
            "label_config": configuration(service),
        }  # fmt: skip
        answer = httpx.post(f"{address}/predict", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"][0]["result"]
        assert application.backend.label_studio.user(1) == USER


def test_what_was_annotated_while_the_backend_was_away_is_taught_when_it_is_back(
    connected: Connected, service: str, tmp_path: Path
) -> None:
    server = connected.project.client
    project = Project(server, "Away", configuration(service))
    task = project.upload("street.png", encoded(open_dataset("streets", None, "val", count=3)[2].image))
    options = {"label_studio": str(server.base_url), "api_key": TOKEN}
    with backend_server(service, tmp_path, **options) as (address, application):
        assert project.connect(address).status_code == 201
        project.retrieve()
        application.backend.memory.put_heard()
    region = project.predictions(task)[-1]["result"][0]
    kind = "Fence" if region["value"]["brushlabels"] != ["Fence"] else "Tree"
    body = {"result": [region | {"value": region["value"] | {"brushlabels": [kind]}}]}
    server.post(f"/api/tasks/{task}/annotations/", json=body).raise_for_status()
    edits = len(connected.edits())
    with backend_server(service, tmp_path, **options):
        wait_until(lambda: len(connected.edits()) == edits + 1)
    assert f"task {task}," in connected.edits()[0]["reason"]


@pytest.fixture
def page(connected: Connected) -> Iterator[Page]:
    """The page of the server, with a person signed in."""
    with launched() as browser:
        context = browser.new_context(viewport=VIEWPORT, base_url=str(connected.project.client.base_url))
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto("/user/login/")
        page.fill("input[name=email]", USER)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/")
        yield page


def shown_regions(page: Page) -> list[list[Any]]:
    """Type and label of the regions that the page draws."""
    script = "() => Htx.annotationStore.selected.regionStore.regions.map(r => [r.type, r.labels[0]])"
    found: list[list[Any]] = page.evaluate(script)
    return found


def open_task(page: Page, connected: Connected, task: int) -> None:
    """Open a task in the page, which now and then shows it without the regions until it is loaded again."""
    page.goto(f"/projects/{connected.project.number}/data?task={task}")
    has_regions = "() => window.Htx?.annotationStore?.selected?.regionStore?.regions?.length > 0"
    for patience in (20_000, 20_000, 60_000):
        try:
            expect(page.get_by_role("button", name="Submit")).to_be_visible(timeout=patience)
            page.wait_for_function(has_regions, timeout=patience)
            return
        except (AssertionError, TimeoutError):
            page.screenshot(path=SCREENSHOTS / "label-studio-without-regions.png")
            page.reload()
    pytest.fail("the page drew no region in three tries; see label-studio-without-regions.png")


def test_the_page_draws_the_prediction_and_a_label_changed_there_teaches(page: Page, connected: Connected) -> None:
    connected.project.retrieve()
    task = connected.tasks[0]
    predicted = connected.project.predictions(task)[-1]["result"]
    open_task(page, connected, task)
    assert sorted(label for _, label in shown_regions(page)) == sorted(
        one["value"]["brushlabels"][0] for one in predicted
    )
    page.wait_for_timeout(1000)  # until the masks are drawn
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "label-studio-prediction.png")

    rows = page.locator(".lsf-outliner-item, .lsf-tree__node")
    expect(rows.first).to_be_visible()
    shown = " ".join(rows.all_inner_texts())  # the list draws only the rows in view
    names = [one["value"]["brushlabels"][0] for one in sorted(predicted, key=lambda one: mask_of(one).sum())]
    name = next(name for name in names if name in shown and name not in ("Fence", "Road"))
    edits = len(connected.edits())
    rows.filter(has_text=name).first.click()
    expect(page.get_by_text("Nearest exemplars").first).to_be_visible()
    page.get_by_text("Fence", exact=True).first.click()
    page.wait_for_timeout(300)
    page.screenshot(path=SCREENSHOTS / "label-studio-correction.png")
    page.get_by_role("button", name="Submit").click()
    wait_until(lambda: len(connected.edits()) == edits + 1)
    connected.settled()
    connected.project.retrieve()
    after = connected.project.predictions(task)[-1]["result"]
    assert after != predicted
    page.reload()
