import pytest

from index_builder.report.experiments import Setting, mean_spread, measured, ratios
from index_builder.report.run_files import read_runs
from tests.index_builder.report.conftest import Write, evaluation


def test_mean_and_sample_spread_are_those_computed_by_hand() -> None:
    # mean 0.6; deviations -0.1, 0, 0.1; sqrt((0.01 + 0.01) / 2) = 0.1
    assert mean_spread([0.5, 0.6, 0.7]) == "0.600 ± 0.100"
    assert mean_spread([0.5, None, 0.7]) == "0.600 ± 0.141"
    assert mean_spread([0.5]) == "0.500"
    assert mean_spread([None]) == mean_spread([]) == "-"


def test_protocols_and_data_sets_are_kept_apart(write_run: Write) -> None:
    other = evaluation(0.7, dataset="streets/val")
    runs = read_runs([
        write_run("a", {}, evaluation=evaluation(0.6), evaluation_streets=other,
                  evaluation_cluster=evaluation(0.3, protocol="cluster")),
        write_run("b", {"objective": "softmax"}, evaluation_softmax=evaluation(0.65, protocol="softmax")),
    ])  # fmt: skip
    found = {setting: [one.values("miou") for one in group] for setting, group in measured(runs).items()}
    assert found == {
        Setting("knn", "camvid/val"): [[0.6]],
        Setting("softmax", "camvid/val"): [[0.65]],
        Setting("cluster", "camvid/val"): [[0.3]],
        Setting("knn", "streets/val"): [[0.7]],
    }
    assert list(found) == sorted(found, key=list(found).index), "the order is stated, not that of the files"


def test_another_evaluation_in_the_same_setting_stands_on_a_line_of_its_own(write_run: Write) -> None:
    runs = read_runs([write_run("a", {"label": "x"}, evaluation=evaluation(0.6), evaluation_painted=evaluation(0.5))])
    (group,) = measured(runs).values()
    assert [(one.title, one.values("miou")) for one in group] == [("x", [0.6]), ("x (painted)", [0.5])]


def test_two_evaluations_that_nothing_tells_apart_are_an_error(write_run: Write) -> None:
    runs = read_runs([write_run("a", {}, evaluation=evaluation(0.6), evaluation_knn=evaluation(0.5))])
    with pytest.raises(
        ValueError, match=r"a holds two evaluations of camvid/val by knn .* call one of them evaluation-"
    ):
        measured(runs)


def test_ratios_are_of_runs_of_the_same_seed(write_run: Write) -> None:
    folders = [write_run(f"nca-{seed}", {"seed": seed, "steps": 5}, evaluation=evaluation(miou))
               for seed, miou in ((0, 0.3), (1, 0.6), (2, 0.9))]  # fmt: skip
    folders += [write_run(f"s-{seed}", {"seed": seed, "objective": "softmax"}, evaluation=evaluation(miou))
                for seed, miou in ((1, 0.5), (2, 0.6), (7, 0.1))]  # fmt: skip
    (group,) = measured(read_runs(folders)).values()
    (ratio,) = ratios(group[:1], group[1:])
    assert ratio.seeds == (1, 2)
    assert ratio.values["mIoU"] == pytest.approx([0.6 / 0.5, 0.9 / 0.6])
    assert ratio.values["boundary F, 2 px"] == pytest.approx([0.32 / 0.27, 0.47 / 0.32])
    assert ratio.differ == ["steps"]


@pytest.mark.parametrize(
    ("recipe", "dataset"), [({"seed": 1}, "camvid/val"), ({"backbone": "x"}, "camvid/val"), ({}, "camvid/test")]
)
def test_no_ratio_is_made_of_what_is_not_alike(write_run: Write, recipe: dict[str, object], dataset: str) -> None:
    folders = [write_run("a", {}, evaluation=evaluation(0.6))]
    folders.append(write_run("b", {"objective": "softmax", **recipe}, evaluation=evaluation(0.5, dataset=dataset)))
    everything = [one for group in measured(read_runs(folders)).values() for one in group]
    assert ratios(everything[:1], everything[1:]) == []
