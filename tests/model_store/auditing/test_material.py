"""The exemplars of an audit, from a live state."""

from pathlib import Path

import numpy as np
import pytest

from model_store.added import AddedExemplar
from model_store.auditing import Material
from model_store.live import LiveExemplars
from model_store.release import Release


@pytest.fixture
def state(tiny_release: Path) -> LiveExemplars:
    return LiveExemplars.of_release(Release.open(tiny_release))


def added(name: str, image_id: str, source: str) -> AddedExemplar:
    prototype = np.eye(32, dtype=np.float32)[0]
    return AddedExemplar(name, prototype, 1, 2.0, image_id, source, 8, 1, (0, 0, 1, 1), 1, "")


def test_columns_follow_the_alive_rows(state: LiveExemplars) -> None:
    ids = state.release.exemplars.ids
    changed = state.edited(1, added=[added("a", "x", "mine")], alive={ids[3]: False})
    material = Material.of(changed)
    N = state.index.ntotal
    assert material.rows.tolist() == [n for n in range(N) if n != 3] + [N]
    np.testing.assert_array_equal(material.prototypes, changed.prototypes(material.rows))
    assert material.class_ids[-1] == 1
    assert material.strengths[-1] == 2
    assert (material.k, material.kappa, material.num_classes) == (5, 10.0, 3)
    np.testing.assert_array_equal(material.images[:-1], np.delete(state.release.exemplars.image_ids, 3))


def test_exemplars_of_one_file_have_one_image(state: LiveExemplars) -> None:
    new = [added("a", "x", "mine"), added("b", "x", "correction of segment 1"), added("c", "y", "other")]
    images = Material.of(state.edited(1, added=new)).images
    first, second, third = images[-3:].tolist()
    assert first == second != third
    assert not {first, third} & set(images[:-3].tolist())


def test_a_relabelled_exemplar_of_the_release_stays_in_its_image(state: LiveExemplars) -> None:
    source = state.release.sources[2].source
    images = Material.of(state.edited(1, added=[added("a", "x", source), added("b", "x", "correction")])).images
    assert images[-2:].tolist() == [2, 2]


def test_images_are_apart_unless_there_are_fewer_than_three(state: LiveExemplars) -> None:
    material = Material.of(state)
    assert material.across_images
    np.testing.assert_array_equal(material.apart, material.images)
    few = material._replace(images=np.arange(len(material.rows)) % 2)
    assert not few.across_images
    np.testing.assert_array_equal(few.apart, np.arange(len(material.rows)))
