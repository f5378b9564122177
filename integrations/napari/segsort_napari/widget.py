"""The widget: it shows labels and marks as layers, and works beside the window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from magicgui.widgets import ComboBox, Container, Label, LineEdit, PushButton
from napari import Viewer
from napari.layers import Image, Labels
from napari.qt.threading import thread_worker
from napari.utils.colormaps import DirectLabelColormap

from segsort_client import DEFAULT_ADDRESS, Client, SegsortError
from segsort_napari.pixels import visible_slice
from segsort_napari.session import Session

LABELS, MARKS = "{} segsort", "{} marks"


class SegsortWidget(Container):  # type: ignore[misc]
    """Segments the chosen image layer, and teaches by what is painted on the layer of marks.

    Args:
        napari_viewer: the window. napari gives it to a parameter of this name.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self._viewer = napari_viewer
        self._address = LineEdit(label="service", value=DEFAULT_ADDRESS)
        self._key = LineEdit(label="key", value="")
        if hasattr(self._key.native, "setEchoMode"):
            self._key.native.setEchoMode(self._key.native.EchoMode.Password)
        self._image = ComboBox(label="image", choices=self._images)
        self._segment = PushButton(text="Segment")
        self._class = ComboBox(label="class", choices=self._class_names)
        self._name = LineEdit(label="new class", value="")
        self._add = PushButton(text="Add class")
        self._teach = PushButton(text="Send marks")
        self._undo = PushButton(text="Undo")
        self._status = Label(value="Choose an image, and press Segment.")
        super().__init__(
            widgets=[
                self._address, self._key, self._image, self._segment, self._class, self._name, self._add, self._teach,
                self._undo, self._status,
            ],
            labels=True,
        )  # fmt: skip
        self.session: Session | None = None
        self._layer = ""  # name of the image layer that was segmented
        self._frame: dict[str, Any] = {}  # where its layers are
        self._segment.changed.connect(lambda: self.segment())
        self._add.changed.connect(lambda: self.add_class(self._name.value))
        self._teach.changed.connect(lambda: self.teach())
        self._undo.changed.connect(lambda: self.undo())
        self._class.changed.connect(self._choose)
        napari_viewer.layers.events.inserted.connect(self._image.reset_choices)
        napari_viewer.layers.events.removed.connect(self._image.reset_choices)

    def segment(self, wait: bool = False) -> None:
        """Segment the slice of the chosen layer that is shown. wait: until it is done, which blocks the window."""
        layer = self._viewer.layers[self._image.value] if self._image.value else None
        if not isinstance(layer, Image):
            self._say("Add an image layer first.")
            return
        data = layer.data[0] if layer.multiscale else layer.data
        try:
            pixels = visible_slice(data, layer.rgb, self._viewer.dims.current_step, tuple(layer.contrast_limits))
            session = Session(Client(self._address.value, self._key.value or None, retries=1))
        except ValueError as error:
            self._say(str(error))
            return
        self.session, self._layer = session, layer.name
        self._frame = {"scale": layer.scale[-2:], "translate": layer.translate[-2:]}
        self._work(lambda: (session.segment(pixels, layer.name), "segmented")[1], wait)

    def add_class(self, name: str) -> None:
        """Add a class to paint with. The service makes it with the first mark."""
        if self.session is None:
            self._say("Segment an image first.")
            return
        try:
            number = self.session.add_class(name)
        except ValueError as error:
            self._say(str(error))
            return
        self._class.reset_choices()
        self._class.value = name
        self._choose(name)
        self._say(f"Paint {name} on the layer of marks with the label {number}.")

    def teach(self, wait: bool = False) -> None:
        """Send what is painted on the layer of marks. wait: until it is done, which blocks the window."""
        session, marks = self.session, self._layer_named(MARKS)
        if session is None or marks is None:
            self._say("Segment an image first.")
            return
        painted = np.array(marks.data)  # a copy: people paint on while it is sent

        def clear() -> None:
            marks.data = session.unsent(np.asarray(marks.data), painted)

        self._work(lambda: session.teach(painted), wait, clear)

    def undo(self, wait: bool = False) -> None:
        """Revert the newest edit of this user. wait: until it is done, which blocks the window."""
        session = self.session
        if session is None:
            self._say("Segment an image first.")
            return
        self._work(session.undo, wait)

    def _work(self, task: Callable[[], str], wait: bool, then: Callable[[], None] | None = None) -> None:
        """Run a task beside the window, and show its labels. then: what follows in the window before that."""
        self._say("Waiting for the service ...")

        def done(said: str) -> None:
            if then is not None:
                then()
            self._show()
            self._say(said)

        if wait:
            try:
                done(task())
            except (ValueError, SegsortError) as error:
                self._say(str(error))
            return
        worker = thread_worker(task)()
        worker.returned.connect(done)
        worker.errored.connect(lambda error: self._say(str(error)))
        worker.start()

    def _show(self) -> None:
        """Show the labels of the answer, and a layer of marks."""
        assert self.session is not None
        labels, classes = self.session.labels(), self.session.classes()
        colors: dict[int | None, Any] = {number: color for number, (_, color) in classes.items()}
        colormap = DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", **colors})
        shown, marks = self._layer_named(LABELS), self._layer_named(MARKS)
        if shown is None:
            shown = self._viewer.add_labels(labels, name=LABELS.format(self._layer), **self._frame)
            shown.mouse_drag_callbacks.append(self._explain)
        else:
            shown.data = labels
        shown.colormap = colormap
        if marks is None or marks.data.shape != labels.shape:
            marks = self._viewer.add_labels(np.zeros_like(labels), name=MARKS.format(self._layer), **self._frame)
            marks.mode = "paint"
        marks.colormap = colormap
        self._class.reset_choices()

    def _explain(self, layer: Labels, event: Any) -> None:
        """Explain the label of a pixel that is clicked while the layer of labels is chosen."""
        if self.session is None or event.type != "mouse_press":
            return
        y, x = (round(float(at)) for at in layer.world_to_data(event.position)[-2:])
        try:
            self._say(self.session.explain(x, y))
        except (ValueError, SegsortError) as error:
            self._say(str(error))

    def _choose(self, name: str | None) -> None:
        """Paint with a class."""
        marks = self._layer_named(MARKS)
        if marks is not None and self.session is not None:
            numbers = {one: number for number, (one, _) in self.session.classes().items()}
            marks.selected_label = numbers.get(name or "", 1)

    def _layer_named(self, form: str) -> Labels | None:
        name = form.format(self._layer)
        found = [layer for layer in self._viewer.layers if layer.name == name]
        return found[0] if found and isinstance(found[0], Labels) else None

    def _images(self, _: object = None) -> list[str]:
        return [layer.name for layer in self._viewer.layers if isinstance(layer, Image)]

    def _class_names(self, _: object = None) -> list[str]:
        session = getattr(self, "session", None)
        return [] if session is None else [name for name, _ in session.classes().values()]

    def _say(self, text: str) -> None:
        self._status.value = text
        self._viewer.status = text
