"""Files in an object store: what is written is read, and a store that does not answer is not waited for."""

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.records.objects.store import ObjectStore, StoreUnavailable
from tests.service.s3_server import BUCKET, KEY, SECRET, S3Server, s3_server


def test_a_file_is_read_as_it_was_written_until_it_is_deleted(url: str) -> None:
    store = ObjectStore(url)
    store.put("ab/one", b"first")
    store.put("ab/one", b"first")
    store.put("ab/empty", b"")
    assert (store.get("ab/one"), store.get("ab/empty"), store.get("ab/two")) == (b"first", b"", None)
    assert ObjectStore(url).get("ab/one") == b"first"
    for _ in range(2):
        store.delete("ab/one")
    assert store.get("ab/one") is None
    store.check()
    store.close()


def test_a_write_to_a_folder_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore(f"file://{tmp_path}")
    store.put("ab/one", b"first")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreUnavailable):
        store.put("ab/one", b"second")
    assert [(file.name, file.read_bytes()) for file in (tmp_path / "ab").iterdir()] == [("one", b"first")]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("images", "allowed is an fsspec URL"),
        ("s3://", "allowed is an fsspec URL"),
        ("s3://key:geheim@bucket/images", "holds credentials"),
        ("s3://bucket/images?secret=geheim", "holds credentials"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_what_is_secret(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        ObjectStore(url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("package", ["s3fs", "fsspec"])
def test_a_missing_package_is_named_with_its_extra(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from service.records.objects.store import ObjectStore"
    code += "; ObjectStore('s3://bucket/images').check()"
    found = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    last = found.stderr.splitlines()[-1]
    assert "which needs s3fs: install the extra `s3` (pip install 'segsort[s3]')" in last


def test_packages_of_stores_are_not_imported_without_a_store() -> None:
    code = "import sys, service.records.database; sys.exit(any(name in sys.modules for name in ('s3fs', 'botocore')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_check_says_what_to_do_where_the_bucket_is_missing(server: S3Server) -> None:
    with pytest.raises(ValueError, match="check SEGSORT_IMAGES_URL, that the bucket or folder exists"):
        ObjectStore("s3://no-such-bucket/images").check()


def test_the_check_says_what_to_do_where_no_client_can_be_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(ValueError, match=r"no-such-profile.*check SEGSORT_IMAGES_URL"):
        ObjectStore("s3://bucket/images").check()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file in the place of the folder")
    with pytest.raises(ValueError, match="cannot be used"):
        ObjectStore(f"file://{tmp_path / 'images'}").check()


def test_a_missing_bucket_is_a_failure_of_the_store_and_not_of_one_file(server: S3Server) -> None:
    with pytest.raises(StoreUnavailable):
        ObjectStore("s3://no-such-bucket/images").get("ab/one")


def test_a_store_that_does_not_answer_is_given_up_and_then_not_asked(
    server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(s3_url)
    store.put("ab/one", b"first")
    with server.stopped():
        with monkeypatch.context() as patch:
            patch.setattr(store, "_timeout", 3)
            with pytest.raises(StoreUnavailable) as caught:
                store.get("ab/one")
        assert caught.value.received == "no answer within 3 s"
        assert int(caught.value.headers["Retry-After"]) >= 1
        assert not store.is_available
        with monkeypatch.context() as patch:
            patch.setattr(store, "_run", lambda *_: pytest.fail("the store was asked"))
            for refused in (lambda: store.put("ab/two", b"2"), lambda: store.get("ab/one"), store.check_available):
                with pytest.raises(StoreUnavailable):
                    refused()
    monkeypatch.setattr(store._state, "_not_before", 0.0)  # the pause has ended
    assert store.get("ab/one") == b"first"
    assert store.is_available


def test_the_time_in_which_a_client_is_prepared_is_not_time_of_the_first_call(
    server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pytest.importorskip("s3fs").S3FileSystem
    prepare = files.set_session

    async def slowly(opened: Any, *given: Any) -> Any:
        if opened._s3 is None:
            await asyncio.sleep(8)
        return await prepare(opened, *given)

    monkeypatch.setattr(files, "set_session", slowly)
    store = ObjectStore(s3_url, timeout=7)
    store.put("ab/one", b"first")
    assert store.get("ab/one") == b"first"


def test_a_dead_store_fails_and_no_credential_is_logged_or_shown(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "segsort")
    with s3_server() as server:
        store = ObjectStore(f"s3://{BUCKET}/images", timeout=5)
        store.put("one", b"first")
        server.end()
        with pytest.raises(StoreUnavailable) as caught:
            store.get("one")
        monkeypatch.setattr(store, "_run", lambda *_: (_ for _ in ()).throw(RuntimeError(f"key {KEY} of {SECRET}")))
        monkeypatch.setattr(store._state, "failures", 0)
        with pytest.raises(StoreUnavailable):
            store.get("one")
    assert "failed to get" in caplog.text
    assert "key *** of ***" in caplog.text
    for text in (caplog.text, str(caught.value)):
        assert SECRET not in text
        assert KEY not in text
