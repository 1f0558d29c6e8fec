"""Runs programs in turns, and gathers what they say."""
import collections
import statistics
import sys

from programs import Failure


class Results:
    """By row, which is comparison/kind: all figures of each run, and what went wrong or was
    remarkable, and how often."""

    def __init__(self):
        self.figures = collections.defaultdict(list)
        self.failures = collections.defaultdict(collections.Counter)
        self.notes = {}

    def medians(self):
        return {row: [statistics.median(column) for column in zip(*runs)]
                for row, runs in self.figures.items()}

    def remarks(self, row):
        return {**self.failures.get(row, {}), **self.notes.get(row, {})}


def measure(programs, rounds):
    """In each round every program runs once, so that what the machine does meanwhile meets all. The
    rounds are those of each group of rows, which stand side by side in the tables: one that takes
    half an hour would have its first and its last program on two different machines."""
    results = Results()
    groups = collections.defaultdict(list)
    for program in programs:
        groups[next(iter(program.names.values()))].append(program)
    for name, group in groups.items():
        for number in range(rounds):
            for program in group:
                progress(f"{name}: round {number + 1} of {rounds}: {program.kind}")
                run(program, results)
    progress("")
    for program in programs:
        for row in program.rows():
            if program.notes:
                results.notes[row] = program.notes
    return results


def run(program, results):
    try:
        for name, figures in program.run().items():
            results.figures[f"{name}/{program.kind}"].append(figures)
    except (Failure, ValueError) as failure:  # or it printed something else than figures
        for row in program.rows():
            results.failures[row][str(failure)] += 1


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
