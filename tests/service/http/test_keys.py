"""Keys: making them, reading their lines, and finding the caller of a key."""

import hashlib
from pathlib import Path

import pytest

from service.http.keys import LOCAL, Access, Caller, is_loopback, new_key, read_access
from service.settings import Settings

ANNA, ANNAS = new_key("anna", "curator")
BO, BOS = new_key("bo", "reader")
DIGEST = BOS.digest.hex()
BOTH = f"{ANNAS.line}, {BOS.line},"


def test_a_new_key_is_random_and_only_its_sha256_is_stored() -> None:
    secrets = {new_key("anna", "reader")[0] for _ in range(50)}
    assert len(secrets) == 50
    for secret in secrets:
        assert secret.startswith("segsort_")
        assert len(secret) == len("segsort_") + 43, "256 bits as base64url without padding"
    assert ANNAS.digest == hashlib.sha256(ANNA.encode()).digest()
    assert ANNAS.line == f"anna:curator:{hashlib.sha256(ANNA.encode()).hexdigest()}"
    assert ANNA not in repr(ANNAS)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a,b", "a" * 61, "a\n"])
def test_a_name_that_a_line_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 60 letters"):
        new_key(name, "reader")


@pytest.mark.parametrize("name", ["a", "a" * 60, "anna.b-c_d+e@example.org", "\u00e4nne"])
def test_every_allowed_name_is_read_back_from_its_line(name: str) -> None:
    secret, key = new_key(name, "reader")
    assert read_access(Settings(api_keys=key.line)).caller(secret) == Caller(name, "reader")


def test_each_key_finds_its_caller_and_no_other_text_does() -> None:
    access = Access([ANNAS, BOS])
    assert access.caller(ANNA) == Caller("anna", "curator")
    assert access.caller(BO) == Caller("bo", "reader")
    for other in (ANNA[:-1], ANNA + "x", ANNA.upper(), ANNAS.digest.hex(), ANNAS.line, "anna", "\ud800"):
        assert access.caller(other) is None


def test_keys_of_the_file_and_of_the_variable_are_accepted_together(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"# who\n\n  {BOS.line}  \n")
    access = read_access(
        Settings(api_keys=ANNAS.line.upper().replace("ANNA:CURATOR", "anna:curator"), api_keys_file=file)
    )
    assert access.caller(ANNA) == Caller("anna", "curator")
    assert access.caller(BO) == Caller("bo", "reader")
    assert access.caller(None) is access.caller("") is None


@pytest.mark.parametrize("blank", ["", " ", ","])
def test_a_variable_left_blank_holds_no_keys(blank: str) -> None:
    assert read_access(Settings(api_keys=blank)).caller(None) == LOCAL


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("anna", "1 parts"),
        (f"anna:reader:{DIGEST}:x", "after the digest that is not a limit; allowed: reads_per_minute"),
        (f"anna:reader:{DIGEST}:{ANNA}=1", "not a limit"),
        (f"anna:reader:{DIGEST}:images_per_day={ANNA}", "images_per_day is not a number"),
        (f"anna:admin:{DIGEST}", "'admin'; allowed: reader, curator"),
        (f"anna:{ANNA}:reader", f"a word of {len(ANNA)} letters"),
        (f"anna:reader:{DIGEST[1:]}", "63 characters after the role; allowed: 64 hexadecimal digits"),
        (f"anna:reader:{DIGEST[1:]}g", "64 hexadecimal digits"),
        (f"anna:reader:{ANNA}", "not the key itself"),
        (f":reader:{DIGEST}", "letters, digits"),
        (f"a b:reader:{DIGEST}", "letters, digits"),
        (f"{'a' * 61}:reader:{DIGEST}", "1 to 60"),
        (f"bo:curator:{ANNAS.digest.hex()}", "'bo' occurs twice"),
        (f"cy:curator:{DIGEST}", "'cy' also has another name"),
    ],
    ids=range(14),  # keys differ between the processes that run tests
)
def test_a_bad_line_is_named_by_its_place_and_its_fault_without_showing_a_key(
    tmp_path: Path, line: str, said: str
) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"# keys\n{BOS.line}\n{line}\n")
    with pytest.raises(ValueError, match=r"keys\.txt, line 3: ") as in_file:
        read_access(Settings(api_keys_file=file))
    with pytest.raises(ValueError, match="SEGSORT_API_KEYS, entry 2: ") as in_variable:
        read_access(Settings(api_keys=f"{BOS.line},{line}"))
    for error in (in_file, in_variable):
        assert said in str(error.value)
        assert ANNA not in str(error.value)


@pytest.mark.parametrize("content", [None, b"", b"# none yet\n", b"\xff\xfe"])
def test_a_file_without_keys_does_not_open_the_service(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="SEGSORT_API_KEYS_FILE"):
        read_access(Settings(api_keys_file=file))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
    ],
)
def test_a_host_that_other_machines_reach_needs_keys_or_the_setting_open(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    settings = Settings(host=host)
    if not loopback:
        with pytest.raises(ValueError, match=r"SEGSORT_API_KEYS.*SEGSORT_OPEN"):
            Access().describe(settings)
    assert "by key, 1 reader and 1 curator" in read_access(Settings(host=host, api_keys=BOTH)).describe(settings)
    assert "may read and edit" in Access().describe(settings.model_copy(update={"open": True}))
