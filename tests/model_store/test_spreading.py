"""Work on many items, and options of how it is spread, without Ray."""

import math
import pickle
import sys
import time
from pathlib import Path

import pytest

from model_store.ray_spread import RaySpread, spread_by
from model_store.spreading import CarriedFile, Here, RayOptions, portable, ray_options


@pytest.mark.parametrize("in_threads", [False, True])
def test_results_come_with_the_places_of_their_items(in_threads: bool) -> None:
    def work(number: int) -> int:
        time.sleep(0.01 * (number == 0))  # the first is the last to be done
        return number * number

    found = Here().each(lambda: work, range(9), lambda item: item + 1, str, in_threads=in_threads)
    assert list(found) == [(place, (place + 1) ** 2) for place in range(9)]


def test_options_of_ray_are_refused_without_it() -> None:
    assert ray_options("local", RayOptions()) is None
    assert ray_options("ray", RayOptions(workers=2)) == RayOptions(workers=2)
    for given in (RayOptions(workers=2), RayOptions(address="auto"), RayOptions(gpus=0.5)):
        with pytest.raises(ValueError, match="are for --engine ray"):
            ray_options("local", given)


def test_options_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="--workers 0 must be at least 1"):
        RayOptions(workers=0)
    for gpus in (1.5, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"--gpus {gpus} must be a share"):
            RayOptions(gpus=gpus)
    assert RayOptions(gpus=2.0).gpus == 2
    with pytest.raises(ValueError, match="--send-files is for a cluster of several machines"):
        RayOptions(send_files=True)
    with pytest.raises(ValueError, match="which Ray Data cannot do"):
        RayOptions(address="ray://head:10001")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("model_store.ray_spread.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'segsort\[ray\]'"), spread_by(RayOptions()):
        pass
    assert not RaySpread.is_local


def test_a_file_goes_along_where_its_path_has_another_content(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    file.write_bytes(b"content")
    sent = pickle.dumps(CarriedFile(file))
    assert pickle.loads(sent).path == file
    file.write_bytes(b"another")
    found: CarriedFile = pickle.loads(sent)
    assert found.path != file
    assert found.path.name == "network.onnx"
    assert found.path.read_bytes() == b"content"


class Unusual(Exception):
    """An exception that cannot be made again from its text."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def test_an_exception_that_cannot_be_copied_becomes_its_text() -> None:
    plain = ValueError("bad mask")
    assert portable(plain, "a.png") is plain
    found = portable(Unusual("no", "room"), "a.png")
    assert isinstance(found, RuntimeError)
    assert str(found) == "a.png: Unusual: no room"
