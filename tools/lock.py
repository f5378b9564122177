"""Writes the lock files: every package that the container image installs, with version and hashes.

python -m tools.lock [--upgrade]

requirements/cpu.txt and requirements/gpu.txt hold the dependencies of the flavours, the driver of PostgreSQL (the extra
`postgres`) and the client of S3 (the extra `s3`). requirements/build.txt holds what builds the package itself. Versions
that are locked already are kept if pyproject.toml still allows them. `--upgrade` takes the newest versions instead.

PyTorch's CPU build is not in cpu.txt. PyTorch publishes its CPU builds on an index of its own, with other hashes than
the package registry. The image installs that build first, by its exact version. The CUDA libraries that the registry's
build of PyTorch depends on are not in cpu.txt either.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "requirements"
OLDEST_PYTHON = "3.11"
# PyTorch, and the CUDA libraries that its CPU build does not need.
NOT_IN_CPU = re.compile(r"torch|triton|nvidia-.*|cuda-.*")


def names(lock: str) -> list[str]:
    """Names of the packages of a lock file's text."""
    return re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)


def compile_lock(arguments: Sequence[str], out: Path, left_out: Iterable[str] = ()) -> None:
    """Run uv's resolver for Python 3.11 and later and every platform, and write `out`.

    Args:
        arguments: sources and options of `uv pip compile`.
        out: the lock file. Its versions are kept where possible.
        left_out: packages that are resolved but not written.

    Raises:
        subprocess.CalledProcessError: if the dependencies cannot be resolved; uv prints why.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--python-version", OLDEST_PYTHON, "--custom-compile-command", "make lock", "--output-file", str(out)]
    command += [part for name in left_out for part in ("--no-emit-package", name)]
    subprocess.run([*command, *arguments], cwd=ROOT, check=True)


def lock_flavour(flavour: str, options: Sequence[str]) -> None:
    """Write the lock file of an extra of pyproject.toml: `cpu` or `gpu`."""
    arguments = ["pyproject.toml", "--extra", flavour, "--extra", "postgres", "--extra", "s3", *options]
    out = FOLDER / f"{flavour}.txt"
    compile_lock(arguments, out)
    if flavour == "cpu":
        compile_lock(arguments, out, [name for name in names(out.read_text()) if NOT_IN_CPU.fullmatch(name)])


def lock_build(options: Sequence[str]) -> None:
    """Write the lock file of what builds the package."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    with tempfile.NamedTemporaryFile("w", suffix=".in") as source:
        source.write("\n".join(wanted))
        source.flush()
        compile_lock([source.name, "--no-annotate", *options], FOLDER / "build.txt")


def main() -> None:
    """Write all lock files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    options = ["--upgrade"] if parser.parse_args().upgrade else []
    FOLDER.mkdir(exist_ok=True)
    for flavour in ("cpu", "gpu"):
        lock_flavour(flavour, options)
    lock_build(options)


if __name__ == "__main__":
    main()
