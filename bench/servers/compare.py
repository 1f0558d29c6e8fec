#!/usr/bin/env python3
"""Real servers, none of them changed, natively and under `ramie run`, in turns.

    compare.py BUILD_DIR [NAME...] [--quick] [--rounds N]

A NAME is a part of a server's name. Prints a table, and writes servers.json and a page beside it to
bench/ beside BUILD_DIR; a run of all servers writes to docs/bench. With --quick each runs once with a
small load, only to see that it works. The exit code is 0 if every server served its load tool without an
error.
"""
import argparse
import json
import os
import pathlib
import signal
import sys
import tempfile

from databases import MariaDB, Memcached, Redis
from server import Failure
from web import ApacheEvent, ApacheWorker, Stunnel, Varnish

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "bench"))
import machine as this_machine  # noqa: E402
from measuring import Results  # noqa: E402
from table import describe, markdown_row, times  # noqa: E402

SERVERS = (MariaDB, Redis, Memcached, Varnish, Stunnel, ApacheWorker, ApacheEvent)
CONNECTIONS = (16, 256, 1000)
KINDS = ("native", "ramie")

# At so many connections and over, one of both; below, the first.
MANY, LEAST_RATE, MOST_MEMORY = 1000, 1.5, 0.5
FEW, LEAST_RATE_OF_FEW = 16, 0.9

RATE, MEMORY, CPU, TASKS = range(4)  # what Server.measure answers
QUICK = 0.1  # the share of the usual load


def measure(server_class, prefix, share):
    """{connections: figures}; one process, and more and more connections, since memory that was needed once
    is not given back by most."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="ramie-bench-") as folder:
        with server_class(folder, prefix) as server:
            for connections in CONNECTIONS:
                found[connections] = server.measure(connections, share)
            if hasattr(server, "check"):
                server.check()
    return found


def compare(servers, rounds, share, ramie):
    """Which of both comes first changes with each round."""
    results = Results()
    for server in servers:
        for number in range(rounds):
            for kind in KINDS if number % 2 == 0 else reversed(KINDS):
                print(f"{server.name}, {kind}: round {number + 1} of {rounds}", file=sys.stderr)
                try:
                    found = measure(server, [str(ramie), "run", "--"] if kind == "ramie" else [], share)
                except Failure as failure:
                    results.failures[f"{server.name}, {kind}"][str(failure)] += 1
                    continue
                for connections, figures in found.items():
                    results.figures[row_of(server, connections, kind)].append(figures)
    return results


def row_of(server, connections, kind):
    return f"{server.name}/{connections}/{kind}"


def verdict(connections, rate, memory):
    if connections >= MANY:
        met = rate >= LEAST_RATE or memory <= MOST_MEMORY
    elif connections <= FEW:
        met = rate >= LEAST_RATE_OF_FEW
    else:
        return ""
    return "met" if met else "missed"


def rows(results):
    """The cells of each row of the table."""
    medians = results.medians()
    for server in SERVERS:
        for connections in CONNECTIONS:
            names = [row_of(server, connections, kind) for kind in reversed(KINDS)]
            if not all(name in medians for name in names):
                continue
            hosted, native = (medians[name] for name in names)
            rate, memory, cpu = (results.ratio(*names, place) for place in (RATE, MEMORY, CPU))
            yield (server.name, str(connections), f"{native[RATE]:.0f}", f"{hosted[RATE]:.0f}", times(rate),
                   f"{native[CPU]:.1f}", f"{hosted[CPU]:.1f}", times(cpu), f"{native[MEMORY]:.0f}",
                   f"{hosted[MEMORY]:.0f}", times(memory), f"{native[TASKS]:.0f}",
                   f"{hosted[TASKS]:.0f}", verdict(connections, rate, memory))


HEADINGS = ("server", "connections", "native/s", "ramie/s", "ratio", "native us", "ramie us", "ratio",
            "native MB", "ramie MB", "ratio", "native tasks", "ramie tasks", "goal")
WIDTHS = (22, 13, 10, 10, 9, 11, 10, 9, 11, 10, 9, 14, 13, 6)


def failures_of(results):
    return [f"{who}: {what} ({count}x)"
            for who, reasons in results.failures.items() for what, count in reasons.items()]


def markdown(machine, rounds, results):
    yield "# Real servers\n"
    yield "Written by `./dev bench servers`: each server as Debian has it, natively and under `ramie run`,"
    yield "all CPUs for server and load tool together. `us` is CPU time of the server per request. `MB` is the"
    yield "most memory that was seen: pages of its processes, those that several share counted once (PSS), and"
    yield "what the kernel needs for them, that is page tables, and a stack and a task structure for each of the"
    yield "`tasks`; what it needs for sockets and files is not in it. The goal"
    yield (f"at {MANY:,} connections: {LEAST_RATE} times the requests per second or {MOST_MEMORY} of the"
           f" memory; at {FEW}:")
    yield (f"{LEAST_RATE_OF_FEW} of the requests. Figures are medians of {rounds} rounds, ratios medians of"
           " those within each.\n")
    yield from (f"- {line}" for line in describe(machine))
    yield "\n" + markdown_row(HEADINGS)
    yield "|---|" + "--:|" * (len(HEADINGS) - 2) + "---|"
    yield from map(markdown_row, rows(results))
    failures = failures_of(results)
    if failures:
        yield "\nWhat went wrong, and how often:\n"
        yield from (f"- {failure}" for failure in failures)
    yield "\n" + (SOURCE / "bench" / "servers" / "remarks.md").read_text(encoding="utf-8").strip()


def main():
    parser = argparse.ArgumentParser(description="Real servers, natively and under ramie run.")
    parser.add_argument("build", type=pathlib.Path, help="build directory")
    parser.add_argument("names", nargs="*", help="parts of the servers' names")
    parser.add_argument("--quick", action="store_true", help="once, with a small load")
    parser.add_argument("--rounds", type=int, default=5, help="how often each runs")
    options = parser.parse_intermixed_args()
    build = options.build.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends the servers too
    servers = [server for server in SERVERS
               if not options.names or any(name.lower() in server.name.lower() for name in options.names)]
    if not servers:
        sys.exit(f"no such server; there are {', '.join(server.name for server in SERVERS)}")
    machine = this_machine.describe(build, SOURCE)
    rounds, share = (1, QUICK) if options.quick else (options.rounds, 1)
    results = compare(servers, rounds, share, build / "cli" / "ramie")
    machine["load_after"] = os.getloadavg()[0]
    if options.quick:
        print(f"{len(results.figures)} measurements made")
    else:
        print("\n".join(describe(machine)) + "\n")
        for line in (HEADINGS, *rows(results)):
            print("".join(f"{cell:<{width}}" for cell, width in zip(line, WIDTHS)).rstrip())
        folder = build.parent / "bench" if options.names else SOURCE / "docs" / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        as_json = {"machine": machine, "failures": results.failures, "runs": results.figures}
        (folder / "servers.json").write_text(json.dumps(as_json, indent=1) + "\n", encoding="utf-8")
        (folder / "servers.md").write_text("\n".join(markdown(machine, rounds, results)) + "\n",
                                           encoding="utf-8")
    for failure in failures_of(results):
        print(f"failed: {failure}", file=sys.stderr)
    sys.exit(1 if results.failures else 0)


if __name__ == "__main__":
    main()
