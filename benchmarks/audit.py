"""How well the audit finds wrong labels: planted ones, beside other scores on the same data.

For each class and seed, 5 % of the exemplars of one class get the label of another class. The planted labels are looked
for in two lists: that of the class that they are labelled with now, as a person looks through it, and that of all
classes. Exemplars that were doubtful before are in both lists, and count as errors. Precision is the share of planted
labels among the first n entries, where n is their number.

    python -m benchmarks.audit                                  the bundled release streets
    python -m benchmarks.audit --release FOLDER --name nuclei   another release
    python -m benchmarks.audit --count 100000                   time and memory with so many exemplars

The constant `DEPTH` was chosen with the seeds 100 and 101; the default seeds are others.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.common import report
from model_store.auditing import MOST_NEIGHBOURS, Material, contradictions, duplicate_groups, nearest_of_all
from model_store.auditing.neighbours import nearest_elsewhere
from model_store.live import LiveExemplars
from model_store.release import Release
from model_store.store import open_store
from segsort.loops import at_most
from segsort.retrieval import vote

SHARE = 0.05  # of a class that is planted
_FOLDS = 5
Score = Callable[[Material], np.ndarray]


class Planted(NamedTuple):
    """Exemplars with wrong labels among them. places: positions of the planted ones; label: the class they have now."""

    material: Material
    places: np.ndarray
    label: int


def plant(material: Material, class_id: int, seed: int) -> Planted:
    """Give 5 % of a class, at least one exemplar, the label of another class, both drawn at random."""
    random = np.random.default_rng((seed, class_id))
    members = np.flatnonzero(material.class_ids == class_id)
    places = random.choice(members, max(1, round(SHARE * len(members))), replace=False)
    others = np.setdiff1d(np.unique(material.class_ids), [class_id])
    label = int(random.choice(others))
    labels = material.class_ids.copy()
    labels[places] = label
    return Planted(material._replace(class_ids=labels), places, label)


def audit_score(material: Material) -> np.ndarray:
    """The order of the audit: [n], larger is more doubtful; what is not contradicted comes last."""
    found = contradictions(material)
    scores = np.full(len(material.rows), -1.0)
    scores[found.places] = np.arange(len(found.places), 0, -1)
    return scores


def vote_margin(material: Material) -> np.ndarray:
    """The margin of the vote of other images alone: the winner's share, or the next one's, minus that of its own."""
    found = nearest_elsewhere(material.prototypes, material.apart, material.prototypes, material.apart, material.k)
    classes = material.class_ids[found.places]
    shares = vote(found.cosines, classes, material.num_classes, material.kappa).shares
    each = np.arange(len(shares))
    own = shares[each, material.class_ids]
    shares[each, material.class_ids] = -1
    return np.asarray(shares.max(axis=1) - own)


def self_confidence(material: Material) -> np.ndarray:
    """Label issues as in cleanlab: 1 - out-of-sample probability of its own label, by k nearest neighbours.

    The folds are drawn at random, as cleanlab's are, so exemplars of one image vouch for each other.
    """
    n = len(material.rows)
    folds = np.random.default_rng(0).permutation(n) % _FOLDS
    scores = np.empty(n)
    for fold in range(_FOLDS):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        model = KNeighborsClassifier(material.k, metric="euclidean", n_jobs=1)
        model.fit(material.prototypes[train], material.class_ids[train])
        columns = {int(c): i for i, c in enumerate(model.classes_)}
        probabilities = model.predict_proba(material.prototypes[test])
        scores[test] = [
            1 - (row[columns[label]] if label in columns else 0)
            for row, label in zip(probabilities, material.class_ids[test].tolist(), strict=True)
        ]
    return scores


def disagreement(material: Material) -> np.ndarray:
    """Share of the 10 nearest other exemplars, of the same image too, with another class."""
    found = nearest_elsewhere(
        material.prototypes, np.arange(len(material.rows)), material.prototypes, np.arange(len(material.rows)), 10
    )
    return np.asarray((material.class_ids[found.places] != material.class_ids[:, None]).mean(axis=1))


SCORES: dict[str, Score] = {
    "audit": audit_score,
    "margin of the vote": vote_margin,
    "self-confidence, k-NN (cleanlab)": self_confidence,
    "disagreement of 10 nearest": disagreement,
}


def precision(planted: Planted, scores: np.ndarray, among: np.ndarray) -> float:
    """Share of planted exemplars among the first n of a list, n being their number."""
    order = among[np.argsort(-scores[among], kind="stable")]
    return float(np.isin(order[: len(planted.places)], planted.places).mean())


def measure(material: Material, names: list[str], seeds: list[int]) -> list[dict[str, object]]:
    """Precision of every score for every class, over the seeds."""
    rows: list[dict[str, object]] = []
    for class_id in np.unique(material.class_ids).tolist():
        trials = [plant(material, class_id, seed) for seed in seeds]
        for name, score in SCORES.items():
            own, everything = [], []
            for planted in trials:
                scores = score(planted.material)
                labelled = np.flatnonzero(planted.material.class_ids == planted.label)
                own.append(precision(planted, scores, labelled))
                everything.append(precision(planted, scores, np.arange(len(scores))))
            rows.append(
                {
                    "class": names[class_id],
                    "planted": len(trials[0].places),
                    "score": name,
                    "list of its label": round(float(np.mean(own)), 3),
                    "lowest": round(min(own), 3),
                    "list of all": round(float(np.mean(everything)), 3),
                }
            )
    return rows


def summary(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """The means over the classes."""
    found = []
    for name in SCORES:
        mine = [row for row in rows if row["score"] == name]
        means = {
            column: round(float(np.mean([float(str(row[column])) for row in mine])), 3)
            for column in ("list of its label", "list of all")
        }
        lowest = min(float(str(row["lowest"])) for row in mine)
        found.append(
            {
                "class": "all",
                "planted": 0,
                "score": name,
                "list of its label": means["list of its label"],
                "lowest": lowest,
                "list of all": means["list of all"],
            }
        )
    return found


def enlarged(material: Material, count: int) -> Material:
    """So many exemplars: drawn from those of a release, each with some noise, in one image for each 25 of them."""
    random = np.random.default_rng(0)
    drawn = random.integers(0, len(material.rows), count)
    prototypes = material.prototypes[drawn] + random.normal(0, 0.02, (count, material.prototypes.shape[1]))
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    return material._replace(
        rows=np.arange(count),
        prototypes=np.ascontiguousarray(prototypes, dtype=np.float32),
        class_ids=material.class_ids[drawn],
        images=random.integers(0, max(3, count // 25), count),
        strengths=np.ones(count, dtype=np.float32),
    )


def peak_megabytes() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def time_and_memory(material: Material, count: int) -> None:
    """Measure both searches with one thread, as the service runs them on two cores."""
    large, rows = enlarged(material, count), []
    for name, search in (("contradicted", contradictions), ("duplicates", _duplicates)):
        before, started = peak_megabytes(), time.perf_counter()
        with at_most(1):
            search(large)
        seconds = time.perf_counter() - started
        rows.append(
            {
                "exemplars": count,
                "kind": name,
                "seconds": round(seconds, 2),
                "more MB": round(peak_megabytes() - before),
            }
        )
    report(f"audit_of_{count}", rows, {})


def _duplicates(material: Material) -> object:
    return duplicate_groups(material, nearest_of_all(material, MOST_NEIGHBOURS), 0.9995)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=Path, help="folder of a release; by default the bundled streets")
    parser.add_argument("--name", default="streets", help="of the data, for the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--count", type=int, help="measure time and memory with so many exemplars instead")
    given = parser.parse_args()
    release = Release.open(given.release or open_store().resolve("streets"))
    material = Material.of(LiveExemplars.of_release(release))
    if given.count is not None:
        contradictions(material)  # compiles the loops
        time_and_memory(material, given.count)
        return
    contradictions(material)  # compiles the loops
    started = time.perf_counter()
    found = len(contradictions(material).places)
    seconds = time.perf_counter() - started
    facts = {
        "exemplars": len(material.rows),
        "images": len(np.unique(material.images)),
        "contradicted before anything is planted": found,
        "seconds": round(seconds, 2),
        "seeds": given.seeds,
    }
    print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    rows = measure(material, [info.name for info in release.card.classes], given.seeds)
    report(f"audit_{given.name}", rows + summary(rows), facts)


if __name__ == "__main__":
    main()
