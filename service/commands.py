"""Commands of the online side: serve, releases snapshot, keys."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

keys = typer.Typer(help="API keys of the service.", no_args_is_help=True)


def serve(
    release: Annotated[str | None, typer.Option(help="Name or path of a release. Default: the active release.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve segmentation over HTTP."""
    from service.app import create_app
    from service.http.keys import read_access
    from service.process import prepare_process, settle_process
    from service.server import Server
    from service.settings import load_settings

    settings = load_settings(release=release, host=host, port=port)
    print(f"segsort: {read_access(settings).describe(settings)}", file=sys.stderr)
    prepare_process(settings)
    app = create_app(settings)
    settle_process()
    server = Server(app, settings)
    server.run()
    if not server.started:
        raise typer.Exit(3)


def snapshot(
    name: Annotated[
        str | None, typer.Argument(help="Name of the new release. Default: the old name and the number of the edit.")
    ] = None,
    release: Annotated[str | None, typer.Option(help="Name or path of a release. Default: the active release.")] = None,
) -> None:
    """Write a release with all its edits as a new release. The served release does not change."""
    from service.editing.snapshot import write_snapshot
    from service.settings import load_settings

    written = write_snapshot(load_settings(release=release), name)
    print(
        f"{written.card.name}: {len(written.exemplars)} exemplars of {len(written.card.classes)} classes at "
        f"{written.path}; run `segsort releases activate {written.card.name}` to serve it from the next start on"
    )


def kept(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")] = False,
    tidy: Annotated[bool, typer.Option("--tidy", help="Remove the copies that no answer and no edit needs.")] = False,
) -> None:
    """List the copies that are kept of served releases, so that their answers can be explained when they are gone."""
    import json

    from model_store.store import kept_releases
    from service.answering.keeping import GRACE, is_used
    from service.records.database import Records
    from service.settings import load_settings

    settings = load_settings()
    copies, records = kept_releases(settings.data_dir), Records.of(settings)
    try:
        if tidy:
            copies.remove_unused(lambda copy: is_used(records.engine, copy), GRACE)
        entries: list[dict[str, Any]] = [
            {"name": one.name, "digest": one.digest, "bytes": one.size, "needed": is_used(records.engine, one)}
            for one in copies.all()
        ]
    finally:
        records.close()
    if as_json:
        print(json.dumps(entries))
        return
    for entry in entries:
        needed = "needed" if entry["needed"] else "not needed"
        print(f"{entry['name']}  {entry['digest']}  {entry['bytes'] / 1e6:.1f} MB  {needed}")
    total = sum(one.size for one in copies.all())
    print(f"{len(entries)} copies, {total / 1e6:.1f} MB, in {copies.folder}")


class _Role(StrEnum):
    reader = "reader"
    curator = "curator"


@keys.command("new")
def new_key(
    name: Annotated[str, typer.Argument(help="Owner of the key; edits are signed with this name.")],
    role: Annotated[_Role, typer.Option(help="reader: segment and read; curator: edit as well.")],
    limit: Annotated[
        list[str] | None, typer.Option(help="A limit of this key, such as images_per_day=1000. May be repeated.")
    ] = None,
) -> None:
    """Create a key. The key goes to standard error, once; the line that the service needs goes to standard output.

    `segsort keys new NAME --role curator >> keys.txt` shows the key and appends its line to the file that
    SEGSORT_API_KEYS_FILE names.
    """
    from service.http.keys import new_key as make_key
    from service.http.limits import parse_option

    secret, key = make_key(name, role.value, [parse_option(one, "--limit") for one in limit or ()])
    print(f"Key of {name}. It is shown only once. Send it as Authorization: Bearer KEY:", file=sys.stderr)
    print(secret, file=sys.stderr)
    print("Line for SEGSORT_API_KEYS_FILE, or entry of SEGSORT_API_KEYS:", file=sys.stderr, flush=True)
    print(key.line)


_KeyFile = Annotated[
    Path | None, typer.Option("--file", help="File of keys. Default: the file that SEGSORT_API_KEYS_FILE names.")
]


@keys.command("list")
def list_keys(
    file: _KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")] = False,
) -> None:
    """List the keys of a file: names, roles and limits."""
    import json

    from service.http.key_edits import keys_of

    found = keys_of(_key_file(file))
    if as_json:
        listed = [{"name": one.caller.name, "role": one.caller.role, "limits": dict(one.options)} for one in found]
        print(json.dumps(listed))
        return
    for one in found:
        limits = " ".join(f"{name}={'none' if most is None else most}" for name, most in one.options)
        print(f"{one.caller.name} {one.caller.role} {limits}".rstrip())


@keys.command("revoke")
def revoke_key(
    name: Annotated[str, typer.Argument(help="Owner of the key.")],
    file: _KeyFile = None,
) -> None:
    """Remove a key from a file. Running services refuse it, and end its sessions, within seconds."""
    from service.http.key_edits import revoke_key as revoke

    revoked = revoke(_key_file(file), name)
    print(f"{revoked.caller.name} ({revoked.caller.role}) is revoked", file=sys.stderr)


def _key_file(given: Path | None) -> Path:
    from service.settings import load_settings

    file = given if given is not None else load_settings().api_keys_file
    if file is None:
        raise ValueError(
            "no file of keys is known; give it with --file, or set SEGSORT_API_KEYS_FILE. Keys of the variable "
            "SEGSORT_API_KEYS change with a restart"
        )
    return file
