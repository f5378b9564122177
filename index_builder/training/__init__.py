"""Training. Read `recipe.py` (what can be set), `module.py` (one step) and `run.py` (the whole run), in that order."""
