"""The OpenAPI document as docs/openapi.json holds it; `make openapi` writes it there."""

import json
import sys
import tempfile
from pathlib import Path

from fastapi import FastAPI

from service.app import create_app
from service.settings import Settings

GOLDEN = Path(__file__).parents[2] / "docs" / "openapi.json"


def rendered(app: FastAPI) -> str:
    """What an app says of itself at /openapi.json, as a text that can be read line by line."""
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document, or, with the argument `-`, print it."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data_dir=Path(folder), database_url="sqlite://"))
        text = rendered(app)
        app.state.engine.close()
    if sys.argv[1:] == ["-"]:
        print(text, end="")
    else:
        GOLDEN.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
