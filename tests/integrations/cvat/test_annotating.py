"""CVAT: its SDK's driver, its command line and its agent annotate a task through our function."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cvat_sdk", reason="cvat-sdk is not installed")

import cvat_sdk.auto_annotation as cvataa
from cvat_sdk.core import Client as CvatClient
from cvat_sdk.core.client import Config

from segsort_client import Client
from segsort_cvat import function
from tests.integrations.cvat.frames import assert_equal, expected, frame, masks
from tests.integrations.cvat.server import FUNCTION, TASK, CvatServer


@pytest.fixture
def cvat(server: CvatServer, tmp_path: Path) -> Iterator[CvatClient]:
    with CvatClient(server.address, config=Config(cache_dir=tmp_path / "cache")) as cvat:
        cvat.login(("anna", "secret"))
        yield cvat


@pytest.fixture
def annotate(cvat: CvatClient, address: str) -> Iterator[Callable[..., None]]:
    """Annotates the task with a function, by the driver of the SDK."""
    with ExitStack() as closing:

        def run(options: dict[str, Any] | None = None, **more: Any) -> None:
            made = function.create(address=address, **(options or {}))
            closing.callback(made.close)
            cvataa.annotate_task(cvat, TASK, made, **more)

        yield run


Annotate = Callable[..., None]


@pytest.mark.parametrize("unknown", [True, False])
def test_the_driver_of_the_sdk_annotates_a_task_with_masks_equal_to_ours_pixel_by_pixel(
    annotate: Annotate, server: CvatServer, client: Client, unknown: bool
) -> None:
    server.deleted = [1]
    annotate({"unknown": unknown})
    (upload,) = server.uploads
    assert {shape["frame"] for shape in upload["shapes"]} <= {0, 2}
    assert {shape["type"] for shape in upload["shapes"]} <= {"mask"}
    assert {shape["source"] for shape in upload["shapes"]} <= {"auto"}
    counts = []
    for number in (0, 2):
        wanted = expected(client, server, number, unknown)
        assert_equal(masks(server, upload["shapes"], number), wanted)
        counts.append(len(wanted))
    assert sum(counts) > 3
    if unknown:  # the segments tile the image
        tiles = sum(mask.astype(int) for _, mask in masks(server, upload["shapes"], 0))
        assert np.all(tiles == 1)


def test_polygons_are_sent_where_cvat_asks_for_them(annotate: Annotate, server: CvatServer) -> None:
    annotate({"unknown": True}, conv_mask_to_poly=True)
    (upload,) = server.uploads
    assert {shape["type"] for shape in upload["shapes"]} == {"polygon"}
    width, height = server.sizes[0]
    for shape in upload["shapes"]:
        points = np.array(shape["points"]).reshape(-1, 2)
        assert len(points) >= 3
        assert np.all(points >= 0)
        assert np.all(points <= (width, height))


def test_a_threshold_leaves_out_what_is_less_confident(annotate: Annotate, server: CvatServer, client: Client) -> None:
    confidences = [one.confidence for one in client.segment(frame(server, 0)) if one.known]
    measured = sorted(one for one in confidences if one is not None)
    threshold = measured[len(measured) // 2] if measured else 0.5
    annotate(conf_threshold=threshold)
    (upload,) = server.uploads
    found = [shape for shape in upload["shapes"] if shape["frame"] == 0]
    assert len(found) == sum(one is None or one >= threshold for one in confidences)


def test_masks_name_their_explanation_where_the_labels_have_the_attribute(
    annotate: Annotate, server: CvatServer, client: Client, address: str
) -> None:
    options = {"unknown": True, "explanation": True}
    with pytest.raises(cvataa.BadFunctionError, match="explanation"):
        annotate(options)
    attribute = {"name": "explanation", "mutable": False, "input_type": "text", "default_value": "", "values": []}
    for number, label in enumerate(server.labels):
        label["attributes"] = [attribute | {"id": 500 + number}]
    annotate(options)
    (upload,) = server.uploads
    for shape in upload["shapes"]:
        (value,) = shape["attributes"]
        assert value["spec_id"] == 500 + shape["label_id"] - 100
        page, _, segment_id = value["value"].rpartition("/")
        assert page == f"{address}/explain"
        assert client.explain(segment_id).segment_id == segment_id


def cli(server: CvatServer, address: str, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run `cvat-cli` as a user does."""
    command = [sys.executable, "-m", "cvat_cli", "--server-host", server.address, "--auth", "anna:secret", *words]
    here = Path(function.__file__).parents[1]
    environment = {
        "PATH": "/usr/bin:/bin", "PYTHONPATH": f"{here}:{here.parents[1] / 'client'}", "HOME": "/nonexistent",
        "XDG_CACHE_HOME": text, "SEGSORT_ADDRESS": address,
    }  # fmt: skip
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_line_of_cvat_annotates_a_task(
    server: CvatServer, client: Client, address: str, tmp_path: Path
) -> None:
    words = ("task", "auto-annotate", str(TASK), "--function-module", "segsort_cvat.function")
    parameters = ("-p", f"address=str:{address}", "-p", "unknown=bool:true")
    done = cli(server, address, *words, *parameters, text=str(tmp_path))
    assert done.returncode == 0, done.stderr
    (upload,) = server.uploads
    for number in range(3):
        assert_equal(masks(server, upload["shapes"], number), expected(client, server, number, True))


def test_an_agent_of_cvat_serves_requests(server: CvatServer, client: Client, address: str, tmp_path: Path) -> None:
    file = str(Path(function.__file__))
    made = cli(server, address, "function", "create-native", "segsort", "--function-file", file, text=str(tmp_path))
    assert (made.returncode, made.stdout.strip()) == (0, str(FUNCTION)), made.stderr
    assert {one["name"] for one in server.function["labels_v2"]} == {one.name for one in client.classes()}
    mapping = {one["name"]: {"name": one["name"]} for one in server.labels}
    parameters = {"task": TASK, "mapping": mapping, "threshold": None, "conv_mask_to_poly": False}
    server.requests = [
        {"ar_id": "one", "ar_params": parameters | {"type": "annotate_task"}},
        {"ar_id": "two", "ar_params": parameters | {"type": "annotate_frame", "frame": 2}},
    ]
    words = ("function", "run-agent", str(FUNCTION), "--burst", "--function-file", file)
    done = cli(server, address, *words, text=str(tmp_path))
    assert done.returncode == 0, done.stderr
    whole, single = server.results
    for number in range(3):
        assert_equal(masks(server, whole["annotations"]["shapes"], number), expected(client, server, number, False))
    assert_equal(masks(server, single["annotations"]["shapes"], 2), expected(client, server, 2, False))
