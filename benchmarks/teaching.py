"""Teaching: a fitted head beside forests, a softmax probe and plain retrieval, from few labelled images.

python -m benchmarks.teaching --data DIR [--out DIR] [--page docs/teaching-results.md] [--only facades:3:strokes]

Each row of the table is a data set, a number of labelled images, and a way of labelling: full masks, or two strokes of
30 pixels for each class and image. All methods learn from the same labelled pixels and are scored on the same pixels of
the same test images: 3,000 labelled ones of each, drawn once. Each chooses its settings by cross-validation over the
labelled images alone, within about the same time. `segsort` is what a release does: it sorts the pixels that its head
embeds into segments, and exemplars vote on each segment. The peers label pixel by pixel.

Results are appended to a JSON lines file, so that a run that is stopped goes on where it stopped.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.common import RESULTS
from benchmarks.teaching_data import Domain, Marked, domains, mark
from index_builder.build import MIN_SHARE
from index_builder.datasets import IGNORE
from index_builder.environment import circumstances
from index_builder.fit_release import exemplar_embeddings
from index_builder.heads import FitSettings, HeadFitting, HeadOnCells, Samples, fold_of, open_features
from index_builder.new_release import SORTING
from index_builder.scores import intersection_over_union
from model_store.card import RetrievalInfo
from model_store.embedder import working_shape
from model_store.index import ExemplarIndex
from model_store.store import open_store
from segsort.head import columns_of
from segsort.labelled_segments import split_by_label
from segsort.retrieval import vote
from segsort.segments import segment_image

PIXELS = 3000  # of each test image
COUNTS = (1, 3, 10, 0)  # labelled images; 0: all
SEEDS = (0, 1, 2)
BUDGET = 8.0  # seconds for choosing
MOST = 8000  # labelled pixels that a method learns from
TRIAL = 2000  # of these, for the choices of the peers
METHODS = ("segsort", "forest, scikit-image", "forest, our features", "softmax, our features", "retrieval, no head")


class Bench:
    """Runs all methods on one domain.

    Args:
        domain: the data set.
        cache: folder of features.
    """

    def __init__(self, domain: Domain, cache: Path) -> None:
        self.domain, self.cache = domain, cache
        cache.mkdir(parents=True, exist_ok=True)
        opened = open_features("general", open_store(), cache)
        kept = [group for group in opened.source.info.groups if group.name not in domain.leaves_out]
        every = opened.source.groups
        info = opened.source.info.model_copy(update={"groups": kept})
        self.source = opened.source.__class__(
            opened.source.file, info, opened.source.preprocessing, opened.source.licence
        )
        self.statistics = opened.statistics.columns(columns_of(every, self.source.groups))
        self.classes = len(domain.train.classes)
        random = np.random.default_rng(7)
        self.asked = []
        for i in range(len(domain.test)):
            places = np.argwhere(domain.test[i].labels != IGNORE)
            drawn = random.choice(len(places), min(PIXELS, len(places)), replace=False)
            self.asked.append(places[drawn])
        self.truth = np.concatenate([domain.test[i].labels[tuple(at.T)] for i, at in enumerate(self.asked)]).astype(
            np.int64
        )

    def score(self, predicted: np.ndarray) -> float:
        """mIoU of labels of the test pixels."""
        confusion = np.zeros((self.classes, self.classes))
        np.add.at(confusion, (self.truth, predicted), 1)
        return float(np.nanmean(intersection_over_union(confusion)))

    def run(self, marked: Marked, seed: int, methods: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Method, mIoU and seconds of each method on marked images; of segsort also the head that it chose."""
        fitting = HeadFitting(marked, self.source, self.statistics, self.cache, FitSettings(budget=BUDGET, seed=seed))
        samples: Samples | None = None
        for method in methods:
            started, head = time.perf_counter(), None
            if method == "segsort":
                fitted = fitting.fit()
                predicted, head = self._segsort(marked, fitting, fitted), fitted.info.chosen
            else:
                samples = samples or fitting.samples()
                peers: dict[str, Callable[[Samples, int], np.ndarray]] = {
                    "forest, scikit-image": lambda one, seed: self._forest_of_filters(marked, one, seed),
                    "forest, our features": self._forest,
                    "softmax, our features": self._softmax,
                    "retrieval, no head": self._retrieval,
                }
                predicted = peers[method](samples, seed)
            yield {
                "method": method,
                "miou": self.score(predicted),
                "seconds": time.perf_counter() - started,
                "head": head,
            }

    def _segsort(self, marked: Marked, fitting: HeadFitting, fitted: Any) -> np.ndarray:
        cells = HeadOnCells(fitted.head)
        prototypes, class_ids = [], []
        for i in range(len(marked)):
            labels = marked.masks[i]
            embeddings = exemplar_embeddings(fitting, fitted, cells, i)
            found = segment_image(embeddings, labels.shape, SORTING.options(), SORTING.min_area)
            pieces = split_by_label(found, embeddings, labels, IGNORE, SORTING.min_area, MIN_SHARE)
            prototypes.append(pieces.prototypes)
            class_ids.append(pieces.class_ids)
        index, known, retrieval = (
            ExemplarIndex.build(np.concatenate(prototypes)),
            np.concatenate(class_ids),
            RetrievalInfo(),
        )
        predicted = []
        for i, at in enumerate(self.asked):
            image = self.domain.test.photograph(i).image
            embeddings = cells.embed(fitting.maps_of(image))
            found = segment_image(embeddings, image.shape[:2], SORTING.options(), SORTING.min_area)
            cosines, rows = index.search(found.prototypes, min(retrieval.k, len(known)))
            votes = vote(cosines, known[rows], self.classes, retrieval.kappa)
            predicted.append(votes.class_ids[found.labels[tuple(at.T)]])
        return np.concatenate(predicted)

    def _test_rows(self) -> Iterator[torch.Tensor]:
        """Our features at the test pixels, one image at a time."""
        from index_builder.heads import FeatureExtractor

        extractor = FeatureExtractor(self.source, self.cache)
        for i, at in enumerate(self.asked):
            image = self.domain.test.photograph(i).image
            maps = extractor.maps(image)
            h, w = maps.cells
            H, W = image.shape[:2]
            yield maps.rows(self.source.groups, at[:, 0] * h // H, at[:, 1] * w // W)

    def _subsets(self) -> list[np.ndarray]:
        """Columns of the groups that our own candidates read, too."""
        groups = self.source.groups
        filters = [g for g in groups if g.name == "filters"]
        fine = [g for g in groups if g.stride <= 8 and g.name != "streets"]
        coarse = [g for g in groups if g not in fine]
        return [columns_of(groups, one) for one in (list(groups), filters, fine, coarse)]

    def _forest(self, samples: Samples, seed: int) -> np.ndarray:
        rows, y = samples.rows.numpy(), samples.class_ids.numpy()
        options = [{"columns": one, "leaf": leaf} for one in self._subsets() for leaf in (1, 4)]

        def fit(option: dict[str, Any], at: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            forest = _forest(option["leaf"], seed).fit(rows[at][:, option["columns"]], y[at])
            return lambda asked: forest.predict(asked[:, option["columns"]])

        best = _best(options, fit, rows, samples, seed)
        predict = fit(best, np.arange(len(y)))
        return np.concatenate([predict(one.numpy()) for one in self._test_rows()])

    def _softmax(self, samples: Samples, seed: int) -> np.ndarray:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        rows, y = samples.rows.numpy(), samples.class_ids.numpy()
        options = [{"columns": one, "c": c} for c in (0.003, 0.03, 0.3) for one in self._subsets()]

        def fit(option: dict[str, Any], at: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=option["c"], max_iter=60))
            probe.fit(rows[at][:, option["columns"]], y[at])
            return lambda asked: probe.predict(asked[:, option["columns"]])

        best = _best(options, fit, rows, samples, seed)
        predict = fit(best, np.arange(len(y)))
        return np.concatenate([predict(one.numpy()) for one in self._test_rows()])

    def _retrieval(self, samples: Samples, seed: int) -> np.ndarray:
        """The vote of the 20 nearest labelled pixels in standardised features."""
        mean, scale = samples.rows.mean(0), samples.rows.std(0).clamp(min=1e-6)

        def unit(rows: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize((rows - mean) / scale, dim=1)

        known, predicted = unit(samples.rows), []
        for rows in self._test_rows():
            near = (unit(rows) @ known.T).topk(min(20, len(known)), dim=1)
            votes = vote(near.values.numpy(), samples.class_ids[near.indices].numpy(), self.classes, 10.0)
            predicted.append(votes.class_ids)
        return np.concatenate(predicted)

    def _forest_of_filters(self, marked: Marked, samples: Samples, seed: int) -> np.ndarray:
        """ilastik's way: a forest on scikit-image's multiscale features of the image at 512 pixels."""
        rows = np.zeros((len(samples.images), 0), dtype=np.float32)
        parts, order = [], []
        for i in np.unique(samples.images).tolist():
            mine = np.flatnonzero(samples.images == i)
            planes = self._skimage(marked.photograph(i).image)
            y, x = self._pixels(marked.photograph(i).image, samples.places[mine])
            parts.append(planes[:, y, x].T)
            order.append(mine)
        rows = np.concatenate(parts)[np.argsort(np.concatenate(order))].astype(np.float32)
        y, options = samples.class_ids.numpy(), [{"leaf": leaf} for leaf in (1, 4, 10)]

        def fit(option: dict[str, Any], at: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            return _forest(option["leaf"], seed).fit(rows[at], y[at]).predict  # type: ignore[no-any-return]

        predict = fit(_best(options, fit, rows, samples, seed), np.arange(len(y)))
        found = []
        for i, at in enumerate(self.asked):
            image = self.domain.test.photograph(i).image
            planes = self._skimage(image)
            h, w = planes.shape[1:]
            found.append(
                predict(planes[:, at[:, 0] * h // image.shape[0], at[:, 1] * w // image.shape[1]].T.astype(np.float32))
            )
        return np.concatenate(found)

    def _pixels(self, image: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pixel at the centre of an embedding cell, in the image at 512 pixels."""
        height, width = working_shape(image.shape[0], image.shape[1], 512)
        h, w = -(-height // 4), -(-width // 4)
        y, x = places // w, places % w
        return np.minimum((2 * y + 1) * height // (2 * h), height - 1), np.minimum(
            (2 * x + 1) * width // (2 * w), width - 1
        )

    def _skimage(self, image: np.ndarray) -> np.ndarray:
        """scikit-image's features [48, h, w] float16 of an image at 512 pixels, kept in the cache."""
        import hashlib

        from skimage.feature import multiscale_basic_features

        file = self.cache / f"skimage-{hashlib.sha256(image.tobytes()).hexdigest()[:32]}.npy"
        if not file.exists():
            height, width = working_shape(image.shape[0], image.shape[1], 512)
            resized = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
            planes = multiscale_basic_features(  # type: ignore[no-untyped-call]
                resized, channel_axis=2, sigma_min=0.7, sigma_max=10
            )
            np.save(file, planes.transpose(2, 0, 1).astype(np.float16))
        return np.asarray(np.load(file, mmap_mode="r"))


def _forest(leaf: int, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(100, min_samples_leaf=leaf, random_state=seed, n_jobs=2)


def _best(
    options: Sequence[dict[str, Any]],
    fit: Callable[[dict[str, Any], np.ndarray], Callable[[np.ndarray], np.ndarray]],
    rows: np.ndarray,
    samples: Samples,
    seed: int,
) -> dict[str, Any]:
    """The option with the best cross-validated mIoU within the budget, over the same folds that a head is chosen by."""
    trial = np.sort(np.random.default_rng(seed).permutation(len(rows))[:TRIAL])
    chosen = samples.subset(trial)
    folds = fold_of(chosen)
    if folds is None:
        return options[0]
    y, started = samples.class_ids.numpy(), time.perf_counter()
    scores: list[float] = []
    for option in options:
        if scores and time.perf_counter() - started > BUDGET:
            break
        confusion = np.zeros((int(y.max()) + 1,) * 2)
        for fold in np.unique(folds[folds >= 0]):
            known, asked = trial[folds != fold], trial[folds == fold]
            if len(np.unique(y[known])) < 2:
                continue
            predicted = fit(option, known)(rows[asked])
            np.add.at(confusion, (y[asked], predicted), samples.weights[asked])
        scores.append(float(np.nanmean(intersection_over_union(confusion))) if confusion.any() else 0.0)
    return options[int(np.argmax(scores))]


def table(lines: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown: mean mIoU over seeds in %, and the difference to the best peer with its interval."""
    rows = [
        "| data set | images | labels | " + " | ".join(METHODS) + " | segsort - best peer |",
        "| :-- | --: | :-- |" + " --: |" * (len(METHODS) + 1),
    ]
    differences = []
    for domain, count, how in dict.fromkeys((one["domain"], one["count"], one["how"]) for one in lines):
        cells = [one for one in lines if (one["domain"], one["count"], one["how"]) == (domain, count, how)]
        scores = {m: {one["seed"]: 100 * one["miou"] for one in cells if one["method"] == m} for m in METHODS}
        if not all(scores.values()):
            continue
        means = {m: float(np.mean(list(scores[m].values()))) for m in METHODS}
        peer = max(METHODS[1:], key=lambda m: means[m])
        gap = [scores["segsort"][seed] - scores[peer][seed] for seed in scores["segsort"] if seed in scores[peer]]
        differences.append(float(np.mean(gap)))
        spread = f" ± {1.96 * float(np.std(gap, ddof=1)) / len(gap) ** 0.5:.1f}" if len(gap) > 1 else ""
        best = max(means, key=lambda m: means[m])
        shown = [f"**{means[m]:.1f}**" if m == best else f"{means[m]:.1f}" for m in METHODS]
        images = cells[0]["images"]
        rows.append(f"| {domain} | {images} | {how} | {' | '.join(shown)} | {differences[-1]:+.1f}{spread} |")
    under = sum(one < -2 for one in differences)
    rows += ["", f"Mean over all {len(differences)} rows of segsort - best peer: {np.mean(differences):+.1f} points. "
                 f"Rows more than 2 points below the best peer: {under}."]  # fmt: skip
    return "\n".join(rows)


def page(lines: Sequence[dict[str, Any]]) -> str:
    """The page with the table and how it was measured."""
    where, seeds = lines[-1]["circumstances"], sorted({one["seed"] for one in lines})
    commits = sorted({one["circumstances"].get("commit", "?") for one in lines})
    return f"""# Teaching: results

{(__doc__ or "").split("Results are appended")[0].split(chr(10) + chr(10), 2)[2].strip()}

mIoU in %, mean over the seeds {", ".join(map(str, seeds))}, which choose the images and the strokes. ± is 1.96 standard
errors of the difference, where there are several seeds. The best peer of a row is the one with the best mean on the
test pixels, which favours the peers. The method was developed with the training images of facades, nuclei and camvid,
and tables of earlier versions on these test images were seen meanwhile, so other data may give lower rows. It was not
developed with textures, which are painted. CamVid's labelled images and test images are of different drives, and the
embedding that was trained on CamVid is not among the features there.

{table(lines)}

Written by `python -m benchmarks.teaching` at commit {", ".join(commits)} on {where.get("machine", "?")}.
"""


def _main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with facades, nuclei and camvid")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--cache", type=Path, default=RESULTS / "features")
    parser.add_argument("--page", type=Path, help="Markdown page to write")
    parser.add_argument("--only", nargs="*", default=[], help="DOMAIN, or DOMAIN:COUNT:HOW")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "teaching.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(one["domain"], one["count"], one["how"], one["seed"], one["method"]) for one in lines}
    for seed in arguments.seeds:
        for name, domain in domains(arguments.data).items():
            bench: Bench | None = None
            for count in COUNTS:
                for how in ("strokes", "masks"):
                    if arguments.only and name not in arguments.only and f"{name}:{count}:{how}" not in arguments.only:
                        continue
                    missing = [m for m in arguments.methods if (name, count, how, seed, m) not in done]
                    if not missing:
                        continue
                    bench = bench or Bench(domain, arguments.cache)
                    marked = mark(domain, count, how, seed)
                    row = {"domain": name, "count": count, "images": len(marked), "how": how, "seed": seed}
                    for result in bench.run(marked, seed, missing):
                        line = row | result | {"circumstances": circumstances()}
                        with file.open("a") as opened:
                            opened.write(json.dumps(line) + "\n")
                        lines.append(line)
                        print(*row.values(), *(v if isinstance(v, str) else round(v or 0, 3) for v in result.values()),
                              flush=True)  # fmt: skip
    order = {name: n for n, name in enumerate(("facades", "nuclei", "camvid", "textures"))}
    lines.sort(key=lambda one: (order[one["domain"]], one["images"], one["how"]))
    print(table(lines))
    if arguments.page:
        arguments.page.write_text(page(lines), encoding="utf-8")


if __name__ == "__main__":
    _main()
