#!/usr/bin/env python3
"""The echo server: contents, many clients at a time, clients that go away."""

import contextlib
import random
import socket
import struct

import demo


class EchoServer(demo.ServerCase):
    server = "echoserver"

    def test_it_says_back_what_it_hears(self):
        data = random.Random(1).randbytes(3_000_000)
        with self.start_server().connect() as peer:
            heard = bytearray()
            for begin in range(0, len(data), 100_000):
                part = data[begin:begin + 100_000]
                peer.sendall(part)
                while len(heard) < begin + len(part):
                    got = peer.recv(1 << 20)
                    self.assertTrue(got, "the server has hung up")
                    heard += got
            self.assertEqual(bytes(heard), data)
            peer.shutdown(socket.SHUT_WR)
            self.assertEqual(peer.recv(1), b"")

    def test_a_client_that_says_nothing_holds_up_nobody(self):
        server = self.start_server()
        with contextlib.ExitStack() as open_peers:
            peers = [open_peers.enter_context(server.connect()) for _ in range(200)]
            for number, peer in reversed(list(enumerate(peers[1:]))):
                peer.sendall(b"%d\n" % number)
            for number, peer in enumerate(peers[1:]):
                self.assertEqual(peer.makefile("rb").readline(), b"%d\n" % number)
            server.wait_for("clients: 200")

    def test_a_client_that_goes_away_in_the_middle_harms_nobody(self):
        server = self.start_server()
        with server.connect() as rude:
            rude.sendall(b"x" * 100_000)
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.wait_for("^- .*clients: 0")
        with server.connect() as peer:
            peer.sendall(b"hello")
            self.assertEqual(peer.recv(100), b"hello")

    def test_a_stop_waits_for_nobody_for_ever(self):
        server = self.start_server()
        with server.connect() as peer:
            peer.sendall(b"hello")
            self.assertEqual(peer.recv(100), b"hello")
            self.assertEqual(server.stop(), 0)
            self.assertEqual(peer.recv(1), b"")


if __name__ == "__main__":
    demo.main()
