"""The short page of results: what the bundled release scores, and SegSort beside its peers on drives left out.

It is made from the card of the bundled release, from the documents of `benchmarks.street_scores`, and from
test-split.json, which quotes figures that others measured.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from index_builder.pixel_scores import (
    FRAMES,
    mean_miou,
)
from index_builder.report.experiments import NONE, where
from index_builder.report.markdown import details, number, table
from index_builder.report.method_tables import (
    METHODS,
    PIXELS,
    SERVED,
    class_table,
    drive_table,
    folds,
    interval,
    ratio,
    ratio_table,
    score_table,
    verdict,
)
from index_builder.report.run_files import Json

QUOTED, LEFT_OUT, BUNDLED = "test-split.json", "left-out.json", "bundled.json"
SUPERVISED = "supervised"
UNSUPERVISED = re.compile(r"(.+)-(\d+)(-scratch)?")  # kind of a document: regions, views, first weights
FROZEN = "frozen"  # kind of a document: the features of ImageNet weights, which nothing trains

VAL = (
    "CamVid val is 101 frames, 6.7 seconds, of a drive whose other frames are in train: it says how well a "
    "release labels "
    "streets that it was trained on. The drive that is left out, and the test split, say how well it labels others. "
    "CamVid's own test split is not used to choose anything, and the figures of it were measured by others. "
    "Repeat them with"
)
BUYS = (
    "What retrieval buys is not mIoU. Each label names the labelled segments that decided it, and is recomputed "
    "from them "
    "exactly; a wrong label is changed by removing or adding exemplars, and a new class by a few of them, without "
    "training; "
    "and a segment that resembles no exemplar is answered as unknown. A softmax has none of these."
)
WITHOUT_LABELS = (
    "Networks trained without a label of CamVid, with SegSort's learning rate of the fold and as many steps, on "
    "regions of "
    "each image. A second view is another crop of the image with the same regions. The labels of `fit-without-DRIVE` "
    "are "
    "read only afterwards, for exemplars. **No row but those from random weights is free of labels of other data**: "
    "ImageNet weights were trained with ImageNet's labels. `felzenszwalb` regions are computed, not learnt; `contours` "
    "come from a network that was trained on drawings of BSDS500 by people. From random weights, the backbone learns "
    "at the rate of the decoder; there too, the learning rate was chosen by runs with labels. Ratios are over the "
    "drives that "
    "both were measured on."
)
NOT_TRAINED = (
    "*ImageNet, not trained* is the baseline of these rows, `python -m benchmarks.street_features`: whitened principal "
    "components of the feature maps of the same network, frozen. They are computed without labels, and nothing in them "
    "is random, so there is one seed. Their number (32, 64 or 128) and how far they are whitened are chosen on "
    "held-out frames. The budgets are not equal: nine settings are tried for it, and the trained networks have 32 "
    "dimensions and a learning rate that was tuned for SegSort."
)
LESS = "**Each network above that was trained on regions from ImageNet weights scores less than these features.**"


def headlines(claims: Path, card: Json, command: str) -> str:
    """The page as Markdown.

    Args:
        claims: folder with the documents of `benchmarks.street_scores`, test-split.json and perhaps left-out.json.
        card: card.json of the bundled release.
        command: the command that makes the page.

    Raises:
        ValueError: if the folder has no document of a drive.
    """
    documents = read_documents(claims)
    parts = [
        "# Results on streets",
        "Shares and scores are 0..1, intervals are of 95 %. [Details](results-details.md) has the scores by "
        "class, the "
        "explanations, the learning curves and the regions. This command writes the page; no figure is typed by "
        "hand, but "
        f"those of the test split are quoted:\n\n```sh\n{command}\n```",
        *_bundled(card, _json(claims / QUOTED), _json(claims / LEFT_OUT)),
        *_probed(_json(claims / BUNDLED)),
        *_compared(documents),
        *_measured_how(documents),
    ]
    return "\n\n".join(parts) + "\n"


def read_documents(claims: Path) -> list[Json]:
    """The documents of all drives and seeds, in the order of their names.

    Raises:
        ValueError: if there are none.
    """
    found = [
        json.loads(file.read_text()) | {"kind": file.stem.rsplit("-", 2)[0]}
        for file in sorted(claims.glob("*-*-*.json"))
    ]
    documents = [document for document in found if "scores" in document]
    if not documents:
        raise ValueError(
            f"{claims} has no document of benchmarks.street_scores; give the folder that it wrote with --out"
        )
    return documents


def _json(file: Path) -> Json | None:
    return json.loads(file.read_text()) if file.exists() else None


def _bundled(card: Json, quoted: Json | None, left_out: Json | None) -> list[str]:
    """Scores of the bundled release on val, on drives left out, and on the test split as others measured it."""
    head = ["frames", "network", "images", "mIoU", "pixel accuracy", "boundary F, 2 px", "ECE of segments"]
    network = str(card["network"]["name"])
    rows = [[how, network, *_figures(figures)] for how, figures in card.get("metrics", {}).items()]
    if left_out is not None:
        for drive, figures in left_out["drives"].items():
            rows.append([f"drive {drive}, trained without it", left_out["network"], *_figures(figures)])
        rows.append(["mean of the drives left out", left_out["network"], *_figures(left_out["mean"])])
    lines = ["## The bundled release", ""]
    text = ""
    if quoted is not None:
        for row in quoted["rows"]:
            rows.append([f"{row['frames']}, quoted", quoted["network"], *_figures(row)])
        classes = [f"{name} {number(v)}" for row in quoted["rows"] for name, v in row.get("per_class", {}).items()]
        text = f"Quoted: {quoted['by']} at commit {quoted['commit']}" + (
            f"; there, {', '.join(classes)}." if classes else "."
        )
        text += f"\n\n{VAL} `{quoted['command']}`."
    return [lines[0], table(head, rows, left=2), *_in_bytes(card), *([text] if text else [])]


def _in_bytes(card: Json) -> list[str]:
    """What the bundled release scores with its network in bytes, beside the table, which is of float32."""
    measured = (card.get("quantised") or {}).get("measured", {})
    if not measured:
        return []
    scores = "; ".join(
        f"{on}: mIoU {number(one['miou'])}, {number(one['miou_float32'])} in float32" for on, one in measured.items()
    )
    return [
        "Rows that are not quoted are of the network in float32. In bytes, as processors that multiply bytes run it: "
        f"{scores}."
    ]


def _probed(document: Json | None) -> list[str]:
    """Retrieval and a probe on the embedding of the bundled release."""
    if document is None:
        return []
    named = document | {"drive": "val"}
    names = [one["method"] for one in document["scores"]["val"]]
    title = f"### The network {document['network']} of {document['created'][:10]}, on val"
    return [title, score_table([named], "val", names), *where([document["environment"]])]


def _figures(figures: Json) -> list[str]:
    boundary = figures.get("boundary_f")
    at_two = boundary.get("2") if isinstance(boundary, dict) else boundary
    values = (figures.get("images"), figures.get("miou"), figures.get("pixel_accuracy"), at_two, figures.get("ece"))
    return [number(value) for value in values]


def _compared(documents: Sequence[Json]) -> list[str]:
    supervised = [one for one in documents if one["kind"] == SUPERVISED]
    others = sorted({one["kind"] for one in documents} - {SUPERVISED})
    unsupervised = [f"unsupervised, {kind}" for kind in others]
    names = [*METHODS, *unsupervised]
    parts = [
        "## SegSort beside its peers, on a drive that is left out",
        "Each drive of CamVid train is left out in turn: nothing of it trains, chooses or calibrates. Scores are "
        "means over "
        f"the {_number_of(supervised, 'drive', 'drives')}. The same MobileNetV2 from ImageNet, crops and number of "
        "pixels a step.",
        score_table(documents, "drive", METHODS),
        *where(one["environment"] for one in documents),
        *_renewed(supervised),
        verdict(documents, "drive"),
        BUYS,
        ratio_table(documents, "drive"),
        "### By drive",
        drive_table(documents, names),
        details("IoU by class, mean over the drives", class_table(documents, METHODS)),
        "### On val",
        "Networks of the folds that train on val's drive.",
        score_table(documents, "val", METHODS),
        *_without_labels(documents, others),
    ]
    return [part for part in parts if part]


def _renewed(documents: Sequence[Json]) -> list[str]:
    """Which methods were measured again on the same networks and frames, and at which commit."""
    found = [one["renewed"] for one in documents if "renewed" in one]
    if not found:
        return []
    methods = ", ".join(sorted({method for one in found for method in one["methods"]}))
    commits = ", ".join(sorted({one["environment"]["commit"][:9] for one in found}))
    return [
        f"{methods}: measured again on the same networks and frames at commit {commits}, as it is served now. The rows "
        f"of the other methods do not depend on that{_exception(documents)}."
    ]


def _exception(documents: Sequence[Json]) -> str:
    """Retrieval pixel by pixel, where it was not measured again: it votes among exemplars of the earlier releases."""
    earlier = set()
    for renewed in (one["renewed"] for one in documents if "renewed" in one and folds([one], "drive", PIXELS)):
        before = renewed.get("before")
        if before is not None and PIXELS not in renewed["methods"]:
            earlier.add(f"K = {before['sorting'].get('segments')}, {_splitting([before])}")
    if not earlier:
        return ""
    return f", except that {PIXELS} votes among the exemplars of earlier releases: {'; '.join(sorted(earlier))}"


def _without_labels(documents: Sequence[Json], kinds: Sequence[str]) -> list[str]:
    """Networks trained without labels, by regions, views and first weights, beside SegSort with labels."""
    rows, scores = [], {}
    for kind in kinds:
        method = f"unsupervised, {kind}"
        found = folds(documents, "drive", method)
        scores[kind] = mean_miou(found).value
        named = UNSUPERVISED.fullmatch(kind)
        regions, views, scratch = (kind, NONE, None) if named is None else named.groups()
        first = "random weights" if scratch else "ImageNet"
        over = ratio(documents, "drive", method, SERVED)
        rows.append(
            [
                *((NONE, NONE, "ImageNet, not trained") if kind == FROZEN else (regions, views, first)),
                *(str(len(found)), str(min(len(seeds) for seeds in found.values()))),
                number(scores[kind]),
                *((NONE, NONE) if over is None else (number(over.value), interval(over))),
            ]
        )
    head = ["regions", "views", "starts from", "drives", "seeds", "mIoU", "/ SegSort as served", "interval"]
    shown = ["## Without labels", WITHOUT_LABELS, table(head, rows, left=3) if rows else "Not measured."]
    if FROZEN not in scores:
        return shown
    trained = [score for kind, score in scores.items() if kind != FROZEN and not kind.endswith("-scratch")]
    return [*shown, NOT_TRAINED, *([LESS] if trained and max(trained) < scores[FROZEN] else [])]


def _measured_how(documents: Sequence[Json]) -> list[str]:
    supervised = [one for one in documents if one["kind"] == SUPERVISED]
    sorting = supervised[0]["sorting"] if supervised else {}
    trained = [
        [one["drive"], str(one["seed"]), name, number(of["learning_rate"]), str(of["steps"]), number(of["cpu_s"])]
        for one in supervised
        for name, of in one["training"].items()
        if not name.startswith("tune-") and name.endswith(f"-{one['seed']}")
    ]
    rules = [
        "Networks train on `fit-without-DRIVE`. Learning rates, the probe's penalty, temperatures and curves are "
        "chosen on "
        "`held-without-DRIVE`, the last tenth of each other drive. Exemplars come from `fit-without-DRIVE`, never "
        "from `held`.",
        "SegSort and the twin are tuned by the same budget in each fold: a run of 100 steps for each of the same "
        "learning rates, "
        "scored on `held` by retrieval and by the classifier.",
        "The twin trains for as many steps as SegSort, and once more for as many CPU seconds.",
        f"SegSort is served as the bundled release is: K = {sorting.get('segments')}, "
        f"{sorting.get('coarse_iterations')} rounds "
        f"over a quarter of the pixels and {sorting.get('iterations')} over all, {sorting.get('precision')}, k = 20; "
        f"{_splitting(supervised)}. Its confidence is calibrated on `held` as it is and in other light.",
        "The probe is a logistic regression of each pixel on standardised embeddings, fitted by L-BFGS until it "
        "converges.",
        "Exported weights are a moving average that forgets the first steps: the first weights have a share below "
        "1e-15 after "
        "400 steps, and the average lags by a tenth of the steps.",
        f"An interval resamples blocks of {FRAMES} consecutive frames of each drive, the same for both methods of "
        "a ratio, and "
        "seeds where there are several. It does not cover drives of other cities or weather.",
        "ECE is the expected calibration error of pixels in 15 bins: raw (winning share, or softmax), by the "
        "method's own "
        "calibration (the release's curve, fitted to pixels of segments; for the others a temperature, or for pixels "
        "one by one a curve), and by a rising curve of pixels on `held` as it is, the same kind for all.",
    ]
    return [
        "## How it was measured",
        "\n".join(f"- {rule}" for rule in rules),
        "```sh\npython -m benchmarks.street_claims --camvid CAMVID --weights mobilenet_v2_imagenet.safetensors "
        "--out runs/claims\npython -m benchmarks.street_scores --camvid CAMVID --runs runs/claims "
        "--out docs/results/claims\npython -m benchmarks.street_scores --camvid CAMVID "
        "--out docs/results/claims    # the bundled release\n```",
        _tuning_table(supervised),
        table(["drive left out", "seed", "run", "learning rate", "steps", "CPU seconds"], trained, left=3),
    ]


def _splitting(documents: Sequence[Json]) -> str:
    """How segments are split and exemplars thinned, in words."""
    first = documents[0] if documents else {}
    least, distinct = first.get("sorting", {}).get("min_part", 0), first.get("distinct")
    split = f"segments are split into parts of at least {least} pixels" if least else "segments are not split"
    kept = f"of exemplars with a cosine of {distinct} one is kept" if distinct else "all exemplars are kept"
    return f"{split}, and {kept}"


def _tuning_table(documents: Sequence[Json]) -> str:
    """mIoU on held-out frames by learning rate, one row a fold and method."""
    of = {(one["drive"], method): found for one in documents for method, found in one.get("tuned", {}).items()}
    rates = sorted({float(rate) for found in of.values() for rate in found["held_miou"]})
    rows = []
    for (drive, method), found in sorted(of.items()):
        scores = {float(rate): score for rate, score in found["held_miou"].items()}
        rows.append([drive, method, *(number(scores.get(rate)) for rate in rates), number(found["learning_rate"])])
    return table(["drive left out", "tuned", *(f"mIoU at {rate:g}" for rate in rates), "chosen"], rows, left=2)


def _number_of(documents: Sequence[Json], one: str, many: str) -> str:
    count = len({document["drive"] for document in documents})
    return one if count == 1 else f"{count} {many}"
