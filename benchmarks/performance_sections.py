"""The sections of docs/performance.md: which benchmark each shows, and what there is to say about it beside figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Section:
    """One benchmark's table; note: a sentence made of its details; left_out: columns that are not shown."""

    title: str
    benchmark: str
    command: str
    text: str
    left_out: tuple[str, ...] = ()
    note: Callable[[Mapping[str, Any]], str] | None = None


def _capacity(details: Mapping[str, Any]) -> str:
    before, after = details["capacities"]
    return (
        f"Capacity: {before:.1f} images a second before, {after:.1f} after; deadline {details['deadline_s']:g} s, "
        f"{details['queue_pixels']:,} pixels may wait."
    )


def _peers(details: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in details["versions"].items())
    absent = "; ".join(f"{name} is left out: {why}" for name, why in details["absent"].items())
    return f"{details['callers']} callers; {versions}." + (f" {absent}." if absent else "")


def _memory(details: Mapping[str, Any]) -> str:
    answered = ", ".join(f"{count:,} with {status}" for status, count in sorted(details["statuses"].items()))
    return f"{details['callers']} callers, answered in {details['seconds']:.0f} s: {answered}."


SECTIONS = (
    Section(
        "One request beside the network alone",
        "latency",
        "python -m benchmarks.latency",
        "One caller, one JPEG of 480x360 over HTTP: decoding, network, sorting, retrieval, answer and record,"
        " beside ONNX Runtime's `session.run` on the same input. Each some times on end, in turn.",
    ),
    Section(
        "Callers beside a loop in process",
        "serving",
        "python -m benchmarks.serving",
        "JPEGs of 480x360. The loop decodes, embeds, sorts and retrieves, and neither writes an answer nor "
        "records it; the callers run on the same cores as the service.",
        note=lambda details: f"Medians of {details['rounds']} rounds of {details['seconds']:g} s.",
    ),
    Section(
        "The same engine under other servers",
        "serving_peers",
        "python -m benchmarks.serving_peers",
        "Each answers with the same JSON, which is compared before, and records it: all that they share is the "
        "same code, so that only what lies around it differs. One worker has two threads at BentoML, and one at "
        "LitServe, as is their way. `segsort's` is how many times as many images a second segsort answers. The last "
        "row calls the engine by a thread a core, without server and callers: the most that any server can reach.",
        note=_peers,
    ),
    Section(
        "Asked more than it can",
        "serving_overload",
        "python -m benchmarks.serving_overload",
        "Pictures arrive at a constant pace, whether those before are answered or not. Goodput is the good "
        "answers a second.",
        note=_capacity,
    ),
    Section(
        "Size of the picture",
        "serving_sizes",
        "python -m benchmarks.serving_sizes",
        "One caller. The network sees every picture at the working size, to which large JPEGs are reduced as they "
        "are decoded; outlines and masks are at the picture's own.",
        left_out=("p10_ms",),
    ),
    Section(
        "Pixel sorting",
        "pixel_sorting",
        "python -m benchmarks.pixel_sorting",
        "64 segments, ten iterations from the same means, some times on end; ours begins with the embeddings, the "
        "others with finished features. segsort compares pixels with means in eight bits, as releases are served; all "
        "others, and its second row, in float32. `of segsort` is how many times as long as segsort, `as good` whether "
        "the mean cosine is within 0.001 of segsort's. The kernels of flash-kmeans need a GPU, which this machine "
        "has not: its own PyTorch path is shown.",
        left_out=("p10_ms", "p90_ms"),
    ),
    Section(
        "Retrieval",
        "retrieval",
        "python -m benchmarks.retrieval",
        "64 queries, 20 neighbours, 32 dimensions; recall is against FAISS' flat index, which is exact.",
        left_out=("p10_ms", "p90_ms"),
    ),
    Section(
        "Building an index",
        "index_building",
        "python -m benchmarks.index_building",
        "Images a second of a whole build (network, sorting, splitting by label, choosing, calibrating, WebP,"
        " checksums) beside the network alone.",
    ),
    Section(
        "Start",
        "serving_start",
        "python -m benchmarks.serving_start",
        "From the start of the process to 200 at `/readyz`. The first start after an installation compiles "
        "the kernels.",
    ),
    Section(
        "Memory",
        "serving_memory",
        "python -m benchmarks.serving_memory",
        "Resident memory of the service over pictures of mixed kinds and sizes, 33x700 to 1600x1200, one in a"
        " hundred broken.",
        note=_memory,
    ),
    Section(
        "Edits",
        "edits",
        "python -m benchmarks.edits",
        "Edits of a running service, and requests without and with edits beside them.",
    ),
    Section(
        "The live index",
        "live_index",
        "python -m benchmarks.live_index",
        "How long an edit takes until it is searched, and a search over a thousand edits beside one over none.",
    ),
)
