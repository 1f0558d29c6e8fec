#!/usr/bin/env python3
"""The port forwarder, in front of the echo server: what passes, and how it is drained."""

import random
import signal
import socket
import threading

import demo


class Portforwarder(demo.ServerCase):
    server = "portforwarder"

    def setUp(self):
        self.target = self.start("echoserver", "0")
        self.arguments = ("PORT", self.target.address)

    def say_and_hear(self, peer, data):
        writer = threading.Thread(target=peer.sendall, args=(data,))
        writer.start()
        heard = bytearray()
        while len(heard) < len(data):
            got = peer.recv(1 << 20)
            self.assertTrue(got, "it has hung up")
            heard += got
        writer.join()
        self.assertTrue(heard == data)

    def test_both_directions_pass_at_the_same_time(self):
        server = self.start_server()
        data = random.Random(3).randbytes(5_000_000)
        with server.connect() as peer, server.connect() as idle:
            self.say_and_hear(peer, data)
            self.say_and_hear(idle, b"hello")
            peer.shutdown(socket.SHUT_WR)  # passes, and the echo server hangs up
            self.assertEqual(peer.recv(1), b"")
            self.target.wait_for("^- .*clients: 1")

    def test_sigterm_lets_the_connections_end(self):
        server = self.start_server()
        with server.connect() as peer:
            self.say_and_hear(peer, b"before")
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("^draining, connections: 1$")
            self.say_and_hear(peer, b"meanwhile")
            with self.assertRaises(ConnectionRefusedError):
                # The listening socket goes as soon as the fiber that accepts has had its turn.
                for _ in range(1000):
                    server.connect().close()
            self.assertIsNone(server.process.poll())
        self.assertEqual(server.wait(), 0)
        self.assertEqual(server.lines[-1], "drained")

    def test_a_second_signal_cuts_them_off(self):
        server = self.start_server()
        with server.connect() as peer:
            self.say_and_hear(peer, b"before")
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("^draining, connections: 1$")
            self.assertEqual(server.stop(signal.SIGTERM), 0)
            self.assertEqual(server.lines[-1], "cut off")
            self.assertEqual(peer.recv(1), b"")

    def test_a_target_that_is_not_there_is_said(self):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self.arguments = ("PORT", f"127.0.0.1:{unused.getsockname()[1]}")
        server = self.start_server()
        with server.connect() as peer:
            self.assertEqual(peer.recv(1), b"")
        server.wait_for("connect: Connection refused")


if __name__ == "__main__":
    demo.main()
