"""Working sizes and execution providers, measured on a tiny release."""

from pathlib import Path

import pytest

from benchmarks.execution_providers import measure as measure_providers
from benchmarks.working_sizes import measure
from index_builder.quantising.release import measure as measure_networks
from model_store.release import Release
from tests.conftest import Blocks


def test_the_release_itself_comes_first_and_a_smaller_size_loses_the_blocks(quantised_release: Path) -> None:
    release, val = Release.open(quantised_release), Blocks("val", count=3)
    own = release.card.preprocessing.working_size
    rows = measure(release, val, (own, 32))
    assert [row["working size"] for row in rows] == [own, 32]
    served = measure_networks(release, val)
    in_either = [pytest.approx(one, abs=1e-5) for one in (served.miou, served.miou_float32)]  # by this processor
    assert rows[0]["mIoU"] in in_either
    assert rows[0]["ratio"] == 1
    assert rows[1]["mIoU"] < rows[0]["mIoU"]


def test_each_network_is_compared_with_the_provider_of_the_processor(quantised_release: Path) -> None:
    release = Release.open(quantised_release)
    networks = {"float32": release.network_path, "int8": release.quantised_path}
    rows = measure_providers(networks, ["CPUExecutionProvider"], 2)
    assert [(row["network"], row["ratio"]) for row in rows] == [("float32", 1), ("int8", 1)]
