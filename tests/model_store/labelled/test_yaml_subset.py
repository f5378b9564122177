"""Simple YAML files are read as PyYAML reads them, or refused with their line."""

from pathlib import Path

import pytest
import yaml

from model_store.labelled.yaml_subset import SimpleYaml
from tests.model_store.labelled.naive import write

ULTRALYTICS = """# Ultralytics
# ├── coco8-seg ← downloads here (1 MB)

path: ../datasets/coco8-seg # dataset root dir
train: images/train # train images (relative to 'path') 4 images
val: images/val # val images (relative to 'path') 4 images
test: # test images (optional)

# Classes
names:
  0: person
  1: bicycle # with two wheels
  2: 'it''s'
  3: "a \\"q\\" \\u00e9\\x41\\n\\\\"
  10: teddy bear
  11: a#b
  12: "#1"

# Download script/URL (optional)
download: https://github.com/ultralytics/assets/releases/download/v0.0.0/coco8-seg.zip
"""
ROBOFLOW = """train: ../train/images
val: ../valid/images
test: ../test/images

nc: 4
names: ['car', "bus, big", no, 1.0]

roboflow:
  workspace: workshop
  version: 6
  license: CC BY 4.0
  url: https://universe.roboflow.com/x/y/dataset/6
"""
CVAT = """---
path: .
train: train.txt
names:
- a
- "b # c"
- d#e
- 'x: y'
-   z
"""
LISTS = """%YAML 1.2
---
names: [a,
  b , 'c, d',
]
'train': {a: 1, "b": 'x, y', c: http://host/a}
val:
  - images/a.jpg
  - images/b c.jpg
empty: []
nothing: {}
"quoted key": ''
url: a:b
"""


@pytest.mark.parametrize("text", [ULTRALYTICS, ROBOFLOW, CVAT, LISTS], ids=["ultralytics", "roboflow", "cvat", "lists"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_simple_files_are_read_as_pyyaml_reads_them(tmp_path: Path, text: str, mark: str, newline: str) -> None:
    wanted = yaml.load(text, Loader=yaml.BaseLoader)
    read = SimpleYaml(write(tmp_path / "data.yaml", mark + text.replace("\n", newline)))
    assert read.names() == list(wanted)
    for name, value in wanted.items():
        assert read.get(name) == (None if name == "test" and text == ULTRALYTICS else value), name
    assert read.get("missing") is None


def test_members_of_other_forms_do_not_matter_until_they_are_read(tmp_path: Path) -> None:
    text = "download: |\n  for a in b:  # c\n      print('x: y')\nboxes:\n  - [1, 2]\nanchor: &x 3\nnames: [a]\n"
    text += "nested:\n  a:\n    b: c\n"
    read = SimpleYaml(write(tmp_path / "data.yaml", text))
    assert read.names() == ["download", "boxes", "anchor", "names", "nested"] == list(yaml.safe_load(text))
    assert read.get("names") == ["a"]
    for name, said in (
        ("download", "line 1 has .*; it must be a text of one line, a list or a mapping"),
        ("boxes", "line 5 has .*; it must be a list of texts, each on a line"),
        ("anchor", "line 6 has .*; it must be a text"),
        ("nested", "line 9 has .*; it must be a mapping of texts"),
    ):
        with pytest.raises(ValueError, match=rf"data\.yaml: {said}"):
            read.get(name)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[a, b", "line 1 has .*; it must be texts in "),
        ("[a, [b]]", "it must be texts in "),
        ("[a,, b]", "it must be texts in "),
        ("[a: b]", "it must be a list of texts"),
        ("{a, b}", "it must be a mapping of texts, each name once"),
        ("{a: 1, a: 2}", "it must be a mapping of texts, each name once"),
        ("'a", "it must be a text of one line"),
        ("*a", "it must be a text of one line"),
        ("a\n  b", "it must be a text of one line"),
        ("\n  - a: b", "it must be a list of texts"),
        ("\n  - a\n  b", "line 3 has 'b'; it must be a list of texts"),
        ("\n  0: a\n  1", "line 3 has '1'; it must be a mapping of texts"),
        ("\n  0: a\n  0: b", "line 3 has '0: b'; it must be a mapping of texts, each name once"),
    ],
)
def test_values_of_other_forms_are_refused(tmp_path: Path, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SimpleYaml(write(tmp_path / "data.yaml", f"names: {value}\n")).get("names")


@pytest.mark.parametrize("text", ["- a\n- b\n", "just a text\n", "a: 1\na: 2\n", "{a: 1}\n", "a: 1\nb\n"])
def test_files_of_other_forms_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"data\.yaml: line \d has .*; it must be a name and a colon, each name once"):
        SimpleYaml(write(tmp_path / "data.yaml", text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.yaml cannot be read"):
        SimpleYaml(tmp_path / "data.yaml")
