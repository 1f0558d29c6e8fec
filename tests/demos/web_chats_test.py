#!/usr/bin/env python3
"""The chats over HTTP: by WebSockets, on several servers through Redis, and by late answers."""

import concurrent.futures
import contextlib
import urllib.request

import demo
import services
from websocket import WebSocket


class WebSocketChat(demo.ServerCase):
    server = "websocket_chat"

    def enter(self, server, name):
        client = self.enterContext(WebSocket(server.port))
        client.send(name)
        client.receive_until(f"* {name} has come")
        return client

    def hear(self, member, expected):
        """Takes messages until it has heard them all, in any order."""
        missing = set(expected)
        while missing:
            message = member.receive()
            self.assertIsNotNone(message, f"the end, and {missing} not heard")
            missing.discard(message)

    def test_everybody_hears_everybody(self):
        server = self.start_server()
        members = [self.enter(server, f"member {i}") for i in range(50)]
        for i, member in enumerate(members):
            member.send(f"hello from {i}")
        for member in members:
            self.hear(member, (f"member {i}: hello from {i}" for i in range(50)))

    def test_many_lines_at_once_reach_who_listens(self):
        server = self.start_server()
        anna, bert = self.enter(server, "anna"), self.enter(server, "bert")
        bert.send_all(map(str, range(1000)))
        self.hear(anna, (f"bert: {i}" for i in range(1000)))

    def test_who_comes_late_hears_what_was_said(self):
        server = self.start_server()
        self.enter(server, "anna").send("is anybody here?")
        server.wait_for("anna: is")
        with WebSocket(server.port) as late:
            late.send("bert")
            self.assertEqual(late.receive_until("* bert has come"),
                             ["* anna has come", "anna: is anybody here?"])

    def test_who_leaves_or_is_lost_is_said(self):
        server = self.start_server()
        anna, bert, cleo = (self.enter(server, name) for name in ("anna", "bert", "cleo"))
        bert.close()
        anna.receive_until("* bert has left")
        cleo.abort()
        anna.receive_until("* cleo has left")

    def test_pings_are_answered_between_long_messages(self):
        server = self.start_server()
        anna, bert = self.enter(server, "anna"), self.enter(server, "bert")
        text = "x" * 30_000
        for _ in range(20):
            bert.send(text)
            anna.ping(b"are you there?")
        heard = [anna.receive() for _ in range(41)]
        self.assertEqual(heard.count("bert: " + text), 20)
        self.assertEqual(heard.count(("pong", b"are you there?")), 20)

    def test_who_does_not_listen_holds_up_nobody_and_is_thrown_out(self):
        server = self.start_server()
        self.enter(server, "deaf")
        anna = self.enter(server, "anna")
        text = "x" * 60_000
        heard = []
        for _ in range(2000):  # more than the sockets of any system hold
            anna.send(text)
            heard += anna.receive_until("anna: " + text)
            if heard:
                break
        self.assertEqual(heard, ["* deaf has left"])

    def test_other_paths_are_not_there(self):
        server = self.start_server()
        with self.assertRaisesRegex(urllib.error.HTTPError, "404"):
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/other")


class DistributedChat(WebSocketChat):
    server = "distributed_chat"
    arguments = ("PORT", "REDIS")

    @classmethod
    def setUpClass(cls):
        cls.redis = cls.enterClassContext(services.redis())

    def _with_port(self, port):
        return [port, self.redis]

    def test_who_leaves_or_is_lost_is_said(self):
        first, second = self.start_server(), self.start_server()
        anna, bert = self.enter(first, "anna"), self.enter(second, "bert")
        bert.send("hello over there")
        anna.receive_until("bert: hello over there")
        anna.send("hello back")
        bert.receive_until("anna: hello back")
        bert.abort()
        anna.receive_until("* bert has left")

    def test_a_missing_redis_is_said_in_one_line(self):
        status, error = self.refused(self.server, 0, services.free_port())
        self.assertEqual(status, 1)
        self.assertIn("Connection refused", error)

    def test_it_ends_with_its_redis(self):
        with services.redis() as port:
            server = demo.Demo(self.server, 0, port)
            self.assertTrue(server.address)
        self.assertEqual(server.wait(), 1)
        self.assertRegex(server.errors, "^distributed_chat: Redis: .*\n$")


class LongPollChat(demo.ServerCase):
    server = "long_poll_chat"

    def ask(self, server, path, said=None):
        url = f"http://127.0.0.1:{server.port}{path}"
        with urllib.request.urlopen(url, said, timeout=demo.PATIENCE) as answer:
            return answer.read().decode()

    def test_100_requests_wait_for_one_line(self):
        server = self.start_server()
        with concurrent.futures.ThreadPoolExecutor(100) as clients:
            waiting = [clients.submit(self.ask, server, "/wait?after=0") for _ in range(100)]
            self.assertEqual(self.ask(server, "/say", b"anna: hello"), "said\n")
            self.assertEqual({one.result() for one in waiting}, {"1\nanna: hello\n"})
        self.ask(server, "/say", b"bert: hi")
        self.assertEqual(self.ask(server, "/wait?after=1"), "2\nbert: hi\n")
        self.assertEqual(self.ask(server, "/wait?after=0"), "2\nanna: hello\nbert: hi\n")

    def test_a_stop_does_not_wait_for_those_who_wait(self):
        server = self.start_server()
        with server.connect() as peer:
            peer.sendall(b"GET /wait?after=0 HTTP/1.1\r\nHost: test\r\n\r\n")
            self.assertIn("hello", self.ask(server, "/").replace("Ramie chat", "hello"))
            self.assertEqual(server.stop(), 0)
            with contextlib.suppress(ConnectionError):
                self.assertEqual(peer.recv(1000), b"")


if __name__ == "__main__":
    demo.main()
