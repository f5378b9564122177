"""A snapshot: the served release with all edits, written as a new release."""

import re

import numpy as np

from model_store.live import LiveExemplars
from model_store.release import Release
from model_store.snapshot_release import write_live
from model_store.store import open_store
from service.images.decode import decode
from service.problems import Problem
from service.records.database import Records
from service.records.follower import Follower
from service.records.live_release import LiveRelease
from service.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def write_snapshot(settings: Settings, name: str | None) -> Release:
    """Write the present state of a release into the store. A service may use the same database meanwhile.

    Args:
        settings: name the release, its database and the store.
        name: of the new release; None: the old name, followed by -r and the revision.

    Raises:
        ValueError: if the name is taken or not valid, or the database lacks the image of an exemplar.
    """
    store, records = open_store(settings.data_dir), Records(settings.database)
    try:
        live = LiveRelease.of(LiveExemplars.of_release(Release.open(store.resolve(settings.release))))
        Follower(records.engine).follow(live)
        name = f"{live.name}-r{live.state.revision}" if name is None else name
        taken = [stored.name for stored in store.list()]
        if not _NAME.fullmatch(name) or name in taken:
            raise ValueError(
                f"name {name!r} cannot be used for a new release; it must consist of letters, digits, dots, dashes and "
                f"underscores, and differ from {', '.join(taken)}: give another name"
            )

        def content(image_id: str) -> bytes:
            image = records.images.get(image_id)
            if image is None:
                raise ValueError(
                    f"image {image_id} of an exemplar is not in the database; restore the database from a backup"
                )
            return image.content

        def decoded(content: bytes) -> np.ndarray:
            try:
                return decode(content, settings.max_pixels)
            except Problem as problem:
                raise ValueError(str(problem)) from problem

        return write_live(live.state, settings.data_dir / "releases" / name, content, name, decoded)
    finally:
        records.close()
