"""Activation of another release while the service runs: no request fails, and answers name their release."""

import errno
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from fastapi.testclient import TestClient
from onnx import numpy_helper

from index_builder.build import BuildOptions, build_release
from index_builder.embedder_source import load_embedder_source
from model_store.explanation import replay
from service.app import create_app
from service.settings import Settings
from tests.conftest import Blocks, write_network
from tests.service.serving import network_held, serving, wait_until

SWAPS = 20


@pytest.fixture(scope="module")
def sharp_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another release of the same classes: a network of 16 dimensions, and other exemplars."""
    run = tmp_path_factory.mktemp("sharp-run")
    write_network(run, dimension=16)
    out = tmp_path_factory.mktemp("releases") / "sharp"
    options = BuildOptions(max_exemplars=30, webp_quality=60)
    build_release(
        Blocks(count=4), load_embedder_source(run), out, options=options, calibrate_with=Blocks("val", count=3)
    )
    return out


@pytest.fixture
def stocked(settings: Settings, tiny_release: Path, sharp_release: Path) -> Settings:
    """Both releases are in the store, and tiny is the active one."""
    releases = settings.data_dir / "releases"
    for release in (tiny_release, sharp_release):
        shutil.copytree(release, releases / release.name)
    (settings.data_dir / "active.json").write_text('{"active": "tiny"}')
    return settings.model_copy(update={"release": None})


@pytest.fixture
def client(stocked: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(stocked)) as client:
        yield client


def ask(client: TestClient | httpx.Client, photo: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/segment", content=photo).raise_for_status().json()
    return answer


def test_the_next_answer_is_that_of_the_release_that_was_activated(client: TestClient, photo: bytes) -> None:
    assert ask(client, photo)["release"] == "tiny"
    told = client.post("/releases/sharp/activate").raise_for_status().json()
    assert (told["release"], told["before"], told["changed"]) == ("sharp", "tiny", True)
    assert ask(client, photo)["release"] == "sharp"
    assert client.get("/readyz").json()["release"] == "sharp"
    assert {r["name"]: r["active"] for r in client.get("/releases").json()}["sharp"]
    again = client.post("/releases/sharp/activate").raise_for_status().json()
    assert again["changed"] is False


def test_it_is_served_after_a_restart_too(client: TestClient, stocked: Settings, photo: bytes) -> None:
    assert client.post("/releases/sharp/activate").json()["after_restart"] == "sharp"
    with TestClient(create_app(stocked)) as restarted:
        assert ask(restarted, photo)["release"] == "sharp"


def test_a_release_that_is_set_comes_back_after_a_restart_and_the_answer_says_so(
    stocked: Settings, photo: bytes
) -> None:
    with TestClient(create_app(stocked.model_copy(update={"release": "tiny"}))) as client:
        told = client.post("/releases/sharp/activate").raise_for_status().json()
        assert ask(client, photo)["release"] == "sharp"
    assert told["after_restart"] == "tiny"


def test_old_answers_are_explained_by_the_release_that_gave_them(client: TestClient, photo: bytes) -> None:
    segments = ask(client, photo)["segments"]
    before = [client.get(f"/explain/{s['segment_id']}").json() for s in segments]
    client.post("/releases/sharp/activate").raise_for_status()
    after = [client.get(f"/explain/{s['segment_id']}").json() for s in segments]
    assert after == before
    assert client.get(segments[0]["exemplars"][0]["exemplar_id"].join(["/exemplars/", "/crop"])).status_code == 200
    refused = client.post(f"/segments/{segments[0]['segment_id']}/label", json={"class_name": "water"})
    assert refused.status_code == 409
    assert "tiny" in refused.text


def test_each_release_has_its_own_edits_which_are_there_when_it_comes_back(client: TestClient, photo: bytes) -> None:
    def names() -> set[str]:
        return {c["name"] for c in client.get("/classes").json()}

    client.post("/classes", json={"name": "kerb"}).raise_for_status()
    segment = ask(client, photo)["segments"][0]["segment_id"]
    client.post(f"/segments/{segment}/label", json={"class_name": "kerb"}).raise_for_status()
    corrected = ask(client, photo)
    client.post("/releases/sharp/activate").raise_for_status()
    assert "kerb" not in names()
    client.post("/classes", json={"name": "mast"}).raise_for_status()
    client.post("/releases/tiny/activate").raise_for_status()
    assert "kerb" in names()
    assert "mast" not in names()
    again = ask(client, photo)
    assert [s["class_name"] for s in again["segments"]] == [s["class_name"] for s in corrected["segments"]]
    client.post("/releases/sharp/activate").raise_for_status()
    assert "mast" in names()


def test_an_edit_that_has_begun_is_made_on_the_release_that_it_began_with(client: TestClient, photo: bytes) -> None:
    engine = client.app.state.engine  # type: ignore[attr-defined]
    note = '[{"class_name": "kerb", "polygons": [[0, 0, 90, 0, 90, 70]]}]'
    with ThreadPoolExecutor(1) as pool, network_held(engine):
        showing = pool.submit(client.post, "/exemplars", files={"image": photo}, data={"annotations": note})
        wait_until(lambda: client.app.state.admission.running == 1)  # type: ignore[attr-defined]
        client.post("/releases/sharp/activate").raise_for_status()
        assert not showing.done()
    assert showing.result().status_code == 201
    assert showing.result().json()["edit"]["release"] == "tiny"


def test_an_unknown_release_is_refused(client: TestClient) -> None:
    refused = client.post("/releases/nothing/activate")
    assert refused.status_code == 404
    assert {"tiny", "sharp"} <= set(refused.json()["allowed"])


def test_a_second_activation_at_once_is_refused(client: TestClient) -> None:
    with client.app.state.activation._busy:  # type: ignore[attr-defined]
        assert client.post("/releases/sharp/activate").status_code == 409
    assert client.post("/releases/sharp/activate").status_code == 200


def _cut_short(release: Path) -> None:
    network = release / "network.onnx"
    network.write_bytes(network.read_bytes()[:-10])


def _altered(release: Path) -> None:
    network = release / "network.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"\0")


def _without_exemplars(release: Path) -> None:
    (release / "exemplars.npz").unlink()


@pytest.mark.parametrize("spoil", [_cut_short, _altered, _without_exemplars])
def test_a_damaged_release_leaves_the_old_one_serving(
    client: TestClient, stocked: Settings, photo: bytes, spoil: Callable[[Path], None]
) -> None:
    spoil(stocked.data_dir / "releases" / "sharp")
    refused = client.post("/releases/sharp/activate")
    assert refused.status_code == 422
    assert "'tiny' stays" in refused.json()["detail"]
    assert ask(client, photo)["release"] == "tiny"
    assert "tiny" in (stocked.data_dir / "active.json").read_text()


def test_a_network_that_gives_no_unit_vectors_fails_the_probe_and_may_be_built_anew(
    client: TestClient, stocked: Settings, sharp_release: Path, photo: bytes, tmp_path: Path
) -> None:
    place = stocked.data_dir / "releases" / "sharp"
    shutil.rmtree(place)
    write_network(tmp_path, dimension=16)
    _without_normalisation(tmp_path / "network.onnx")
    options = BuildOptions(max_exemplars=30, webp_quality=60)
    build_release(Blocks(count=4), load_embedder_source(tmp_path), place, options=options)
    refused = client.post("/releases/sharp/activate")
    assert refused.status_code == 422
    assert "unit vectors" in refused.json()["received"]
    assert ask(client, photo)["release"] == "tiny"
    shutil.rmtree(place)
    shutil.copytree(sharp_release, place)
    assert client.post("/releases/sharp/activate").status_code == 200
    assert ask(client, photo)["release"] == "sharp"


def _without_normalisation(file: Path) -> None:
    model = onnx.load(file)
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    nodes[0].output[0] = "embedding"
    kernel = numpy_helper.to_array(model.graph.initializer[0]) * np.float32(3)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(kernel, "kernel"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, file)


@pytest.mark.parametrize("between", [True, False])
def test_another_release_under_the_name_of_an_open_one_is_served_without_its_edits(
    client: TestClient, stocked: Settings, photo: bytes, between: bool
) -> None:
    first = client.post("/releases/sharp/activate").raise_for_status().json()
    segment = ask(client, photo)["segments"][0]["segment_id"]
    client.post(f"/segments/{segment}/label", json={"class_name": "lava"}).raise_for_status()
    if between:
        client.post("/releases/tiny/activate").raise_for_status()
    place = stocked.data_dir / "releases" / "sharp"
    shutil.rmtree(place)
    write_network(stocked.data_dir, dimension=16)
    build_release(Blocks(count=2), load_embedder_source(stocked.data_dir), place)
    second = client.post("/releases/sharp/activate").raise_for_status().json()
    assert (second["release"], second["changed"]) == ("sharp", True)
    assert second["release_digest"] != first["release_digest"]
    answer = ask(client, photo)
    assert answer["release_digest"] == second["release_digest"]
    assert "lava" not in {info["name"] for info in answer["classes"]}
    (listed,) = (one for one in client.get("/releases").json() if one["name"] == "sharp")
    assert (listed["digest"], listed["edits"], listed["earlier_edits"]) == (second["release_digest"], 0, 1)
    assert client.get(f"/explain/{segment}").json()["release_digest"] == first["release_digest"]
    refused = client.post(f"/segments/{segment}/label", json={"class_name": "grass"})
    assert refused.status_code == 409
    assert "earlier release of this name" in refused.json()["detail"]
    assert client.post("/edits/1/revert").status_code == 409
    assert not client.post("/releases/sharp/activate").json()["changed"]


def test_what_cannot_be_remembered_is_not_served(
    client: TestClient, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("model_store.store.os.replace", full)
    refused = client.post("/releases/sharp/activate")
    assert refused.status_code == 503
    assert "No space left" in refused.json()["received"]
    assert ask(client, photo)["release"] == "tiny"


def test_twenty_changes_under_load_cost_no_request(stocked: Settings, photo: bytes) -> None:
    failures: list[str] = []
    answers: list[dict[str, Any]] = []
    done = threading.Event()
    with serving(create_app(stocked)) as address, httpx.Client(base_url=address, timeout=60) as client:

        def work(n: int) -> None:
            while not done.is_set():
                if n == 0:
                    _check(client.post("/segment", content=photo, headers={"accept": "image/png"}), failures)
                    continue
                response = client.post("/segment", content=photo)
                if _check(response, failures):
                    answer = response.json()
                    answers.append(answer)
                    segment = answer["segments"][n % len(answer["segments"])]["segment_id"]
                    _check(client.get(f"/explain/{segment}"), failures)
                    _check(client.post("/classes", json={"name": f"class {n} {len(answers)}"}), failures)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for n in range(SWAPS):
            seen = len(answers)
            _check(client.post(f"/releases/{('sharp', 'tiny')[n % 2]}/activate"), failures)
            wait_until(lambda seen=seen: len(answers) > seen + 1 or failures)
        done.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert {answer["release"] for answer in answers} == {"tiny", "sharp"}
        for answer in answers[:: max(1, len(answers) // 20)]:
            told = client.get(f"/explain/{answer['segments'][0]['segment_id']}").json()
            assert told["release"] == answer["release"]
            assert replay(told).class_name == answer["segments"][0]["class_name"]


def _check(response: httpx.Response, failures: list[str]) -> bool:
    if response.is_error:
        failures.append(f"{response.request.url}: {response.status_code} {response.text[:300]}")
    return not response.is_error
