"""The command segsort-label-studio."""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import uvicorn
import uvicorn.protocols.http.h11_impl as h11_protocol

from segsort_label_studio.backend import Backend
from segsort_label_studio.config import REGIONS
from segsort_label_studio.errors import PHRASES
from segsort_label_studio.label_studio import LabelStudio
from segsort_label_studio.memory import Memory
from segsort_label_studio.options import Objects, Options, Scope
from segsort_label_studio.server import Application, Guard
from segsort_label_studio.service import Service
from segsort_label_studio.teaching import Teacher


def parser() -> argparse.ArgumentParser:
    """The options. Each has an environment variable; the variables of Label Studio's own backends are understood."""
    parse = argparse.ArgumentParser("segsort-label-studio", description="Label Studio's ML backend of segsort.")

    def add(name: str, variables: str, default: str | None, text: str, **more: object) -> None:
        names = variables.split()
        value = next((os.environ[one] for one in names if os.environ.get(one)), default)
        said = "" if default is None else f", otherwise {default}"
        parse.add_argument(f"--{name}", default=value, help=f"{text} [{', '.join(names)}{said}]", **more)  # type: ignore[arg-type]

    add("segsort", "SEGSORT_URL", "http://127.0.0.1:8000", "address of the segsort service")
    add("segsort-key", "SEGSORT_KEY", None, "key of a curator, where the service asks for keys")
    add("public-segsort", "SEGSORT_PUBLIC_URL", None, "address of the service for links, as browsers reach it")
    add("label-studio", "LABEL_STUDIO_URL LABEL_STUDIO_HOST", None, "address of Label Studio")
    add("api-key", "LABEL_STUDIO_API_KEY", None, "personal access token or legacy token of Label Studio")
    add("host", "SEGSORT_LABEL_STUDIO_HOST", "127.0.0.1", "address to listen on")
    add("port", "SEGSORT_LABEL_STUDIO_PORT", "9090", "port to listen on", type=int)
    add(
        "data",
        "SEGSORT_LABEL_STUDIO_DATA",
        "segsort-label-studio-data",
        "folder of the queue of corrections",
        type=Path,
    )
    add("basic-auth-user", "BASIC_AUTH_USER", None, "user name that Label Studio must send")
    add("basic-auth-pass", "BASIC_AUTH_PASS", None, "password that Label Studio must send")
    add("webhook-secret", "SEGSORT_LABEL_STUDIO_SECRET", None, "secret that webhooks must send")
    text = "a region for touching segments of a label, or for each segment"
    add("regions", "SEGSORT_LABEL_STUDIO_REGIONS", "objects", text, choices=get_args(Objects))
    add(
        "shapes",
        "SEGSORT_LABEL_STUDIO_SHAPES",
        "",
        f"kinds of predicted regions, of {','.join(REGIONS)}; empty: the most exact there is",
    )
    add(
        "scope",
        "SEGSORT_LABEL_STUDIO_SCOPE",
        "all",
        "what corrections teach for: all images, or their own image",
        choices=get_args(Scope),
    )
    add("most-image-mb", "SEGSORT_LABEL_STUDIO_IMAGE_MB", "64", "largest image that is read, in MB", type=int)
    text = "also predict segments that are unlike all exemplars [SEGSORT_LABEL_STUDIO_UNKNOWN=1]"
    unknown = os.environ.get("SEGSORT_LABEL_STUDIO_UNKNOWN", "") in ("1", "true")
    parse.add_argument("--unknown", action="store_true", default=unknown, help=text)
    return parse


def make(args: argparse.Namespace) -> Application:
    """The backend of these options.

    Raises:
        ValueError: if one is malformed.
    """
    for name in ("segsort", "label_studio", "public_segsort"):
        value = getattr(args, name)
        if value and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError(
                f"--{name.replace('_', '-')} is {value!r}; an address that begins with http:// or https:// is needed"
            )
    shapes = tuple(filter(None, args.shapes.split(",")))
    if not set(shapes) <= set(REGIONS):
        raise ValueError(f"--shapes is {args.shapes!r}; allowed: {','.join(REGIONS)}")
    if bool(args.basic_auth_user) != bool(args.basic_auth_pass):
        raise ValueError("--basic-auth-user and --basic-auth-pass must be given together")
    options = Options(args.regions, shapes, args.unknown, args.scope)
    label_studio = LabelStudio(args.label_studio or "", args.api_key, args.most_image_mb << 20)
    memory = Memory(args.data / "backend.sqlite")
    service = Service(args.segsort, args.segsort_key)
    backend = Backend(service, memory, label_studio, options, args.public_segsort or args.segsort)
    guard = Guard(args.basic_auth_user, args.basic_auth_pass, args.webhook_secret)
    return Application(backend, Teacher(backend), guard)


def use_phrases() -> None:
    """Let errors say what is wrong in their reason phrases, which is all that Label Studio shows of them."""
    h11_protocol.STATUS_PHRASES.update({status: phrase.encode() for status, phrase in PHRASES.items()})


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the process is told to end."""
    parse = parser()
    args = parse.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        application = make(args)
    except (ValueError, OSError) as error:
        parse.error(str(error))
    if application.guard.open and args.host not in ("127.0.0.1", "localhost", "::1"):
        logging.warning(
            "Whoever reaches %s:%d can teach the service. Give --basic-auth-user and --basic-auth-pass, or "
            "--webhook-secret", args.host, args.port,
        )  # fmt: skip
    use_phrases()
    uvicorn.run(application.app(), host=args.host, port=args.port, http="h11", log_level="warning")
