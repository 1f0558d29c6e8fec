#!/usr/bin/env python3
"""The file server: files arrive intact, others don't get out, slow readers hold up nobody."""

import http.client
import pathlib
import random
import socket
import tempfile

import demo


class SendfileServer(demo.ServerCase):
    server = "sendfile_server"

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name, "site")
        (self.folder / "sub").mkdir(parents=True)
        (self.folder.parent / "secret").write_text("secret", encoding="utf-8")
        self.data = random.Random(2).randbytes(20_000_000)
        (self.folder / "large").write_bytes(self.data)
        (self.folder / "empty").touch()
        (self.folder / "sub" / "small").write_text("small\n", encoding="utf-8")
        self.arguments = ("PORT", self.folder)

    def ask(self, peer, path):
        peer.request("GET", path)
        answer = peer.getresponse()
        return answer.status, answer.read()

    def http(self, server):
        peer = http.client.HTTPConnection("127.0.0.1", server.port, demo.PATIENCE)
        self.addCleanup(peer.close)
        return peer

    def test_files_arrive_as_they_are_over_one_connection(self):
        peer = self.http(self.start_server())
        for path, body in ("/large", self.data), ("/empty", b""), ("/sub/small", b"small\n"):
            status, got = self.ask(peer, path)
            self.assertEqual(status, 200, path)
            self.assertTrue(got == body, path)

    def test_what_is_no_file_of_the_folder_is_not_found(self):
        peer = self.http(self.start_server())
        for path in "/", "/sub", "/none", "/../secret", "/sub/../../secret", "//etc/passwd":
            self.assertEqual(self.ask(peer, path), (404, b"not found\n"), path)

    def test_readers_that_stand_still_hold_up_nobody(self):
        server = self.start_server()
        slow = [server.connect() for _ in range(5)]
        for peer in slow:
            self.addCleanup(peer.close)
            peer.sendall(b"GET /large HTTP/1.1\r\n\r\n")
            self.assertEqual(peer.recv(8), b"HTTP/1.1")
        self.assertTrue(self.ask(self.http(server), "/large") == (200, self.data))
        rest = b""
        slow[0].shutdown(socket.SHUT_WR)
        with slow[0].makefile("rb") as file:
            rest = file.read()
        self.assertTrue(rest.endswith(self.data[-1000:]))

    def test_a_reader_that_goes_away_harms_nobody(self):
        server = self.start_server()
        with server.connect() as peer:
            peer.sendall(b"GET /large HTTP/1.1\r\n\r\n")
            peer.recv(8)
        server.wait_for("a client was lost")
        self.assertEqual(self.ask(self.http(server), "/sub/small"), (200, b"small\n"))


if __name__ == "__main__":
    demo.main()
