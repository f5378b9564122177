"""Segments a folder or a ZIP archive as a job, and saves its export. The job goes on when this program ends.

python -m examples.folder_as_job photos --format coco --out photos.zip
python -m examples.folder_as_job --job JOB_ID --out photos.zip
"""

import sys
from pathlib import Path

from examples.arguments import parser
from segsort_client import Client, Job


def show(job: Job) -> None:
    """One line on the terminal: the stage and its progress."""
    print(f"\r{job.job_id} {job.stage} {job.progress:.0%}", end="", file=sys.stderr)


def main() -> None:
    """Begin a job, or take up one that was begun before, and wait for it."""
    options = parser(__doc__)
    options.add_argument("source", nargs="?", type=Path, help="folder or ZIP archive")
    options.add_argument("--job", help="id of a job that was begun before, in place of a folder")
    options.add_argument("--format", default="coco", help="coco, png, yolo, geojson, label-studio, cvat, labelme, csv")
    options.add_argument("--out", type=Path, default=Path("export.zip"))
    chosen = options.parse_args()
    if (chosen.source is None) == (chosen.job is None):
        options.error("give a folder, or --job")
    with Client(chosen.address, chosen.key) as client:
        job = chosen.job or client.segment_archive(chosen.source, format=chosen.format, names="path")
        done = client.wait(job, progress=show)
        saved = client.job_result(done, out=chosen.out)
        for image in client.job_images(done, state="failed").images:
            print(f"\n{image.name}: {image.problem.detail if image.problem else 'failed'}", file=sys.stderr)
        print(f"\n{saved.path}: {saved.media_type}")


if __name__ == "__main__":
    main()
