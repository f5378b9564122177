"""Teaches a class with one stroke, and says what it changes in the image and in other images.

python -m examples.teach_with_strokes photo.jpg kerb 40,200 90,210 --width 5 --undo
"""

from examples.arguments import parser
from segsort_client import Client, Stroke


def point(text: str) -> tuple[float, float]:
    """A point of the command line, such as 40,200."""
    x, y = text.split(",")
    return float(x), float(y)


def main() -> None:
    """Preview the stroke, apply it, and revert it if that is asked for."""
    options = parser(__doc__)
    options.add_argument("image", help="path or URL")
    options.add_argument("class_name", help="a new name makes a new class")
    options.add_argument("points", nargs="+", type=point, help="x,y in pixels")
    options.add_argument("--width", type=float, default=5, help="of the stroke, in pixels")
    options.add_argument("--undo", action="store_true", help="revert the edit at the end")
    chosen = options.parse_args()
    with Client(chosen.address, chosen.key) as client:
        answer = client.segment(chosen.image)
        stroke = Stroke.line(chosen.class_name, chosen.points, chosen.width)
        preview = client.preview(answer, [stroke])
        elsewhere = sum(len(image.changed) for image in preview.elsewhere)
        print(f"it would change {len(preview.relabelled.changed)} segments here, and {elsewhere} in other images")
        marked = client.mark(answer, [stroke], reason="an example")
        if marked.relabelled is not None:
            for change in marked.relabelled.changed:
                print(f"{change.segment_id}: {change.before} -> {change.after}")
        if chosen.undo and marked.edit is not None:
            reverted = client.revert(marked, reason="only a try")
            print(f"edit {marked.edit.revision} is reverted by edit {reverted.index_revision}")


if __name__ == "__main__":
    main()
