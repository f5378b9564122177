"""Moves new releases into the store."""

import errno
import shutil
from pathlib import Path

from model_store.release import move_into_place
from model_store.unfinished import unfinished


def move_release(folder: Path, place: Path) -> None:
    """Move a release into the store in one step, so that it is never there in part.

    Raises:
        ReleaseError: if another release has the name meanwhile.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        move_into_place(folder, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with unfinished(place) as aside:
            shutil.copytree(folder, aside, dirs_exist_ok=True)
            move_into_place(aside, place)
