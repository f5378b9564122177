"""Exemplars with the scope "image": they vote only for segments of their own image file."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model_store.explanation import replay
from service.app import create_app
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.editing.test_snapshot import snapshot
from tests.service.stroking import DOT, IMAGE, answer_of, apply, mark, names_of, preview, relabelled

OTHERS = [encoded(Blocks("val", count=9)[n].image) for n in (1, 2)]


def kerb(answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The correction of the largest brick to "kerb"."""
    bricks = [s for s in answer["segments"] if s["class_name"] == "brick"]
    largest = max(bricks, key=lambda s: s["area"])
    return {"labels": [{"segment_id": largest["segment_id"], "class_name": "kerb"}], **more}


def naive_names(client: TestClient, answer: dict[str, Any], image_id: str) -> list[str]:
    """The labels of an answer by a vote over every exemplar that may vote for its image, without an index."""
    engine = client.app.state.engine
    state, card = engine.served.live.state, engine.served.release.card
    recorded = engine.records.answer(answer["segmentation_id"])
    found = []
    for prototype in recorded.prototypes:
        voters = []
        for row in range(state.index.ntotal + len(state._added)):
            one = state.added(row)
            allowed = one is None or one.scope == "all" or one.image_id == image_id
            if state.is_alive(row) and allowed:
                at = np.array([row])
                cosine = float(state.prototypes(at)[0].astype(np.float64) @ prototype.astype(np.float64))
                voters.append((-round(cosine, 7), row, int(state.class_ids(at)[0]), float(state.strengths(at)[0])))
        shares: dict[int, float] = {}
        for negative, _, class_id, strength in sorted(voters)[: card.retrieval.k]:
            shares[class_id] = shares.get(class_id, 0) + strength * np.exp(-card.retrieval.kappa * negative)
        winner = max(shares, key=lambda class_id: (shares[class_id], -class_id))
        found.append(state.classes[winner].name)
    return found


@pytest.mark.parametrize("scope", ["image", "all"])
def test_a_kerb_for_one_image_changes_no_other_image_and_one_for_all_does(client: TestClient, scope: str) -> None:
    answer, others = answer_of(client), [answer_of(client, image) for image in OTHERS]
    body = apply(client, answer, **kerb(answer, scope=scope))
    assert body["edit"]["scope"] == scope == body["exemplars"][0]["scope"]
    assert "kerb" in names_of(body["relabelled"])
    changed = [names_of(relabelled(client, other)) != names_of(other) for other in others]
    assert changed == [scope == "all"] * 2
    segmented = ["kerb" in names_of(answer_of(client, image)) for image in (IMAGE, *OTHERS)]
    assert segmented == [True, scope == "all", scope == "all"]
    effect = client.get("/edits/1/effect").json()["segments"]
    assert {one["image_id"] for one in effect} == (
        {answer["image_id"]} if scope == "image" else {one["image_id"] for one in (answer, *others)}
    )


@pytest.mark.parametrize("scope", ["image", "all"])
def test_labels_are_those_of_a_vote_over_the_exemplars_that_may_vote(client: TestClient, scope: str) -> None:
    answer, others = answer_of(client), [answer_of(client, image) for image in OTHERS]
    apply(client, answer, **kerb(answer, scope=scope))
    apply(client, others[0], strokes=[DOT], scope=scope)
    for one in (answer, *others):
        again = relabelled(client, one)
        assert names_of(again) == naive_names(client, again, one["image_id"])


@pytest.fixture(params=["sqlite", "postgresql"])
def restarted(request: pytest.FixtureRequest, start: Callable[..., TestClient]) -> Iterator[Callable[[], TestClient]]:
    """Starts the service over one database, of each kind."""
    if request.param == "sqlite":
        yield lambda: start()
    else:
        url = request.getfixturevalue("postgres_url")
        yield lambda: start(database_url=url)


def test_the_scope_survives_a_restart(restarted: Callable[[], TestClient]) -> None:
    with restarted() as client:
        answer, others = answer_of(client), [answer_of(client, image) for image in OTHERS]
        apply(client, answer, **kerb(answer, scope="image"))
        before = [names_of(relabelled(client, one)) for one in (answer, *others)]
        listed = client.get("/exemplars?limit=3").json()
    with restarted() as client:
        assert [names_of(relabelled(client, one)) for one in (answer, *others)] == before
        assert client.get("/exemplars?limit=3").json() == listed
        assert listed["exemplars"][0]["scope"] == "image"
        assert [listed["exemplars"][n]["scope"] for n in (1, 2)] == ["all", "all"]
        assert "kerb" in before[0]
        assert "kerb" not in before[1] + before[2]
        own = next(c for c in client.get("/classes").json() if c["name"] == "kerb")
        assert (own["exemplars"], own["for_one_image"]) == (1, 1)


def test_explanations_name_the_scope_and_can_be_recomputed(client: TestClient) -> None:
    answer, other = answer_of(client), answer_of(client, OTHERS[0])
    body = apply(client, answer, **kerb(answer, scope="image"))
    local = body["exemplars"][0]["exemplar_id"]
    scopes = set()
    for one in (body["relabelled"], relabelled(client, other)):
        for segment in one["segments"]:
            why = client.get(f"/explain/{segment['segment_id']}").raise_for_status().json()
            again = replay(why)
            assert (again.class_id, again.flip_set_holds) == (segment["class_id"], True)
            runner_up = (why["runner_up"] or {"exemplars": []})["exemplars"]
            named = {e["exemplar_id"]: e["scope"] for e in [*why["exemplars"], *why["reserve"], *runner_up]}
            scopes |= set(named.values())
            assert named.get(local, "image") == "image"
            assert one is body["relabelled"] or local not in named
    assert scopes == {"all", "image"}
    page = client.get(f"/explain/{body['relabelled']['segments'][0]['segment_id']}", headers={"accept": "text/html"})
    assert page.status_code == 200


def test_a_mark_for_one_image_leaves_marks_for_all_in_effect_and_the_reverse_replaces_it(client: TestClient) -> None:
    answer = answer_of(client)
    for_all = apply(client, answer, **kerb(answer))
    segment = kerb(answer)["labels"][0]["segment_id"]
    local = apply(client, answer, labels=[{"segment_id": segment, "class_name": "fog"}], scope="image")
    assert "replaces" not in local["edit"]
    assert local["exemplars"][0]["wins"]
    assert "fog" in names_of(local["relabelled"])
    assert client.get(f"/exemplars/{for_all['exemplars'][0]['exemplar_id']}").json()["removed_in"] is None
    same = apply(client, answer, 200, labels=[{"segment_id": segment, "class_name": "fog"}], scope="image")
    assert same["edit"] is None
    everywhere = apply(client, answer, labels=[{"segment_id": segment, "class_name": "fog"}])
    assert set(everywhere["edit"]["replaces"]) == {
        local["exemplars"][0]["exemplar_id"], for_all["exemplars"][0]["exemplar_id"],
    }  # fmt: skip
    assert everywhere["exemplars"][0]["scope"] == "all"
    client.post("/edits/3/revert", json={}).raise_for_status()
    assert "fog" in names_of(relabelled(client, answer))


def test_a_correction_and_strokes_of_other_routes_take_the_scope_too(client: TestClient) -> None:
    answer, other = answer_of(client), answer_of(client, OTHERS[0])
    segment = kerb(answer)["labels"][0]["segment_id"]
    corrected = client.post(f"/segments/{segment}/label", json={"class_name": "kerb", "scope": "image"}).json()
    assert (corrected["edit"]["scope"], corrected["exemplar"]["scope"]) == ("image", "image")
    assert "kerb" in names_of(corrected["relabelled"])
    marked = mark(client, [DOT], scope="image")
    assert {e["scope"] for e in marked["exemplars"]} == {"image"}
    labels = [{"segment_id": s["segment_id"], "class_name": "mud"} for s in other["segments"][:2]]
    bulk = client.post("/segments/labels", json={"labels": labels, "scope": "image"}).json()
    assert bulk["edit"]["scope"] == "image"
    assert names_of(relabelled(client, other))[:2] == ["mud", "mud"]
    assert set(names_of(relabelled(client, other))) & {"kerb", "fog"} == set()
    assert "mud" not in names_of(relabelled(client, answer))
    for wrong in ("here", 7, None):
        assert client.post("/exemplars", json={"segmentation_id": answer["segmentation_id"], "strokes": [DOT],
                                               "scope": wrong}).status_code == 422  # fmt: skip
        assert preview(client, answer, 422, strokes=[DOT], scope=wrong)["status"] == 422


def test_a_snapshot_leaves_exemplars_for_one_image_out_and_says_so(client: TestClient, settings: Settings) -> None:
    answer = answer_of(client)
    apply(client, answer, **kerb(answer, scope="image"))
    apply(client, answer, strokes=[DOT])
    count = client.get("/readyz").json()["exemplars"]
    made = snapshot(settings, "fixed")
    assert made.returncode == 0, made.stderr
    edited = client.get("/releases/fixed").json()["data"]["edited"]
    assert (edited["exemplars"], edited["left_out_for_one_image_only"]) == (count - 1, 1)
    assert edited["exemplars_per_class"]["kerb"] == 0
    with TestClient(create_app(settings.model_copy(update={"release": "fixed"}))) as fixed:
        names = {name for image in (IMAGE, *OTHERS) for name in names_of(answer_of(fixed, image))}
    assert "kerb" not in names
