#!/usr/bin/env python3
"""Many names, against dnsmasq on a port of its own, which asks a slow server in this file for some."""

import contextlib
import os
import re
import shutil
import socket
import threading

import demo
import services

DNSMASQ = shutil.which("dnsmasq", path=os.environ["PATH"] + ":/usr/sbin:/sbin")


class SlowServer:
    """Answers each question for an address with 10.1.2.3, 0.2 s later."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.waiting = self.most = 0
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            question, sender = self.socket.recvfrom(2000)
            if question == b"end":
                return
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            threading.Timer(0.2, self.answer, (question, sender)).start()

    def answer(self, question, sender):
        self.waiting -= 1
        end = question.index(b"\0", 12) + 5  # of the name, its type and class
        header = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + bytes([10, 1, 2, 3])
        self.socket.sendto(header + question[12:end] + record, sender)

    def end(self):
        self.socket.sendto(b"end", ("127.0.0.1", self.port))
        self.thread.join()
        for timer in threading.enumerate():
            if isinstance(timer, threading.Timer):
                timer.join()
        self.socket.close()


class DnsMassResolve(demo.Case):
    def setUp(self):
        self.slow = SlowServer()
        self.addCleanup(self.slow.end)
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        self.assertTrue(DNSMASQ, "dnsmasq is not there: ./dev setup installs it")

        def command(port):
            return [
                DNSMASQ, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=",
                "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1",
                f"--port={port}", "--user=", "--group=", "--cache-size=0",
                "--address=/quick.test/10.0.0.1",
                f"--server=/slow.test/127.0.0.1#{self.slow.port}",
                f"--server=/silent.test/127.0.0.1#{silent.getsockname()[1]}",
            ]

        self.port = self.enterContext(services.on_a_free_port(command, self.answers))

    def answers(self, port):
        question = b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\5quick\4test\0\0\1\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(0.2)
            peer.connect(("127.0.0.1", port))
            with contextlib.suppress(ConnectionRefusedError, TimeoutError):
                peer.send(question)
                return bool(peer.recv(2000))
        return False

    def resolve(self, seconds, *names):
        return self.run_demo(
            "dns_mass_resolve", f"127.0.0.1:{self.port}", seconds, *names,
            environment={"RES_OPTIONS": "timeout:30 attempts:1"},
        ).splitlines()

    def test_ten_names_are_asked_for_at_once(self):
        names = [f"host{number}.slow.test" for number in range(50)]
        said = self.resolve(demo.PATIENCE, *names)
        self.assertEqual(sorted(said[:-1]), sorted(f"{name}: 10.1.2.3" for name in names))
        self.assertEqual(said[-1], "50 of 50 answered in time")
        self.assertGreater(self.slow.most, 1)
        self.assertLessEqual(self.slow.most, 10)

    def test_what_gets_no_answer_is_given_up_and_the_rest_goes_on(self):
        said = self.resolve(5, "a.silent.test", "b.silent.test", "c.quick.test", "none.test")
        self.assertEqual(
            sorted(re.sub("none.test: .*", "none.test: error", line) for line in said),
            [
                "2 of 4 answered in time",
                "a.silent.test: no answer in time",
                "b.silent.test: no answer in time",
                "c.quick.test: 10.0.0.1",
                "none.test: error",
            ],
        )


if __name__ == "__main__":
    demo.main()
