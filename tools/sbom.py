"""Writes a software bill of materials (SBOM) of each container image, in CycloneDX's JSON.

python -m tools.sbom [--out FOLDER]

It lists each locked package with its version, package URL and hashes, and the networks of the bundled releases with
their digests and licences. The packages of the base image are not listed: scan the image for those.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tools.locked import FLAVOURS, ROOT, Flavour, packages

RELEASES = ROOT / "model_store" / "releases"


def of_packages(flavour: Flavour) -> dict[str, Any]:
    """The SBOM of a flavour's packages, as cyclonedx-py makes and validates it."""
    lines = "".join(f"{one.line}\n" for one in packages(flavour))
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--spec-version", "1.6"]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application", "-"]
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def network(release: Path) -> dict[str, Any]:
    """The network of a release as a component."""
    card = json.loads((release / "card.json").read_text())
    return {
        "type": "machine-learning-model",
        "bom-ref": f"release-{release.name}",
        "name": f"network of the release {release.name}",
        "version": card["created"],
        "hashes": [{"alg": "SHA-256", "content": json.loads((release / "checksums.json").read_text())["network.onnx"]}],
        "description": card["description"],
        "licenses": [{"license": {"name": f"{part}: {said}"}} for part, said in card["licence"].items()],
    }


def bill(flavour: Flavour) -> dict[str, Any]:
    """The SBOM of a flavour's image."""
    found = of_packages(flavour)
    found["components"] += [
        network(folder) for folder in sorted(RELEASES.iterdir()) if (folder / "card.json").is_file()
    ]
    return found


def main() -> None:
    """Write one file for each flavour."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to write to")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for flavour in FLAVOURS:
        file = out / f"segsort-{version}-{flavour}.cdx.json"
        file.write_text(json.dumps(bill(flavour), indent=2) + "\n")
        print(file)


if __name__ == "__main__":
    main()
