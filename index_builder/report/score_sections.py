"""Sections about scores: objectives, ratios, classes, confidence, foreign images."""

import re
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from index_builder.report import plots
from index_builder.report.experiments import (
    CLUSTER,
    KNN,
    METRICS,
    NONE,
    SOFTMAX,
    Measured,
    Ratio,
    Setting,
    at,
    environments,
    mean_spread,
    protocol_order,
    ratios,
    where,
)
from index_builder.report.markdown import Block, Plot, number, table

TOLERANCES = (1, 2, 3, 4, 5)  # pixels

EXPLAINED = {
    KNN: "Each segment takes the label of its nearest labelled exemplars. This is what the service does. An "
    "unsupervised run is trained without labels; here its exemplars have labels.",
    CLUSTER: "No labelled exemplar votes. Segments are clustered, and clusters are matched with classes for the score "
    "only. Do not compare these scores with kNN: the question is a different one.",
    SOFTMAX: "A linear classifier with softmax labels each pixel, on the same backbone and decoder. It is the baseline "
    "of SegSort. Nothing is retrieved, so nothing explains a label.",
}
HEADINGS = {KNN: "by the nearest exemplars (kNN)", CLUSTER: "by clusters", SOFTMAX: "by softmax"}


def heading(setting: Setting) -> str:
    """A setting as a heading."""
    return f"{setting.dataset}, {HEADINGS.get(setting.protocol, f'protocol {setting.protocol}')}"


def slug(*words: str) -> str:
    """Words as a file name."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def objectives(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """A table for each setting; two protocols never share a table."""
    if not settings:
        return ["No run has an `evaluation.json` (`segsort evaluate RELEASE --json`)."]
    blocks: list[Block] = []
    for protocol in sorted({setting.protocol for setting in settings}, key=protocol_order):
        blocks.append(f"### Labels {HEADINGS.get(protocol, f'by {protocol}')}")
        blocks.append(EXPLAINED.get(protocol, f"Labels by the protocol {protocol!r}."))
        for setting, group in settings.items():
            if setting.protocol == protocol:
                blocks += [_scores(setting, group), *where(environments(group))]
    return blocks


def _scores(setting: Setting, group: Sequence[Measured]) -> str:
    columns: dict[str, tuple[str, ...]] = {
        "mIoU": ("miou",),
        "pixel accuracy": ("pixel_accuracy",),
        "boundary F, 2 px": ("boundary_f", "2"),
        "ECE of segments": ("ece",),
        "ECE of pixels, raw": ("pixel_ece", "raw"),
        "ECE of pixels, calibrated": ("pixel_ece", "calibrated"),
    }
    head = [f"on {setting.dataset}", "seeds", "images", *columns]
    rows = [
        [
            one.title,
            one.seeds,
            ", ".join(sorted({number(document.get("images")) for document in one.documents})),
            *(mean_spread(one.values(*path)) for path in columns.values()),
        ]
        for one in group
    ]
    return table(head, rows)


def compared(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """Ratios of SegSort and its softmax twin, and of unsupervised and supervised runs."""
    everything = [one for group in settings.values() for one in group]

    def of(objective: str, protocol: str) -> list[Measured]:
        return [one for one in everything if (one.objective, one.setting.protocol) == (objective, protocol)]

    twin = ratios(of("vmf-nca", KNN), of("softmax", SOFTMAX))
    supervised = ratios(of("vmf", KNN), of("vmf-nca", KNN))
    blocks: list[Block] = [
        "A ratio compares two runs with the same seed, backbone and data set. The table shows the mean over seeds."
    ]
    blocks += ["### SegSort (vMF-NCA, kNN) / softmax twin", _ratio_table(twin, "a vMF-NCA run and a softmax run")]
    blocks += ["### Unsupervised (vMF) / supervised (vMF-NCA), both kNN"]
    return [*blocks, _ratio_table(supervised, "an unsupervised and a supervised run")]


def _ratio_table(found: Sequence[Ratio], needed: str) -> str:
    if not found:
        return f"Not available: it needs {needed} with the same seed and backbone, evaluated on the same images."
    head = ["ratio", "on", "other differences of the recipes", "seeds", *METRICS]
    rows = [
        [
            f"{ratio.above.title} / {ratio.below.title}",
            ratio.above.setting.dataset,
            ", ".join(ratio.differ) or "nothing",
            f"{len(ratio.seeds)} ({', '.join(map(str, ratio.seeds))})",
            *(mean_spread(ratio.values[name]) for name in METRICS),
        ]
        for ratio in found
    ]
    return table(head, rows, left=3)


def classes(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """IoU of each class."""
    blocks: list[Block] = []
    for setting, group in settings.items():
        names = list(
            dict.fromkeys(name for one in group for doc in one.documents for name in doc.get("per_class") or {})
        )
        head = [f"IoU on {heading(setting)}", *(one.title for one in group)]
        rows = [[name, *(mean_spread(one.values("per_class", name)) for one in group)] for name in names]
        blocks += [table(head, rows)] if names else []
    return blocks or ["No evaluation has the IoU of classes."]


def boundaries(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """Boundary F at each tolerance."""
    blocks: list[Block] = []
    for setting, group in settings.items():
        rows = [
            [one.title, *(mean_spread(one.values("boundary_f", str(pixels))) for pixels in TOLERANCES)] for one in group
        ]
        if any(cell != NONE for row in rows for cell in row[1:]):
            blocks.append(table([f"on {heading(setting)}", *(f"{pixels} px" for pixels in TOLERANCES)], rows))
    return blocks or ["No evaluation has boundary F."]


def confusions(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """The confusion matrix of the best experiment of each setting."""
    blocks: list[Block] = []
    for group in settings.values():
        full = [one for one in group if all(document.get("confusion") for document in one.documents)]
        if full:
            best = max(full, key=lambda one: _mean(one.values("miou")))
            blocks.append(_confusion(best, "the highest mIoU of this protocol, " if len(full) > 1 else ""))
    return blocks or ["No evaluation has a confusion matrix."]


def reliability(settings: Mapping[Setting, list[Measured]], order: Sequence[str]) -> list[Block]:
    """The share of correct pixels in each bin of confidence."""
    blocks: list[Block] = []
    for setting, group in settings.items():
        pooled = {one.title: bins for one in group if (bins := _pooled(one))}
        if pooled:
            shows = f"Reliability on {heading(setting)}: on the diagonal, confidence equals the share of correct pixels"
            name = slug("reliability", setting.dataset, setting.protocol)
            blocks.append(Plot(name, shows, partial(plots.reliability, pooled, order)))
    return blocks or ["No evaluation has `reliability`."]


def known(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """Whether foreign images are recognised as unknown."""
    head = ["", "own images", "known share, own", "foreign images", "images", "AUROC", "known share, foreign"]
    rows, measured = [], []
    for setting, group in settings.items():
        for one in group:
            names = sorted({name for document in one.documents for name in document.get("foreign") or {}})
            measured += [one] if names else []
            for name in names:
                values = [one.values("foreign", name, key) for key in ("auroc", "known_share")]
                count = sorted({number(at(document, "foreign", name, "images")) for document in one.documents})
                own = [one.title, setting.dataset, mean_spread(one.values("known_share"))]
                rows.append([*own, name, ", ".join(count), *map(mean_spread, values)])
    if not rows:
        return ["No evaluation has `foreign`: no foreign images were evaluated."]
    text = (
        "AUROC: the probability that an own pixel is in a more familiar segment than a pixel of the "
        "foreign images. It is 0.5 if familiarity separates nothing. Known share: the share of pixels in known "
        "segments."
    )
    return [text, table(head, rows, left=4), *where(environments(measured))]


def _pooled(one: Measured) -> list[plots.Bin]:
    """The bins of all seeds, added."""
    documents = [document["reliability"] for document in one.documents if document.get("reliability")]
    bins = []
    for same in zip(*documents, strict=False):
        filled = [(entry, float(entry["weight"])) for entry in same if entry.get("weight")]
        total = sum(weight for _, weight in filled)
        if total:
            confidence = sum(entry["confidence"] * weight for entry, weight in filled) / total
            bins.append(
                plots.Bin(confidence, sum(entry["correct"] * weight for entry, weight in filled) / total, total)
            )
    return bins


def _confusion(one: Measured, why: str) -> Plot:
    """The confusion matrix of an experiment, added over its seeds."""
    names, columns = list(one.documents[0]["per_class"]), one.documents[0]["predicted_classes"]
    counts = np.sum([document["confusion"] for document in one.documents], axis=0)
    shows = (
        f"Confusion on {heading(one.setting)}: {one.title}, {why}"
        f"{len(one.runs)} seed{'s' if len(one.runs) > 1 else ''} together. A row is a true class and adds up to 100 %"
    )
    name = slug("confusion", one.setting.dataset, one.setting.protocol)
    return Plot(name, shows, partial(plots.confusion, counts, names, columns))


def _mean(values: Sequence[float | None]) -> float:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else -1.0
