#!/usr/bin/env python3
"""Reads what meson noted of the tests that it ran in a build directory.

    results.py rows BUILD_DIR     one row, `passed NAME`, `failed NAME` or `unsteady NAME`, per test
    results.py again BUILD_DIR    the names of the tests to run once more
    results.py output BUILD_DIR   the end of what each failed test printed

A GoogleTest program counts by its cases, any other test as one. What was skipped gets no row.

A machine that is busy with other things can make an expectation about the order of events fail. So
a test that failed, but neither died nor was stopped by a sanitizer, is run again alone, with the log
`again`; what holds then counts as passed, and has a row of its own that says that it is unsteady.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree

PASSED = ("OK", "EXPECTEDFAIL")
SKIPPED = ("SKIP", "IGNORED")
EXPECTATION_FAILED = 1  # exit status of GoogleTest and of Python's unittest
OUTPUT_LINES = 40


class Log:
    """What one run of meson left behind."""

    def __init__(self, logs, base):
        self.tests = {}
        self.cases = {}
        path = logs / f"{base}.json"
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                test = json.loads(line)
                self.tests[test["name"]] = test
            self._read_cases(logs / f"{base}.junit.xml")

    def _read_cases(self, path):
        """For each program, which of its cases ran, and whether they failed."""
        for suite in xml.etree.ElementTree.parse(path).iter("testsuite"):
            # meson calls these project.test.suite.
            parts = suite.get("name").split(".", 2)
            if len(parts) != 3:
                continue
            for case in suite.iter("testcase"):
                if case.find("skipped") is None and case.get("status") != "notrun":
                    failed = case.find("failure") is not None or case.find("error") is not None
                    name = f"{parts[2]}.{case.get('name')}"
                    self.cases.setdefault(parts[1], {})[name] = failed

    def outcomes(self, name):
        """The cases of a test, or the test itself, each with whether it failed."""
        test = self.tests[name]
        good = test["result"] in PASSED
        found = {f": {case}": failed for case, failed in self.cases.get(name, {}).items()}
        # A program that died, or whose failure no case owns up to, is a failure of its own.
        if not found or (not good and not any(found.values())):
            found[f" ({test['result']})"] = not good
        return found

    def failed(self):
        """The tests that failed."""
        return [t for t in self.tests.values() if t["result"] not in PASSED + SKIPPED]


def print_rows(build, first, again):
    """See the head of this file."""
    for name, test in first.tests.items():
        if test["result"] in SKIPPED:
            continue
        # Without the suite, which meson writes as `project:suite / name`.
        prefix = f"{build.name}: {name.rsplit(' / ', 1)[-1]}"
        outcomes = first.outcomes(name)
        second = again.outcomes(name) if name in again.tests else {}
        if second and not any(second.values()):
            for case in (case for case, failed in outcomes.items() if failed):
                print("unsteady", prefix + case)
            outcomes = second
        for case, failed in outcomes.items():
            print("failed" if failed else "passed", prefix + case)


def print_output(first, again):
    """See the head of this file."""
    for test in first.failed():
        if again.tests.get(test["name"], {}).get("result") not in PASSED:
            print(f"== {test['name']} ({test['result']}, exit status {test['returncode']})")
            text = test.get("stdout", "") + test.get("stderr", "")
            print("\n".join(text.splitlines()[-OUTPUT_LINES:]))


def main():
    what, build = sys.argv[1], pathlib.Path(sys.argv[2])
    logs = build / "meson-logs"
    first = Log(logs, "testlog")
    again = Log(logs, "again")
    if what == "rows":
        print_rows(build, first, again)
    elif what == "output":
        print_output(first, again)
    else:
        for test in first.failed():
            if test["returncode"] == EXPECTATION_FAILED:
                print(test["name"].rsplit(" / ", 1)[-1])


if __name__ == "__main__":
    main()
