"""Just enough of a headless Chromium, over its DevTools protocol, to open the host's front end and look at it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

from .websocket import WebSocket


def find_browser() -> str | None:
    """CHROMIUM_PATH, else a Chromium or Chrome on the path."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM_PATH") or next(filter(None, map(shutil.which, names)), None)


# What is said of an expression whose page goes away while it is asked, or has none to be asked in yet.
GONE = ("Inspected target navigated", "Execution context was destroyed", "Cannot find default execution context")


class Browser:
    """One page of a headless browser with a profile of its own in `folder`."""

    def __init__(self, executable: str, folder: Path, size: tuple[int, int] = (1600, 900)):
        profile = folder / "profile"
        command = [executable, "--headless=new", f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        command += [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-allow-origins=*",
            "--mute-audio",
        ]
        command += [f"--window-size={size[0]},{size[1]}", "about:blank"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = profile / "DevToolsActivePort"
        self._wait(lambda: address.is_file() and address.read_text().strip(), 60, "the browser did not start")
        port = int(address.read_text().split()[0])
        pages = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30).read())
        path = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page").split("/", 3)[3]
        self._socket = WebSocket("127.0.0.1", port, f"/{path}", timeout=180)
        self._number = 0
        self.console: list[str] = []
        self.call("Runtime.enable")
        self.call("Page.enable")

    def call(self, method: str, **parameters) -> dict:
        """One protocol call; what the page wrote to its console on the way is kept in `console`."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.receive())
            if message.get("method") == "Runtime.consoleAPICalled":
                values = [str(part.get("value", part.get("description", ""))) for part in message["params"]["args"]]
                self.console.append(f"{message['params']['type']}: {' '.join(values)}")
            elif message.get("method") == "Runtime.exceptionThrown":
                self.console.append(f"exception: {message['params']['exceptionDetails']}")
            elif message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def evaluate(self, expression: str):
        """The value of a JavaScript expression, promises awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def reload(self) -> None:
        """Load the page again; returns when it is another document than before."""
        before = self._document()
        self.call("Page.reload")
        self._wait(lambda: self._document() != before, 60, "the page was not loaded again")

    def _document(self) -> str:
        """Changes with every loading of the page, and nothing that runs in the page can be too late to see it."""
        return self.call("Page.getFrameTree")["frameTree"]["frame"]["loaderId"]

    def wait_for(self, expression: str, seconds: float = 60):
        """The value of `expression` once it is true, of the page that is there by then."""

        def ask():
            try:
                return self.evaluate(expression)
            except RuntimeError as error:
                if any(words in str(error) for words in GONE):
                    return None
                raise

        return self._wait(ask, seconds, f"never true: {expression}")

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        self._socket.close()
        self.process.terminate()
        self.process.wait(20)

    @staticmethod
    def _wait(ask, seconds: float, complaint: str):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = ask()
            if value:
                return value
            time.sleep(0.5)
        raise TimeoutError(complaint)
