"""The command `segsort-cvat`: labels for a task, and annotations that teach."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from cvat_sdk import exceptions, make_client
from cvat_sdk.core import Client as CvatClient

from segsort_client import Client, SegsortError
from segsort_cvat.service import service
from segsort_cvat.teaching import Taught, teach

_EXPLANATION = {"name": "explanation", "mutable": False, "input_type": "text", "default_value": "", "values": [""]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 if all went well, 1 if something failed."""
    asked = _parser().parse_args(arguments)
    try:
        with service(asked.segsort) as client:
            run = _print_labels if asked.command == "labels" else _teach
            sys.exit(run(client, asked))
    except (SegsortError, exceptions.ApiException, OSError, ValueError) as error:
        sys.exit(f"segsort-cvat: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("segsort-cvat", description="Connects CVAT with the segsort service.")
    commands = parser.add_subparsers(dest="command", required=True)
    labels = commands.add_parser("labels", help="print the classes as labels of CVAT, for a task or a project")
    form = labels.add_mutually_exclusive_group()
    form.add_argument("--nuclio", action="store_true", help="as the `spec` of a function.yaml")
    form.add_argument("--explanation", action="store_true", help="with the attribute for addresses of explanations")
    teaching = commands.add_parser("teach", help="teach the service what people annotated in a task")
    teaching.add_argument("task", type=int, help="id of the task")
    teaching.add_argument(
        "--server-host",
        default=os.environ.get("CVAT_HOST", "http://localhost:8080"),
        help="address of CVAT (CVAT_HOST); default: http://localhost:8080",
    )
    teaching.add_argument("--auth", help="USER:PASSWORD; in its place, CVAT_ACCESS_TOKEN is an access token")
    teaching.add_argument("--organization", help="short name of the organization that has the task")
    teaching.add_argument(
        "--automatic",
        action="store_true",
        help="also teach annotations that no person has touched, for example after a review",
    )
    for command in (labels, teaching):
        command.add_argument("--segsort", help="address of the service (SEGSORT_ADDRESS); its key is SEGSORT_KEY")
    return parser  # fmt: skip


def _print_labels(client: Client, asked: argparse.Namespace) -> int:
    classes = client.classes()
    if asked.nuclio:
        found = [{"id": one.class_id, "name": one.name, "type": "mask"} for one in classes]
    else:
        attributes = [_EXPLANATION] if asked.explanation else []
        found = [{"name": one.name, "color": one.color, "type": "any", "attributes": attributes} for one in classes]
    print(json.dumps(found, indent=2, ensure_ascii=False))
    return 0


def _teach(client: Client, asked: argparse.Namespace) -> int:
    with _cvat(asked.server_host, asked.auth) as cvat:
        if asked.organization:
            cvat.organization_slug = asked.organization
        done = teach(cvat, client, asked.task, automatic=asked.automatic)
    print(_summary(done))
    return 1 if done.failed else 0


def _cvat(host: str, auth: str | None) -> CvatClient:
    if auth is not None:
        user, colon, password = auth.partition(":")
        if not colon:
            raise ValueError("--auth is USER:PASSWORD")
        return make_client(host, credentials=(user, password))
    token = os.environ.get("CVAT_ACCESS_TOKEN")
    if not token:
        raise ValueError("CVAT asks who you are: give --auth USER:PASSWORD, or set CVAT_ACCESS_TOKEN")
    return make_client(host, access_token=token)


def _summary(done: Taught) -> str:
    left = ", ".join(f"{count} {why}" for why, count in sorted(done.left_out.items()) if count)
    parts = [
        f"{done.frames} frames", f"{done.added} exemplars added", f"{done.already} existed", f"{done.removed} removed"
    ]  # fmt: skip
    return "; ".join([", ".join(parts), *([f"left out: {left}"] if left else [])])


if __name__ == "__main__":
    main()
