"""Training of a network. Read `recipe.py` (settings), `training_module.py` (one step) and `run.py`, in that order."""

from pathlib import Path

from index_builder.training.other_light import WithOtherLight
from index_builder.training.processes import is_first_process
from index_builder.training.recipe import Recipe, with_current_names
from index_builder.training.validation import RetrievalScore

__all__ = ["Recipe", "RetrievalScore", "WithOtherLight", "is_first_process", "train", "with_current_names"]


def train(recipe: Recipe, out: Path) -> Path:
    """Train a network, or continue the run in `out`. Needs the packages of the extra `train`.

    `index_builder.training.run.train` describes the files of a run.

    Returns:
        The folder `out`.

    Raises:
        ValueError: if `out` has a run of another recipe, or the recipe names a file or data set that does not exist.
    """
    from index_builder.training import run  # imports Lightning

    return run.train(recipe, out)
