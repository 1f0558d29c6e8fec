#!/usr/bin/env python3
"""Real servers, none of them changed, natively and under `ramie run`, in turns.

    compare.py BUILD_DIR [NAME...] [--rounds N]

A NAME is a part of a server's name. Prints a table, and writes servers.json and a page beside it to
bench/ beside BUILD_DIR; a run of all servers writes to docs/bench. The exit code is 0 if every
server served its load tool without an error.
"""
import argparse
import collections
import json
import os
import pathlib
import statistics
import sys
import tempfile

from databases import MariaDB, Memcached, Redis
from server import Failure
from web import ApacheEvent, ApacheWorker, Stunnel, Varnish

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "bench"))
import machine as this_machine  # noqa: E402
from table import describe  # noqa: E402

SERVERS = (MariaDB, Redis, Memcached, Varnish, Stunnel, ApacheWorker, ApacheEvent)
CONNECTIONS = (16, 256, 1000)
KINDS = ("native", "ramie")

# At so many connections and over, one of both; below, the first.
MANY, LEAST_RATE, MOST_MEMORY = 1000, 1.5, 0.5
FEW, LEAST_RATE_OF_FEW = 16, 0.9


def measure(server_class, prefix):
    """{connections: (requests per second, MB, kernel threads)}; one process, and more and more
    connections, since memory that was needed once is not given back by most."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="ramie-bench-") as folder:
        with server_class(folder, prefix) as server:
            for connections in CONNECTIONS:
                found[connections] = server.measure(connections)
            if hasattr(server, "check"):
                server.check()
    return found


def compare(servers, rounds, ramie):
    runs, failures = collections.defaultdict(list), collections.Counter()
    for server in servers:
        for number in range(rounds):
            for kind in KINDS:
                print(f"{server.name}, {kind}: round {number + 1} of {rounds}", file=sys.stderr)
                try:
                    found = measure(server, [str(ramie), "run", "--"] if kind == "ramie" else [])
                except Failure as failure:
                    failures[f"{server.name}, {kind}: {failure}"] += 1
                    continue
                for connections, figures in found.items():
                    runs[server.name, connections, kind].append(figures)
    return runs, failures


def rows(runs):
    """Server, connections, native and hosted medians, ratios of rate and memory, verdict."""
    for server in SERVERS:
        for connections in CONNECTIONS:
            native, hosted = (runs.get((server.name, connections, kind)) for kind in KINDS)
            if not native or not hosted:
                continue
            native, hosted = ([statistics.median(column) for column in zip(*those)]
                              for those in (native, hosted))
            rate, memory = hosted[0] / native[0], hosted[1] / native[1]
            if connections >= MANY:
                met = rate >= LEAST_RATE or memory <= MOST_MEMORY
            elif connections <= FEW:
                met = rate >= LEAST_RATE_OF_FEW
            else:
                met = None
            verdict = {None: "", True: "met", False: "missed"}[met]
            yield server.name, connections, native, hosted, rate, memory, verdict


HEADINGS = ("server", "connections", "native/s", "ramie/s", "ratio", "native MB", "ramie MB", "ratio",
            "native tasks", "ramie tasks", "goal")
WIDTHS = (22, 13, 10, 10, 9, 11, 10, 9, 14, 13, 6)


def cells(row):
    name, connections, native, hosted, rate, memory, verdict = row
    return (name, str(connections), f"{native[0]:.0f}", f"{hosted[0]:.0f}", f"{rate:.2f}x",
            f"{native[1]:.0f}", f"{hosted[1]:.0f}", f"{memory:.2f}x", f"{native[2]:.0f}",
            f"{hosted[2]:.0f}", verdict)


def markdown(machine, runs, failures):
    yield "# Real servers\n"
    yield "Written by `./dev bench servers`: each server as Debian has it, natively and under `ramie run`,"
    yield "both CPUs for server and load tool together. The goal at 1,000 connections: 1.5 times the"
    yield "requests or half of the memory; at 16: 0.9 of the requests."
    yield f"Medians of {max(map(len, runs.values()), default=0)} rounds.\n"
    yield from (f"- {line}" for line in describe(machine))
    yield "\n| " + " | ".join(HEADINGS) + " |"
    yield "|---|" + "--:|" * (len(HEADINGS) - 2) + "---|"
    yield from ("| " + " | ".join(cells(row)) + " |" for row in rows(runs))
    if failures:
        yield "\nWhat went wrong, and how often:\n"
        yield from (f"- {failure} ({count}x)" for failure, count in failures.items())


def main():
    parser = argparse.ArgumentParser(description="Real servers, natively and under ramie run.")
    parser.add_argument("build", type=pathlib.Path, help="build directory")
    parser.add_argument("names", nargs="*", help="parts of the servers' names")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_intermixed_args()
    build = options.build.resolve()
    servers = [server for server in SERVERS
               if not options.names or any(name.lower() in server.name.lower() for name in options.names)]
    machine = this_machine.describe(build, SOURCE)
    runs, failures = compare(servers, options.rounds, build / "cli" / "ramie")
    machine["load_after"] = os.getloadavg()[0]

    print("\n".join(describe(machine)) + "\n")
    for line in (HEADINGS, *map(cells, rows(runs))):
        print("".join(f"{cell:<{width}}" for cell, width in zip(line, WIDTHS)).rstrip())
    folder = build.parent / "bench" if options.names else SOURCE / "docs" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    as_json = {"machine": machine, "failures": failures, "runs": [
        {"server": server, "connections": connections, "kind": kind, "figures": figures}
        for (server, connections, kind), figures in runs.items()]}
    (folder / "servers.json").write_text(json.dumps(as_json, indent=1) + "\n", encoding="utf-8")
    (folder / "servers.md").write_text("\n".join(markdown(machine, runs, failures)) + "\n",
                                       encoding="utf-8")
    for failure, count in failures.items():
        print(f"failed: {failure} ({count}x)", file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
