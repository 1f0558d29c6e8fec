#!/usr/bin/env python3
"""The web chats, used in a real browser: two windows exchange messages.

RAMIE_SCREENSHOT=FILE keeps a picture of the WebSocket chat, as in docs/images.
"""

import os
import pathlib

import demo
from browser import Browser


class BrowserChat(demo.Case):
    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(Browser())

    def enter(self, server, name):
        window = self.browser.open(f"http://127.0.0.1:{server.port}/")
        self.browser.type("#name", name)
        self.browser.click("#enter button")
        self.browser.wait_for_text("#state", f"Connected as {name}.")
        return window

    def say(self, window, text):
        self.browser.look_at(window)
        self.browser.type("#text", text)
        self.browser.click("#talk button")

    def hears(self, window, line):
        self.browser.look_at(window)
        self.browser.wait_for_text("#lines", line)

    def talk(self, server):
        anna, bert = self.enter(server, "Anna"), self.enter(server, "Bert")
        self.say(anna, "Hello, is anybody there?")
        self.hears(bert, "Anna: Hello, is anybody there?")
        self.say(bert, "Yes, on the next fiber. You, too?")
        self.hears(anna, "Bert: Yes, on the next fiber. You, too?")
        self.say(anna, "Certainly, and all on one thread.")
        self.hears(bert, "Anna: Certainly, and all on one thread.")
        self.assertEqual(self.browser.text("#lines").count("Certainly"), 1)

    def test_two_windows_talk_by_websockets(self):
        server = self.start("websocket_chat", 0)
        self.talk(server)
        picture = self.browser.screenshot()
        self.assertTrue(picture.startswith(b"\x89PNG"))
        if "RAMIE_SCREENSHOT" in os.environ:
            pathlib.Path(os.environ["RAMIE_SCREENSHOT"]).write_bytes(picture)
        self.browser.type("#text", "<b>bold</b> &amp;")  # shown as it was typed
        self.browser.click("#talk button")
        self.browser.wait_for_text("#lines", "Bert: <b>bold</b> &amp;")
        self.assertEqual(server.stop(), 0)
        self.browser.wait_for_text("#state", "The connection is closed.")

    def test_two_windows_talk_by_long_polls(self):
        server = self.start("long_poll_chat", 0)
        self.talk(server)
        self.assertEqual(server.stop(), 0)
        self.browser.wait_for_text("#state", "The connection is closed.")


if __name__ == "__main__":
    demo.main()
