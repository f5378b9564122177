"""Prints the structure of a package: its rooms, floors, arrows and circles.

python -m tools.structure service [--git COMMIT]

A room is the package itself, or one of its direct modules and subpackages with everything inside. An arrow is an import
from one room to another. A circle is a set of rooms that import each other, directly or through others. A room that
imports no other room is on floor 1. Any other room is one floor above the highest floor that it imports from. The rooms
of a circle share a floor.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grimp

Room = str
Imports = Mapping[Room, frozenset[Room]]


class Structure(NamedTuple):
    """Rooms with the rooms that each imports, floors from the lowest up, and circles of two rooms or more."""

    imports: Imports
    floors: tuple[tuple[Room, ...], ...]
    circles: tuple[tuple[Room, ...], ...]

    @property
    def arrows(self) -> int:
        """Number of pairs of rooms of which the first imports the second."""
        return sum(len(imported) for imported in self.imports.values())


def read_structure(package: str, folder: Path) -> Structure:
    """Read the structure of a package from its sources; no module of it is run.

    Args:
        package: dotted name, such as `service` or `segsort.loops`.
        folder: the folder that holds the top-level package.

    Raises:
        ValueError: if there is no such package in the folder.
    """
    imports = _room_imports(package, folder)
    groups = _connected(imports)
    return Structure(
        imports=imports,
        floors=_floors(imports, groups),
        circles=tuple(sorted(tuple(sorted(group)) for group in groups if len(group) > 1)),
    )


def _room_imports(package: str, folder: Path) -> Imports:
    top = package.partition(".")[0]
    if not (folder / package.replace(".", "/") / "__init__.py").is_file():
        raise ValueError(f"there is no package {package!r} in {folder}")
    with _first_on_path(folder):
        graph = grimp.build_graph(top, cache_dir=None)
    depth = package.count(".") + 2
    inside = [module for module in graph.modules if module == package or module.startswith(f"{package}.")]
    imports: dict[Room, set[Room]] = {}
    for module in inside:
        room = _room_of(module, depth)
        imported = {_room_of(name, depth) for name in graph.find_modules_directly_imported_by(module) if name in inside}
        imports.setdefault(room, set()).update(imported - {room})
    return {room: frozenset(imports[room]) for room in sorted(imports)}


def _room_of(module: str, depth: int) -> Room:
    return ".".join(module.split(".")[:depth])


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Let grimp find the package in this folder, whatever version of it is installed."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _reachable(imports: Imports) -> dict[Room, set[Room]]:
    """All rooms that each room imports, directly or through others."""
    reached: dict[Room, set[Room]] = {}
    for room in imports:
        seen: set[Room] = set()
        waiting = list(imports[room])
        while waiting:
            other = waiting.pop()
            if other not in seen:
                seen.add(other)
                waiting.extend(imports[other])
        reached[room] = seen
    return reached


def _connected(imports: Imports) -> set[frozenset[Room]]:
    """Strongly connected components: rooms that reach each other; a room outside any circle is one alone."""
    reached = _reachable(imports)
    return {frozenset({room, *(other for other in reached[room] if room in reached[other])}) for room in imports}


def _floors(imports: Imports, groups: Iterable[frozenset[Room]]) -> tuple[tuple[Room, ...], ...]:
    """Rooms by the length of the longest chain of imports below them."""
    group_of = {room: group for group in groups for room in group}
    floor: dict[frozenset[Room], int] = {}

    def place(group: frozenset[Room]) -> int:
        if group not in floor:
            below = {group_of[imported] for room in group for imported in imports[room]} - {group}
            floor[group] = 1 + max(map(place, below), default=0)
        return floor[group]

    highest = max(map(place, group_of.values()), default=0)
    return tuple(
        tuple(sorted(room for room in imports if floor[group_of[room]] == number)) for number in range(1, highest + 1)
    )


@contextmanager
def sources(commit: str | None, repository: Path) -> Iterator[Path]:
    """Yield a folder with the sources: the repository's own, or a temporary copy of those of a commit.

    Raises:
        ValueError: if git does not know the commit.
    """
    if commit is None:
        yield repository
        return
    done = subprocess.run(["git", "archive", "--format=zip", commit], cwd=repository, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"git has no sources of {commit!r}: {done.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder)
        yield Path(folder)


def describe(structure: Structure) -> str:
    """Text of a structure: one line of counts, then the floors from the top, then the circles."""
    lines = [
        f"{len(structure.imports)} rooms, {len(structure.floors)} floors, {structure.arrows} arrows, "
        f"{len(structure.circles)} circles"
    ]
    for number, rooms in reversed(list(enumerate(structure.floors, start=1))):
        lines.append(f"floor {number}")
        lines += [f"  {room} -> {', '.join(sorted(structure.imports[room])) or 'nothing'}" for room in rooms]
    lines += [f"circle: {', '.join(circle)}" for circle in structure.circles]
    return "\n".join(lines)


def main() -> None:
    """Print the structure of the package that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", help="dotted name of the package, such as service or segsort.loops")
    parser.add_argument("--git", metavar="COMMIT", help="read the sources of this commit instead of the working tree")
    arguments = parser.parse_args()
    try:
        with sources(arguments.git, Path(__file__).parent.parent) as folder:
            text = describe(read_structure(arguments.package, folder))
    except ValueError as error:
        parser.error(str(error))
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the last flush would fail too


if __name__ == "__main__":
    main()
