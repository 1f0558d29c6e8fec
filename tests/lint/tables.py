#!/usr/bin/env python3
"""Checks that the shim's tables are complete: every system call and every function of libc that may
block has its row, and docs/limits.md says what each call that is only passed on means.

tables.py SOURCE_ROOT

Two lists beside this file say what may block and what need not be tabled. Besides, libc itself is
asked: a function whose own text makes a call of class park or offload, and every further name of a
listed function, has to be in the list (but for _IO_*, which no header declares any more).
"""

import pathlib
import re
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "interpose"))
import generate  # noqa: E402

LIBC = "/lib/x86_64-linux-gnu/libc.so.6"
NUMBERS = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
WAITING = ("park", "offload")


def sections(path):
    """Yields (line number, section, line) of each line that says something."""
    section = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line:
            yield number, section, line


def syscall_numbers():
    text = pathlib.Path(NUMBERS).read_text(encoding="utf-8")
    return {int(n): name for name, n in re.findall(r"#define __NR_(\w+)\s+(\d+)", text)}


def check_syscalls(table, names):
    path = HERE / "other_syscalls.txt"
    others = {}
    for number, section, line in sections(path):
        for name in line.split():
            if name in others or name in table:
                yield f"{path}:{number}: {name} is tabled already"
            others[name] = section
    for name in sorted(names - set(table) - set(others)):
        yield f"{path}: system call {name} is neither here nor in syscalls.def"
    for name in sorted(set(others) - names):
        yield f"{path}: there is no system call {name}"


def read_blocking(path):
    """The list: [(line number, section, names, system calls)], and its problems."""
    rows, problems = [], []
    for number, section, line in sections(path):
        fields = line.split()
        if len(fields) < 3 or not re.fullmatch(r"[\w.]+\(\d\)", fields[-1]):
            problems.append(f"{path}:{number}: expected `names system-calls manual(section)`")
            continue
        rows.append((number, section, fields[0].split(","), fields[1:-1]))
    return rows, problems


def check_blocking(path, rows, table, exported):
    seen = set()
    for number, section, names, calls in rows:
        for name in names:
            if name in seen:
                yield f"{path}:{number}: {name} is listed twice"
            seen.add(name)
            if (name in exported) != (section == "exported"):
                yield f"{path}:{number}: {name} is {'' if name in exported else 'not '}in symbols.def"
        for call in calls:
            if call not in table:
                yield f"{path}:{number}: {names[0]} blocks in {call}, which has no row in syscalls.def"


class Libc:
    """What its dynamic symbols are, and the bytes of each."""

    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        self.segments = []
        for line in self.readelf("-lW", path):
            fields = line.split()
            if fields[:1] == ["LOAD"]:
                self.segments.append([int(fields[i], 16) for i in (1, 2, 4)])
        self.functions = {}  # (address, size): names
        for line in self.readelf("-W", "--dyn-syms", path):
            fields = line.split()
            if len(fields) < 8 or fields[3] not in ("FUNC", "IFUNC") or fields[6] == "UND":
                continue
            name, _, version = fields[7].partition("@")
            if "PRIVATE" not in version:
                where = (int(fields[1], 16), int(fields[2], 0))
                self.functions.setdefault(where, set()).add(name)

    @staticmethod
    def readelf(*arguments):
        return subprocess.run(["readelf", *arguments], capture_output=True, text=True,
                              check=True).stdout.splitlines()

    def text(self, address, size):
        for offset, start, length in self.segments:
            if start <= address < start + length:
                return self.data[address - start + offset:][:size]
        return b""

    def calls(self, address, size):
        """Numbers of the system calls that a function's own text makes, the plain pattern only."""
        text = self.text(address, size)
        found = {struct.unpack("<I", m[1])[0] for m in re.finditer(rb"\xb8(....)\x0f\x05", text, re.S)}
        return found | ({0} if b"\x31\xc0\x0f\x05" in text else set())


def check_against_libc(path, rows, table, names_of_numbers):
    libc = Libc(LIBC)
    listed = {name for _, _, names, _ in rows for name in names}
    known = set().union(*libc.functions.values())
    for name in sorted(listed - known - {"pthread_yield"}):
        yield f"{path}: libc has no function {name}"
    for where, names in libc.functions.items():
        missing = {name for name in names - listed if not name.startswith("_IO_")}
        if names & listed and missing:
            yield f"{path}: {', '.join(sorted(missing))} is another name of {min(names & listed)}"
        waits = {names_of_numbers.get(n) for n in libc.calls(*where)}
        waits = {w for w in waits if w in table and table[w] in WAITING}
        if waits and not names & listed:
            yield f"{path}: {min(names)} makes the system call {', '.join(waits)}, and is not listed"


def check_limits(path, table):
    """Each row that is only passed on is in the limits' table of such calls, and no other one."""
    text = path.read_text(encoding="utf-8")
    told = {name for line in text.splitlines() if line.startswith("| `")
            for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    wanted = {name for name, cls in table.items() if cls in ("forward", "block")}
    for name in sorted(wanted - told):
        yield f"{path}: says nothing of {name}, which is passed on"
    for name in sorted(told - wanted):
        yield f"{path}: {name} is not passed on by syscalls.def"


def main():
    root = pathlib.Path(sys.argv[1])
    table = {row.name: row.cls for row in generate.parse_syscalls(root / "interpose/syscalls.def")}
    exported = set(generate.exported_names(generate.parse_symbols(root / "interpose/symbols.def")))
    path = HERE / "blocking_symbols.txt"
    rows, problems = read_blocking(path)
    numbers = syscall_numbers()
    problems += [
        *check_syscalls(table, set(numbers.values())),
        *check_blocking(path, rows, table, exported),
        *check_against_libc(path, rows, table, numbers),
        *check_limits(root / "docs/limits.md", table),
    ]
    waiting = sum(cls in WAITING for cls in table.values())
    print("\n".join(problems) or f"{len(table)} system calls are tabled, {waiting} of which wait, and "
          f"{sum(len(names) for _, _, names, _ in rows)} functions that may block")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
