"""Images and answers belong to the key that sent the image: readers see their own, curators all."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from service.http.keys import new_key
from tests.conftest import Blocks
from tests.service.conftest import encoded

ANNA, ANNAS = new_key("anna", "curator")
BO, BOS = new_key("bo", "reader")
CY, CYS = new_key("cy", "reader")
KEYS = ",".join(key.line for key in (ANNAS, BOS, CYS))
NOBODY = "a" * 32  # no answer has this id
IDS = {"segmentation_id": "{}", "segment_id": "{}-0", "before": "{}", "answer": "{}"}  # parameters that name an answer
OTHER_VALUES = {"exemplar_id": "1", "revision": "1", "job_id": "1", "name": "none", "class_id": "0"}


class Operation(NamedTuple):
    """A method of a path in the OpenAPI document; named: its parameters that name an answer."""

    method: str
    path: str
    named: tuple[dict[str, Any], ...]
    body: dict[str, Any] | None

    def ask(self, client: TestClient, key: str, segmentation_id: str) -> Response:
        url = self.path
        for name, form in IDS.items():
            url = url.replace(f"{{{name}}}", form.format(segmentation_id))
        url = re.sub(r"\{(\w+)\}", lambda found: OTHER_VALUES.get(found[1], "1"), url)
        query = {one["name"]: IDS[one["name"]].format(segmentation_id) for one in self.named if one["in"] == "query"}
        return client.request(self.method, url, params=query, json=self.body, headers=bearer(key))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def operations(client: TestClient) -> list[Operation]:
    found = []
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            parameters = (one for one in operation.get("parameters", ()) if one["name"] in IDS)
            named = tuple(one for one in parameters if '"integer"' not in json.dumps(one["schema"]))
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            examples = [one["value"] for one in content.get("examples", {}).values()] + [content.get("example")]
            found.append(Operation(method, path, named, examples[0]))
    return found


@pytest.fixture
def client(start: Callable[..., TestClient]) -> Iterator[TestClient]:
    with start(api_keys=KEYS) as client:
        yield client


def edit_exemplars(client: TestClient) -> None:
    """After it, relabelling an answer records a new one."""
    exemplar = client.get("/exemplars", headers=bearer(ANNA)).json()["exemplars"][0]["exemplar_id"]
    client.delete(f"/exemplars/{exemplar}", headers=bearer(ANNA)).raise_for_status()


def segmented(client: TestClient, key: str, number: int = 0) -> dict[str, Any]:
    content = encoded(Blocks("val")[number].image)
    answer: dict[str, Any] = client.post("/segment", content=content, headers=bearer(key)).raise_for_status().json()
    return answer


def read(client: TestClient, key: str, url: str) -> int:
    return client.get(url, headers=bearer(key)).status_code


def test_an_answer_of_another_reader_does_not_exist_in_any_route(client: TestClient) -> None:
    """All routes of the service that name an answer are checked, so a new route without a check fails here."""
    mine = segmented(client, BO)["segmentation_id"]
    checked = 0
    for one in operations(client):
        if not one.named or (one.method, one.path) == ("delete", "/segmentations/{segmentation_id}"):
            continue
        refused, missing = one.ask(client, CY, mine), one.ask(client, CY, NOBODY)
        assert refused.status_code == missing.status_code >= 400, (one, refused.text[:300])
        assert without_ids(refused, mine) == without_ids(missing, NOBODY), one
        if missing.status_code == 404:
            assert one.ask(client, BO, mine).status_code != 404, one
            assert one.ask(client, ANNA, mine).status_code != 404, one
            checked += 1
    assert checked >= 7


def without_ids(answer: Response, segmentation_id: str) -> str:
    return re.sub(r'"request_id":"\w+"', "", answer.text.replace(segmentation_id, "ID"))


def test_no_route_shows_a_reader_the_id_or_the_image_of_an_answer_of_another(client: TestClient) -> None:
    """Lists, explanations, effects and exports, all as the OpenAPI document names them."""
    theirs, mine = segmented(client, BO, 0), segmented(client, CY, 1)
    own = segmented(client, ANNA, 2)["segments"][0]["segment_id"]
    body = {"class_name": "lava"}
    client.post(f"/segments/{own}/label", json=body, headers=bearer(ANNA)).raise_for_status()
    asked = 0
    for one in operations(client):
        if one.method != "get":
            continue
        for named in (one, one._replace(named=tuple(p for p in one.named if p["in"] == "path"))):
            shown = named.ask(client, CY, mine["segmentation_id"])
            assert theirs["segmentation_id"].encode() not in shown.content, one
            assert theirs["image_id"].encode() not in shown.content, one
            asked += shown.status_code == 200
    assert asked > 15
    assert theirs["segmentation_id"] in client.get("/segmentations", headers=bearer(ANNA)).text


def test_similar_segments_and_effects_are_those_of_own_answers(client: TestClient) -> None:
    """The curator's view shows that the answers of others would be listed."""
    theirs = segmented(client, BO, 0)
    mine = segmented(client, CY, 1)
    segment_id = mine["segments"][0]["segment_id"]
    similar = {}
    for key in (ANNA, CY):
        listed = client.get(f"/explain/{segment_id}", headers=bearer(key)).json()["similar"]
        similar[key] = {one["segment_id"].split("-")[0] for one in listed}
    assert similar == {ANNA: {theirs["segmentation_id"]}, CY: set()}
    body = {"class_name": "lava"}
    edit = client.post(f"/segments/{segment_id}/label", json=body, headers=bearer(ANNA)).json()["edit"]["revision"]
    counts = {key: client.get(f"/edits/{edit}/effect", headers=bearer(key)).json()["answers"] for key in (ANNA, BO, CY)}
    assert counts == {ANNA: 3, BO: 1, CY: 2}, "the curator's correction relabelled the image of its owner"


def test_exemplars_and_their_images_stay_visible_to_all_readers(client: TestClient) -> None:
    answer = segmented(client, BO)
    body = {"class_name": "lava"}
    added = client.post(
        f"/segments/{answer['segments'][0]['segment_id']}/label", json=body, headers=bearer(ANNA)
    ).json()
    exemplar = added["exemplar"]
    assert read(client, CY, exemplar["image_url"]) == read(client, CY, exemplar["crop_url"]) == 200
    assert read(client, CY, answer["image_url"]) == 404


def test_what_a_curator_relabels_still_belongs_to_the_reader(client: TestClient) -> None:
    answer = segmented(client, BO)
    edit_exemplars(client)
    again = client.post(f"/segmentations/{answer['segmentation_id']}/relabel", headers=bearer(ANNA)).json()
    assert again["segmentation_id"] != answer["segmentation_id"]
    assert read(client, BO, f"/segmentations/{again['segmentation_id']}") == 200
    assert read(client, CY, f"/segmentations/{again['segmentation_id']}") == 404


def test_an_image_that_a_curator_segments_again_still_belongs_to_the_reader(client: TestClient) -> None:
    """So its new labels are seen by the reader, and go with the image when the reader deletes it."""
    answer = segmented(client, BO)
    again = client.post(f"/segmentations/{answer['segmentation_id']}/segment", headers=bearer(ANNA)).json()
    assert read(client, BO, f"/segmentations/{again['segmentation_id']}") == 200
    assert read(client, CY, f"/segmentations/{again['segmentation_id']}") == 404
    url = f"/segmentations/{answer['segmentation_id']}?image=true"
    assert client.delete(url, headers=bearer(BO)).status_code == 204
    assert read(client, ANNA, f"/segmentations/{again['segmentation_id']}/image") == 404


def test_two_readers_with_the_same_image_have_answers_of_their_own(client: TestClient) -> None:
    """The file goes with the last answer."""
    theirs, mine = segmented(client, BO), segmented(client, CY)
    assert theirs["image_id"] == mine["image_id"]
    deleted = client.delete(f"/segmentations/{theirs['segmentation_id']}?image=true", headers=bearer(BO))
    assert deleted.status_code == 204
    assert read(client, BO, theirs["image_url"]) == 404
    assert read(client, CY, mine["image_url"]) == 200
    client.delete(f"/segmentations/{mine['segmentation_id']}", headers=bearer(CY))
    assert not client.app.state.engine.records.images.has(mine["image_id"])  # type: ignore[attr-defined]


def test_nobody_but_the_owner_or_a_curator_deletes_an_answer(client: TestClient) -> None:
    mine = f"/segmentations/{segmented(client, BO)['segmentation_id']}"
    refused = client.delete(mine, headers=bearer(CY))
    assert refused.status_code == client.delete(f"/segmentations/{NOBODY}", headers=bearer(CY)).status_code == 404
    assert read(client, BO, mine) == 200
    assert client.delete(mine, headers=bearer(ANNA)).status_code == 204
    assert read(client, BO, mine) == 404
    assert client.delete(mine, headers=bearer(BO)).status_code == 404


def test_a_page_of_another_site_cannot_delete(client: TestClient) -> None:
    mine = f"/segmentations/{segmented(client, BO)['segmentation_id']}"
    client.post("/session", json={"key": BO})
    assert client.delete(mine, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.delete(mine, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 204


def test_a_deleted_answer_is_gone_with_its_segments_its_image_and_its_place_in_lists(client: TestClient) -> None:
    answer, other = segmented(client, BO, 0), segmented(client, BO, 1)
    segment_id = answer["segments"][0]["segment_id"]
    client.delete(f"/segmentations/{answer['segmentation_id']}", headers=bearer(BO))
    gone = [answer["image_url"], f"/explain/{segment_id}", f"/segments/{segment_id}/crop"]
    assert [read(client, ANNA, url) for url in gone] == [404, 404, 404]
    listed = client.get("/segmentations", headers=bearer(BO)).json()
    assert [one["segmentation_id"] for one in listed] == [other["segmentation_id"]]
    assert read(client, BO, f"/explain/{other['segments'][0]['segment_id']}") == 200


def test_all_answers_of_an_image_are_deleted_by_one_request(client: TestClient) -> None:
    answer = segmented(client, BO)
    first, kept = f"/segmentations/{answer['segmentation_id']}", segmented(client, BO, 1)
    edit_exemplars(client)
    again = client.post(f"{first}/relabel", headers=bearer(BO)).json()
    assert again["segmentation_id"] != answer["segmentation_id"]
    latest = client.get("/segmentations?latest=true", headers=bearer(BO)).json()
    assert [one["segmentation_id"] for one in latest] == [kept["segmentation_id"], again["segmentation_id"]] or (
        [one["segmentation_id"] for one in latest] == [again["segmentation_id"], kept["segmentation_id"]]
    )
    assert client.delete(f"{first}?image=true", headers=bearer(BO)).status_code == 204
    listed = client.get("/segmentations", headers=bearer(BO)).json()
    assert [one["segmentation_id"] for one in listed] == [kept["segmentation_id"]]


def test_one_answer_of_several_is_deleted_and_the_image_stays(client: TestClient) -> None:
    answer = segmented(client, BO)
    first = f"/segmentations/{answer['segmentation_id']}"
    edit_exemplars(client)
    again = client.post(f"{first}/relabel", headers=bearer(BO)).json()
    assert again["segmentation_id"] != answer["segmentation_id"]
    client.delete(first, headers=bearer(BO))
    assert read(client, BO, first) == 404
    assert read(client, BO, again["image_url"]) == 200


def test_an_exemplar_keeps_its_image_when_the_answer_is_deleted(client: TestClient) -> None:
    answer = segmented(client, BO)
    body = {"class_name": "lava"}
    corrected = client.post(f"/segments/{answer['segments'][0]['segment_id']}/label", json=body, headers=bearer(ANNA))
    exemplar = corrected.json()["exemplar"]
    client.delete(f"/segmentations/{answer['segmentation_id']}?image=true", headers=bearer(BO))
    assert client.get("/segmentations", headers=bearer(ANNA)).json() == []
    assert read(client, CY, exemplar["image_url"]) == read(client, CY, exemplar["crop_url"]) == 200
    revision = corrected.json()["edit"]["revision"]
    assert client.post(f"/edits/{revision}/revert", headers=bearer(ANNA)).status_code == 201
