"""The processes of a run on several devices, before they have found each other."""

import os


def is_first_process() -> bool:
    """Whether this process writes the files of a run. Lightning starts the others with the same command."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"
