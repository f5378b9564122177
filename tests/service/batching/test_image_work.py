"""What workers on other machines are sent to segment images as the command would."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.answering.engine import Engine
from service.batching.image_work import WorkerSettings, open_worker
from service.records.database import Records
from service.settings import Settings


@pytest.fixture
def engine(tiny_release: Path, tmp_path: Path) -> Iterator[Engine]:
    settings = Settings(
        data_dir=tmp_path, release=str(tiny_release), database_url="postgresql+psycopg://me:secret@db/x"
    )
    with closing(Engine(settings, Records("sqlite://"))) as opened:
        yield opened


def test_workers_run_the_network_in_the_precision_of_the_command(engine: Engine) -> None:
    assert engine.settings.precision == "auto"
    values = WorkerSettings.of(engine, None).values
    assert Settings(**values).precision == engine.served.predictor.embedder.precision == "float32"


def test_workers_are_sent_no_secrets(engine: Engine) -> None:
    assert "secret" not in repr(WorkerSettings.of(engine, None))


def test_a_worker_refuses_another_release(engine: Engine) -> None:
    with pytest.raises(ValueError, match="a worker finds another release in"):
        open_worker(WorkerSettings.of(engine, None), "0" * 64)
