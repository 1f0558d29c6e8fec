#!/usr/bin/env python3
"""Runs the benchmarks side by side and prints what each costs, in ns and as ratios.

    run.py BUILD_DIR [NAME...] [--quick]

A NAME is the beginning of the name of a comparison (switch, spawn, burst, switch/2) or of one of
its rows (spawn/hosted). All that is compared is run in turns, each a process of its own, and the
medians of five such rounds count. They go to bench.json beside BUILD_DIR as well. With --quick each
runs once, with tiny counts, only to see that it runs. The exit code is 0 if everything did.
"""
import argparse
import collections
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

from programs import FS_MODES, Failure, Timing, first_match, modes_here, programs

ROUNDS = 5

# Each comparison, in the order of the table.
TITLES = {
    "switch/2": "switch, 2 taking turns",
    "switch/1000": "switch, 1,000 taking turns",
    "spawn": "spawn and join, one after another",
    "burst-20k/cold": "20,000 spawned, then joined; the first time",
    "burst-20k/warm": "20,000 spawned, then joined; the second time",
    "burst-100k/cold": "100,000 spawned, then joined; the first time",
    "burst-100k/warm": "100,000 spawned, then joined; the second time",
}

# (comparison, what, relative to what, at most). "hosted" is the mode that "auto" chooses here.
GOALS = (
    ("switch/2", "light", "raw", 2.5),
    ("switch/1000", "light", "raw", 2.5),
    ("switch/2", "hosted", "kernel", 0.2),
    ("spawn", "hosted", "kernel", 0.3),
)

LABELS = {
    "raw": "raw Boost.Context",
    "light": "light fibers",
    "boost": "Boost.Fiber",
    "kernel": "kernel threads",
    **{f"hosted-{mode}": f"hosted threads, {mode}" for mode in FS_MODES},
}


def measure(chosen, rounds):
    """{row: [Timing...]}, and {row: {what went wrong or was remarkable: how often}} of each."""
    timings = collections.defaultdict(list)
    failures = collections.defaultdict(collections.Counter)
    for number in range(rounds):
        for program in chosen:
            if sys.stderr.isatty():
                print(f"\r\033[Kround {number + 1} of {rounds}: {program.rows()[0]}", end="",
                      file=sys.stderr, flush=True)
            try:
                for name, timing in program.run().items():
                    timings[f"{name}/{program.kind}"].append(timing)
            except (Failure, ValueError) as failure:  # or it printed something else than figures
                for row in program.rows():
                    failures[row][str(failure)] += 1
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    notes = {row: program.notes for program in chosen for row in program.rows() if program.notes}
    return timings, failures, notes


def median(timings):
    return Timing(*(statistics.median(values) for values in zip(*timings)))


def ratio(medians, row, base):
    return medians[row].cpu / medians[base].cpu if row in medians and base in medians else None


def times(value):
    """A ratio with about three digits."""
    if value is None:
        return f"{'-':>10}"
    return f"{value:9.{0 if value >= 100 else 2 if value >= 0.1 else 4}f}x"


def print_table(medians, failures, notes):
    for name, title in TITLES.items():
        shown = [kind for kind in LABELS if f"{name}/{kind}" in {*medians, *failures}]
        if not shown:
            continue
        print(f"\n{title:<46} {'ns':>9} {'CPU ns':>9} {'to raw':>10} {'to kernel':>10}")
        for kind in shown:
            row = f"{name}/{kind}"
            line = f"  {LABELS[kind]:<44}"
            if row in medians:
                line += f" {medians[row].wall:9.1f} {medians[row].cpu:9.1f}"
                for base in ("raw", "kernel"):
                    line += f" {times(ratio(medians, row, f'{name}/{base}'))}"
            remarks = {**failures.get(row, {}), **notes.get(row, {})}
            print(line + "".join(f"  ({what}: {count}x)" for what, count in remarks.items()))


def print_goals(medians, best_mode):
    print()
    for name, kind, base, limit in GOALS:
        kind = f"hosted-{best_mode}" if kind == "hosted" else kind
        value = ratio(medians, f"{name}/{kind}", f"{name}/{base}")
        if value is not None:
            verdict = "reached" if value <= limit else "missed"
            print(f"goal {verdict}: {TITLES[name]}: {LABELS[kind]} {value:.2f}x {LABELS[base]},"
                  f" at most {limit}x")


def compiler_of(build):
    command = first_match(r'"command": "(\S+)', build / "compile_commands.json")
    try:
        done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.partition("\n")[0]


def describe(build):
    """The machine, and the versions of what was measured and of what measured."""
    info = build / "meson-info"
    return {
        "cpu": first_match(r"model name\s*: (.*)", "/proc/cpuinfo"),
        "cpus": os.cpu_count(),
        "memory_kb": first_match(r"MemTotal:\s*(\d+)", "/proc/meminfo"),
        "kernel": platform.release(),
        "libc": os.confstr("CS_GNU_LIBC_VERSION"),
        "compiler": compiler_of(build),
        "boost": first_match(r'BOOST_LIB_VERSION "(\w+)"', "/usr/include/boost/version.hpp"),
        "benchmark": first_match(
            r'"benchmark", "version": "([^"]+)"', info / "intro-dependencies.json"
        ),
        "ramie": first_match(r'"version": "([^"]+)"', info / "intro-projectinfo.json"),
        "load": os.getloadavg()[0],
    }


def choose(everything, names):
    """The programs with a row that begins with one of the names; all without names."""

    def fits(program, name):
        return any(row.startswith(name) for row in program.rows())

    unknown = [name for name in names if not any(fits(program, name) for program in everything)]
    if unknown:
        sys.exit(f"run.py: nothing here begins with {', '.join(unknown)};"
                 f" there are {', '.join(TITLES)}, each followed by /{', /'.join(LABELS)}")
    return [p for p in everything if not names or any(fits(p, name) for name in names)]


def write_report(path, machine, medians, timings, notes):
    rows = {
        row: {
            "ns": round(value.wall, 2),
            "cpu_ns": round(value.cpu, 2),
            "runs": [[round(ns, 2) for ns in timing] for timing in timings[row]],
            "notes": notes.get(row, {}),
        }
        for row, value in medians.items()
    }
    text = json.dumps({"machine": machine, "rows": rows}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"written to {path}")


def main():
    parser = argparse.ArgumentParser(description="Runs the benchmarks side by side.")
    parser.add_argument("build", type=pathlib.Path, help="build directory")
    parser.add_argument("names", nargs="*", help="what to run, as switch, spawn/hosted, burst-20k")
    parser.add_argument("--quick", action="store_true", help="once, with tiny counts")
    options = parser.parse_intermixed_args()
    build = options.build.resolve()

    machine = describe(build)
    print(f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']},"
          f" load {machine['load']:.1f}")
    modes = list(modes_here(build))
    chosen = choose(list(programs(build, modes, options.quick)), options.names)
    timings, failures, notes = measure(chosen, 1 if options.quick else ROUNDS)
    medians = {row: median(values) for row, values in timings.items()}
    if options.quick:
        print(f"{len(medians)} benchmarks run")
    else:
        print_table(medians, failures, notes)
        print_goals(medians, modes[0])
        write_report(build.parent / "bench.json", machine, medians, timings, notes)
    for row, reasons in failures.items():
        for reason, count in reasons.items():
            print(f"failed: {row}: {reason} ({count}x)", file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
