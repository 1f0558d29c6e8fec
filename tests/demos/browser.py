"""A real browser, by the WebDriver protocol over HTTP (www.w3.org/TR/webdriver2): Debian's chromium
without a window, driven by its chromedriver."""

import base64
import contextlib
import json
import os
import tempfile
import time
import urllib.error
import urllib.request

import services

PATIENCE = 60
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the standard's name of a reference to an element
FLAGS = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--hide-scrollbars", "--disable-background-networking", "--disable-component-update"]


class Browser:
    """One browser with windows; `page` is where its requests go."""

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            self.session = ""
            stack.enter_context(services.on_a_free_port(
                lambda port: ["chromedriver", f"--port={port}"], self._is_ready,
                {"TMPDIR": folder, "HOME": folder},
            ))
            # Chromium has no sandbox for root.
            flags = FLAGS + (["--no-sandbox"] if os.geteuid() == 0 else [])
            wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": flags}}
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self.session = "/session/" + made["sessionId"]
            stack.callback(self._ask, "DELETE", "")
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def _is_ready(self, port):
        self.base = f"http://127.0.0.1:{port}"
        with contextlib.suppress(urllib.error.URLError):
            return self._ask("GET", "/status")["ready"]
        return False

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + self.session + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:500]}") from None

    def _wait(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("the browser keeps us waiting")
            time.sleep(0.05)

    def open(self, url):
        """Opens a page in a window of its own, and gives the window."""
        window = self._ask("POST", "/window/new", {"type": "window"})["handle"]
        self.look_at(window)
        self._ask("POST", "/window/rect", {"width": 640, "height": 590})
        self._ask("POST", "/url", {"url": url})
        return window

    def look_at(self, window):
        self._ask("POST", "/window", {"handle": window})

    def _find(self, css):
        found = self._ask("POST", "/element", {"using": "css selector", "value": css})
        return f"/element/{found[ELEMENT]}"

    def type(self, css, text):
        self._ask("POST", self._find(css) + "/value", {"text": text})

    def click(self, css):
        self._ask("POST", self._find(css) + "/click", {})

    def text(self, css):
        return self._ask("GET", self._find(css) + "/text")

    def wait_for_text(self, css, wanted):
        self._wait(lambda: wanted in self.text(css))

    def screenshot(self):
        return base64.b64decode(self._ask("GET", "/screenshot"))
