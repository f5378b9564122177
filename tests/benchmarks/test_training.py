import pytest

from benchmarks.training import measure
from index_builder.training.recipe import Recipe


@pytest.mark.parametrize("objective", ["vmf-nca", "softmax", "vmf"])
def test_each_part_of_a_step_is_measured_for_every_objective(objective: str) -> None:
    recipe = Recipe(
        datasets=["streets"], counts={"streets": 2}, objective=objective, crop=(64, 64), batch_per_domain=2, segments=4
    )
    found = measure(recipe, rounds=1)
    assert set(found) == {"loader", "network", "step"}
    assert all(0 < images_per_second < float("inf") for images_per_second in found.values())
