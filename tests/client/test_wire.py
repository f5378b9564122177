"""The client has the fields and the operations of docs/openapi.json, and takes answers of a newer service."""

import dataclasses
import importlib
import json
import pkgutil
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest

import segsort_client.results
from segsort_client import Client, ResponseError, Segmentation
from segsort_client.parsing import parse, wire_fields
from segsort_client.results.answers import SegmentationSummary
from segsort_client.results.edits import Labelled

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
# Results whose schema has another name; `Segmentation` is read from several.
NAMES = {
    "Labelled": ("SegmentLabelled",),
    "Relabelled": ("RelabelledAnswer",),
    "Segmentation": ("NewAnswer", "Answer"),
    "SegmentationSummary": ("AnswerSummary",),
}
# Fields that an answer of one kind has and others have not, or whose value the client leaves as it is.
WIDER = {
    ("Answer", "timings_ms"),
    ("NewAnswer", "timings_ms"),
    ("RelabelledAnswer", "timings_ms"),
    ("Job", "result"),
    ("Edited", "edit"),
    ("ExemplarsRemoved", "edit"),
    ("NewAnswer", "image_id"),
}


def results() -> Iterator[type]:
    """All dataclasses of results."""
    for module in pkgutil.iter_modules(segsort_client.results.__path__):
        found = importlib.import_module(f"segsort_client.results.{module.name}")
        yield from (
            one
            for one in vars(found).values()
            if isinstance(one, type) and dataclasses.is_dataclass(one) and one.__module__ == found.__name__
        )


PAIRS = [(kind, schema) for kind in results() for schema in NAMES.get(kind.__name__, (kind.__name__,))]


def expected(schema: dict[str, Any]) -> Any:
    """A schema as the type of a field: names of schemas, lists and nulls."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return frozenset(expected(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return ("list", expected(schema.get("items", {})))
    if schema.get("type") == "object":
        return "object"
    return {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}.get(
        schema.get("type", ""), "Any"
    )


def declared(kind: Any) -> Any:
    """The type of a field in the form of `expected`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return frozenset(declared(one) for one in arguments)
    if origin is tuple:
        return ("list", declared(arguments[0]))
    if origin is dict:
        return "object"
    if dataclasses.is_dataclass(kind):
        return NAMES.get(kind.__name__, (kind.__name__,))[0]
    return {type(None): "None"}.get(kind, getattr(kind, "__name__", "Any"))


def union(kinds: Any) -> frozenset[Any]:
    return kinds if isinstance(kinds, frozenset) else frozenset({kinds})


@pytest.mark.parametrize(("kind", "schema"), PAIRS, ids=lambda one: getattr(one, "__name__", one))
def test_a_result_has_the_fields_of_the_document(kind: type, schema: str) -> None:
    properties, required = SCHEMAS[schema]["properties"], SCHEMAS[schema].get("required", [])
    fields = {field.name: field for field in wire_fields(kind)}
    assert {name for name in set(fields) ^ set(properties) if (schema, name) not in WIDER} == set()
    for name, field in fields.items():
        if (schema, name) in WIDER:
            continue
        assert field.required == (name in required), f"{name} is required in one of them only"
        absent = frozenset() if field.required else frozenset({"None"})
        assert union(declared(field.kind)) - absent == union(expected(properties[name])) - absent, name


# Operations without a method, and why.
LEFT_OUT = {
    "sign_in": "for browsers: programs send the key itself",
    "sign_out": "for browsers",
    "get_liveness": "for load balancers",
    "get_metrics": "for Prometheus",
}
METHODS = {
    "segment": "segment", "segment_again": "segment_again", "relabel_segmentation": "relabel",
    "list_segmentations": "segmentations", "get_segmentation": "segmentation", "delete_segmentation": "delete",
    "pin_segmentation": "pin", "unpin_segmentation": "unpin", "get_segmentation_image": "image",
    "explain": "explain", "get_segment_crop": "crop", "list_suggestions": "suggestions",
    "list_clusters": "clusters", "label_segment": "label", "label_segments": "label_many", "mark_segmentation": "mark",
    "preview_marks": "preview", "export_segmentations": "export", "export_selection": "export",
    "audit_exemplars": "audit", "relabel_exemplars": "relabel_exemplars", "preview_exemplars": "preview_exemplars",
    "list_exemplars": "exemplars", "add_exemplars": "add_exemplar", "get_exemplar": "exemplar",
    "remove_exemplar": "remove_exemplar", "remove_exemplars": "remove_exemplars",
    "get_exemplar_image": "exemplar_image", "get_exemplar_crop": "exemplar_crop",
    "import_labelled_images": "import_labels",
    "list_edits": "edits", "get_edit": "edit", "get_edit_effect": "effect", "revert_edit": "revert",
    "list_classes": "classes", "save_class": "change_class", "list_releases": "releases",
    "make_release": "new_release", "get_release": "release_card", "activate_release": "activate",
    "carry_edits": "carry", "survey_labelled_images": "survey",
    "get_survey": "read_survey", "remove_survey": "delete_survey",
    "build_release": "build", "compare_releases": "compare", "adapt_release": "adapt", "list_jobs": "jobs",
    "segment_batch": "segment_batch",
    "segment_in_background": "segment_archive", "list_job_images": "job_images", "get_job_result": "job_result",
    "delete_job": "delete_job", "list_webhooks": "webhooks", "get_webhook": "webhook", "make_webhook": "add_webhook",
    "test_webhook": "test_webhook", "resume_webhook": "resume_webhook", "delete_webhook": "delete_webhook",
    "get_job": "job", "cancel_job": "cancel", "accept_job": "accept", "get_caller": "me", "get_readiness": "ready",
}  # fmt: skip


def test_every_operation_of_the_document_has_a_method() -> None:
    found = {one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()}
    assert found == set(METHODS) | set(LEFT_OUT)
    assert [name for name in METHODS.values() if not hasattr(Client, name)] == []


def answer(schema: str, **changes: Any) -> dict[str, Any]:
    """The example of an answer in the document, with changes."""
    for path in DOCUMENT["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                content = response.get("content", {}).get("application/json", {})
                if content.get("schema", {}).get("$ref", "").endswith(f"/{schema}") and "example" in content:
                    return content["example"] | changes
    raise AssertionError(f"the document has no example of {schema}")


def test_the_examples_of_the_document_are_read() -> None:
    found = parse(Segmentation, answer("NewAnswer"))
    assert found.segments[0].segment_id == answer("NewAnswer")["segments"][0]["segment_id"]
    assert found.segments[0].rle.counts == answer("NewAnswer")["segments"][0]["mask"]["counts"]
    assert parse(Labelled, answer("SegmentLabelled")).edit is not None


def test_fields_of_a_newer_service_are_ignored() -> None:
    newer = answer("NewAnswer", uncertainty=[1, 2])
    newer["segments"] = [one | {"depth": 7, "mask": one["mask"] | {"order": "F"}} for one in newer["segments"]]
    assert parse(Segmentation, newer) == parse(Segmentation, answer("NewAnswer"))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"width": "640"}, "width"),
        ({"segments": {}}, "segments"),
        ({"segments": [{}]}, "segments"),
        ({"width": True}, "width"),
        ({"classes": [None]}, "classes"),
    ],
)
def test_an_answer_that_is_none_of_a_service_is_an_error_that_says_where(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(ResponseError, match=place):
        parse(Segmentation, answer("NewAnswer", **changes))
    with pytest.raises(ResponseError, match="segmentation_id"):
        parse(Segmentation, {})
    with pytest.raises(ResponseError, match="a list"):
        parse(tuple[SegmentationSummary, ...], {})
