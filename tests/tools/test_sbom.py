"""The bill of materials of each image: valid CycloneDX, all that the image holds and nothing that it does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from model_store.card import Card
from model_store.store import BUNDLED
from tools.locked import FLAVOURS, Flavour, packages, removed
from tools.sbom import main

pytest.importorskip("cyclonedx_py", reason="cyclonedx-bom is not installed")


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The SBOM of each flavour, as `make sbom` writes it."""
    out = tmp_path_factory.mktemp("sbom")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["sbom", "--out", str(out)])
        main()
    return {flavour: json.loads(next(out.glob(f"segsort-*-{flavour}.cdx.json")).read_text()) for flavour in FLAVOURS}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_it_is_valid(bills: dict[str, dict[str, Any]], flavour: Flavour) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bills[flavour])) is None
    assert bills[flavour]["metadata"]["component"]["name"] == "segsort"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_it_lists_each_package_with_its_address_and_the_hashes_of_its_files(
    bills: dict[str, dict[str, Any]], flavour: Flavour
) -> None:
    listed = {one["name"]: one for one in bills[flavour]["components"] if one["type"] == "library"}
    expected = packages(flavour)
    assert set(listed) == {one.name for one in expected}
    for package in expected:
        entry = listed[package.name]
        assert entry["purl"] == f"pkg:pypi/{canonicalize_name(package.name)}@{package.version}"
        hashes = {one["content"] for link in entry.get("externalReferences", []) for one in link.get("hashes", [])}
        assert hashes == set(package.hashes)


def test_the_slim_image_differs_by_pytorch_alone() -> None:
    names = {flavour: {one.name for one in packages(flavour)} for flavour in FLAVOURS}
    assert names["cpu"] - names["slim"] == {"torch"}
    assert not names["slim"] - names["cpu"]
    assert "torch" in names["gpu"]


def test_what_the_image_removes_is_not_listed() -> None:
    assert {"sympy", "setuptools"} <= removed()
    assert not {one.name for flavour in FLAVOURS for one in packages(flavour)} & removed()


def test_it_names_the_networks_of_the_bundled_releases(bills: dict[str, dict[str, Any]]) -> None:
    networks = {one["bom-ref"]: one for one in bills["slim"]["components"] if one["type"] == "machine-learning-model"}
    folders = [folder for folder in BUNDLED.iterdir() if (folder / "card.json").is_file()]
    assert set(networks) == {f"release-{folder.name}" for folder in folders}
    for folder in folders:
        card, entry = (
            Card.model_validate_json(Path(folder / "card.json").read_text()),
            networks[f"release-{folder.name}"],
        )
        assert entry["description"] == card.description
        assert len(entry["licenses"]) == len(card.licence)
