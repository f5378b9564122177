"""Drives the plugin in napari: segment, explain, paint, send marks, undo.

python integrations/napari/tests/drive_napari.py ADDRESS IMAGE.npy SCREENSHOT.png

It runs in an environment with napari and the plugin. With a display (DISPLAY) it opens the window of napari. Without
one it uses the model of the window, since the window needs OpenGL, and shows the widget by Qt's platform "offscreen".
"""

import os
import sys
from threading import Event
from time import monotonic
from types import SimpleNamespace
from typing import Any

import numpy as np
from napari import Viewer
from napari.components import ViewerModel
from npe2 import PluginManager
from qtpy.QtWidgets import QApplication

from segsort_napari.widget import SegsortWidget


def opened() -> tuple[Any, Any]:
    """A viewer and the widget of the plugin, found by its manifest."""
    PluginManager.instance().discover()
    (contribution,) = [one for one in PluginManager.instance().iter_widgets() if one.plugin_name == "segsort-napari"]
    assert contribution.display_name == "Segment and teach"
    if os.environ.get("DISPLAY"):
        viewer = Viewer(show=True)
        return viewer, viewer.window.add_plugin_dock_widget("segsort-napari", "Segment and teach")[1]
    model = ViewerModel()
    return model, contribution.get_callable()(model)


def wait_for(application: QApplication, widget: SegsortWidget, said: str) -> None:
    """Work for the window until the widget says this."""
    end = monotonic() + 60
    while said not in widget._status.value:
        assert monotonic() < end, widget._status.value
        application.processEvents()


def paint_while_marks_are_sent(application: QApplication, widget: SegsortWidget, labels: Any, marks: Any) -> None:
    """What is painted meanwhile is not sent, stays on the layer in the number of its class, and is sent next."""

    def number(name: str) -> int:
        return next(one for one, (known, _) in widget.session.classes().items() if known == name)

    widget.add_class("fern")
    widget.add_class("reed")
    marks.paint((20, 20), number("reed"))
    painted, send = Event(), widget.session.teach

    def held(sent: Any) -> str:
        assert painted.wait(60)
        return str(send(sent))

    widget.session.teach = held
    widget.teach()
    marks.paint((60, 80), number("fern"))
    painted.set()
    wait_for(application, widget, "exemplars")
    assert labels.data[20, 20] == number("reed")
    assert labels.data[60, 80] != number("fern")
    assert marks.data[20, 20] == 0
    assert marks.data[60, 80] == number("fern")
    widget.teach(wait=True)
    assert labels.data[60, 80] == number("fern")
    assert not marks.data.any()


def main(address: str, file: str, screenshot: str) -> None:
    """Drive the plugin; a step that does not do what it should ends the program."""
    image = np.load(file)
    application = QApplication.instance() or QApplication([])
    viewer, widget = opened()
    stack = np.stack([np.zeros_like(image), image])
    viewer.add_image(stack, rgb=True, name="cells", scale=(1, 0.5, 0.5))
    viewer.dims.set_current_step(0, 1)
    assert isinstance(widget, SegsortWidget)

    widget.teach(wait=True)
    assert "Segment an image first" in viewer.status
    widget._address.value = "http://127.0.0.1:9"
    widget.segment(wait=True)
    assert "could not be reached" in widget._status.value, widget._status.value
    widget._address.value = address
    widget.segment(wait=True)
    assert widget._status.value == "segmented", widget._status.value
    labels, marks = viewer.layers["cells segsort"], viewer.layers["cells marks"]
    assert labels.data.shape == marks.data.shape == image.shape[:2]
    assert labels.data.min() >= 1
    assert tuple(labels.scale[-2:]) == (0.5, 0.5)
    before = labels.data.copy()

    place = np.zeros(labels.ndim) + 10 * np.asarray(labels.scale)
    widget._explain(labels, SimpleNamespace(type="mouse_press", position=tuple(place)))
    assert "of the vote" in viewer.status, viewer.status

    widget.add_class("moss")
    number = marks.selected_label
    assert number == before.max() + 1 or number not in np.unique(before)
    marks.paint((20, 20), number)
    assert (marks.data == number).any()
    widget.teach(wait=True)
    assert "exemplars" in widget._status.value, widget._status.value
    assert labels.data[20, 20] == {name: one for one, (name, _) in widget.session.classes().items()}["moss"]
    assert not marks.data.any()
    assert (labels.data != before).any()
    application.processEvents()
    if isinstance(viewer, Viewer):
        viewer.screenshot(screenshot, canvas_only=False, flash=False)
    else:
        assert widget.native.grab().save(screenshot)

    widget.undo(wait=True)
    assert (labels.data == before).mean() > 0.99
    widget.teach(wait=True)
    assert "Nothing is painted" in widget._status.value

    widget.segment()  # beside the window
    wait_for(application, widget, "segmented")
    paint_while_marks_are_sent(application, widget, labels, marks)
    if isinstance(viewer, Viewer):
        viewer.close()
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
