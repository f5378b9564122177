"""A snapshot: a release with all its edits, written as a new release."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from model_store.live import LiveExemplars
from model_store.release import Release
from model_store.snapshot_release import write_live
from model_store.store import open_store
from model_store.unfinished import is_being_written
from service.answering.examination import Examination
from service.records.database import Records
from service.records.follower import Follower
from service.records.head_file import HeadFile
from service.records.live_release import LiveRelease
from service.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Snapshot(NamedTuple):
    """A written snapshot: the release, the name of the release that it was made of, and the last edit in it."""

    release: Release
    origin: str
    revision: int


def write_snapshot(settings: Settings, name: str | None) -> Release:
    """Write the present state of a release into the store. A service may use the same database meanwhile.

    Args:
        settings: name the release, its database and the store.
        name: of the new release; None: the old name, followed by -r and the revision.

    Raises:
        ValueError: if the name is taken or not valid, or the database lacks the image of an exemplar.
    """
    with followed(settings) as (live, records, _):
        name = f"{live.name}-r{live.state.revision}" if name is None else name
        check_new_name(settings, name)
        return _write(settings, live, records, settings.data_dir / "releases" / name, name)


def write_state(settings: Settings, out: Path) -> Snapshot:
    """Write the present state of a release to a folder, under its own name. A service may use the database meanwhile.

    Args:
        settings: name the release, its database and the store.
        out: the folder; it must not exist.

    Raises:
        ValueError: if the database lacks the image of an exemplar, or the folder exists.
    """
    with followed(settings) as (live, records, _):
        revision = live.state.revision
        return Snapshot(_write(settings, live, records, out, live.name), live.name, revision)


def check_new_name(settings: Settings, name: str) -> None:
    """Check that a new release of the store may have a name.

    Raises:
        ValueError: if the name is taken or not valid.
    """
    taken = [stored.name for stored in open_store(settings.data_dir).list()]
    folder = settings.data_dir / "releases" / name
    if _NAME.fullmatch(name) and is_being_written(folder):
        raise ValueError(f"the name {name!r} is taken: another process is writing this release; give another name")
    if not _NAME.fullmatch(name) or name in taken or folder.exists():
        raise ValueError(
            f"name {name!r} cannot be used for a new release; it must consist of letters, digits, dots, dashes and "
            f"underscores, and differ from {', '.join(taken)}: give another name"
        )


@contextmanager
def followed(settings: Settings) -> Iterator[tuple[LiveRelease, Records, Follower]]:
    """The release of the settings at the end of the edit log, its database, and what follows the log."""
    store, records = open_store(settings.data_dir), Records.of(settings)
    try:
        live = LiveRelease.of(LiveExemplars.of_release(Release.open(store.resolve(settings.release))))
        keeper = HeadFile.of(settings.data_dir, settings.database)
        follower = Follower(records.engine, settings.lock_timeout_s, keeper, Examination(settings, records.images))
        follower.follow(live)
        yield live, records, follower
    finally:
        records.close()


def _write(settings: Settings, live: LiveRelease, records: Records, out: Path, name: str) -> Release:
    def content(image_id: str) -> bytes:
        image = records.images.get(image_id)
        if image is None:
            raise ValueError(
                f"image {image_id} of an exemplar is not in the database; restore the database from a backup"
            )
        return image.content

    return write_live(live.state, out, content, name)
