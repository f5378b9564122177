"""Explains the label of one pixel: the exemplars that voted, the runner-up, and what would change the label.

python -m examples.explain_label photo.jpg 40,200 --out exemplars
"""

from pathlib import Path

from examples.arguments import parser
from segsort_client import Client


def main() -> None:
    """Segment, explain, and write the images of the exemplars."""
    options = parser(__doc__)
    options.add_argument("image", help="path or URL")
    options.add_argument("pixel", help="x,y")
    options.add_argument("--out", type=Path, help="folder for images of the exemplars")
    chosen = options.parse_args()
    x, y = map(int, chosen.pixel.split(","))
    with Client(chosen.address, chosen.key) as client:
        answer = client.segment(chosen.image)
        segment = answer.segments[answer.to_label_map("segment")[y, x]]
        found = client.explain(segment)
        sure = "" if found.known else ", which is not sure: no exemplar is similar enough"
        print(f"{found.class_name} with {found.share or 0:.0%} of the vote{sure}")
        for voter in found.exemplars:
            print(f"  {voter.exemplar_id} {voter.class_name}: cosine {voter.similarity:.3f}, weight {voter.weight:.3f}")
        if found.runner_up is not None:
            print(f"runner-up: {found.runner_up.class_name}, {found.runner_up.weight:.0%}")
        if found.flip_set:
            print(
                f"without these {len(found.flip_set)} exemplars the label would be another: {', '.join(found.flip_set)}"
            )
        if chosen.out is not None:
            chosen.out.mkdir(parents=True, exist_ok=True)
            for voter in found.exemplars:
                (chosen.out / f"{voter.exemplar_id}.png").write_bytes(client.exemplar_crop(voter))


if __name__ == "__main__":
    main()
