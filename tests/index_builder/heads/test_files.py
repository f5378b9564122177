from pathlib import Path

import numpy as np
import pytest
import torch

from index_builder.heads import load_head, save_head
from segsort.head import Head
from tests.index_builder.heads.small import KINDS, small_rows, small_statistics


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_read_again_embeds_as_before(kind: str, small_heads: dict[str, Head], tmp_path: Path) -> None:
    head, statistics, rows = small_heads[kind], small_statistics(), small_rows(50)
    save_head(tmp_path / "head.npz", head, statistics, ["b", "a"])
    again, found, fitted_on = load_head(tmp_path / "head.npz")
    assert (again.kind, again.groups, again.tail, again.blend) == (head.kind, head.groups, head.tail, head.blend)
    assert torch.equal(again.embed(rows), head.embed(rows))
    np.testing.assert_array_equal(found.mean, statistics.mean)
    np.testing.assert_array_equal(found.scale, statistics.scale)
    np.testing.assert_allclose(found.correlation, statistics.correlation, atol=1e-3)
    assert found.correlation.dtype == np.float32
    assert fitted_on == {"a", "b"}


def test_what_is_no_head_is_refused_with_the_name_of_the_file(small_heads: dict[str, Head], tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    save_head(whole, small_heads["forest"], small_statistics())
    content = whole.read_bytes()
    with np.load(whole) as stored:
        kept = {name: stored[name] for name in stored.files}
    broken = {"half": content[: len(content) // 2], "empty": b"", "text": b"no head at all" * 20}
    for name, part in broken.items():
        (tmp_path / f"{name}.npz").write_bytes(part)
    for missing in ("weight", "statistics_scale", "trees_left", "kind"):
        np.savez(tmp_path / f"{missing}.npz", **{name: value for name, value in kept.items() if name != missing})
    for name in (*broken, "weight", "statistics_scale", "trees_left", "kind", "nowhere"):
        file = tmp_path / f"{name}.npz"
        with pytest.raises(ValueError, match=r"does not hold the values of a head .*build the release again") as caught:
            load_head(file)
        assert str(caught.value).startswith(str(file))
