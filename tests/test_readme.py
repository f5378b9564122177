"""Every command of the documents is checked; commands that take seconds are run. Links and named functions exist.

Words in capitals, such as `SEGMENTATION_ID`, `SURVEY_ID`, `JOB_ID` and `NAME`, stand for those of a real answer, edit,
survey, job and release. Every image name stands for an image of the bundled release. A program without a checker fails:
add one to `tests/written_commands.py`.
"""

import io
import json
import os
import re
import subprocess
import time
import zipfile
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.running_service import COMMAND, running_service
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore
from tests.written_commands import CHECKERS, ROOT, Written, commands, segsort_subcommand, simple_commands

PAGES = ("README.md", "CONTRIBUTING.md", "examples/README.md")
DOCUMENTS = (*PAGES, *sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / "docs").glob("*.md")))
ALL = [command for document in DOCUMENTS for command in commands(document)]
REQUESTS = [command for command in ALL if command.program == "curl"]
CHEAP = {("segment",), ("releases", "list"), ("releases", "verify")}
RUN = [
    command
    for command in ALL
    if command.program == "segsort" and segsort_subcommand(command) in CHEAP and "--engine" not in command.flags
]  # those with Ray are run by tests/command_line/test_ray_engine.py
CHECKED = [command for command in ALL if command.program not in ("curl", "git", "cd")]
ARCHIVED = ("kerb", "truck", "car", "sky")  # classes of the archive
IMAGES = {".jpg", ".jpeg", ".png", ".webp"}


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of the bundled release, as a JPEG."""
    release = Release.open(ReleaseStore([BUNDLED], None).active())
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    Image.open(release.image_path(0)).convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_service(tmp_path_factory.mktemp("data")) as address:
        yield address


@pytest.fixture(scope="module")
def kept(service: str, photo: Path) -> dict[str, str]:
    """The values of the placeholders that no command deletes."""
    zipped = {"content-type": "application/zip"}
    survey = httpx.post(f"{service}/releases/survey", content=archive(photo), headers=zipped, timeout=60)
    job = httpx.post(f"{service}/adapt", json={}, timeout=60).raise_for_status().json()["job_id"]
    httpx.post(f"{service}/jobs/{job}/cancel", timeout=60)
    return {"SURVEY_ID": survey.raise_for_status().json()["survey_id"], "JOB_ID": job}


@pytest.fixture
def ids(service: str, photo: Path, kept: dict[str, str]) -> Iterator[dict[str, str]]:
    """The values of the placeholders. Each command has an answer of its own, because some delete it."""
    kind = {"content-type": "image/jpeg"}
    answer = httpx.post(f"{service}/segment", content=photo.read_bytes(), headers=kind, timeout=60).raise_for_status()
    segment = answer.json()["segments"][0]
    name = f"made for {segment['segment_id']}"
    made = httpx.post(f"{service}/classes", json={"name": name}, timeout=60).raise_for_status()
    webhook = httpx.post(f"{service}/webhooks", json={"url": "http://localhost:9/"}, timeout=60).raise_for_status()
    webhook_id = str(webhook.json()["webhook_id"])
    yield kept | {
        "WEBHOOK_ID": webhook_id,
        "SEGMENTATION_ID": str(answer.json()["segmentation_id"]),
        "ANOTHER_SEGMENT_ID": str(answer.json()["segments"][1]["segment_id"]),
        "SEGMENT_ID": str(segment["segment_id"]),
        "EXEMPLAR_ID": str(segment["exemplars"][0]["exemplar_id"]),
        "REVISION": str(made.json()["index_revision"]),
        "NAME": str(answer.json()["release"]),
    }
    httpx.delete(f"{service}/webhooks/{webhook_id}", timeout=60)  # there may be few


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("PORT=9000 make serve  # elsewhere", [("make", "serve")]),
        ("curl -s localhost:8000/classes | jq .", [("curl", "-s", "localhost:8000/classes")]),
        ("cd segsort && make test", [("cd", "segsort"), ("make", "test")]),
        ("segsort evaluate R --json > report.json", [("segsort", "evaluate", "R", "--json")]),
        ("curl 'localhost:8000/segment?k=5&masks=none'", [("curl", "localhost:8000/segment?k=5&masks=none")]),
        ("# a comment", []),
    ],
)
def test_a_line_is_split_as_a_shell_would(line: str, expected: list[tuple[str, ...]]) -> None:
    assert list(simple_commands(line)) == expected


def test_readme_shows_how_to_serve_and_how_to_test() -> None:
    written = {command.words for command in commands("README.md")}
    assert {("make", "serve"), ("make", "test")} <= written


@pytest.mark.parametrize("command", CHECKED, ids=str)
def test_a_written_command_exists_with_its_flags(command: Written) -> None:
    assert command.program in CHECKERS, f"{command}: tests/written_commands.py has no checker for {command.program}"
    CHECKERS[command.program](command)


@pytest.mark.parametrize(
    "words",
    [
        ("make", "no-such-target"),
        ("segsort", "segment", "--no-such-flag"),
        ("python", "-m", "benchmarks.no_such_benchmark"),
        ("docker", "compose", "-f", "no-such-file.yml", "up"),
        ("docker", "build", "--build-arg", "NO_SUCH=1", "."),
        ("pip", "install", ".[no-such-extra]"),
    ],
    ids=lambda words: words[0],
)
def test_a_command_that_does_not_exist_is_noticed(words: tuple[str, ...]) -> None:
    command = Written("a document", words)
    with pytest.raises(AssertionError):
        CHECKERS[command.program](command)


@pytest.mark.parametrize("command", RUN, ids=str)
def test_a_command_that_takes_seconds_runs(command: Written, photo: Path, tmp_path: Path) -> None:
    for word in command.words[1:]:
        if word == "photos":
            (tmp_path / word).mkdir()
            (tmp_path / word / "a.jpg").write_bytes(photo.read_bytes())
        if Path(word).suffix in IMAGES:
            (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / word).write_bytes(photo.read_bytes())
    environment = {**os.environ, "SEGSORT_DATA_DIR": str(tmp_path / "data")}
    arguments = [str(COMMAND), *command.words[1:]]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("command", REQUESTS, ids=str)
def test_a_written_request_is_answered(command: Written, service: str, photo: Path, ids: dict[str, str]) -> None:
    request = _curl().parse_args(command.words[1:])
    url = re.fullmatch(r"(?:http://)?(?:localhost|127\.0\.0\.1):8000(/.*)?", request.url)
    assert url, f"{command}: {request.url} is not the address of `make serve` and of the container"
    if "IMAGES_JOB_ID" in (url[1] or ""):
        ids = ids | {"IMAGES_JOB_ID": _ended_job(service, photo)}
    path, data = (_filled(text or "", ids) for text in (url[1] or "/", request.data))
    body = archive(photo) if str(request.data_binary).endswith(".zip") else photo.read_bytes()
    fields = [tuple(field.split("=", 1)) for field in request.form]
    sent = [(name, ("photo.jpg", body, "image/jpeg") if text[0] == "@" else (None, text)) for name, text in fields]
    answer = httpx.request(
        request.request or ("POST" if sent or request.data_binary or data else "GET"),
        service + path,
        headers=dict(re.split(r":\s*", header, maxsplit=1) for header in request.header),
        content=body if request.data_binary else data or None,
        files=sent or None,
        timeout=60,
    )
    if path in (f"/jobs/{ids['JOB_ID']}/accept", f"/jobs/{ids.get('IMAGES_JOB_ID')}/cancel"):  # they have ended
        assert answer.status_code == httpx.codes.CONFLICT, answer.text
        return
    assert answer.is_success, f"{command}: {answer.status_code} {answer.text[:500]}"
    if answer.status_code == httpx.codes.ACCEPTED:  # one job runs at a time, and other documents start one too
        httpx.post(f"{service}{answer.headers['location']}/cancel", timeout=60)


def _ended_job(service: str, photo: Path) -> str:
    """The id of a job of images that has ended."""
    job = httpx.post(f"{service}/jobs/segment", content=archive(photo), timeout=60).raise_for_status().json()
    end = time.monotonic() + 60
    while not httpx.get(f"{service}/jobs/{job['job_id']}", timeout=60).json()["ended"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    return str(job["job_id"])


def archive(photo: Path) -> bytes:
    """A ZIP archive of one labelled image, as a tool exports it."""
    content, mask = io.BytesIO(), io.BytesIO()
    with Image.open(photo) as image:
        labels = np.indices(image.size[::-1])[1] * len(ARCHIVED) // image.width  # stripes
        Image.fromarray(labels.astype(np.uint8)).save(mask, "PNG")
    with zipfile.ZipFile(content, "w") as files:
        files.writestr("images/photo.jpg", photo.read_bytes())
        files.writestr("masks/photo.png", mask.getvalue())
        classes = [{"name": name, "color": [n, 9, 9]} for n, name in enumerate(ARCHIVED)]
        files.writestr("classes.json", json.dumps({"classes": classes}))
    return content.getvalue()


def _filled(text: str, ids: dict[str, str]) -> str:
    return re.sub("|".join(sorted(ids, key=len, reverse=True)), lambda placeholder: ids[placeholder[0]], text)


def _curl() -> ArgumentParser:
    """A parser with the flags of curl that the documents may use."""
    parser = ArgumentParser("curl", exit_on_error=False)
    parser.add_argument("url")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-F", "--form", action="append", default=[])
    parser.add_argument("--data-binary", "-T")
    parser.add_argument("-d", "--data")
    parser.add_argument("-o", "--output")
    for flag in ("-s", "-S", "-f", "-i"):
        parser.add_argument(flag, action="store_true")
    return parser


@pytest.mark.parametrize("document", [*PAGES, "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"])
def test_every_link_of_a_document_leads_to_a_file(document: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    missing = [link for link in links if not ((ROOT / document).parent / link).exists()]
    assert not missing, f"{document} links to {', '.join(missing)}"


MARKDOWN = sorted(
    file.relative_to(ROOT).as_posix()
    for folder in ("", "docs", "examples", ".github")
    for file in (ROOT / folder).glob("*.md")
)
NAMED = re.compile(r"(?<![\w/.-])docs/[\w./-]+\.md\b")  # with or without a link, seen from the root of the repository


@pytest.mark.parametrize("document", MARKDOWN)
def test_every_page_of_the_documentation_that_a_document_names_exists(document: str) -> None:
    named = NAMED.findall((ROOT / document).read_text(encoding="utf-8"))
    missing = [page for page in named if not (ROOT / page).exists()]
    assert not missing, f"{document} names {', '.join(missing)}"


PAPER = re.compile(r"\| `([\w.]+)` \| \[[\w/.]+\]\(([\w/.]+\.py)\) \|$", re.MULTILINE)  # function and file, in a table


@pytest.mark.parametrize("document", ["README.md", "docs/how-it-works.md"])
def test_every_step_of_the_paper_is_in_the_file_that_the_document_names(document: str) -> None:
    rows = PAPER.findall((ROOT / document).read_text(encoding="utf-8"))
    assert len(rows) >= 8, f"{document} has a table of the paper's steps, with the columns function and file"
    for name, file in rows:
        source = ((ROOT / document).parent / file).read_text(encoding="utf-8")
        for part in name.split("."):
            assert re.search(rf"^ *(?:def|class) {part}\b", source, re.MULTILINE), (
                f"{document}: {name} is not in {file}"
            )


def test_the_figures_of_the_bundled_release_are_those_of_its_card() -> None:
    """A new release needs a new table."""
    metrics = Release.open(ReleaseStore([BUNDLED], None).active(), verify=False).card.metrics
    rows = re.findall(r"^\|[^|]*exemplars[^|]*\|(.*)\|$", Path("README.md").read_text(encoding="utf-8"), re.MULTILINE)
    written = [[float(cell) for cell in row.split("|")] for row in rows]
    expected = [[m["miou"], m["pixel_accuracy"], m["boundary_f"]["2"]] for m in metrics.values()]
    assert written == [[pytest.approx(value, abs=0.0005) for value in row] for row in expected]
