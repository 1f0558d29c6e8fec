#!/usr/bin/env python3
"""The UDP server and its client."""

import socket
import time

import demo


class UdpServer(demo.ServerCase):
    server = "udp_server"

    def test_a_taken_port_is_said_in_one_line(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            port = other.getsockname()[1]
            status, error = self.refused(self.server, port)
        self.assertEqual(status, 1)
        self.assertIn(f"127.0.0.1:{port}: Address already in use", error)

    def test_answers_that_take_a_while_delay_no_other_one(self):
        server = self.start_server()
        begin = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(demo.PATIENCE)
            wanted = set()
            for number in range(100):
                text = b"x" * number
                peer.sendto(text, ("127.0.0.1", server.port))
                wanted.add(b"got %d bytes: %s" % (number, text))
            heard = {peer.recv(2048) for _ in range(100)}
        self.assertEqual(heard, wanted)
        self.assertLess(time.monotonic() - begin, 8, "one after the other takes 10 s")


class UdpClient(demo.Case):
    def test_it_prints_an_answer_to_each_word(self):
        server = self.start("udp_server", "0")
        words = [f"word{number}" for number in range(50)]
        said = self.run_demo("udp_client", server.port, *words)
        self.assertEqual(
            sorted(said.splitlines()), sorted(f"got {len(word)} bytes: {word}" for word in words)
        )

    def test_it_asks_again_when_a_datagram_was_lost(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.settimeout(demo.PATIENCE)
            client = self.start("udp_client", server.getsockname()[1], "hello")
            server.recv(100)  # and no answer
            text, sender = server.recvfrom(100)
            server.sendto(b"heard " + text, sender)
            self.assertEqual(client.wait(), 0)
        self.assertEqual(client.lines[-1], "heard hello")

    def test_it_gives_up_when_nobody_answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            status, error = self.refused("udp_client", silent.getsockname()[1], "hello")
        self.assertEqual(status, 1)
        self.assertIn('no answer to "hello"', error)


if __name__ == "__main__":
    demo.main()
