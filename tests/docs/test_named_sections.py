"""Messages that name a section of a document name one that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NAMED = re.compile(r"\((docs/[\w/-]+\.md), ([A-Z][^)\"]*)\)")
FOUND = sorted(
    {
        (*named, str(file.relative_to(ROOT)))
        for package in ("segsort", "model_store", "index_builder", "service", "command_line", "client")
        for file in (ROOT / package).rglob("*.py")
        for named in NAMED.findall(file.read_text())
    }
)


def test_some_messages_name_a_section() -> None:
    assert len(FOUND) >= 4


@pytest.mark.parametrize(("document", "section", "file"), FOUND)
def test_the_document_has_the_section(document: str, section: str, file: str) -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / document).read_text(), re.MULTILINE)
    assert section in headings, f"{file} names {section!r} of {document}"
