"""The OpenAPI description of the body of POST /exemplars."""

from typing import Any

from service.editing.annotations import Annotation, Category
from service.editing.strokes import Stroke
from service.http.document import schema_ref
from service.routes.documented import BINARY
from service.routes.encoded_images import SCHEMA

_ANNOTATION_EXAMPLE = [{"class_name": "kerb", "polygons": [[10, 10, 60, 10, 60, 40]]}]
_STROKE_EXAMPLE = [{"class_name": "kerb", "points": [[10, 10], [60, 40]], "width": 5}]
_REASON = {"type": "string", "description": "Why, in your words, at most 1000 characters."}
_SOURCE = {"type": "string", "description": "Name of the image, at most 300 characters."}
_ANSWER = {
    "type": "string",
    "description": "Id of an earlier answer to the image, in place of `image`, if its image is still kept. The new "
    "answer `relabelled` then shows the effect. With both, the image must be the one of the answer.",
    "examples": ["3f" * 16],
}
_AREAS = "Later ones cover earlier ones. Those of a COCO file are understood as they are."
_CATEGORIES = "The `categories` of a COCO file, which `category_id` of annotations refers to."
_STROKES = (
    "Lines and areas that mark pixels: exactly the pixels of a stroke become exemplars. Later ones cover earlier ones, "
    "and all cover annotations and mask."
)
_SCOPE = {
    "type": "string",
    "enum": ["all", "image"],
    "default": "all",
    "description": "image: the exemplars vote only for segments of this image file.",
}
_FORM = {
    "type": "object",
    "title": "LabelledImageForm",
    "properties": {
        "image": BINARY["schema"] | {"description": "The image file."},
        "segmentation_id": _ANSWER,
        "mask": BINARY["schema"] | {"description": "Indexed or RGB PNG of the image's size. Needs `classes`."},
        "classes": {
            "type": "string",
            "description": "JSON object: the class of each value of the mask, by index or by colour. Pixels with "
            "other values have no class, and may be most of the image.",
            "examples": ['{"1": "kerb"}', '{"#ff0000": "kerb"}'],
        },
        "annotations": {
            "type": "string",
            "description": f"JSON list of annotations, in place of mask and classes. {_AREAS}",
            "examples": ['[{"class_name": "kerb", "polygons": [[10, 10, 60, 10, 60, 40]]}]'],
        },
        "categories": {
            "type": "string",
            "description": f"JSON list of categories. {_CATEGORIES}",
            "examples": ['[{"id": 1, "name": "kerb"}]'],
        },
        "strokes": {
            "type": "string",
            "description": f"JSON list of strokes, beside or in place of the others. {_STROKES}",
            "examples": ['[{"class_name": "kerb", "points": [[10, 10], [60, 40]], "width": 5}]'],
        },
        "scope": _SCOPE,
        "reason": _REASON,
        "source": _SOURCE,
    },
}
_JSON = {
    "type": "object",
    "title": "LabelledImageBody",
    "properties": {
        "image": SCHEMA,
        "segmentation_id": _ANSWER,
        "annotations": {
            "type": "array",
            "minItems": 1,
            "items": schema_ref(Annotation),
            "description": _AREAS,
            "examples": [_ANNOTATION_EXAMPLE],
        },
        "categories": {"type": "array", "items": schema_ref(Category), "description": _CATEGORIES},
        "strokes": {
            "type": "array",
            "minItems": 1,
            "items": schema_ref(Stroke),
            "description": f"Beside or in place of annotations. {_STROKES}",
            "examples": [_STROKE_EXAMPLE],
        },
        "scope": _SCOPE,
        "reason": _REASON,
        "source": _SOURCE,
    },
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An image, or the id of an earlier answer to it, and its labelled pixels: strokes, annotations, "
        "or a mask with classes.",
        "content": {"multipart/form-data": {"schema": _FORM}, "application/json": {"schema": _JSON}},
    }
}
