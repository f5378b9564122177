"""Edits of a release are carried over to another release, here to a copy of it under another name."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model_store.live import LiveExemplars
from model_store.release import Release
from model_store.snapshot_release import write_live
from segsort.arrays import on_host
from segsort.masks import encode_rle
from service.adapting.carrying import Carrier
from service.answering.activation import Activation
from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.editing.class_names import ClassRef
from service.editing.curation import Curation
from service.editing.pieces import Piece, Source
from service.problems import Problem
from service.records.follower import Author
from service.records.image_store import ImageFile, ImageStore
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.conftest import encoded

ANNA = Author("anna", "because")
IMAGE = encoded(Blocks("val", count=5)[4].image)


@pytest.fixture
def engine(tiny_release: Path, tmp_path: Path) -> Iterator[Engine]:
    tiny = Release.open(tiny_release)
    write_live(LiveExemplars.of_release(tiny), tmp_path / "releases" / "new", lambda image_id: b"", "new")
    engine = Engine(Settings(data_dir=tmp_path, release=str(tiny_release), threads=1))
    yield engine
    engine.close()


def carried(engine: Engine, since: int = 0) -> tuple[ServedRelease, Carrier]:
    """Activate the copy, with the edits of the old release: the old release, and the carrier."""
    old = engine.served
    carrier = Carrier(engine, since, {name: name for name in old.release.exemplars.ids})
    Activation(engine).activate("new", "anna", carrier)
    return old, carrier


def curation(engine: Engine) -> Curation:
    return Curation(engine.follower, engine.served, engine.records.images)


def source(engine: Engine) -> Source:
    return Source(ImageFile.of(IMAGE, (72, 96)), "a yard")


def pieces(*names: str, stroked: bool = False) -> list[Piece]:
    """A piece of 24x24 pixels of each class, with a prototype that the network does not make."""
    found = []
    for n, name in enumerate(names):
        labels = np.zeros((72, 96), dtype=np.uint8)
        labels[24:48, 24 * n : 24 * n + 24] = 1
        mask = encode_rle(np.where(labels > 0, 0, -1).astype(np.int32), 1)[0]
        prototype = np.eye(32, dtype=np.float32)[n]
        found.append(Piece(prototype, ClassRef(name), (24 * n, 24, 24, 24), 576, mask, stroked))
    return found


def alive(served: ServedRelease) -> dict[str, int]:
    """Number of alive exemplars of each class that is offered."""
    counts = served.live.state.counts_per_class
    return {s.info.name: int(counts[s.info.class_id]) for s in served.live.log.class_states() if not s.retired}


def offered(served: ServedRelease) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and colour of each class that is offered, in the order of class_id."""
    return [(s.info.name, s.info.color) for s in served.live.log.class_states() if not s.retired]


def test_added_exemplars_are_embedded_again_and_keep_author_image_and_mask(engine: Engine) -> None:
    added = curation(engine).add(ANNA, source(engine), pieces("lava", "brick"))
    before = alive(engine.served)
    old, carrier = carried(engine)
    assert engine.served.name == "new"
    assert alive(engine.served) == before
    edits = list(engine.served.live.log.edits.values())
    assert [edit.kind for edit in edits] == ["class", "add"]
    assert carrier.edits == 2
    assert (edits[1].author, edits[1].reason) == ("anna", f"carried over from edit 1 of release {old.name}: because")
    state = engine.served.live.state
    for was, name in zip(added.exemplars, edits[1].payload["exemplar_ids"], strict=True):
        new = state.added(state.row(name))
        assert (new.mask, new.source, new.image_id, new.class_id) == (was.mask, was.source, was.image_id, was.class_id)
        embeddings = on_host(engine.embed(engine.decode(IMAGE, engine.served), None, engine.served)[0])
        x = was.bbox[0] // 4
        mean = embeddings[:, 6:12, x : x + 6].reshape(len(embeddings), -1).mean(axis=1)
        assert mean @ new.prototype / np.linalg.norm(mean) == pytest.approx(1, abs=1e-3)


def test_only_edits_after_the_snapshot_are_carried_over(engine: Engine) -> None:
    curation(engine).add(ANNA, source(engine), pieces("brick"))
    _, carrier = carried(engine, since=1)
    assert carrier.edits == 0
    assert engine.served.live.state.count == len(engine.served.release.exemplars)


def test_removals_restorations_and_reverts_have_their_net_effect(engine: Engine) -> None:
    ids = engine.served.release.exemplars.ids
    edits = curation(engine)
    edits.remove(ANNA, ids[:3])
    edits.remove(ANNA, ids[3:5])
    edits.revert(ANNA, 2)
    once = edits.add(ANNA, source(engine), pieces("lava"))
    assert once.edit is not None
    edits.revert(ANNA, once.edit.revision)
    carried(engine)
    log = engine.served.live.log
    assert [log.is_alive(name) for name in ids[:5]] == [False, False, False, True, True]
    assert set(alive(engine.served)) == {"brick", "grass", "water"}
    assert sum(alive(engine.served).values()) == len(ids) - 3


def test_exemplars_removed_before_the_snapshot_and_restored_after_it_come_back(engine: Engine) -> None:
    ids = engine.served.release.exemplars.ids
    edits = curation(engine)
    edits.remove(ANNA, ids[:2])
    old = engine.served
    carrier = Carrier(engine, 1, {name: name for name in ids[2:]})
    edits.revert(ANNA, 1)
    Activation(engine).activate("new", "anna", carrier)
    assert carrier.edits == len(set(old.release.exemplars.image_ids[:2].tolist()))  # one for each image
    assert engine.served.live.state.count == len(ids) + 2  # the copy had them already
    assert old.live.state.count == len(ids)


def test_classes_are_created_renamed_and_recoloured(engine: Engine) -> None:
    edits = curation(engine)
    edits.change_class(ANNA, 0, "wall", "#010203")
    edits.make_class(ANNA, "brick", "#040506")
    edits.make_class(ANNA, "gone", None)
    edits.revert(ANNA, 3)
    edits.add(ANNA, source(engine), pieces("brick", "ice"))
    old, _ = carried(engine)
    assert offered(engine.served) == offered(old)
    assert alive(engine.served) == alive(old)


def test_edits_are_carried_over_again_after_a_failure(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class is created in the new release before the images are stored, which fails. Edits go on meanwhile."""
    edits = curation(engine)
    edits.change_class(ANNA, 0, "wall", None)
    edits.make_class(ANNA, "brick", "#040506")
    edits.add(ANNA, source(engine), pieces("Brick", "ice"))
    old = engine.served

    def refuse(store: ImageStore, image: ImageFile) -> None:
        raise Problem(503, "The object store does not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(ImageStore, "keep", refuse)
        with pytest.raises(Problem, match="does not answer"):
            carried(engine)
    assert engine.served is old
    edits.change_class(ANNA, 3, None, "#070809")
    carried(engine)
    assert engine.served.name == "new"
    assert offered(engine.served) == offered(old)
    assert alive(engine.served) == alive(old)


def test_edits_are_carried_over_again_after_the_old_release_was_served_again(engine: Engine) -> None:
    edits = curation(engine)
    edits.add(ANNA, source(engine), pieces("lava"))
    edits.make_class(ANNA, "fog", None)
    old, _ = carried(engine)
    Activation(engine).activate(old.name, "anna")
    edits.make_class(ANNA, "mist", None)
    _, carrier = carried(engine)
    assert carrier.edits == 1
    assert offered(engine.served) == offered(old)
    assert alive(engine.served) == alive(old)


def test_a_class_takes_the_name_that_another_one_had(engine: Engine) -> None:
    """A reverted class comes back under its name, after a class with a higher id gave the name up."""
    edits = curation(engine)
    edits.make_class(ANNA, "lava", None)
    edits.revert(ANNA, 1)
    edits.make_class(ANNA, "lava", None)
    write_live(engine.served.live.state, engine.settings.data_dir / "releases" / "newer", lambda image_id: b"", "newer")
    since = engine.served.live.state.revision
    edits.change_class(ANNA, 4, "basalt", None)
    edits.revert(ANNA, 2)
    old = engine.served
    carrier = Carrier(engine, since, {name: name for name in old.release.exemplars.ids})
    Activation(engine).activate("newer", "anna", carrier)
    assert sorted(offered(engine.served)) == sorted(offered(old))


@pytest.mark.parametrize("since", [0, 1, 2])
def test_exemplars_for_one_image_are_carried_over_whenever_they_were_added(engine: Engine, since: int) -> None:
    """The copy has none of them, because a release has no exemplars for one image."""
    edits = curation(engine)
    added = edits.add(ANNA, source(engine), pieces("brick", "water"), scope="image")
    edits.remove(ANNA, [added.exemplars[1].exemplar_id])
    image_id, before = source(engine).image.image_id, engine.served.live.state.count
    old, carrier = carried(engine, since)
    state = engine.served.live.state
    assert (carrier.edits, state.count) == (1, before)
    new = [(one.scope, one.mask, one.class_id, one.image_id) for one in state.added_to_image(image_id)]
    assert new == [("image", added.exemplars[0].mask, 0, image_id)]
    row = state.row(state.added_to_image(image_id)[0].exemplar_id)
    assert not state.votes(row)
    assert state.for_image(image_id).votes(row)
    assert old.live.state.counts_of_one_image.sum() == 1


def test_a_stroke_that_needed_strength_wins_its_pixels_again(engine: Engine) -> None:
    embeddings = on_host(engine.embed(engine.decode(IMAGE, engine.served), None, engine.served)[0])
    prototype = embeddings[:, 8, 2]
    piece = pieces("lava", stroked=True)[0]._replace(prototype=prototype / np.linalg.norm(prototype))
    strength = curation(engine).add(ANNA, source(engine), [piece]).exemplars[0].strength
    assert strength > 1
    carried(engine)
    state = engine.served.live.state
    (new,) = (state.added(state.row(name)) for name in engine.served.live.log.added_in)
    assert new.strength > 1
    cosines, rows = state.search(new.prototype[None], 5)
    assert state.vote(cosines, rows).class_ids.tolist() == [new.class_id]


def test_edits_of_the_old_release_are_refused_afterwards_and_accepted_once_it_is_served_again(engine: Engine) -> None:
    waiting = curation(engine)  # a request that began before
    old, _ = carried(engine)
    with pytest.raises(Problem, match="took the place") as raised:
        waiting.make_class(ANNA, "late", None)
    assert raised.value.status == 409
    Activation(engine).activate(old.name, "anna")
    assert waiting.make_class(ANNA, "late", None).payload["after"]["name"] == "late"


def test_no_edit_made_meanwhile_is_lost(engine: Engine) -> None:
    """Edits are made without a pause while the release changes; each that was acknowledged is in effect."""
    made, refused = list[str](), list[int]()
    stop = threading.Event()

    def edit() -> None:
        number = 0
        while not stop.is_set() and number < 60:
            number += 1
            try:
                curation(engine).make_class(ANNA, f"class {number}", None)
            except Problem as problem:  # it is not made, and says so
                refused.append(problem.status)
                continue
            made.append(f"class {number}")

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        while len(made) < 5:
            pass
        carried(engine)
    finally:
        stop.set()
        thread.join()
    assert set(made) <= set(alive(engine.served))
    assert len(made) > 5
    assert set(refused) <= {409}
