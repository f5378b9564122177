"""The sections of docs/performance-details.md: the benchmark that each one shows, its text and its column headings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Section:
    """The table of one benchmark.

    Attributes:
        title: heading of the section.
        benchmark: name of the JSON file in docs/performance.
        command: the command that measures it.
        text: what was measured, in Markdown.
        left_out: columns of the JSON file that the table does not show.
        headings: headings of columns whose key in the JSON file is no clear heading.
        note: makes the sentence after the table from the `details` of the JSON file.
        of_release: whether the figures depend on the bundled release.
    """

    title: str
    benchmark: str
    command: str
    text: str
    left_out: tuple[str, ...] = ()
    headings: Mapping[str, str] = field(default_factory=dict)
    note: Callable[[Mapping[str, Any]], str] | None = None
    of_release: bool = True


def _capacity(details: Mapping[str, Any]) -> str:
    before, after = details["capacities"]
    return (
        f"Capacity: {before:.1f} images a second before and {after:.1f} after the overload. The deadline is "
        f"{details['deadline_s']:g} s and the queue holds {details['queue_pixels']:,} pixels."
    )


def _peers(details: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in details["versions"].items())
    absent = "; ".join(f"{name} is missing: {why}" for name, why in details["absent"].items())
    return f"{details['callers']} callers; {versions}." + (f" {absent}." if absent else "")


def _memory(details: Mapping[str, Any]) -> str:
    answered = ", ".join(f"{count:,} with {status}" for status, count in sorted(details["statuses"].items()))
    return f"{details['callers']} callers, answered in {details['seconds']:.0f} s: {answered}."


def _working_sizes(details: Mapping[str, Any]) -> str:
    return f"Release {details['release']}, {details['images']} images of the split `{details['split']}`."


SECTIONS = (
    Section(
        "One request",
        "latency",
        "python -m benchmarks.latency",
        "One caller sends one JPEG of 480x360 over HTTP. `POST /segment` includes decoding, network, pixel sorting,\n"
        "retrieval, the answer and its record in the database. `session.run` is ONNX Runtime alone on the same input,\n"
        "in float32 and in the numbers that the service uses. All are measured in turn.",
        headings={"of session.run": "ratio to session.run, float32"},
    ),
    Section(
        "One request, beside an earlier commit",
        "beside",
        "python -m benchmarks.beside --before ../before",
        "Both services ran at the same time, and one caller sent them a JPEG of 480x360 in turn. Each has the bundled\n"
        "release and the default settings of its commit. The ratio is the median over the rounds, with an interval of\n"
        "95 %. `../before` is a working copy of the earlier commit: `git worktree add ../before COMMIT`.",
        headings={"embed": "embed, ms", "sort": "sort, ms", "retrieve": "retrieve, ms"},
    ),
    Section(
        "Float32 and bytes",
        "precision",
        "python -m benchmarks.precision",
        "The network of the release and its pixel sorting, each in both kinds of numbers, in turn in one process.\n"
        "A prediction is everything between the pixels of an image and its labels, with the network that is served;\n"
        "only the numbers of pixel sorting differ. Sorting in bytes stays as long as it gives 2 % of a prediction.\n"
        "The ratio is the time divided by the time in float32. What the network in bytes loses of mIoU is on the card\n"
        "of the release, under `quantised` ([precision](operations.md#precision-of-the-network)).",
        left_out=("p10_ms", "p90_ms"),
        headings={"ratio": "ratio to float32"},
    ),
    Section(
        "OpenVINO",
        "execution_providers",
        "python -m benchmarks.execution_providers",
        "The networks of the release in ONNX Runtime's own provider for processors and in that of OpenVINO, which the\n"
        "package `onnxruntime-openvino` brings (250 MB). Processor times of one thread; ratios are to the first\n"
        "provider with the same network. OpenVINO is no option of the service: the network in bytes, which is served,\n"
        "takes longer in it, and the package replaces `onnxruntime`.",
        left_out=("p10_ms", "p90_ms"),
        headings={"ratio, low": "low", "ratio, high": "high"},
        note=lambda details: f"ONNX Runtime {details['onnxruntime']}.",
    ),
    Section(
        "Throughput over HTTP",
        "serving",
        "python -m benchmarks.serving",
        "JPEGs of 480x360. The loop in process decodes, embeds, sorts and retrieves. It writes no answer and no\n"
        "record. The HTTP callers share the cores with the service.",
        headings={"of the loop": "ratio to the loop"},
        note=lambda details: f"Medians of {details['rounds']} rounds of {details['seconds']:g} s.",
    ),
    Section(
        "Other servers, same engine",
        "serving_peers",
        "python -m benchmarks.serving_peers",
        "LitServe and BentoML run the same engine, in float32, and record the same answers; the benchmark compares\n"
        "the JSON first, with segsort in float32 too. segsort is then measured with its default settings.\n"
        "A BentoML worker uses two threads and a LitServe worker one, which are their defaults. The speed-up is the\n"
        "throughput of segsort divided by that of the row. The last row calls the engine with one thread per core,\n"
        "without a server: it is the upper bound for any server.",
        headings={"segsort's": "speed-up of segsort"},
        note=_peers,
    ),
    Section(
        "Overload",
        "serving_overload",
        "python -m benchmarks.serving_overload",
        "Images arrive at a constant rate, whether or not earlier ones are answered. Goodput is the number of\n"
        "successful answers per second.",
        headings={"of capacity": "goodput / capacity"},
        note=_capacity,
    ),
    Section(
        "Image size",
        "serving_sizes",
        "python -m benchmarks.serving_sizes",
        "One caller. The network sees every image at the working size. Large JPEGs are reduced to that size while\n"
        "they are decoded. Outlines and masks have the size of the original image.",
        left_out=("p10_ms",),
    ),
    Section(
        "Working size",
        "working_sizes",
        "python -m benchmarks.working_sizes --camvid CAMVID",
        "The longest side at which the network sees an image (`preprocessing.working_size` on the card of a release).\n"
        "Times are processor times of one thread, from the pixels of an image of 480x360 to its labels. mIoU is that\n"
        "of what is served, on the split `held` of CamVid, with the same exemplars. The bundled release keeps the\n"
        "first size, because a smaller one loses more than 0.005 mIoU. If time matters more to you, build a release\n"
        "with another one (`segsort build --working-size`).",
        left_out=("p10_ms", "p90_ms"),
        headings={"ratio": "ratio to the first", "ratio, low": "low", "ratio, high": "high"},
        note=_working_sizes,
    ),
    Section(
        "Pixel sorting",
        "pixel_sorting",
        "python -m benchmarks.pixel_sorting",
        "Spherical k-means with 64 segments and ten iterations from the same starting means. The time of segsort\n"
        "includes making the features from the embeddings; the others start from finished features. segsort compares\n"
        "pixels with means in 8 bits, as a release does. Its second row and all others use float32. The ratio is the\n"
        "time divided by segsort's time. `as good` says whether the mean cosine is within 0.001 of segsort's. The\n"
        "kernels of flash-kmeans need a GPU, and this machine has none, so its PyTorch path is measured.",
        left_out=("p10_ms", "p90_ms"),
        headings={"of segsort": "ratio to segsort"},
        of_release=False,
    ),
    Section(
        "Retrieval",
        "retrieval",
        "python -m benchmarks.retrieval",
        "64 queries, 20 neighbours, 32 dimensions. Recall is measured against the flat index of FAISS, which is exact.",
        left_out=("p10_ms", "p90_ms"),
        headings={"what": "search", "of index": "ratio to the index"},
        of_release=False,
    ),
    Section(
        "Building an index",
        "index_building",
        "python -m benchmarks.index_building",
        "A whole build runs the network, pixel sorting, splitting by label, selection, calibration, WebP encoding and\n"
        "checksums. It is compared with the network alone.",
        headings={"of the network": "ratio to the network"},
    ),
    Section(
        "Start",
        "serving_start",
        "python -m benchmarks.serving_start",
        "Time from the start of the process until `/readyz` answers 200. The first start after an installation\n"
        "compiles the loops.",
    ),
    Section(
        "Memory",
        "serving_memory",
        "python -m benchmarks.serving_memory",
        "Resident memory of the service. The images have mixed formats and sizes, 33x700 to 1600x1200, and one in a\n"
        "hundred is broken.",
        headings={"of the first": "ratio to 500 requests"},
        note=_memory,
    ),
    Section(
        "Edits",
        "edits",
        "python -m benchmarks.edits",
        "Edits of a running service, and requests with and without edits at the same time.",
    ),
    Section(
        "Marks",
        "marks",
        "python -m benchmarks.marks",
        "The time until an image is labelled again after a mark, and of the preview before it, with eight other\n"
        "images. One caller marks a painted street of 480x360 pixels and an image of 12 megapixels. Other programs\n"
        "used the machine: see the load below, and compare the CPU time of the service.",
    ),
    Section(
        "Live index",
        "live_index",
        "python -m benchmarks.live_index",
        "The time from an edit until a search finds it, and the time of a search after 0, 100 and 1,000 edits.",
        headings={"of the index": "ratio to the index"},
        of_release=False,
    ),
)
