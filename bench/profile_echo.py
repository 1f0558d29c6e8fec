#!/usr/bin/env python3
"""Where the CPU time of the echo servers goes, at 1,000 connections: a page for docs/bench.

    profile_echo.py BUILD_DIR [CONNECTIONS]

Wants perf, and the right to use it and the kernel's tracepoints. perf samples a server while the
client counts its CPU time; the share of a symbol times that is its part of a request. The calls are
counted by tracepoints, which let the server run at its pace, in two runs of which the second asks more:
the difference belongs to requests, the rest to connections.
"""
import collections
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import machine as this_machine
from catalog import modes_here
from programs import first_cpu, last_cpu, prepare_process, preload
from table import describe

SOURCE = pathlib.Path(__file__).resolve().parent.parent
REQUESTS, COUNTED, COUNTED_MORE = 200_000, 20_000, 100_000
CALLS = ("read", "write", "recvfrom", "sendto", "getsockopt", "fcntl", "futex", "epoll_wait", "epoll_pwait2",
         "epoll_ctl", "io_uring_enter", "rt_sigprocmask", "clock_nanosleep", "tgkill", "accept")
SHOWN = 10  # symbols of the kernel, and as many others
KERNEL = "[kernel.kallsyms]"


class Profiled:
    """One server that is running, and the client for it."""

    def __init__(self, build, command, environment):
        self.client = build / "bench" / "echo_client"
        self.server = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, text=True,
            env={"PATH": "/usr/bin:/bin"} | environment, preexec_fn=prepare_process(first_cpu()))
        self.port = self.server.stdout.readline().rpartition(":")[2].strip()

    def ask(self, connections, requests):
        done = subprocess.run(
            [str(part) for part in (self.client, self.port, connections, requests, self.server.pid)],
            capture_output=True, text=True, check=True, preexec_fn=prepare_process(last_cpu()))
        return [float(figure) for figure in done.stdout.split()[1:]]

    def end(self):
        self.server.kill()
        self.server.communicate()


def watched(command, work):
    """Runs the work while a tool watches; the tool is told to finish by SIGINT, as by Ctrl-C."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tool:
        time.sleep(1)  # until it watches: what it misses is a little of the work's beginning
        result = work()
        tool.send_signal(signal.SIGINT)
    return result


def samples(server, connections, folder):
    """CPU us per request, and {(object, symbol): share}."""
    data = folder / "perf.data"
    figures = watched(["perf", "record", "-q", "-F", "2000", "-p", str(server.server.pid), "-o", data],
                      lambda: server.ask(connections, REQUESTS))
    report = subprocess.run(
        ["perf", "report", "-i", data, "--stdio", "--sort", "dso,symbol", "-t", "|", "-q"], capture_output=True, text=True, check=True).stdout
    shares = collections.Counter()
    for line in report.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) >= 3 and parts[0].endswith("%"):
            symbol = re.sub(r"^\[.\] ", "", parts[2]).replace("(anonymous namespace)::", "")
            shares[parts[1], re.sub(r"\(.*", "", symbol)] += float(parts[0][:-1]) / 100
    return figures[0], shares


def counted(server, connections, requests, folder):
    """{system call: how many of it} while the client connects, asks and hangs up."""
    events = ",".join(f"syscalls:sys_enter_{name}" for name in CALLS)
    output = folder / "calls"
    watched(["perf", "stat", "-x", "|", "-o", output, "-p", str(server.server.pid), "-e", events],
            lambda: server.ask(connections, requests))
    found = collections.Counter()
    for line in output.read_text(encoding="utf-8").splitlines():
        fields = line.split("|")
        if len(fields) > 2 and fields[0].isdigit():
            found[fields[2].rpartition("sys_enter_")[2]] += int(fields[0])
    return found


def calls(server, connections, folder):
    """{system call: how many of it per request}, and the same per connection."""
    server.ask(1, 10)  # so that its kernel threads are there, and perf finds them
    few, many = (counted(server, connections, number, folder) for number in (COUNTED, COUNTED_MORE))
    per_request = {name: (many[name] - few[name]) / (COUNTED_MORE - COUNTED) for name in many}
    asked = COUNTED + 2 * connections
    per_connection = {name: (few[name] - per_request[name] * asked) / connections for name in many}
    return per_request, per_connection


def listed(found, least):
    return ", ".join(f"{name} {count:.{3 if least < 0.1 else 1}f}"
                     for name, count in sorted(found.items(), key=lambda item: -item[1])
                     if count >= least)


def section(title, cpu, shares, called):
    yield f"\n## {title}: {cpu:.1f} us per request\n"
    objects = collections.Counter()
    for (name, _), share in shares.items():
        objects[name] += share
    yield "| where | us | share |"
    yield "|---|--:|--:|"
    for name, share in objects.most_common(5):
        yield f"| {name} | {share * cpu:.2f} | {share:.1%} |"
    per_request, per_connection = called
    yield f"\nCalls per request: {listed(per_request, 0.001)}."
    yield f"Per connection besides: {listed(per_connection, 0.5)}.\n"
    yield "| symbol | of | us |"
    yield "|---|---|--:|"
    for kernels in (True, False):
        those = [found for found in shares.most_common() if (found[0][0] == KERNEL) == kernels]
        for (name, symbol), share in those[:SHOWN]:
            yield f"| `{symbol}` | {name} | {share * cpu:.2f} |"


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    mode = next(modes_here(build))
    threads = [build / "demos" / "thread_echo"]
    hosted = {"LD_PRELOAD": str(preload(build)), "RAMIE_FS": mode}
    servers = {
        "Raw epoll loop": ([build / "bench" / "echo_epoll"], {}),
        "Light fibers": ([build / "bench" / "echo_light"], {}),
        f"Hosted threads, {mode}": (threads, hosted),
        "Kernel threads": (threads, {}),
    }
    page = [f"# Where the time goes: echo at {connections:,} connections\n",
            "Written by `bench/profile_echo.py`: CPU time of each server, sampled by perf, and system",
            "calls, counted by tracepoints. The last section is `bench/profile_remarks.md`.\n",
            *(f"- {line}" for line in describe(this_machine.describe(build, SOURCE)))]
    for title, (command, environment) in servers.items():
        print(title, file=sys.stderr)
        server = Profiled(build, command, environment)
        try:
            with tempfile.TemporaryDirectory() as folder:
                cpu, shares = samples(server, connections, pathlib.Path(folder))
                page += section(title, cpu, shares, calls(server, connections, pathlib.Path(folder)))
        finally:
            server.end()
    page.append("\n" + (SOURCE / "bench" / "profile_remarks.md").read_text(encoding="utf-8").strip())
    folder = SOURCE / "docs" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profile.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    print(f"written to {folder / 'profile.md'}")


if __name__ == "__main__":
    main()
