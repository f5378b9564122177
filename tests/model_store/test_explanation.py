"""An explanation contains everything that decides its label. A replay detects altered values."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.card import ClassInfo
from model_store.explanation import Replay, exemplar_facts, explain_vote, replay
from model_store.live import AddedExemplar, LiveExemplars
from model_store.predictor import Prediction, Predictor
from model_store.release import Release
from segsort.retrieval import flip_set
from tests.conftest import Blocks


@pytest.fixture(scope="module")
def predictor(tiny_release: Path) -> Predictor:
    return Predictor(Release.open(tiny_release), threads=1)


@pytest.fixture(scope="module")
def prediction(predictor: Predictor) -> Prediction:
    """The prediction of an image whose right half is noise, so that its exemplars disagree."""
    image = Blocks("val")[1].image.copy()
    image[:, 48:] = np.random.default_rng(0).integers(0, 256, (72, 48, 3))
    return predictor.predict(image)


@pytest.fixture(scope="module")
def explained(predictor: Predictor, prediction: Prediction) -> list[dict[str, Any]]:
    """The explanation of each segment, after conversion to JSON and back."""
    card = predictor.release.card.retrieval
    told = [
        explain_vote(predictor.release, similarities, rows, card.k, card.kappa)
        for similarities, rows in zip(prediction.similarities, prediction.rows, strict=True)
    ]
    return list(json.loads(json.dumps(told)))


@pytest.fixture(scope="module")
def torn(explained: list[dict[str, Any]]) -> dict[str, Any]:
    """A segment whose exemplars disagree and whose label can be flipped."""
    return next(told for told in explained if told["runner_up"] and told["flip_set"])


def test_an_explanation_is_the_vote_that_was_served(
    predictor: Predictor, prediction: Prediction, explained: list[dict[str, Any]]
) -> None:
    exemplars, k = predictor.release.exemplars, predictor.release.card.retrieval.k
    for s, told in enumerate(explained):
        shares = prediction.vote.shares[s]
        assert told["class_id"] == prediction.vote.class_ids[s]
        assert told["share"] == pytest.approx(shares.max())
        assert [e["weight"] for e in told["exemplars"]] == pytest.approx(prediction.vote.weights[s].tolist())
        assert {c["class_id"]: c["weight"] for c in told["vote"]["classes"]} == pytest.approx(
            {c: shares[c] for c in np.flatnonzero(shares)}
        )
        ranked = told["exemplars"] + told["reserve"]
        assert len(told["exemplars"]) == told["vote"]["k"] == k
        assert [e["exemplar_id"] for e in ranked] == [exemplars.ids[row] for row in prediction.rows[s]]
        assert [e["similarity"] for e in ranked] == prediction.similarities[s].tolist(), "to the last bit"


def test_a_replay_of_the_explanation_gives_label_and_shares(
    prediction: Prediction, explained: list[dict[str, Any]]
) -> None:
    for s, told in enumerate(explained):
        again = replay(told)
        assert (again.class_id, again.class_name) == (told["class_id"], told["class_name"])
        assert again.class_id == prediction.vote.class_ids[s]
        assert sum(again.shares.values()) == pytest.approx(1)
        assert again.shares == pytest.approx({c: w for c, w in enumerate(prediction.vote.shares[s]) if w > 0})
        assert again.flip_set_holds
    assert any(told["flip_set"] for told in explained)
    assert any(len(told["vote"]["classes"]) > 1 for told in explained), "so that the shares say something"


def swap_class(told: dict[str, Any]) -> None:
    for exemplar in told["exemplars"]:
        if exemplar["class_id"] == told["class_id"]:
            exemplar.update({name: told["runner_up"][name] for name in ("class_id", "class_name")})


def shorten_flip_set(told: dict[str, Any]) -> None:
    told["flip_set"] = told["flip_set"][:-1]


def lengthen_flip_set(told: dict[str, Any]) -> None:
    ranked = [e for e in told["exemplars"] + told["reserve"] if e["class_id"] == told["class_id"]]
    told["flip_set"] = [e["exemplar_id"] for e in ranked[: len(told["flip_set"]) + 1]]


def drop_flip_set(told: dict[str, Any]) -> None:
    told["flip_set"] = None


def raise_kappa(told: dict[str, Any]) -> None:
    told["vote"]["kappa"] *= 3


def lose_an_exemplar(told: dict[str, Any]) -> None:
    told["exemplars"].pop(0)


def lower_a_similarity(told: dict[str, Any]) -> None:
    told["exemplars"][0]["similarity"] -= 0.05


@pytest.mark.parametrize(
    ("tamper", "what"),
    [
        (swap_class, "label"),
        (raise_kappa, "shares"),
        (lose_an_exemplar, "shares"),
        (lower_a_similarity, "shares"),
        (shorten_flip_set, "flip set"),
        (lengthen_flip_set, "flip set"),
        (drop_flip_set, "flip set"),
    ],
)
def test_a_tampered_explanation_fails_its_replay(
    tamper: Callable[[dict[str, Any]], None], what: str, torn: dict[str, Any]
) -> None:
    told = json.loads(json.dumps(torn))
    tamper(told)
    again = replay(told)
    shares = {c["class_id"]: c["weight"] for c in torn["vote"]["classes"]}
    agrees = {
        "label": again.class_id == torn["class_id"],
        "shares": again.shares == pytest.approx(shares, abs=1e-9),
        "flip set": again.flip_set_holds,
    }
    assert not agrees[what]


def test_equal_shares_go_to_the_lowest_class_here_too() -> None:
    voters = [{"exemplar_id": str(c), "class_id": c, "class_name": f"c{c}", "similarity": 0.5} for c in (3, 1, 2)]
    told = {"vote": {"k": 3, "kappa": 10.0}, "exemplars": voters, "reserve": [], "flip_set": None}
    assert replay(told).class_name == "c1"


@pytest.fixture(scope="module")
def corrected(predictor: Predictor, prediction: Prediction) -> tuple[LiveExemplars, Prediction]:
    """A state in which a strong exemplar corrects the first segment, and its three nearest exemplars are removed."""
    state = predictor.as_built
    wrong = int(prediction.vote.class_ids[0])
    right = ClassInfo(class_id=3, name="kerb", color=(1, 2, 3))
    correction = AddedExemplar(
        "correction", prediction.segments.prototypes[0], 3, 9.0, "0" * 64, "shown/1", 96, 72, (1, 2, 3, 4), 7, "04l`1"
    )
    gone = dict.fromkeys(state.ids(prediction.rows[0, :3]), False)
    live = state.edited(1, added=[correction], alive=gone, classes=[*state.classes, right])
    retrieved = predictor.retrieve(prediction.segments.prototypes, prediction.segments.areas, state=live)
    assert (wrong, int(retrieved.vote.class_ids[0])) == (wrong, 3)
    return live, Prediction(prediction.segments, *retrieved, {})


def test_an_explanation_of_a_live_state_tells_strengths_and_is_replayed(
    predictor: Predictor, corrected: tuple[LiveExemplars, Prediction]
) -> None:
    state, found = corrected
    card = predictor.release.card.retrieval
    for s, (similarities, rows) in enumerate(zip(found.similarities, found.rows, strict=True)):
        told = explain_vote(state, similarities, rows, card.k, card.kappa)
        again = replay(json.loads(json.dumps(told)))
        assert again.class_id == told["class_id"] == found.vote.class_ids[s]
        assert again.shares == pytest.approx({c: w for c, w in enumerate(found.vote.shares[s]) if w > 0})
        assert again.flip_set_holds
    first = explain_vote(state, found.similarities[0], found.rows[0], card.k, card.kappa)
    strong = first["exemplars"][0]
    assert (strong["exemplar_id"], strong["class_name"], strong["strength"]) == ("correction", "kerb", 9.0)
    assert (strong["source"], strong["bbox"], strong["area"]) == ("shown/1", [1, 2, 3, 4], 7)
    assert strong["mask"] == {"size": [72, 96], "counts": "04l`1"}
    assert {e["strength"] for e in first["exemplars"][1:] + first["reserve"]} == {1.0}
    assert first["flip_set"] == ["correction"]
    lying = json.loads(json.dumps(first))
    lying["exemplars"][0]["strength"] = 1.0
    assert replay(lying).shares != pytest.approx(replay(first).shares)


def test_an_answer_of_before_is_told_with_what_has_been_removed_and_the_names_of_then(
    predictor: Predictor, prediction: Prediction, corrected: tuple[LiveExemplars, Prediction]
) -> None:
    state, card = corrected[0], predictor.release.card.retrieval
    renamed = [info.model_copy(update={"name": f"new {info.name}"}) for info in state.classes]
    later = state.edited(2, classes=renamed)
    arguments = (prediction.similarities[0], prediction.rows[0], card.k, card.kappa)
    then = explain_vote(predictor.release, *arguments)
    assert not later.is_alive(int(prediction.rows[0, 0]))
    assert explain_vote(later, *arguments, classes=state.classes) == then
    now = explain_vote(later, *arguments)
    assert now["class_name"] == f"new {then['class_name']}"
    assert now["exemplars"][0]["class_name"] == f"new {then['exemplars'][0]['class_name']}"


@given(
    voters=st.lists(
        st.tuples(st.integers(40, 100), st.sampled_from([0, 0, 1, 2]), st.sampled_from([1, 1, 2, 5, 40])),
        min_size=1,
        max_size=14,
    ),
    k=st.integers(1, 5),
)
@settings(max_examples=300, deadline=None)
def test_the_flip_set_of_any_vote_holds_in_its_replay(voters: list[tuple[int, int, int]], k: int) -> None:
    """The replay is an independent implementation without numpy. Both must agree on every vote with strengths."""
    voters = sorted(voters, reverse=True)
    hundredths, classes, strengths = (np.array(column) for column in zip(*voters, strict=True))
    similarities = hundredths / 100 - np.sqrt(np.arange(2, len(voters) + 2)) / 1000  # no ties, which rounding decides
    k = min(k, len(voters))
    flips = flip_set(similarities, classes, k, 10.0, strengths)
    ranked = [
        {"exemplar_id": str(n), "class_id": c, "class_name": str(c), "similarity": similarities[n], "strength": s}
        for n, (_, c, s) in enumerate(voters)
    ]
    told = {"vote": {"k": k, "kappa": 10.0}, "exemplars": ranked[:k], "reserve": ranked[k:]}
    assert replay(told | {"flip_set": flips and [str(n) for n in flips]}).flip_set_holds
    if flips is not None and len(flips) > 1:
        assert not replay(told | {"flip_set": [str(n) for n in flips[:-1]]}).flip_set_holds
    if flips is not None:
        assert not replay(told | {"flip_set": None}).flip_set_holds


def test_a_large_kappa_overflows_nowhere() -> None:
    voters = [{"exemplar_id": c, "class_id": ord(c), "class_name": c, "similarity": 0.9} for c in "ab"]
    voters[1]["similarity"] = 0.8
    told = {"vote": {"k": 2, "kappa": 1e5}, "exemplars": voters, "reserve": [], "flip_set": None}
    assert replay(told).shares == {ord("a"): 1.0, ord("b"): 0.0}


def test_k_beyond_the_neighbours_is_cut_to_them(predictor: Predictor, prediction: Prediction) -> None:
    told = explain_vote(predictor.release, prediction.similarities[0, :3], prediction.rows[0, :3], 50, 10.0)
    assert told["vote"]["k"] == len(told["exemplars"]) == 3
    assert (told["reserve"], told["flip_set"]) == ([], None)
    assert replay(told).flip_set_holds


def test_more_may_be_said_of_an_exemplar(predictor: Predictor, prediction: Prediction) -> None:
    def describe(release: Release, row: int) -> dict[str, Any]:
        return exemplar_facts(release, row) | {"url": f"/{row}"}

    told = explain_vote(predictor.release, prediction.similarities[0], prediction.rows[0], 5, 10.0, describe)
    assert [e["url"] for e in told["exemplars"] + told["reserve"]] == [f"/{row}" for row in prediction.rows[0]]


def test_where_nothing_voted_the_explanation_says_so_and_is_replayed(predictor: Predictor) -> None:
    told = explain_vote(predictor.release, np.zeros(0), np.zeros(0, dtype=np.int64), 5, 10.0)
    assert (told["class_id"], told["class_name"], told["share"], told["margin"]) == (None, None, None, None)
    assert told["vote"] == {"k": 0, "kappa": 10.0, "classes": []}
    assert (told["exemplars"], told["reserve"], told["runner_up"], told["flip_set"]) == ([], [], None, None)
    assert replay(json.loads(json.dumps(told))) == Replay(None, None, {}, True)
    assert not replay(told | {"flip_set": ["e1"]}).flip_set_holds


@pytest.mark.parametrize(("similarities", "rows", "k"), [(3, 2, 1), (0, 0, 0), (3, 3, 0)])
def test_a_vote_of_nothing_is_refused(similarities: int, rows: int, k: int, predictor: Predictor) -> None:
    with pytest.raises(ValueError, match=rf"shape \({similarities},\), rows \({rows},\), k={k}"):
        explain_vote(predictor.release, np.zeros(similarities), np.zeros(rows, dtype=np.int64), k, 10.0)


def test_a_replay_of_half_an_explanation_is_refused(torn: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has no 'reserve'; give the whole JSON"):
        replay({name: value for name, value in torn.items() if name != "reserve"})
    with pytest.raises(ValueError, match="has 0 exemplars and k=5"):
        replay(torn | {"exemplars": [], "reserve": []})
    with pytest.raises(ValueError, match="and k=0"):
        replay(torn | {"vote": torn["vote"] | {"k": 0}})
