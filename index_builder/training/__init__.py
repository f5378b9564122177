"""Training of a network. Read `recipe.py` (settings), `training_module.py` (one step) and `run.py`, in that order."""
