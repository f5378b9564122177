import io
import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from model_store.explanation import replay
from segsort.masks import decode_rle
from service.answering.engine import Engine
from service.app import create_app
from service.records.database import Records
from service.settings import Settings


@pytest.fixture
def explained(client: TestClient, photo: bytes) -> list[dict]:
    """Each segment of an answer with its explanation."""
    answer = client.post("/segment", content=photo).json()
    return [segment | {"why": client.get(f"/explain/{segment['segment_id']}").json()} for segment in answer["segments"]]


def recount(exemplars: list[dict], kappa: float) -> dict[str, float]:
    """The vote by hand, from what the explanation says alone."""
    weights = [math.exp(kappa * e["similarity"]) for e in exemplars]
    shares: dict[str, float] = defaultdict(float)
    for exemplar, weight in zip(exemplars, weights, strict=True):
        shares[exemplar["class_name"]] += weight / sum(weights)
    return shares


def test_the_label_can_be_recomputed_from_the_explanation_alone(explained: list[dict]) -> None:
    for segment in explained:
        why = segment["why"]
        shares = recount(why["exemplars"], why["vote"]["kappa"])
        assert len(why["exemplars"]) == why["vote"]["k"]
        assert max(shares, key=shares.__getitem__) == segment["class_name"] == why["class_name"]
        assert {c["class_name"]: pytest.approx(c["weight"]) for c in why["vote"]["classes"]} == dict(shares)
        first, second = sorted([*shares.values(), 0.0], reverse=True)[:2]
        assert why["margin"] == pytest.approx(first - second)
        assert (why["runner_up"] or {}).get("weight", 0.0) == pytest.approx(second)


def test_confidence_and_known_follow_from_the_calibration_given(explained: list[dict]) -> None:
    for segment in explained:
        why = segment["why"]
        knots = why["calibration"]
        confidence = np.interp(why["share"], knots["confidence_x"], knots["confidence_y"])
        assert segment["confidence"] == why["confidence"] == pytest.approx(confidence)
        familiarity = (why["exemplars"][0]["similarity"] + why["image_similarity"]) / 2
        assert why["familiarity"] == pytest.approx(familiarity)
        assert segment["known"] == (why["familiarity"] >= knots["known_threshold"])
    areas = [segment["area"] for segment in explained]
    nearest = [segment["why"]["exemplars"][0]["similarity"] for segment in explained]
    assert explained[0]["why"]["image_similarity"] == pytest.approx(np.average(nearest, weights=areas))


def test_the_answer_lists_the_first_exemplars_of_the_vote(explained: list[dict]) -> None:
    for segment in explained:
        for listed, voted in zip(segment["exemplars"], segment["why"]["exemplars"], strict=False):
            assert listed.items() <= voted.items()


def test_taking_the_flip_set_away_changes_the_label_and_nothing_smaller_does(explained: list[dict]) -> None:
    for segment in explained:
        why = segment["why"]
        if why["flip_set"] is None:
            continue
        ranked = why["exemplars"] + why["reserve"]
        k, kappa = why["vote"]["k"], why["vote"]["kappa"]

        def winner(gone: list[str], ranked: list[dict] = ranked, k: int = k, kappa: float = kappa) -> str:
            shares = recount([e for e in ranked if e["exemplar_id"] not in gone][:k], kappa)
            return max(shares, key=shares.__getitem__)

        assert winner(why["flip_set"]) != segment["class_name"]
        assert winner(why["flip_set"][:-1]) == segment["class_name"]


def test_the_vote_is_recomputed_exactly_from_the_numbers_that_are_written(
    client: TestClient, explained: list[dict]
) -> None:
    records = client.app.state.engine.records  # type: ignore[attr-defined]
    for segment in explained:
        why = segment["why"]
        live = client.app.state.engine.live  # type: ignore[attr-defined]
        _, similarities = records.get(segment["segment_id"]).neighbours(live)
        written = [e["similarity"] for e in why["exemplars"] + why["reserve"]]
        assert (np.array(written, dtype=np.float32) == similarities).all()
        again = replay(why)
        assert (again.class_name, again.flip_set_holds) == (why["class_name"], True)
        for entry in why["vote"]["classes"]:
            assert again.shares[entry["class_id"]] == pytest.approx(entry["weight"], rel=2e-8)


def test_every_exemplar_opens_with_its_image_and_crop(client: TestClient, explained: list[dict]) -> None:
    exemplars = {e["exemplar_id"]: e for segment in explained for e in segment["why"]["exemplars"]}
    for exemplar_id, told in exemplars.items():
        assert client.get(f"/exemplars/{exemplar_id}").json().items() <= told.items()
        image = Image.open(io.BytesIO(client.get(told["image_url"]).content))
        assert [image.height, image.width] == told["mask"]["size"]
        crop = Image.open(io.BytesIO(client.get(told["crop_url"]).content))
        assert crop.width >= told["bbox"][2]
        mask = decode_rle(told["mask"]["counts"], tuple(told["mask"]["size"]))
        assert mask.sum() == told["area"]


def test_the_explanation_is_the_same_bytes_after_a_restart(start: Callable[..., TestClient], photo: bytes) -> None:
    with start() as client:
        segments = client.post("/segment", content=photo).json()["segments"]
        before = [client.get(f"/explain/{s['segment_id']}").content for s in segments]
    with start() as client:
        assert [client.get(f"/explain/{s['segment_id']}").content for s in segments] == before


def test_the_page_shows_the_vote_and_escapes_what_it_shows(client: TestClient, explained: list[dict]) -> None:
    segment = explained[0]
    page = client.get(f"/explain/{segment['segment_id']}", headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    for exemplar in segment["why"]["exemplars"]:
        assert exemplar["crop_url"] in page.text
    assert segment["class_name"] in page.text


@pytest.mark.parametrize("path", ["/explain/none", "/exemplars/none", "/exemplars/none/image", "/exemplars/none/crop"])
def test_an_id_that_is_not_known_is_a_clear_404(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.json()["received"] == "none"


def test_an_answer_that_cannot_be_recorded_is_not_given(settings: Settings, photo: bytes) -> None:
    records = Records("sqlite://")
    with records.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE segmentations")
    with TestClient(create_app(settings, Engine(settings, records))) as client:
        response = client.post("/segment", content=photo)
    assert response.status_code == 503
    assert "no such table" in response.json()["received"]


@pytest.mark.parametrize("changed", ["{id}-", "{id}-x", "{id}-999", "{id}-00", "{id}--1", "{id}", "-0", "{id}-²"])
def test_a_segment_that_an_answer_does_not_have_is_a_404(client: TestClient, photo: bytes, changed: str) -> None:
    answer = client.post("/segment", content=photo).json()
    assert client.get(f"/explain/{changed.format(id=answer['segmentation_id'])}").status_code == 404


def test_records_of_a_release_that_is_gone_without_a_copy_say_what_is_missing(
    start: Callable[..., TestClient], settings: Settings, photo: bytes, tmp_path: object
) -> None:
    import shutil
    from pathlib import Path

    moved = Path(str(tmp_path)) / "moved"
    shutil.copytree(str(settings.release), moved)
    with start(release=str(moved)) as client:
        segment_id = client.post("/segment", content=photo).json()["segments"][0]["segment_id"]
    shutil.rmtree(moved)
    shutil.rmtree(settings.data_dir / "kept", ignore_errors=True)
    with start(release=None) as client:
        response = client.get(f"/explain/{segment_id}")
    assert response.status_code == 200
    assert "'tiny' that gave this answer is gone" in response.json()["incomplete"]["reason"]
