#!/usr/bin/env python3
"""The console into a running program."""

import pathlib
import re
import stat
import tempfile

import demo


class Backdoor(demo.Case):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = pathlib.Path(scratch.name, "door")
        self.program = self.start("backdoor", self.path)
        self.assertEqual(self.program.address, f"unix:{self.path}")

    def open(self):
        peer = self.program.connect()
        lines = peer.makefile("rwb", buffering=0)
        self.addCleanup(peer.close)
        self.addCleanup(lines.close)
        return lines

    def ask(self, console, command, lines=1):
        console.write(command.encode() + b"\n")
        return [console.readline().decode().rstrip("\n") for _ in range(lines)]

    def workers(self, console):
        count = int(self.ask(console, "stats")[0].split()[0])
        shown = self.ask(console, "fibers", count)
        found = [re.fullmatch(r'(\d+) "(.*)" of (\d+), [\d.e-]+ s', line) for line in shown]
        self.assertTrue(all(found), shown)
        return [int(one[1]) for one in found if one[2] == "worker"]

    def test_the_file_is_its_owners(self):
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_it_shows_fibers_and_cancels_one(self):
        console = self.open()
        workers = self.workers(console)
        self.assertEqual(len(workers), 4)
        self.assertEqual(self.ask(console, f"cancel {workers[1]}"), ["cancelled"])
        self.assertEqual(self.workers(console), workers[:1] + workers[2:])
        self.assertEqual(self.ask(console, f"cancel {workers[1]}"), ["no such worker"])

    def test_it_shows_that_the_program_goes_on_and_changes_it(self):
        console = self.open()
        self.assertEqual(self.ask(console, "pause 1"), ["pause is 1 ms"])
        last = -1
        for _ in range(3):
            while True:
                counted = int(self.ask(console, "stats")[0].rsplit(" ", 1)[1])
                if counted > last:
                    break
            last = counted

    def test_two_consoles_at_once_and_words_that_it_does_not_know(self):
        first, second = self.open(), self.open()
        for console in second, first:
            self.assertTrue(self.ask(console, "what?")[0].startswith("commands: "))
        first.write(b"quit\n")
        self.assertEqual(first.readline(), b"")
        self.assertTrue(self.ask(second, "pause 0")[0].startswith("commands: "))


if __name__ == "__main__":
    demo.main()
