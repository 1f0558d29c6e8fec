#!/usr/bin/env python3
"""The two servers of twenty lines, and that the README shows them as they are."""

import http.client
import os
import pathlib

import demo

ROOT = pathlib.Path(os.environ["PROJECT_SOURCE_DIR"])


class InTheReadme:
    def test_the_readme_shows_all_of_its_twenty_lines(self):
        text = (ROOT / "demos" / f"{self.server}.cc").read_text(encoding="utf-8")
        self.assertLessEqual(len(text.splitlines()), 20)
        self.assertIn(f"```cpp\n{text}```\n", (ROOT / "README.md").read_text(encoding="utf-8"))

    def test_a_word_for_a_port_is_refused(self):
        status, error = self.refused(self.server, "nonsense")
        self.assertEqual(status, 1)
        self.assertIn("nonsense", error)


class Echo(InTheReadme, demo.ServerCase):
    server = "echo"

    def test_many_clients_are_served_at_once(self):
        server = self.start_server()
        with server.connect() as first, server.connect() as second:
            second.sendall(b"second")
            self.assertEqual(second.recv(100), b"second")
            first.sendall(b"first")
            self.assertEqual(first.recv(100), b"first")


class HelloHttp(InTheReadme, demo.ServerCase):
    server = "hello_http"

    def test_it_says_hello_to_each_request_of_a_connection(self):
        peer = http.client.HTTPConnection("127.0.0.1", self.start_server().port, demo.PATIENCE)
        for _ in range(3):
            peer.request("GET", "/")
            answer = peer.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, b"hello\n"))
        peer.close()

    def test_a_client_that_says_nothing_holds_up_nobody(self):
        server = self.start_server()
        with server.connect() as slow, server.connect() as quick:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: slow\r")
            quick.sendall(b"GET / HTTP/1.1\r\nHost: quick\r\n\r\n")
            self.assertTrue(quick.recv(1000).endswith(b"hello\n"))
            slow.sendall(b"\n\r\n")
            self.assertTrue(slow.recv(1000).endswith(b"hello\n"))


if __name__ == "__main__":
    demo.main()
