"""Deliberate faults: change one line of the method, and see a test of the same package fail.

    python -m tests.deliberate_faults              all faults
    python -m tests.deliberate_faults flip         those whose name contains "flip"

Each fault replaces a piece of one module's source while it is imported; no file is changed. Only tests of the mirrored
package run. For each fault it prints the first test that failed. If a fault was not noticed, it exits with 1.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import NamedTuple

import pytest

_ROOT = Path(__file__).parent.parent
_RETRIEVAL = "tests/segsort/test_retrieval.py"
_FLIP = (
    f"{_RETRIEVAL}::test_flip_set_is_minimal_and_flips",
    f"{_RETRIEVAL}::test_no_smaller_set_flips_where_exemplars_have_strengths",
)
_WINNING = (
    f"{_RETRIEVAL}::test_the_winning_strength_of_some_votes_by_hand",
    f"{_RETRIEVAL}::test_the_winning_strength_is_the_first_whole_number_that_reaches_the_share",
)
_FAMILIARITY = (f"{_RETRIEVAL}::test_familiarity_is_half_the_segment_and_half_the_mean_pixel",)
_ADDED = ("tests/model_store/test_added.py",)
_QUEUE = ("tests/service/answering/test_admission.py",)
_CORES = ("tests/service/answering/test_core_sharing.py",)
_BOUNDARY = ("tests/service/explaining/test_boundary.py",)
_STRENGTH = ("tests/service/editing/test_strength.py",)
_LOG = ("tests/service/records/test_edit_log.py",)
_HEAD = "tests/segsort/test_head.py"
_POSTERIORS = "tests/segsort/test_posterior_heads.py"
_CHOICE = "tests/index_builder/heads/test_choice.py"
_PREDICTOR = ("tests/model_store/test_predictor.py::test_a_segment_is_known_by_its_own_cosine_and_its_images",)
_EMPTY = ("tests/model_store/test_predictor.py",)
_WEBHOOKS = "tests/service/webhooks"
_DELIVERY = f"{_WEBHOOKS}/test_delivery.py"
_REDIRECT = (f"{_WEBHOOKS}/test_posting.py::test_a_redirect_is_not_followed",)
_ADDRESS = (f"{_WEBHOOKS}/test_addresses.py",)
_PAUSES = (f"{_DELIVERY}::test_pauses_grow_and_heed_what_the_receiver_asks_for[sqlite]",)
_LEASE = (f"{_WEBHOOKS}/test_leases.py::test_a_process_that_lost_its_lease_changes_nothing[sqlite]",)
_JOB_ONCE = (f"{_WEBHOOKS}/test_events.py::test_a_job_that_ends_during_a_delivery_is_sent_once[sqlite]",)


class Fault(NamedTuple):
    """One replacement in one module: `old` occurs there exactly once."""

    name: str
    module: str
    old: str
    new: str
    tests: tuple[str, ...]


FAULTS = (
    Fault("flip set: one exemplar too many", "segsort.retrieval", "[:removed]\n", "[: removed + 1]\n", _FLIP),
    Fault("flip set: window too short", "segsort.retrieval", "window = k + removed", "window = k + removed - 1",
          _FLIP),
    Fault("flip set: starts at two", "segsort.retrieval", "in range(1, len(columns) - k + 1)",
          "in range(2, len(columns) - k + 1)", _FLIP),
    Fault("flip set: gives up too early", "segsort.retrieval", "in range(1, len(columns) - k + 1)",
          "in range(1, len(columns) - k)", _FLIP),
    Fault("flip set: strengths forgotten", "segsort.retrieval", " + np.log(strengths.astype(np.float64))", "",
          _FLIP),
    Fault("strength: other classes forgotten", "segsort.retrieval", "share * other - (1 - share) * own",
          "share * other", _WINNING),
    Fault("strength: wrong divisor", "segsort.retrieval", "own) / (1 - share) + _ROUNDING", "own) / share + _ROUNDING",
          _WINNING),
    Fault("strength: rounded down", "segsort.retrieval", "math.ceil((share", "math.floor((share", _WINNING),
    Fault("strength: strengths of others forgotten", "segsort.retrieval",
          "        weights *= strengths\n    own,", "        weights *= 1\n    own,", _WINNING),
    Fault("strength: the new exemplar's place is not kept free", "service.editing.strength", "cosines[: k - 1]",
          "cosines[:k]", _STRENGTH),
    Fault("strength: removed exemplars still count", "service.editing.strength", "rows[0][kept]", "rows[0]", _STRENGTH),
    Fault("familiarity: image not weighted by area", "segsort.retrieval", ", weights=areas", "", _FAMILIARITY),
    Fault("familiarity: the segment alone", "segsort.retrieval", "(nearest.astype(np.float64) + image) / 2, image",
          "nearest.astype(np.float64), image", _FAMILIARITY),
    Fault("familiarity: not of the nearest exemplar", "model_store.predictor",
          "(calibration, similarities[:, 0]", "(calibration, similarities[:, 1]", _PREDICTOR),
    Fault("familiarity: known above and not from the threshold", "model_store.predictor",
          "return familiar >= calibration", "return familiar - 0.01 >= calibration", _PREDICTOR),
    Fault("familiarity: known by the image alone", "model_store.predictor", "return familiar >= calibration",
          "return familiar * 0 + image_similarity >= calibration", _PREDICTOR),
    Fault("familiarity: the image counts although nothing is calibrated", "model_store.predictor",
          "        familiar = nearest\n", "        pass\n", _EMPTY),
    Fault("no class: confidence given although nothing is calibrated", "model_store.predictor",
          "if calibration.calibrated:", "if True:", _EMPTY),
    Fault("no class: relabelling lets no more exemplars vote than voted before", "service.answering.answers",
          '"k": retrieval.k if k is None else k', '"k": labels.vote.weights.shape[1]',
          ("tests/service/test_empty_release.py",)),
    Fault("no class: label maps wrap -1 to another value", "service.images.drawing",
          "values[without] = NO_CLASS_VALUE", "values[without] = 0",
          ("tests/service/images/test_drawing.py",)),
    Fault("familiarity: image not weighted by area, seen from the predictor", "segsort.retrieval",
          ", weights=areas", "", _PREDICTOR),
    Fault("queue share: not divided by the images in the engine", "service.answering.admission",
          " / len(self._running)\n", "\n", _QUEUE),
    Fault("queue share: not counted from the entrance", "service.answering.admission",
          "self._share - ticket.share)  # not", "self._share)  # not", _QUEUE),
    Fault("queue share: not updated when an image leaves", "service.answering.admission",
          "            self._tick()\n            self._running.remove(ticket)",
          "            self._running.remove(ticket)", _QUEUE),
    Fault("queue share: no image waits for the pixels in the engine", "service.answering.admission",
          "> self.engine_pixels", "> self.engine_pixels + 10**9", _QUEUE),
    Fault("queue share: cores not divided", "service.answering.core_sharing", "self.cores // max(1, self._inside)",
          "self.cores", _CORES),
    Fault("boundary: distance exclusive", "service.explaining.boundary",
          "if 0 < dy * dy + dx * dx <= DISTANCE", "if 0 < dy * dy + dx * dx < DISTANCE", _BOUNDARY),
    Fault("boundary: near pixels exclusive", "service.explaining.boundary",
          "distance_transform_edt(inside) <= DISTANCE", "distance_transform_edt(inside) < DISTANCE", _BOUNDARY),
    Fault("boundary: window without margin", "service.explaining.boundary", "max(y - DISTANCE, 0)", "max(y, 0)",
          _BOUNDARY),
    Fault("boundary: pixels counted once for each neighbour pixel", "service.explaining.boundary",
          "np.unique(np.concatenate(pairs))", "np.concatenate(pairs)", _BOUNDARY),
    Fault("boundary: only the last block counts", "service.explaining.boundary", "counts += _", "counts = _",
          _BOUNDARY),
    Fault("added rows: a later row is seen", "model_store.added", "row is not None and row < self._count",
          "row is not None and row <= self._count", _ADDED),
    Fault("added rows: written over those of another", "model_store.added",
          "if len(columns.exemplars) == self._count:", "if len(columns.exemplars) >= self._count:", _ADDED),
    Fault("added rows: copied without the last", "model_store.added", "copied.exemplars = self.exemplars[:count]",
          "copied.exemplars = self.exemplars[: count - 1]", _ADDED),
    Fault("added rows: growth loses old rows", "model_store.added", "grown[: len(column)] = column",
          "grown[: len(column) // 2] = column[: len(column) // 2]", _ADDED),
    Fault("added rows: strengths forgotten", "model_store.added",
          "= exemplar.class_id, exemplar.strength\n", "= exemplar.class_id, 1\n", _ADDED),
    Fault("revert parity: a revert of a revert changes nothing", "service.records.edit_log",
          "by = None if by is not None else reverting.revision", "by = reverting.revision", _LOG),
    Fault("revert parity: exemplars ignore reverts", "service.records.edit_log",
          "            if self._effective(revision, flips):\n                return lives",
          "            if revision:\n                return lives", _LOG),
    Fault("head: features are not standardised", "segsort.head", "(weight / statistics.scale)[:, None]",
          "weight[:, None]", (f"{_HEAD}::test_the_affine_layer_standardises_weights_groups_and_projects",)),
    Fault("head: own segments attract their pixels", "segsort.head", "row_of[segments[pixels]], prototypes",
          "row_of[segments[pixels]] * 0 - 1, prototypes",
          (f"{_HEAD}::test_the_loss_of_a_step_is_that_of_a_naive_loop_over_segments",)),
    Fault("head: scale of the coordinates not folded", "segsort.head", "second * scale, linear", "second, linear",
          (f"{_HEAD}::test_the_folded_head_embeds_as_the_layers_that_were_fitted",)),
    Fault("head: blend ignored", "segsort.head", "blend**0.5 * normalize(coordinates, dim=1)",
          "normalize(coordinates, dim=1)",
          (f"{_POSTERIORS}::test_a_cosine_of_joined_embeddings_blends_bhattacharyya_coefficient_and_cosine",)),
    Fault("head: samples are embedded by trees that saw them", "segsort.posterior_heads",
          "np.nan_to_num(forest.oob_decision_function_)", "forest.predict_proba(samples)",
          (f"{_POSTERIORS}::test_own_samples_are_embedded_by_the_trees_that_did_not_see_them",
           f"{_CHOICE}::test_samples_of_a_forest_are_embedded_by_trees_that_did_not_see_them")),
    Fault("head: thresholds rounded to nearest", "segsort.posterior_heads",
          "np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)", "threshold",
          (f"{_POSTERIORS}::test_a_value_beside_a_threshold_goes_to_the_side_that_scikit_learn_sends_it_to",)),
    Fault("head: folds leak", "index_builder.heads.choice",
          "units = samples.images if len(np.unique(samples.images)) > 1 else samples.parts",
          "units = np.arange(len(samples.images))",
          (f"{_CHOICE}::test_what_only_tells_images_apart_does_not_raise_a_score",)),
    Fault("head: an old head is scored on its own images", "index_builder.heads.fitting",
          "if not seen.any():", "if candidate is None or seen.any():",
          ("tests/index_builder/test_adapt.py::test_a_head_is_not_scored_on_images_that_it_was_fitted_to",)),
    Fault("head: thin strokes are lost", "segsort.labelled_segments", "min_area * int(classed.sum())",
          "min_area * mask.size",
          ("tests/segsort/test_labelled_segments.py::test_a_thin_stroke_in_a_mask_without_other_labels_is_not_too_small",)),
    Fault("webhook: the body is not signed", "service.webhooks.signing", "message_id.encode(), seconds, body)",
          'message_id.encode(), seconds, b"")', (f"{_WEBHOOKS}/test_signing.py",)),
    Fault("webhook: a redirect counts as delivered", "service.webhooks.posting", "if 200 <= status < 300:",
          "if 200 <= status < 400:", _REDIRECT),
    Fault("webhook: addresses of a link are sent to", "service.webhooks.addresses",
          "if address.is_link_local or address", "if address", _ADDRESS),
    Fault("webhook: IPv6 addresses hide IPv4 ones", "service.webhooks.addresses", "return address.ipv4_mapped",
          "return address", _ADDRESS),
    Fault("webhook: Retry-After is not heeded", "service.webhooks.rules",
          "return max(own, min(retry_after or 0.0, _LONGEST_WAIT_S))", "return own", _PAUSES),
    Fault("webhook: pauses do not grow", "service.webhooks.rules", "2.0 ** min(failures, 60)", "2.0", _PAUSES),
    Fault("webhook: two processes have the lease", "service.records.webhook_rows",
          "columns.stopped.is_(False), is_free)", "columns.stopped.is_(False))", _LEASE),
    Fault("webhook: a cursor goes back", "service.webhooks.delivery", "max(at.job, end.job)", "end.job", _JOB_ONCE),
)  # fmt: skip


class _Loader(SourceFileLoader):
    """Loads one module with a fault in it."""

    def __init__(self, fault: Fault, path: str) -> None:
        super().__init__(fault.module, path)
        self._fault = fault

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text(encoding="utf-8")
        count = source.count(self._fault.old)
        if count != 1:
            raise SystemExit(f"{self._fault.name}: {self._fault.old!r} occurs {count} times in {self.path}, not once")
        return compile(source.replace(self._fault.old, self._fault.new), self.path, "exec", dont_inherit=True)


class _Finder:
    """Finds the module of one fault before Python's own finders do."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self._fault.module:
            return None
        file = str(_ROOT.joinpath(*name.split(".")).with_suffix(".py"))
        return importlib.util.spec_from_file_location(name, file, loader=_Loader(self._fault, file))


def _run_with(fault: Fault) -> int:
    """Run the tests of a fault in this process, with the fault."""
    sys.meta_path.insert(0, _Finder(fault))  # type: ignore[arg-type]
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *fault.tests]))


def _check(number: int) -> bool:
    """Whether a test notices a fault; says which one."""
    fault = FAULTS[number]
    command = [sys.executable, "-m", "tests.deliberate_faults", "--run", str(number)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, check=False)
    failed = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    caught = done.returncode == 1 and bool(failed)
    print(f"{fault.name}: {failed[0].removeprefix('FAILED ') if caught else 'NOT NOTICED'}", flush=True)
    if not caught and done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
    return caught


def main(arguments: Sequence[str]) -> int:
    """Check all faults, or those whose names contain the first argument."""
    if arguments[:1] == ["--run"]:
        return _run_with(FAULTS[int(arguments[1])])
    chosen = [n for n, fault in enumerate(FAULTS) if not arguments or arguments[0] in fault.name]
    caught = [_check(number) for number in chosen]
    print(f"{sum(caught)} of {len(caught)} faults were noticed")
    return 0 if chosen and all(caught) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
