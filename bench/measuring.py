"""Runs programs in turns, and gathers what they say."""
import collections
import statistics
import sys
import time

from programs import Failure


class Results:
    """By row, which is comparison/kind: all figures of each run, and what went wrong or was
    remarkable, and how often."""

    def __init__(self):
        self.figures = collections.defaultdict(list)
        self.failures = collections.defaultdict(collections.Counter)
        self.refusals = collections.defaultdict(collections.Counter)  # failures that were expected
        self.notes = {}
        self.left_out = []  # comparisons for which there was no time

    def medians(self):
        return {row: [statistics.median(column) for column in zip(*runs)]
                for row, runs in self.figures.items()}

    def ratio(self, row, base, place):
        """Of two rows, in that column: the median of the ratios within each round; None without any."""
        pairs = list(zip(self.figures.get(row, ()), self.figures.get(base, ())))
        ratios = [one[place] / other[place] for one, other in pairs if other[place]]
        return statistics.median(ratios) if ratios else None

    def remarks(self, row):
        return {**self.failures.get(row, {}), **self.refusals.get(row, {}), **self.notes.get(row, {})}


def measure(programs, rounds, minutes):
    """In each round every program of a group (switch, spawn, ...) runs once, so that what the machine
    does meanwhile meets all; every second round in the opposite order. A round of all groups would
    take so long that its first and its last program had two different machines. After so many
    minutes, no more group is begun."""
    results = Results()
    groups = collections.defaultdict(list)
    for program in programs:
        groups[next(iter(program.names.values())).partition("/")[0]].append(program)
    end = time.monotonic() + minutes * 60
    for name, group in groups.items():
        if time.monotonic() > end:
            results.left_out.append(name)
            continue
        for number in range(rounds):
            for program in group if number % 2 == 0 else reversed(group):
                if number >= program.most_rounds:
                    continue
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
            (results.refusals if program.may_fail else results.failures)[row][str(failure)] += 1


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
