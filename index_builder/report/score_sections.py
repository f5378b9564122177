"""Sections on what was scored: objectives, ratios, classes, confidence, images of another kind."""

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
    KNN: "Each segment takes the label of its nearest labelled exemplars: what is served. An unsupervised run has read "
    "no label in training; here its exemplars carry them.",
    CLUSTER: "No labelled exemplar votes: segments are clustered, and clusters are matched with classes for the score "
    "alone. It answers another question than kNN does and cannot be compared with it.",
    SOFTMAX: "A linear classifier and a softmax label each pixel, on the same backbone and decoder: the twin that "
    "SegSort is compared with. Nothing is retrieved, so nothing explains a label.",
}
HEADINGS = {KNN: "by the nearest exemplars (kNN)", CLUSTER: "by clusters", SOFTMAX: "by softmax"}


def heading(setting: Setting) -> str:
    """A setting in words."""
    return f"{setting.dataset}, {HEADINGS.get(setting.protocol, f'protocol {setting.protocol}')}"


def slug(*words: str) -> str:
    """Words as a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def objectives(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """A table for each setting: protocols never share one."""
    if not settings:
        return ["No run holds an `evaluation.json` (`segsort evaluate RELEASE --json`)."]
    blocks: list[Block] = []
    for protocol in sorted({setting.protocol for setting in settings}, key=protocol_order):
        blocks.append(f"### Labels {HEADINGS.get(protocol, f'by {protocol}')}")
        blocks.append(EXPLAINED.get(protocol, f"Labels found by the protocol {protocol!r}."))
        for setting, group in settings.items():
            if setting.protocol == protocol:
                blocks += [_scores(setting, group), *where(environments(group))]
    return blocks


def _scores(setting: Setting, group: Sequence[Measured]) -> str:
    columns: dict[str, tuple[str, ...]] = {
        "mIoU": ("miou",),
        "pixel accuracy": ("pixel_accuracy",),
        "boundary F, 2 px": ("boundary_f", "2"),
        "ECE": ("ece",),
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
    """Ratios: SegSort to its softmax twin, unsupervised to supervised."""
    everything = [one for group in settings.values() for one in group]

    def of(objective: str, protocol: str) -> list[Measured]:
        return [one for one in everything if (one.objective, one.setting.protocol) == (objective, protocol)]

    twin = ratios(of("vmf-nca", KNN), of("softmax", SOFTMAX))
    supervised = ratios(of("vmf", KNN), of("vmf-nca", KNN))
    blocks: list[Block] = [
        "Each ratio is of two runs of the same seed, backbone and data set; then the mean over seeds is taken."
    ]
    blocks += ["### SegSort (vMF-NCA, kNN) / softmax twin", _ratio_table(twin, "a vMF-NCA run and a softmax run")]
    blocks += ["### Unsupervised (vMF) / supervised (vMF-NCA), both kNN"]
    return [*blocks, _ratio_table(supervised, "an unsupervised and a supervised run")]


def _ratio_table(found: Sequence[Ratio], needed: str) -> str:
    if not found:
        return f"Not here: it takes {needed} of the same seed and backbone, evaluated on the same images."
    head = ["ratio", "on", "besides, the recipes differ in", "seeds", *METRICS]
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
    """IoU of each class, and boundary F at each tolerance."""
    blocks: list[Block] = []
    for setting, group in settings.items():
        names = list(
            dict.fromkeys(name for one in group for doc in one.documents for name in doc.get("per_class") or {})
        )
        head = [f"IoU on {heading(setting)}", *(one.title for one in group)]
        rows = [[name, *(mean_spread(one.values("per_class", name)) for one in group)] for name in names]
        blocks += [table(head, rows)] if names else []
    return blocks or ["No evaluation says the IoU of classes."]


def boundaries(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """Boundary F at each tolerance."""
    blocks: list[Block] = []
    for setting, group in settings.items():
        rows = [
            [one.title, *(mean_spread(one.values("boundary_f", str(pixels))) for pixels in TOLERANCES)] for one in group
        ]
        if any(cell != NONE for row in rows for cell in row[1:]):
            blocks.append(table([f"on {heading(setting)}", *(f"{pixels} px" for pixels in TOLERANCES)], rows))
    return blocks or ["No evaluation says boundary F."]


def confusions(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """The confusion matrix of the best experiment of each setting: one is enough to see which classes are mistaken."""
    blocks: list[Block] = []
    for group in settings.values():
        full = [one for one in group if all(document.get("confusion") for document in one.documents)]
        if full:
            best = max(full, key=lambda one: _mean(one.values("miou")))
            blocks.append(_confusion(best, "the highest mIoU of all labelled so, " if len(full) > 1 else ""))
    return blocks or ["No evaluation holds a confusion matrix."]


def reliability(settings: Mapping[Setting, list[Measured]], order: Sequence[str]) -> list[Block]:
    """How often confidence is right, by bins of confidence."""
    blocks: list[Block] = []
    for setting, group in settings.items():
        pooled = {one.title: bins for one in group if (bins := _pooled(one))}
        if pooled:
            shows = f"Reliability on {heading(setting)}: on the diagonal, confidence is the share that is right"
            name = slug("reliability", setting.dataset, setting.protocol)
            blocks.append(Plot(name, shows, partial(plots.reliability, pooled, order)))
    return blocks or ["No evaluation holds `reliability`."]


def known(settings: Mapping[Setting, list[Measured]]) -> list[Block]:
    """Whether images of another kind are noticed."""
    head = ["", "own images", "known share, own", "foreign images", "images", "AUROC", "known share, foreign"]
    rows, measured = [], []
    for setting, group in settings.items():
        for one in group:
            names = sorted({name for document in one.documents for name in document.get("foreign") or {}})
            measured += [one] if names else []
            for name in names:
                told = [one.values("foreign", name, key) for key in ("auroc", "known_share")]
                count = sorted({number(at(document, "foreign", name, "images")) for document in one.documents})
                own = [one.title, setting.dataset, mean_spread(one.values("known_share"))]
                rows.append([*own, name, ", ".join(count), *map(mean_spread, told)])
    if not rows:
        return ["No evaluation holds `foreign`: images of another kind were not shown."]
    text = (
        "AUROC: the chance that a pixel of the own images lies in a more familiar segment than one of the foreign "
        "images; 0.5 if familiarity tells nothing. A known share is the part of the pixels in segments called known."
    )
    return [text, table(head, rows, left=4), *where(environments(measured))]


def _pooled(one: Measured) -> list[plots.Bin]:
    """The bins of all seeds together."""
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
    """Of all seeds together."""
    names, columns = list(one.documents[0]["per_class"]), one.documents[0]["predicted_classes"]
    counts = np.sum([document["confusion"] for document in one.documents], axis=0)
    shows = (
        f"Confusion on {heading(one.setting)}: {one.title}, {why}"
        f"{len(one.runs)} seed{'s' if len(one.runs) > 1 else ''} together; a row is a true class and adds up to 100 %"
    )
    name = slug("confusion", one.setting.dataset, one.setting.protocol)
    return Plot(name, shows, partial(plots.confusion, counts, names, columns))


def _mean(values: Sequence[float | None]) -> float:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else -1.0
