"""The states of the page that a person can see, by name. A new page or dialog adds its states to STATES.

Tests of accessibility, of motion and of narrow windows visit each of them.
"""

import io
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.marking import Stage, use


@dataclass(frozen=True)
class Scene:
    """What the states are made of.

    Attributes:
        address: of the service.
        segmentation_id: of the answer about a street.
        image: file of another street.
        text: a file that is not an image.
    """

    address: str
    segmentation_id: str
    image: Path
    text: Path

    @property
    def street(self) -> str:
        """The path of the page about the street."""
        return f"#/s/{self.segmentation_id}"


State = Callable[[Page, Scene], None]


def add_duplicates(address: str, image: Path, *class_names: str) -> None:
    """Teach an image once for each class name, each time with a few other pixels."""
    pixels = Image.open(image).convert("RGB").resize((96, 72))
    mask = io.BytesIO()
    Image.new("P", pixels.size).save(mask, "PNG")
    for n, name in enumerate(class_names):
        file = io.BytesIO()
        pixels.putpixel((n, 0), (0, 0, 0))
        pixels.save(file, "PNG")
        files = {"image": ("a.png", file.getvalue(), "image/png"), "mask": ("m.png", mask.getvalue(), "image/png")}
        data = {"classes": json.dumps({"0": name})}
        httpx.post(f"{address}/exemplars", files=files, data=data, timeout=60).raise_for_status()


def visit(page: Page, scene: Scene, path: str) -> None:
    """Load the page anew."""
    page.goto("about:blank")
    page.goto(f"{scene.address}/{path}")


def start(page: Page, scene: Scene) -> None:
    visit(page, scene, "")
    expect(page.get_by_role("heading", level=1).filter(visible=True)).to_be_visible()


def refused(page: Page, scene: Scene) -> None:
    start(page, scene)
    page.get_by_label("Images to segment").set_input_files(scene.text)
    expect(page.get_by_role("alert").filter(visible=True).first).to_be_visible()


def missing(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/s/0123456789abcdef0123456789abcdef")
    expect(page.get_by_text("This image is not stored")).to_be_visible()


def image(page: Page, scene: Scene) -> None:
    visit(page, scene, scene.street)
    expect(page.locator(".segment-row").first).to_be_visible()


def explanation(page: Page, scene: Scene) -> None:
    visit(page, scene, f"{scene.street}/2")
    expect(page.get_by_role("heading", name="The vote")).to_be_visible()


def class_picker(page: Page, scene: Scene) -> None:
    explanation(page, scene)
    page.get_by_label("This is a …").fill("s")
    expect(page.get_by_role("option").filter(visible=True).first).to_be_visible()


def exemplar(page: Page, scene: Scene) -> None:
    explanation(page, scene)
    page.get_by_role("button", name="show the whole image").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def download_menu(page: Page, scene: Scene) -> None:
    image(page, scene)
    page.locator("summary[title=Download]").click()


def printable(page: Page, scene: Scene) -> None:
    visit(page, scene, f"explain/{scene.segmentation_id}-2")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def uncertainty(page: Page, scene: Scene) -> None:
    image(page, scene)
    page.get_by_role("button", name="Uncertainty").click()


def draft(page: Page, scene: Scene) -> None:
    """A stroke that is not applied yet, with its preview."""
    image(page, scene)
    use(page, "Brush", 1)
    stage = Stage.of(page, scene.address)
    stage.drag((100, 100), (160, 100))
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    expect(page.locator(".mark-bar")).to_contain_text(re.compile(r"Changes|[Nn]o"))


def selection(page: Page, scene: Scene) -> None:
    """Two segments that are selected by clicks with Shift."""
    image(page, scene)
    stage = Stage.of(page, scene.address)
    page.keyboard.down("Shift")
    for number, index in enumerate((0, len(stage.answer["segments"]) - 1), 1):
        status = page.locator(".mark-status", has_text=f"{number} segment")
        page.wait_for_timeout(400)
        for _ in range(3):  # a click while the image is being fitted may hit another place
            stage.click(*stage.inner(index, 1)[0])
            with suppress(AssertionError):  # a second click on a selected segment would deselect it
                expect(status).to_be_visible(timeout=10_000)
                break
        expect(status).to_be_visible()
    page.keyboard.up("Shift")


def shortcuts(page: Page, scene: Scene) -> None:
    start(page, scene)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def correction(page: Page, scene: Scene) -> None:
    explanation(page, scene)
    page.locator(".chip:not(.current)").first.click()
    expect(page.get_by_role("region", name="What the edit changed")).to_be_visible()


def exemplars(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/exemplars")
    expect(page.locator("main .card").filter(visible=True).first).to_be_visible()


def exemplars_chosen(page: Page, scene: Scene) -> None:
    exemplars(page, scene)
    page.locator(".card-pick").first.check()


def contradicted(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/exemplars/all/contradicted")
    expect(page.locator(".audit-row").first).to_be_visible()


def contradicted_chosen(page: Page, scene: Scene) -> None:
    contradicted(page, scene)
    page.locator(".audit-row").first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Relabel …").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def duplicates(page: Page, scene: Scene) -> None:
    add_duplicates(scene.address, scene.image, "car", "car")
    visit(page, scene, "#/exemplars/all/duplicates")
    expect(page.locator(".audit-group").first).to_be_visible()


def thin_classes(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/exemplars/all/thin")
    expect(page.locator(".audit [role=status]")).to_contain_text("compared")


def caused_corrections(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/exemplars/all/corrections")
    expect(page.locator(".audit [role=status]")).to_contain_text("compared")


def edits(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/edits")
    expect(page.get_by_role("heading", name=re.compile("Edits")).filter(visible=True)).to_be_visible()


def releases(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/releases")
    expect(page.get_by_role("heading", name=re.compile("Releases")).filter(visible=True)).to_be_visible()
    page.wait_for_load_state("networkidle")


def unknown(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/unknown")
    expect(page.get_by_role("heading", level=1).filter(visible=True)).to_be_visible()
    page.wait_for_load_state("networkidle")


def images(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/images")
    expect(page.get_by_role("heading", level=1).filter(visible=True)).to_be_visible()
    page.wait_for_load_state("networkidle")


def building(page: Page, scene: Scene) -> None:
    visit(page, scene, "#/releases/build")
    expect(page.get_by_role("heading", level=1).filter(visible=True)).to_be_visible()


STATES: dict[str, State] = {
    "start": start,
    "a file that is refused": refused,
    "an address that is not stored": missing,
    "image": image,
    "download menu": download_menu,
    "explanation": explanation,
    "class picker": class_picker,
    "exemplar in its image": exemplar,
    "correction": correction,
    "marks that are not applied": draft,
    "several segments selected": selection,
    "printable explanation": printable,
    "uncertainty": uncertainty,
    "keyboard shortcuts": shortcuts,
    "exemplars": exemplars,
    "exemplars chosen": exemplars_chosen,
    "contradicted exemplars": contradicted,
    "relabelling contradicted exemplars": contradicted_chosen,
    "duplicates": duplicates,
    "thin classes": thin_classes,
    "exemplars that caused corrections": caused_corrections,
    "images": images,
    "unknown": unknown,
    "edits": edits,
    "releases": releases,
    "building a release": building,
}
