"""CVAT: the labels that we print, the commands of the page, and what the package imports."""

import argparse
import ast
import json
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytest.importorskip("cvat_sdk", reason="cvat-sdk is not installed")

from cvat_cli._internal.commands_all import COMMANDS
from cvat_cli._internal.common import configure_common_arguments
from cvat_sdk import models

from segsort_client import Client
from segsort_cvat import function
from segsort_cvat.command import _parser, main
from tests.written_commands import commands

FOLDER = Path(function.__file__).parents[1]


def test_labels_are_printed_for_a_task_and_for_a_serverless_function(
    client: Client, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, fields in (
        (["labels"], {"name", "color", "type", "attributes"}),
        (["labels", "--nuclio"], {"id", "name", "type"}),
    ):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--segsort", address])
        assert ended.value.code == 0
        printed = json.loads(capsys.readouterr().out)
        assert [one["name"] for one in printed] == [one.name for one in client.classes()]
        assert {field for one in printed for field in one} == fields
    request = models.PatchedLabelRequest(**{name: printed[0][name] for name in ("id", "name", "type")})
    assert request.name == printed[0]["name"]


def test_each_command_of_the_page_is_understood(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our own by its parser, those of CVAT by the parser of `cvat-cli`, which reads the labels that we print."""
    monkeypatch.setenv("PASS", "secret")  # else it asks for the password
    with pytest.raises(SystemExit):
        main(["labels", "--segsort", address, "--explanation"])
    (tmp_path / "labels.json").write_text(capsys.readouterr().out)
    written = commands("docs/integrations/cvat.md")
    monkeypatch.chdir(tmp_path)
    of_cvat, found = argparse.ArgumentParser(), Counter[str]()
    configure_common_arguments(of_cvat)
    COMMANDS.configure_parser(of_cvat)
    for command in written:
        found[command.program] += 1
        if command.program == "segsort-cvat":
            _parser().parse_args(command.words[1:])
        elif command.program == "cvat-cli":
            parsed = of_cvat.parse_args(command.words[1:])
            assert parsed.function_module.startswith("segsort_cvat.") if "function_module" in parsed else True
    assert found["segsort-cvat"] >= 3
    assert found["cvat-cli"] >= 4


def test_the_package_imports_what_it_declares_and_nothing_else() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    modules = {"cvat-sdk": "cvat_sdk", "pillow": "PIL", "segsort-client": "segsort_client", "numpy": "numpy"}
    declared = {modules[Requirement(line).name] for line in project["dependencies"]}
    imported = set()
    for file in (FOLDER / "segsort_cvat").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            imported |= {name.partition(".")[0] for name in names}
    assert imported - set(sys.stdlib_module_names) - {"segsort_cvat"} == declared
