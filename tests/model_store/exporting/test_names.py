"""Names of exported files."""

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model_store.exporting.names import Names, safe_name


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("photo.png", "photo.png"),
        ("Größe 1.jpg", "Größe 1.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\images\\a.png", "a.png"),
        ("/srv/a.b.tif", "a.b.tif"),
        ("a\x00b\n.png", "a_b_.png"),
        ('what? "x" <1>|*.png', "what_ _x_ _1___.png"),
        ("..", "image"),
        ("", "image"),
        (".hidden.png", "hidden.png"),
        ("con.png", "_con.png"),
        ("Aux", "_Aux"),
        ("LPT1.tar.gz", "_LPT1.tar.gz"),
        ("console.png", "console.png"),
        ("dots...", "dots"),
        ("a .png", "a .png"),
        ("no suffix", "no suffix"),
        ("x" * 300 + ".png", "x" * 180 + ".png"),
        ("ü" * 300 + ".png", "ü" * 90 + ".png"),
        ("bad \udcff.png", "bad _.png"),
    ],
)
def test_names_become_safe(given_name: str, safe: str) -> None:
    assert str(safe_name(given_name)) == safe


def test_stems_differ_even_with_their_case_and_form_ignored() -> None:
    names = Names()
    decomposed = unicodedata.normalize("NFD", "ä.png")
    wished = ["a.png", "a.png", "A.jpg", "a_2.png", "ä.png", decomposed, "b.png", "b_2.png", "b.png"]
    assert [str(names.add(name)) for name in wished] == [
        "a.png", "a_2.png", "A_3.jpg", "a_2_2.png", "ä.png", unicodedata.normalize("NFD", "ä") + "_2.png", "b.png",
        "b_2.png", "b_3.png",
    ]  # fmt: skip
    assert names.renamed["A_3.jpg"] == "A.jpg"
    assert "b.png" not in names.renamed


@pytest.mark.parametrize(
    ("given_name", "kind", "written"),
    [
        ("blob", "PNG", "blob.png"),
        ("a.json", "JPEG", "a.json.jpg"),
        ("labels.txt", "TIFF", "labels.txt.tif"),
        ("x", "WEBP", "x.webp"),
        ("x", "JPEG2000", "x.jp2"),
        ("kept.JPEG", "PNG", "kept.JPEG"),
    ],
)
def test_an_image_file_has_the_suffix_of_an_image(given_name: str, kind: str, written: str) -> None:
    with io.BytesIO() as file:
        Image.new("RGB", (4, 4)).save(file, kind)
        assert str(Names().add(given_name, file.getvalue())) == written
    assert str(Names().add(given_name)) == given_name, "without the file, the name is that of the user's file"


def test_a_tiff_that_pillow_does_not_know_has_its_suffix() -> None:
    assert str(Names().add("stack", b"II*\0" + bytes(20))) == "stack.tif"


@given(st.lists(st.text(max_size=40), max_size=12))
def test_any_names_become_unique_names_of_files(wished: list[str]) -> None:
    names = Names()
    found = [names.add(name) for name in wished]
    assert len({unicodedata.normalize("NFC", name.stem).casefold() for name in found}) == len(found)
    for name in found:
        text = str(name)
        assert not set(text) & set('/\\<>:"|?*\x00')
        assert not text.startswith(".")
        assert len(text.encode()) < 230
        assert text == text.rstrip(". ")
