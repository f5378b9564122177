"""Colours that tell classes apart, and classes.json of the format `folder`."""

from collections.abc import Mapping, Sequence

import orjson

from model_store.card import ClassInfo
from model_store.labelled import IGNORE, Colour, class_palette

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def distinct_colours(classes: Sequence[ClassInfo]) -> tuple[list[Colour], Colour]:
    """A colour for each class, and one for unlabelled pixels.

    Of classes with one colour, the first keeps it and the others get new ones. Unlabelled pixels are black, or white if
    a class is black.

    Args:
        classes: with their colours, at most 255.

    Raises:
        ValueError: if there are more.
    """
    if len(classes) > IGNORE:
        raise ValueError(f"{len(classes)} classes do not fit masks, which have at most {IGNORE}; export as coco")
    used: set[Colour] = set()
    repeated = []
    for info in classes:
        if info.color in used:
            repeated.append(info.class_id)
        used.add(info.color)
    *others, spare = class_palette(len(repeated) + 1, sorted(used))
    new = dict(zip(repeated, others, strict=True))
    unlabelled = next(colour for colour in (BLACK, WHITE, spare) if colour not in used)
    return [new.get(info.class_id, info.color) for info in classes], unlabelled


def classes_json(
    classes: Sequence[ClassInfo], colours: Sequence[Colour], ignore: int | Colour, origin: Mapping[str, str]
) -> bytes:
    """classes.json as `model_store.labelled` reads it: names, colours and ids of classes.

    Args:
        classes: in the order of the document.
        colours: of the classes.
        ignore: index or colour of unlabelled pixels.
        origin: further fields of the document.
    """
    entries = [
        {"id": info.class_id, "name": info.name, "color": colour} for info, colour in zip(classes, colours, strict=True)
    ]
    return orjson.dumps({"classes": entries, "ignore": ignore} | dict(origin), option=orjson.OPT_INDENT_2)
