#!/usr/bin/env python3
"""The server on a socket in the file system, and its client."""

import os
import pathlib
import signal
import socket
import tempfile

import demo


class UnixServer(demo.Case):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = pathlib.Path(scratch.name, "socket")

    def test_each_signal_stops_it_and_removes_the_file(self):
        for number in signal.SIGINT, signal.SIGTERM:
            server = self.start("unix_server", self.path)
            self.assertEqual(server.address, f"unix:{self.path}")
            self.assertTrue(self.path.is_socket())
            self.assertEqual(server.stop(number), 0)
            self.assertFalse(self.path.exists())

    def test_a_path_on_which_another_one_listens_is_said_in_one_line(self):
        self.assertTrue(self.start("unix_server", self.path).address)
        status, error = self.refused("unix_server", self.path)
        self.assertEqual(status, 1)
        self.assertIn(f"{self.path}: Address already in use", error)

    def test_the_file_of_a_dead_server_is_replaced(self):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))
        server = self.start("unix_server", self.path)
        self.assertTrue(server.address)
        self.assertIn("HELLO", self.run_demo("unix_client", self.path, "hello"))

    def test_it_knows_who_calls(self):
        server = self.start("unix_server", self.path)
        with server.connect() as peer, peer.makefile("rb") as lines:
            self.assertEqual(lines.readline(), b"hello, process %d\n" % os.getpid())
            server.wait_for(f"process {os.getpid()} of user {os.getuid()}")
            peer.sendall(b"one\ntwo\n")
            self.assertEqual([lines.readline(), lines.readline()], [b"ONE\n", b"TWO\n"])

    def test_the_client_sends_and_hears_many_lines_at_once(self):
        self.assertTrue(self.start("unix_server", self.path).address)
        sent = [f"line {number} " + "x" * 1000 for number in range(1000)]
        said = self.run_demo("unix_client", self.path, *sent).splitlines()
        self.assertEqual(said[1:], [line.upper() for line in sent])

    def test_the_client_says_that_there_is_no_server(self):
        status, error = self.refused("unix_client", self.path, "hello")
        self.assertEqual(status, 1)
        self.assertIn("No such file or directory", error)


if __name__ == "__main__":
    demo.main()
