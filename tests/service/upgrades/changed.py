"""A release whose network changed under its name."""

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from sqlalchemy import text

from index_builder.build import BuildOptions, build_release
from index_builder.embedder_source import load_embedder_source
from service.records.connection import connect
from tests.conftest import Blocks


def with_another_network(run: Path, out: Path, name: str = "tiny") -> Path:
    """Write a release as `tests.conftest.tiny_release` makes it, with a network of another space and equal dimension.

    Args:
        run: what `tests.conftest.write_network` wrote.
        out: folder; the release is in `out / name`.
        name: of the release.
    """
    other = Path(shutil.copytree(run, out / "run"))
    model = onnx.load(other / "network.onnx")
    kernel = numpy_helper.to_array(model.graph.initializer[0])
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.roll(kernel, 7, axis=0).copy(), "kernel"))
    onnx.save(model, other / "network.onnx")
    options = BuildOptions(max_exemplars=60, webp_quality=60)
    made = out / name
    build_release(Blocks(), load_embedder_source(other), made, options=options, calibrate_with=Blocks("val", count=3))
    return made


def forget_digests(database: Path) -> None:
    """Make a database one of a version that recorded no digests, and whose edits were not examined."""
    engine = connect(f"sqlite:///{database}")
    with engine.begin() as connection:
        for table in ("edits", "exemplars", "segmentations"):
            connection.execute(text(f"UPDATE {table} SET release_digest = NULL"))
        connection.execute(text("UPDATE segmentations SET checksum = NULL"))  # as in rows of earlier versions
        connection.execute(text("DELETE FROM edit_fits"))
        migration = import_module("service.records.migrations.versions.r0010_chain")
        migration._seal(connection, *migration._chain_edits(connection))
    engine.dispose()
    for file in database.parent.glob("*-head.json"):
        file.unlink()
