"""Starts the demos as programs, talks to them, and stops them as a user would.

    class Echo(demo.Case):
        def test_it_says_back_what_it_hears(self):
            server = self.start("echoserver", "0")
            with server.connect() as peer: ...

A demo that a test has started is stopped by SIGINT at the test's end, and must then leave with
status 0, having written nothing on its standard error. ServerCase adds what every server must do.
Limits of time are there to end a test that hangs; they measure nothing.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

PROGRAMS = pathlib.Path(os.environ["DEMO_BIN_DIR"])
LISTENING = re.compile(r"listening on (?P<address>(?:127\.0\.0\.1:(?P<port>\d+)|unix:.+))")
PATIENCE = 60


class Demo:
    """A running demo and what it has said so far."""

    def __init__(self, name, *arguments, environment=None):
        self.name = name
        self.lines = []
        self._has_ended = False
        self._changed = threading.Condition()
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(PROGRAMS / name), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | (environment or {}),
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    @property
    def errors(self):
        """What it has written on its standard error."""
        if not self._errors.closed:
            self._errors.seek(0)
            self._error_text = self._errors.read().decode(errors="replace")
        return self._error_text

    def wait_for(self, pattern, count=1):
        """Waits until so many lines match, and returns the last one's match."""
        regex = re.compile(pattern)
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                found = [match for match in map(regex.search, self.lines) if match]
                if len(found) >= count:
                    return found[count - 1]
                if self._has_ended or not self._changed.wait(deadline - time.monotonic()):
                    why = "has ended" if self._has_ended else "keeps silent"
                    raise AssertionError(
                        f"{self.name} {why}, without {count} times {pattern!r}: "
                        f"{self.lines} {self.errors}"
                    )

    @property
    def address(self):
        """Where it listens, as it says it: 127.0.0.1:PORT or unix:PATH."""
        return self.wait_for(LISTENING.pattern)["address"]

    @property
    def port(self):
        return int(self.wait_for(LISTENING.pattern)["port"])

    def connect(self):
        if self.address.startswith("unix:"):
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(PATIENCE)
            peer.connect(self.address.removeprefix("unix:"))
            return peer
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def stop(self, number=signal.SIGINT):
        """Sends the signal unless the program has ended, and returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} does not end: {self.lines} {self.errors}") from None
        finally:
            self._reader.join()
            self.process.stdout.close()
            self._error_text = self.errors
            self._errors.close()


class Case(unittest.TestCase):
    def start(self, name, *arguments, environment=None):
        """Starts a demo, which is stopped and checked at the end of the test."""
        started = Demo(name, *arguments, environment=environment)
        self.addCleanup(self._end, started)
        return started

    def _end(self, started):
        status = started.stop()
        # After the status, so that a program that died says why.
        self.assertEqual(started.errors, "", f"on the standard error of {started.name}")
        self.assertEqual(status, 0, f"{started.name} said {started.lines}")

    def run_demo(self, name, *arguments, status=0, environment=None):
        """Runs a demo to its end, and returns its output; its standard error must be empty."""
        done = subprocess.run(
            [str(PROGRAMS / name), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | (environment or {}),
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def refused(self, name, *arguments):
        """Runs a demo that must refuse its arguments or circumstances: status and error line."""
        done = subprocess.run(
            [str(PROGRAMS / name), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.startswith(f"{name}: "), done.stderr)
        return done.returncode, done.stderr


class ServerCase(Case):
    """What every server must do, for a class that sets `server`, and `arguments` if the port is not
    the only one: "PORT" in it stands for the port."""

    server = None
    arguments = ("PORT",)

    def start_server(self, port=0, **options):
        return self.start(self.server, *self._with_port(port), **options)

    def _with_port(self, port):
        return [port if argument == "PORT" else argument for argument in self.arguments]

    def test_each_signal_stops_it_cleanly(self):
        for number in signal.SIGINT, signal.SIGTERM:
            with self.subTest(number.name):
                server = self.start_server()
                self.assertTrue(server.address)
                self.assertEqual(server.stop(number), 0)

    def test_a_taken_port_is_said_in_one_line(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            status, error = self.refused(self.server, *self._with_port(port))
        self.assertEqual(status, 1)
        self.assertIn(f"127.0.0.1:{port}: Address already in use", error)

    def test_a_word_for_a_port_is_refused(self):
        status, error = self.refused(self.server, *self._with_port("nonsense"))
        self.assertEqual(status, 2)
        self.assertIn("nonsense", error)


def main():
    unittest.main(module="__main__", verbosity=2)
