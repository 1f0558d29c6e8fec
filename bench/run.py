#!/usr/bin/env python3
"""Runs the benchmarks side by side and prints what each costs, and the ratios.

    run.py BUILD_DIR [NAME...] [--quick] [--rounds N] [--minutes N]

A NAME is the beginning of the name of a comparison (switch, spawn, burst, switch/2) or of one of
its rows (spawn/hosted). All that is compared is run in turns, each a process of its own, and the
medians of five such rounds count. They go to bench.json beside BUILD_DIR as well, with charts to
bench/ there; a run of everything writes docs/bench. With --quick each runs once, with tiny counts,
only to see that it runs. The exit code is 0 if everything did.
"""
import argparse
import json
import os
import pathlib
import sys
import time

import charts
import machine as this_machine
from catalog import Catalog, modes_here
from measuring import measure
from table import describe, markdown, print_goals, print_tables

ROUNDS = 5
SOURCE = pathlib.Path(__file__).resolve().parent.parent


def choose(everything, names):
    if not names:
        return everything
    chosen = [program for program in everything
              if any(row.startswith(name) for row in program.rows() for name in names)]
    if not chosen:
        known = sorted({name for program in everything for name in program.names.values()})
        sys.exit(f"nothing begins with {' or '.join(names)}; there are {', '.join(known)}")
    return chosen


def as_json(machine, results, medians):
    """A line for each row, so that a difference shows what changed."""
    rows = ",\n".join(
        json.dumps(row) + ": " + json.dumps({
            "median": [round(value, 3) for value in figures],
            "runs": [[round(value, 3) for value in run] for run in results.figures[row]],
            "notes": results.notes.get(row, {}),
        })
        for row, figures in medians.items()
    )
    return (f'{{"machine": {json.dumps(machine, indent=1)},\n'
            f'"failures": {json.dumps(results.failures)},\n"rows": {{\n{rows}\n}}}}\n')


def publish(folder, machine, results, medians, best_mode):
    """Charts, figures and the page about them."""
    drawn = charts.draw(folder, medians)
    (folder / "results.json").write_text(as_json(machine, results, medians), encoding="utf-8")
    page = "\n".join(markdown(machine, results, medians, best_mode, drawn))
    (folder / "README.md").write_text(page + "\n", encoding="utf-8")
    print(f"\ncharts, figures and a page about them: {folder}")


def main():
    parser = argparse.ArgumentParser(description="Runs the benchmarks side by side.")
    parser.add_argument("build", type=pathlib.Path, help="build directory")
    parser.add_argument("names", nargs="*", help="what to run, as switch, spawn/hosted, burst-20k")
    parser.add_argument("--quick", action="store_true", help="once, with tiny counts")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each runs")
    parser.add_argument("--minutes", type=float, default=120, help="begin nothing more after these")
    options = parser.parse_intermixed_args()
    build = options.build.resolve()

    machine, begin = this_machine.describe(build, SOURCE), time.monotonic()
    print("\n".join(describe(machine)))
    modes = list(modes_here(build))
    chosen = choose(list(Catalog(build, SOURCE, modes, options.quick).all()), options.names)
    rounds = 1 if options.quick else options.rounds
    results = measure(chosen, rounds, options.minutes)
    medians = results.medians()
    machine |= {"load_after": os.getloadavg()[0], "minutes": (time.monotonic() - begin) / 60,
                "rounds": rounds}
    if options.quick:
        print(f"{len(medians)} benchmarks run in {machine['minutes']:.1f} minutes")
    else:
        print_tables(results, medians)
        print(f"\nTook {machine['minutes']:.1f} minutes.")
        print_goals(results, modes[0])
        # What is in the repository is a run of everything.
        folder = build.parent / "bench" if options.names else SOURCE / "docs" / "bench"
        publish(folder, machine, results, medians, modes[0])
    if results.left_out:
        print(f"left out for want of time: {', '.join(results.left_out)}", file=sys.stderr)
    for row, reasons in results.failures.items():
        for reason, count in reasons.items():
            print(f"failed: {row}: {reason} ({count}x)", file=sys.stderr)
    sys.exit(1 if results.failures else 0)


if __name__ == "__main__":
    main()
