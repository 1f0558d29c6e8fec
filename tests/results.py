#!/usr/bin/env python3
"""Prints one row, `passed NAME` or `failed NAME`, per test that meson ran in a build directory.

    results.py BUILD_DIR

A GoogleTest program counts by its cases, any other test as one. What was skipped gets no row.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree

PASSED = ("OK", "EXPECTEDFAIL")
SKIPPED = ("SKIP", "IGNORED")


def cases(logs):
    """For each program, the pairs (case, has it failed) of those that ran."""
    found = {}
    for suite in xml.etree.ElementTree.parse(logs / "testlog.junit.xml").iter("testsuite"):
        # meson calls these project.test.suite.
        parts = suite.get("name").split(".", 2)
        if len(parts) != 3:
            continue
        for case in suite.iter("testcase"):
            if case.find("skipped") is None and case.get("status") != "notrun":
                failed = case.find("failure") is not None or case.find("error") is not None
                found.setdefault(parts[1], []).append((f"{parts[2]}.{case.get('name')}", failed))
    return found


def main():
    build = pathlib.Path(sys.argv[1])
    logs = build / "meson-logs"
    by_program = cases(logs)
    for line in (logs / "testlog.json").read_text(encoding="utf-8").splitlines():
        test = json.loads(line)
        if test["result"] in SKIPPED:
            continue
        ran = by_program.get(test["name"], [])
        # Without the suite, which meson writes as `project:suite / name`.
        name = test["name"].rsplit(" / ", 1)[-1]
        good = test["result"] in PASSED
        for case, failed in ran:
            print("failed" if failed else "passed", f"{build.name}: {name}: {case}")
        # A program that died, or whose failure no case owns up to, is a failure of its own.
        if not ran or (not good and not any(failed for _, failed in ran)):
            print("passed" if good else "failed", f"{build.name}: {name} ({test['result']})")


if __name__ == "__main__":
    main()
