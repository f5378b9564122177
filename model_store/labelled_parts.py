"""Parts of labelled images: a part "val" of the data is held out of builds."""

from pathlib import Path

from model_store.labelled import LabelledFiles, open_format

OWN_PART = "val"


def own_part(files: LabelledFiles, root: Path, name: str) -> LabelledFiles | None:
    """The part "val" of labelled images; None if they have no parts, or it is empty or has other classes.

    Args:
        files: another part of the data.
        root: folder or file of the data.
        name: of their format.
    """
    try:
        own = open_format(root, name, OWN_PART)
    except ValueError:
        return None
    mine = {files.image_file(i) for i in range(len(files))}
    theirs = {own.image_file(i) for i in range(len(own))}
    same = [info.name for info in own.classes] == [info.name for info in files.classes]
    return own if theirs and same and not mine & theirs else None


def rule_of_own_part(own: LabelledFiles) -> str:
    """How the images of `own_part` were chosen, in words."""
    return f"the {len(own)} images of the part {OWN_PART!r} of the data"
