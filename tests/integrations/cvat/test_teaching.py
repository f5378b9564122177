"""CVAT: masks that people draw or correct teach the service, by the command segsort-cvat teach."""

import re
from collections import Counter, defaultdict

import numpy as np
import pytest

pytest.importorskip("cvat_sdk", reason="cvat-sdk is not installed")

from cvat_sdk.masks import encode_mask

from segsort_client import Client
from segsort_cvat.command import main
from tests.integrations.cvat.frames import frame
from tests.integrations.cvat.server import TASK, CvatServer


def teach(server: CvatServer, address: str, *words: str) -> tuple[int, str]:
    """Run `segsort-cvat teach`; its exit status."""
    host = ("--server-host", server.address, "--auth", "anna:secret", "--segsort", address)
    with pytest.raises(SystemExit) as ended:
        main(["teach", str(TASK), *host, *words])
    return (ended.value.code, "") if isinstance(ended.value.code, int) else (1, str(ended.value.code))


def taught(client: Client) -> dict[str, Counter[str]]:
    """Pixels of the exemplars of the task, by source and class: a shape becomes several exemplars."""
    found = defaultdict[str, Counter[str]](Counter)
    for one in client.exemplars(query="cvat/", limit=500).exemplars:
        found[one.source][one.class_name] += one.area
    return dict(found)


@pytest.fixture
def corrected(server: CvatServer) -> np.ndarray:
    """The mask that a person drew in the first frame, with a new label."""
    kind = {"type": "any", "attributes": [], "sublabels": [], "task_id": TASK, "has_parent": False}
    server.labels.append({"id": 900, "name": "lava", "color": "#ff4000", **kind})
    width, height = server.sizes[0]
    mask = np.zeros((height, width), dtype=bool)
    mask[10:30, 20:50] = True
    return mask


def test_corrections_teach_at_once_and_teaching_again_changes_nothing(
    server: CvatServer, client: Client, address: str, corrected: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    server.draw(0, "lava", "mask", encode_mask(corrected))
    automatic = server.draw(0, "lava", "polygon", [60, 40, 80, 40, 80, 60], source="auto")
    server.draw(2, "lava", "polygon", [5.0, 5.0, 45.0, 5.0, 45.0, 35.0, 5.0, 35.0], source="semi-auto")
    server.draw(2, "lava", "points", [5.0, 5.0])
    before = client.edits(limit=1)[0].revision if client.edits(limit=1) else 0
    assert teach(server, address) == (0, "")
    said = capsys.readouterr().out
    (added,) = re.findall(r"2 frames, (\d+) exemplars added, 0 existed, 0 removed", said)
    assert int(added) >= 2
    assert "left out: 1 automatic, 1 of type points" in said
    sources = [f"cvat/{TASK}/0 a.png", f"cvat/{TASK}/2 c.jpg"]
    assert taught(client) == {sources[0]: {"lava": 600}, sources[1]: {"lava": 1200}}
    last = client.edits(limit=1)[0]
    assert (last.revision, last.reason) == (before + 2, f"CVAT task {TASK}, frame 2")

    answer = client.segment(frame(server, 0), min_index_revision=last.revision)
    inside = answer.to_label_map()[corrected]
    lava = next(one.class_id for one in client.classes() if one.name == "lava")
    assert np.mean(inside == lava) > 0.5

    assert teach(server, address) == (0, "")
    assert f"0 exemplars added, {added} existed, 0 removed" in capsys.readouterr().out
    assert client.edits(limit=1)[0].revision == last.revision

    server.annotations["shapes"].remove(automatic)
    server.annotations["shapes"][0]["points"] = encode_mask(np.roll(corrected, 5, axis=0))
    server.annotations["shapes"][1:] = []
    assert teach(server, address) == (0, "")
    assert re.search(r"1 frames, \d+ exemplars added, \d+ existed, \d+ removed", capsys.readouterr().out)
    assert taught(client) == {sources[0]: {"lava": 600}}

    server.annotations["shapes"][0]["points"] = encode_mask(corrected)
    assert teach(server, address) == (0, "")
    assert taught(client) == {sources[0]: {"lava": 600}}
    server.deleted = [0]
    assert teach(server, address) == (0, "")
    assert taught(client) == {}


def test_every_frame_of_a_video_teaches(
    server: CvatServer, client: Client, address: str, corrected: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    server.video = "street.mp4"
    for number in (0, 1, 2, 5):
        server.draw(number, "lava", "mask", encode_mask(corrected))
    server.deleted = [1]
    assert teach(server, address) == (0, "")
    assert taught(client) == {f"cvat/{TASK}/{number} street.mp4": {"lava": 600} for number in (0, 2)}
    assert "left out: 1 on deleted frames, 1 on frames that the task does not have" in capsys.readouterr().out
    server.annotations["shapes"] = []
    assert teach(server, address) == (0, "")
    assert taught(client) == {}


def test_upper_shapes_cover_lower_ones_and_automatic_ones_teach_when_asked(
    server: CvatServer, client: Client, address: str, corrected: np.ndarray
) -> None:
    first = server.labels[0]["name"]
    server.draw(0, "lava", "rectangle", [30.0, 10.0, 50.0, 30.0], z_order=3, source="auto")
    server.draw(0, first, "mask", encode_mask(corrected), z_order=1, source="auto")
    assert teach(server, address) == (0, "")
    assert taught(client) == {}
    assert teach(server, address, "--automatic") == (0, "")
    assert taught(client) == {f"cvat/{TASK}/0 a.png": {"lava": 400, first: 200}}
    server.annotations["shapes"] = []
    assert teach(server, address) == (0, "")
    assert taught(client) == {}


def test_a_frame_that_cannot_be_taught_fails_alone(
    server: CvatServer, client: Client, address: str, corrected: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    server.draw(0, "lava", "mask", [5, 1, 0, 0, 1000, 1000])
    server.draw(2, "lava", "mask", encode_mask(corrected))
    assert teach(server, address)[0] == 1
    assert f"cvat/{TASK}/0 a.png: failed" in capsys.readouterr().out
    assert list(taught(client)) == [f"cvat/{TASK}/2 c.jpg"]
    server.annotations["shapes"] = []
    assert teach(server, address)[0] == 0


def test_a_key_that_may_not_edit_and_an_unknown_task_end_the_command(
    server: CvatServer, address: str, corrected: np.ndarray
) -> None:
    server.draw(0, "lava", "mask", encode_mask(corrected))
    with pytest.raises(SystemExit, match="segsort-cvat:"):
        main(["teach", "99", "--server-host", server.address, "--auth", "anna:secret", "--segsort", address])
    with pytest.raises(SystemExit, match="segsort-cvat:"):
        main(["teach", str(TASK), "--server-host", server.address, "--auth", "a:b", "--segsort", "http://localhost:9"])
    with pytest.raises(SystemExit, match="CVAT_ACCESS_TOKEN"):
        main(["teach", str(TASK), "--server-host", server.address, "--segsort", address])
