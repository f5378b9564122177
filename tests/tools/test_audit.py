"""The audit of locked packages: what is asked, and what counts as checked."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import audit
from tools.audit import UNCHECKED, VULNERABLE, report
from tools.locked import ROOT, Package, build_packages, packages

ASKED = [Package("alpha", "1.0", ("0" * 64,)), Package("Beta", "2.0", ())]
SAFE: list[dict[str, Any]] = [
    {"name": "alpha", "version": "1.0", "vulns": []},
    {"name": "beta", "version": "2.0", "vulns": []},
]


def answer(*entries: dict[str, Any]) -> str:
    return json.dumps({"dependencies": entries, "fixes": []})


def test_packages_that_were_all_checked_are_fine() -> None:
    found = report(answer(*SAFE), ASKED)
    assert (found.vulnerable, found.unchecked, found.status) == ([], [], 0)


def test_a_vulnerability_is_named_with_the_version_that_fixes_it() -> None:
    hit = {"name": "alpha", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}]}
    open_ = {"name": "beta", "version": "2.0", "vulns": [{"id": "PYSEC-2", "fix_versions": []}]}
    found = report(answer(hit, open_), ASKED)
    assert found.vulnerable == [
        "alpha 1.0: PYSEC-1, fixed in 1.1, 2.0",
        "beta 2.0: PYSEC-2, fixed in no version yet",
    ]
    assert found.status == VULNERABLE


def test_a_registry_without_vulnerability_data_is_not_a_pass() -> None:
    """pip-audit ends with status 0 and says "No known vulnerabilities found" then."""
    skipped = [{"name": one.name, "skip_reason": "Dependency not found on PyPI"} for one in ASKED]
    found = report(answer(*skipped), ASKED)
    assert found.unchecked == ["alpha: Dependency not found on PyPI", "beta: Dependency not found on PyPI"]
    assert found.status == UNCHECKED


@pytest.mark.parametrize("said", ["", answer(), answer(SAFE[0])])
def test_no_answer_about_a_package_is_not_a_pass(said: str) -> None:
    found = report(said, ASKED)
    assert "beta: no answer" in found.unchecked
    assert found.status == UNCHECKED


def test_every_locked_version_is_asked_about_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written, accepted, real = list[str](), list[int](), subprocess.run

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        lines = Path(command[command.index("--requirement") + 1]).read_text().splitlines()
        written.extend(lines)
        accepted.append(real([*command, "--dry-run"], capture_output=True, check=False).returncode)
        entries = [{"name": line.split("==")[0], "version": line.split("==")[1], "vulns": []} for line in lines]
        return subprocess.CompletedProcess(command, 0, answer(*entries), "")

    monkeypatch.setattr(audit.subprocess, "run", run)
    monkeypatch.setattr("sys.argv", ["audit"])
    with pytest.raises(SystemExit) as end:
        audit.main()
    assert end.value.code == 0
    assert set(accepted) == {0}, "pip-audit refuses a file that names a package twice"
    assert len(set(written)) == len(written)
    expected = {one for flavour in ("cpu", "slim", "gpu") for one in packages(flavour)} | set(build_packages())  # type: ignore[arg-type]
    assert set(written) == {f"{one.name}=={one.version}" for one in expected}
    assert "no known vulnerability" in capsys.readouterr().out


def test_the_workflow_and_make_run_this_audit() -> None:
    workflow = (ROOT / ".github" / "workflows" / "supply-chain.yml").read_text()
    assert "- run: make audit\n" in workflow
    assert "\n\t$(BIN)/python -m tools.audit $(ARGS)\n" in (ROOT / "Makefile").read_text()
