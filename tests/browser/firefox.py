"""Firefox by WebDriver BiDi, the protocol that Firefox itself speaks. Playwright needs a Firefox of its own making.

https://www.w3.org/TR/webdriver-bidi/
"""

import base64
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

LISTENING = "WebDriver BiDi listening on "
PATIENCE = 60.0  # seconds, for everything that a test waits for
FIND = """(selector, text) => [...document.querySelectorAll(selector)]
  .find((one) => one.checkVisibility() && one.textContent.includes(text)) ?? null"""
MIDDLE = """(element) => {
  element.scrollIntoView({ block: "nearest" });
  const box = element.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
}"""


class FirefoxError(RuntimeError):
    """Firefox refused a command, did not start, or something that was waited for did not happen."""


class FirefoxPage:
    """One tab of Firefox.

    Args:
        socket: a connection to Firefox.

    Attributes:
        faults: the errors of scripts so far.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.faults: list[str] = []
        self.send("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": False}})
        self.send("session.subscribe", events=["log.entryAdded"])
        self.tab = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def send(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result.

        Raises:
            FirefoxError: if Firefox refuses the command.
        """
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("method") == "log.entryAdded":
                self._note(message["params"])
            elif message.get("id") == self._number:
                if message["type"] == "error":
                    raise FirefoxError(f"{method}: {message['error']}: {message['message']}")
                return message["result"]

    def _note(self, entry: dict[str, Any]) -> None:
        if entry["type"] == "javascript" and entry["level"] == "error":
            self.faults.append(entry["text"])

    def resize(self, width: int, height: int) -> None:
        """Set the size of the page, CSS pixels."""
        size = {"width": width, "height": height}
        self.send("browsingContext.setViewport", context=self.tab, viewport=size)

    def open(self, url: str) -> None:
        """Load a page and wait until all its files are loaded."""
        self.send("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a JavaScript function in the page.

        Args:
            function: source of a function.
            arguments: numbers, strings, and elements that `find` returned.

        Returns:
            What the function returns, as numbers, strings, lists or an element.

        Raises:
            FirefoxError: if the function throws.
        """
        done = self.send(
            "script.callFunction",
            functionDeclaration=function,
            arguments=[_to_remote(one) for one in arguments],
            target={"context": self.tab},
            awaitPromise=True,
        )
        if done["type"] == "exception":
            raise FirefoxError(done["exceptionDetails"]["text"])
        return _from_remote(done["result"])

    def find(self, selector: str, text: str = "") -> dict[str, Any]:
        """Wait for a visible element that matches a CSS selector and contains a text.

        Raises:
            FirefoxError: if there is none within PATIENCE.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if (element := self.call(FIND, selector, text)) is not None:
                assert isinstance(element, dict)
                return element
            time.sleep(0.1)
        raise FirefoxError(f"no visible element matches {selector!r} with the text {text!r}")

    def text(self, selector: str) -> str:
        """The text of the first visible element that matches."""
        return str(self.call("(element) => element.innerText", self.find(selector)))

    def wait_until(self, function: str, *arguments: Any) -> None:
        """Wait until a JavaScript function returns true.

        Raises:
            FirefoxError: if it does not within PATIENCE.
        """
        end = time.monotonic() + PATIENCE
        while self.call(function, *arguments) is not True:
            if time.monotonic() > end:
                raise FirefoxError(f"this did not become true: {function}")
            time.sleep(0.1)

    def click(self, selector: str, text: str = "") -> None:
        """Click in the middle of an element."""
        self.drag([self.call(MIDDLE, self.find(selector, text))])

    def drag(self, points: Sequence[Sequence[float]]) -> None:
        """Press the mouse's button at the first point, go through the others, and release it. CSS pixels."""
        moves = [
            {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 20, "origin": "viewport"}
            for x, y in points
        ]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        self.send("input.performActions", context=self.tab, actions=[mouse])

    def type(self, text: str) -> None:
        """Press and release the key of each character."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.send(
            "input.performActions", context=self.tab, actions=[{"type": "key", "id": "keyboard", "actions": actions}]
        )

    def choose_files(self, selector: str, *files: Path) -> None:
        """Give files to an input, which need not be visible."""
        element = self.call("(selector) => document.querySelector(selector)", selector)
        self.send("input.setFiles", context=self.tab, element=element, files=[str(file) for file in files])

    def screenshot(self, path: Path) -> None:
        """Save what the window shows as a PNG file."""
        data = self.send("browsingContext.captureScreenshot", context=self.tab)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))


def _to_remote(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value  # an element
    return {"type": "number" if isinstance(value, int | float) else "string", "value": value}


def _from_remote(value: dict[str, Any]) -> Any:
    if value["type"] == "array":
        return [_from_remote(one) for one in value["value"]]
    return {"sharedId": value["sharedId"]} if value["type"] == "node" else value.get("value")


@contextmanager
def running_firefox(path: str, folder: Path) -> Iterator[FirefoxPage]:
    """Run Firefox without a window until the block ends.

    Args:
        path: of the program.
        folder: an empty folder for its profile.

    Raises:
        FirefoxError: if Firefox ends, or does not listen within PATIENCE.
    """
    (folder / "user.js").write_text(
        'user_pref("ui.prefersReducedMotion", 1);\nuser_pref("app.update.enabled", false);\n'
    )
    command = [path, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0"]
    log = folder / "firefox.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
    try:
        with connect(f"{_address(process, log)}/session", max_size=None, compression=None) as socket:
            yield FirefoxPage(socket)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that Firefox writes when it listens."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if LISTENING in line:
                return line.partition(LISTENING)[2].strip()
        time.sleep(0.1)
    raise FirefoxError(f"{process.args!r} does not listen, exit status {process.poll()}:\n{log.read_text()[-2000:]}")
