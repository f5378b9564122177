import os
import subprocess

import pytest
from fastapi.testclient import TestClient

from benchmarks.running_service import COMMAND
from service.app import create_app
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.conftest import encoded


def snapshot(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), "releases", "snapshot", "--release", str(settings.release), *arguments],
        env={**os.environ, "SEGSORT_DATA_DIR": str(settings.data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_snapshot_answers_as_the_edited_release_does(settings: Settings, photo: bytes) -> None:
    images = [photo, *(encoded(Blocks("val", count=5)[i].image) for i in (3, 4))]
    with TestClient(create_app(settings)) as client:
        answer = client.post("/segment", content=photo).json()
        for n, name in enumerate(("lava", "grass")):
            url = f"/segments/{answer['segments'][n]['segment_id']}/label"
            client.post(url, json={"class_name": name}).raise_for_status()
        client.delete(f"/exemplars/{answer['segments'][2]['exemplars'][0]['exemplar_id']}").raise_for_status()
        made = snapshot(settings, "fixed")  # while the service runs
        assert made.returncode == 0, made.stderr
        assert "fixed" in made.stdout
        assert snapshot(settings).returncode == 0  # named by release and revision
        before = [client.post("/segment?exemplars=20", content=image).json() for image in images]
        assert {"fixed", "tiny-r3"} <= {one["name"] for one in client.get("/releases").json()}
        assert client.get("/releases/fixed").json()["data"]["edited"]["index_revision"] == 3
    with TestClient(create_app(settings.model_copy(update={"release": "fixed"}))) as client:
        after = [client.post("/segment?exemplars=20", content=image).json() for image in images]
        assert client.get("/readyz").json()["release"] == "fixed"
        listed = next(one for one in client.get("/releases").json() if one["name"] == "fixed")
        assert (listed["active"], listed["classes"]) == (True, 4)
        assert listed["exemplars"] == client.get("/readyz").json()["exemplars"]
        own = client.get(f"/exemplars/{after[0]['segments'][0]['exemplars'][0]['exemplar_id']}").json()
        assert client.get(own["image_url"]).headers["content-type"] == "image/webp"
        old = client.get(f"/explain/{answer['segments'][0]['segment_id']}").json()  # of the release before
        assert old["release"] == "tiny"
        assert client.post(f"/segmentations/{answer['segmentation_id']}/relabel").status_code == 409
        refused = client.post(f"/segments/{answer['segments'][0]['segment_id']}/label", json={"class_id": 0})
        assert refused.status_code == 409
        assert client.post("/edits/1/revert").status_code == 409
        assert client.get("/edits/1").json()["release"] == "tiny"
    for one, other in zip(before, after, strict=True):
        for left, right in zip(one["segments"], other["segments"], strict=True):
            assert left["class_name"] == right["class_name"]
            assert left["exemplars"] == [
                {**e, "similarity": pytest.approx(e["similarity"]), "weight": pytest.approx(e["weight"])}
                for e in right["exemplars"]
            ]
            assert left["known"] == right["known"]
            assert left["confidence"] == pytest.approx(right["confidence"])


@pytest.mark.parametrize("name", ["streets", "../out", "a/b", ""])
def test_a_name_that_cannot_be_that_of_a_new_release_is_refused(settings: Settings, name: str) -> None:
    refused = snapshot(settings, name)
    assert refused.returncode == 2
    assert repr(name) in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
