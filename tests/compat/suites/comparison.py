"""Compares two runs of a suite, natively and under Ramie: no test may fail there that passes here.

A suite is an object with `run(module, words, only)`, which answers the outcome of each test by name;
`only` names the tests to be run, all if it is empty. A difference that is known is a row of
known_differences.txt, with its reason; a row that does not hold any more fails the run.
"""

import argparse
import concurrent.futures
import pathlib
import signal
import time

import suite_run

# Once is not proof: a loaded machine makes tests fail that measure time.
TRIES = 3


def rows(path):
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.split(None, 2)


def differs(native, hosted):
    """A test that passes natively must pass; one that is skipped there may pass, but not fail."""
    if native.event in suite_run.GOOD:
        return hosted is None or hosted.event not in suite_run.GOOD
    return native.event == "skip" and hosted is not None and hosted.event in ("hang", "crash",
                                                                                "fail", "error")


class Comparison:
    def __init__(self, native, hosted):
        self.native, self.hosted = native, hosted

    def compare(self, module):
        """(tests that pass both ways, differences by name, those that passed at a later try)"""
        module, words = module
        begun = time.monotonic()
        native = self.native.run(module, words)
        middle = time.monotonic()
        hosted = self.hosted.run(module, words)
        end = time.monotonic()
        different = self._differences(native, hosted)
        unsteady = {}
        for _ in range(TRIES - 1):
            # A module with dozens of them is broken, which needs no second look.
            again = [name for name, (_, now) in different.items()
                     if now.event != "hang" and name in native]
            if not again or len(again) > 20:
                break
            for name in again:
                # Alone, natively too: one that fails there now and then proves nothing.
                second = self.hosted.run(module, words, [name]).get(name)
                if not differs(native[name], second):
                    unsteady[name] = different.pop(name)
                    continue
                third = self.native.run(module, words, [name]).get(name)
                if third is None or third.event not in (*suite_run.GOOD, "skip"):
                    unsteady[name] = different.pop(name)
        passed = sum(1 for name, outcome in native.items()
                     if outcome.event in suite_run.GOOD and name not in different)
        failing = sum(1 for outcome in native.values()
                      if outcome.event not in (*suite_run.GOOD, "skip"))
        print(f"{module}: {passed} pass as natively, {len(different)} differ, {len(unsteady)} at a "
              f"later try, {failing} fail natively ({middle - begun:.0f} s, {end - middle:.0f} s)",
              flush=True)
        return passed, different, unsteady

    @staticmethod
    def _differences(native, hosted):
        different = {}
        for name, outcome in native.items():
            now = hosted.get(name)
            if differs(outcome, now):
                different[name] = (outcome, now or suite_run.Outcome("absent"))
        for name, outcome in hosted.items():
            if name not in native and outcome.event not in (*suite_run.GOOD, "skip"):
                different[name] = (suite_run.Outcome("absent"), outcome)
        return different


def parser(description):
    # What a shell starts in the background ignores Ctrl-C, and so would the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    made = argparse.ArgumentParser(description=description,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--ramie", required=True, type=pathlib.Path, help="the command `ramie`")
    made.add_argument("--jobs", type=int, default=1, help="modules at a time")
    made.add_argument("--logs", help="a folder for what the modules print")
    made.add_argument("modules", nargs="*")
    return made


def check(arguments, suite, modules, known_differences):
    """`suite(programs)` makes a suite; `modules` are (name, words). True if all is well."""
    known = {(row[0], row[1]): row[2] for row in rows(known_differences)}
    programs = []
    for name, prefix in (("native", []), ("hosted", [str(arguments.ramie.resolve()), "run", "--"])):
        folder = pathlib.Path(arguments.logs, name) if arguments.logs else None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        programs.append(suite_run.Programs(prefix, folder))
    comparison = Comparison(suite(programs[0]), suite(programs[1]))
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = dict(zip((name for name, _ in modules), pool.map(comparison.compare, modules)))

    bad = 0
    for module, (passed, different, unsteady) in results.items():
        for name, (native, hosted) in unsteady.items():
            print(f"later  {module} {name}: {hosted.event} at first {hosted.detail}")
        for name, (native, hosted) in different.items():
            if (module, name) in known:
                print(f"known  {module} {name}: {known[module, name]}")
                continue
            print(f"FAILED {module} {name}: {native.event} natively, {hosted.event} under Ramie "
                  f"{hosted.detail}")
            bad += 1
        if passed == 0:
            print(f"FAILED {module}: no test passed, so nothing was compared")
            bad += 1
        for row_module, name in known:
            if row_module == module and name not in different:
                print(f"FAILED {module} {name}: is listed in known_differences.txt and passes")
                bad += 1
    total = sum(result[0] for result in results.values())
    if programs[1].fibers == 0:
        print("FAILED: no thread was a fiber, so Ramie took no part")
        bad += 1
    print(f"{len(modules)} modules, {total} tests pass as natively, {bad} do not, "
          f"{programs[1].fibers} threads were fibers")
    return bad == 0
