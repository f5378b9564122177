"""Removes spaces at the ends of lines, and makes every file end with exactly one newline.

python -m tools.whitespace FILE...

Exits with 1 if it changed a file, so that a commit stops and can be looked at.
"""

import argparse
import re
from pathlib import Path


def cleaned(text: bytes) -> bytes:
    """Return the text without spaces and tabs before line ends, and with one newline at its end unless it is empty."""
    lines = re.sub(rb"[ \t]+(?=\r?\n|\Z)", b"", text).rstrip(b"\r\n")
    return lines + b"\n" if lines else b""


def main() -> None:
    """Clean the files that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    changed = False
    for file in parser.parse_args().files:
        before = file.read_bytes()
        after = cleaned(before)
        if after != before:
            file.write_bytes(after)
            print(f"{file}: whitespace removed")
            changed = True
    raise SystemExit(changed)


if __name__ == "__main__":
    main()
