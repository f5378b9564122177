"""Writes docs/openapi.json and the page's types from the routes: `make openapi`."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from service.app import create_app
from service.settings import Settings
from tools.types_js import TYPES, types_js

GOLDEN = Path(__file__).parents[1] / "docs" / "openapi.json"


def rendered(document: dict[str, Any]) -> str:
    """The OpenAPI document as text, one value a line, so that changes can be reviewed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def document_of_the_service() -> dict[str, Any]:
    """The OpenAPI document of an app with default settings."""
    with tempfile.TemporaryDirectory() as folder:
        app: FastAPI = create_app(Settings(data_dir=Path(folder), database_url="sqlite://"))
        document: dict[str, Any] = app.openapi()
        app.state.engine.close()
    return document


def main() -> None:
    """Write both files, or, with the argument `-`, print the document."""
    document = document_of_the_service()
    if sys.argv[1:] == ["-"]:
        print(rendered(document), end="")
        return
    GOLDEN.write_text(rendered(document), encoding="utf-8")
    TYPES.write_text(types_js(document), encoding="utf-8")


if __name__ == "__main__":
    main()
