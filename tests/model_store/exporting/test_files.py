"""Where exported files go."""

import io
import zipfile
from pathlib import Path

import pytest

from model_store.exporting.files import Files, FolderFiles, MemoryFiles, ZipFiles


@pytest.mark.parametrize("path", ["../a", "/a", "a/../../b", "a\\b", ""])
def test_a_path_outside_is_refused(path: str, tmp_path: Path) -> None:
    for files in (FolderFiles(tmp_path), MemoryFiles(), ZipFiles()):
        with files, pytest.raises(ValueError, match="is not a path inside the export"):
            files.put(path, b"")
        with files, pytest.raises(ValueError, match="is not a path inside the export"):
            files.document(path)


def test_a_large_document_is_stored_in_pieces(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000  # 10 MB: it is written to a temporary file

    def fill(files: Files) -> None:
        document = files.document("a/b.bin")
        for start in range(0, len(content), 1 << 20):
            document.write(content[start : start + (1 << 20)])

    with FolderFiles(tmp_path) as folder:
        fill(folder)
        assert not list(tmp_path.iterdir()), "a document that is not complete is not in the folder"
        assert len(list(folder.finish())) > 5
    assert (tmp_path / "a" / "b.bin").read_bytes() == content
    with ZipFiles() as zipped:
        fill(zipped)
        pieces = [zipped.taken() for _ in zipped.finish()] + [zipped.taken()]
    assert sum(bool(piece) for piece in pieces) > 3
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.read("a/b.bin") == content
        assert archive.getinfo("a/b.bin").external_attr >> 16 == 0o644


def test_files_replace_those_of_their_name_and_leave_others(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "new.txt").write_text("before")
    with FolderFiles(tmp_path) as files:
        files.put("new.txt", b"after")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"old.txt": "old", "new.txt": "after"}
