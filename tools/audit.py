"""Looks for known vulnerabilities in the locked packages, of the container images and of the build.

python -m tools.audit [--flavour cpu|slim|gpu|build]

pip-audit asks the package registry about each locked version. Some mirrors of the registry answer without vulnerability
data. pip-audit then reports that nothing is known, although nothing was checked; here that fails.

Exit status: 0 if each package was checked and none has a known vulnerability; 1 if one has; 3 if packages could not be
checked.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tools.locked import FLAVOURS, Package, build_packages, packages

VULNERABLE, UNCHECKED = 1, 3


class Report(NamedTuple):
    """vulnerable: one line for each vulnerability; unchecked: packages without an answer, with the reason."""

    vulnerable: list[str]
    unchecked: list[str]

    @property
    def status(self) -> int:
        """The exit status."""
        return VULNERABLE if self.vulnerable else UNCHECKED if self.unchecked else 0


def batches(asked: list[Package]) -> list[list[Package]]:
    """Packages in lists that have each name once: pip-audit refuses two versions of one package, as flavours have."""
    found: list[list[Package]] = []
    for package in asked:
        free = (batch for batch in found if package.name.lower() not in {one.name.lower() for one in batch})
        batch = next(free, None)
        if batch is None:
            found.append(batch := [])
        batch.append(package)
    return found


def ask(asked: list[Package]) -> str:
    """What pip-audit prints about packages, as JSON; empty if it reached no registry."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("".join(f"{one.name}=={one.version}\n" for one in asked))
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(file), "--no-deps", "--disable-pip"]
        done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True)
    if not done.stdout.strip():
        print(done.stderr.strip()[-2000:], file=sys.stderr)
    return done.stdout


def report(answer: str, asked: list[Package]) -> Report:
    """Read pip-audit's JSON. A package that it does not name was not checked."""
    entries: list[dict[str, Any]] = json.loads(answer)["dependencies"] if answer.strip() else []
    vulnerable, reasons = [], {one.name.lower(): "no answer" for one in asked}
    for entry in entries:
        if "skip_reason" in entry:
            reasons[entry["name"].lower()] = str(entry["skip_reason"])
            continue
        reasons.pop(entry["name"].lower(), None)
        for found in entry["vulns"]:
            fixed = ", ".join(found.get("fix_versions") or []) or "no version yet"
            vulnerable.append(f"{entry['name']} {entry['version']}: {found['id']}, fixed in {fixed}")
    return Report(vulnerable, [f"{name}: {reason}" for name, reason in reasons.items()])


def main() -> None:
    """Audit the packages of all flavours, or of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    locks = {flavour: packages(flavour) for flavour in FLAVOURS} | {"build": build_packages()}
    parser.add_argument("--flavour", choices=locks, help="only the packages of this flavour")
    one: str | None = parser.parse_args().flavour
    asked = sorted({package for name, lock in locks.items() if one in (None, name) for package in lock})
    reports = [report(ask(batch), batch) for batch in batches(asked)]
    found = Report(
        [one for each in reports for one in each.vulnerable], [one for each in reports for one in each.unchecked]
    )
    for line in found.vulnerable:
        print(line)
    if found.unchecked:
        print(
            f"{len(found.unchecked)} of {len(asked)} packages were not checked, for example {found.unchecked[0]}. If "
            "hardly one was, the registry used here has no vulnerability data: run this where pip reaches pypi.org.",
            file=sys.stderr,
        )
    elif not found.vulnerable:
        print(f"{len(asked)} packages: no known vulnerability")
    raise SystemExit(found.status)


if __name__ == "__main__":
    main()
