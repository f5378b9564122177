"""Answers whose checksum is right and whose content another version packed: they are refused or left out by name."""

from fastapi.testclient import TestClient
from sqlalchemy import select, update

from service.records.checksums import part_checksum
from service.records.tables import AnswerPartRow, SegmentationRow
from tests.conftest import Blocks
from tests.service.conftest import encoded


def test_an_answer_that_cannot_be_unpacked_is_gone_and_does_not_stop_others(client: TestClient) -> None:
    bad, good = (client.post("/segment", content=encoded(Blocks("val")[i].image)).json() for i in range(2))
    records = client.app.state.engine.records  # type: ignore[attr-defined]
    part = select(SegmentationRow.shapes_part).where(SegmentationRow.segmentation_id == bad["segmentation_id"])
    with records.engine.begin() as connection:
        changed = update(AnswerPartRow).where(AnswerPartRow.part_id == connection.scalar(part))
        content = b"\x07" + bytes(40)
        connection.execute(changed.values(content=content, checksum=part_checksum(content)))
    read = client.get(f"/segmentations/{bad['segmentation_id']}")
    assert read.status_code == 410
    assert "table answer_parts" in read.text
    suggested = client.get("/suggestions").raise_for_status().json()["suggestions"]
    assert [one["segmentation_id"] for one in suggested] == [good["segmentation_id"]]
    assert client.get("/clusters").status_code == 200
    assert client.get(f"/explain/{good['segments'][0]['segment_id']}").status_code == 200
