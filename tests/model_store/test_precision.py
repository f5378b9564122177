"""Which network of a release runs: the one in float32, or the one in bytes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from model_store import precision
from model_store.card import QuantisedInfo, QuantisedScores
from model_store.embedder import Embedder
from model_store.kept import KeptReleases
from model_store.precision import choose_precision
from model_store.release import QUANTISED, Release, ReleaseError
from segsort.loops import processor
from tests.conftest import Blocks


def info(*losses: float) -> QuantisedInfo:
    measured = {
        str(n): QuantisedScores(images=1, miou=0.7 - loss, miou_float32=0.7, agreement=1)
        for n, loss in enumerate(losses)
    }
    return QuantisedInfo(
        calibrated_on="a", chosen_on="b", float_layers=[], layers=1, cosine=1, cosine_p01=1, measured=measured
    )


def test_bytes_are_served_by_default_where_they_are_fast_and_lose_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "multiplies_bytes", lambda: True)
    assert choose_precision("auto", info(0.001, 0.0049), "cpu") == "int8"
    assert choose_precision("auto", info(-0.01), "cpu") == "int8"
    assert choose_precision("auto", info(0.001, 0.006), "cpu") == "float32", "the largest loss decides"
    assert choose_precision("auto", info(), "cpu") == "float32", "nothing was measured"
    assert choose_precision("auto", None, "cpu") == "float32"
    assert choose_precision("auto", info(0.001), "cuda") == "float32"
    monkeypatch.setattr(precision, "multiplies_bytes", lambda: False)
    assert choose_precision("auto", info(0.001), "cpu") == "float32"


def test_a_precision_that_is_asked_for_is_used_or_refused() -> None:
    for asked in ("float32", "float16"):
        assert choose_precision(asked, info(0.0), "cpu") == asked  # type: ignore[arg-type]
    assert choose_precision("int8", info(0.5), "cpu") == "int8", "a person decided"
    with pytest.raises(ValueError, match=r"no network in bytes; add one with `segsort quantise`"):
        choose_precision("int8", None, "cpu")
    with pytest.raises(ValueError, match="is for a CPU, and the device is 'cuda'"):
        choose_precision("int8", info(0.0), "cuda")
    with pytest.raises(ValueError, match=r"precision='int4' is not known; choose one of auto, float32, float16, int8"):
        choose_precision("int4", None, "cpu")  # type: ignore[arg-type]


@pytest.mark.parametrize("feature", ["avx512vnni", "avxvnni", "amx-int8", "dotprod", "i8mm", None])
def test_instructions_that_multiply_bytes_are_found(feature: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"avx2": True, "avx512vnni": False} | ({feature: True} if feature else {})
    monkeypatch.setattr(processor.llvmlite.binding, "get_host_cpu_features", lambda: found)
    assert processor.multiplies_bytes.__wrapped__() is (feature is not None)


@pytest.mark.parametrize("feature", ["avx512bf16", "amx-bf16", "bf16", None])
def test_instructions_that_multiply_bfloat16_are_found(feature: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"avx2": True, "avx512vnni": True} | ({feature: True} if feature else {})
    monkeypatch.setattr(processor.llvmlite.binding, "get_host_cpu_features", lambda: found)
    assert processor.multiplies_bfloat16.__wrapped__() is (feature is not None)


def test_the_embedder_runs_the_network_that_was_chosen(
    quantised_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, image = Release.open(quantised_release), Blocks("val")[0].image
    whole, small = (Embedder(release, precision=one) for one in ("float32", "int8"))
    assert (whole.precision, small.precision) == ("float32", "int8")
    first, second = np.asarray(whole.embed(image)), np.asarray(small.embed(image))
    assert (first != second).any()
    assert float((first * second).sum(axis=0).min()) > 0.999
    np.testing.assert_allclose(np.linalg.norm(second, axis=0), 1, atol=1e-5)
    for fast, chosen in ((True, "int8"), (False, "float32")):
        monkeypatch.setattr(precision, "multiplies_bytes", lambda fast=fast: fast)
        assert Embedder(release).precision == chosen
    assert Embedder((release.network_path, release.card.preprocessing)).precision == "float32", "a file alone"


def test_a_damaged_network_in_bytes_is_found_and_a_kept_copy_needs_none(
    quantised_release: Path, tmp_path: Path
) -> None:
    kept = KeptReleases(tmp_path / "kept")
    copy = kept.keep(Release.open(quantised_release))
    assert copy is not None
    assert not (copy.path / QUANTISED).exists()
    opened = kept.open(copy.digest)
    assert opened is not None
    damaged = Path(shutil.copytree(quantised_release, tmp_path / "damaged"))
    with (damaged / QUANTISED).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ReleaseError, match=r"network\.int8\.onnx was altered or truncated"):
        Release.open(damaged)
