#!/usr/bin/env python3
"""Checks docs/parity.md: parity.py SOURCE_ROOT

Each row is `| feature | lib or shim | where | tests | demo |`. Every link leads to a file; the text of a
link to a test is the name of a case in that file, `Suite.Case`, or the name of a program that is a test
as a whole. No row is without a test, and each row about the library names a header.
"""

import pathlib
import re
import sys

LINK = re.compile(r"\[([^\]]+)\]\(([^()\s]+)\)")


def has_case(text, suffix, name):
    """Whether a test of that name is in the source.  """
    if suffix == ".cc" and "." in name:
        suite, case = name.split(".", 1)
        return re.search(rf"\b(TYPED_)?TEST(_F|_P)?\(\s*{re.escape(suite)},\s*{re.escape(case)}\)", text)
    return re.search(rf"\b{re.escape(name)}\b", text)


def check_row(root, cells):
    if len(cells) != 5:
        yield f"{len(cells)} cells instead of 5"
        return
    _, kind, where, tests, demo = cells
    if kind not in ("lib", "shim"):
        yield f"`{kind}` is neither lib nor shim"
    for cell, must_be in ((where, "header or page"), (tests, "test"), (demo, None)):
        found = LINK.findall(cell)
        if not found and (must_be or cell != "-"):
            yield f"no {must_be or 'demo'} is linked"
        for _, target in found:
            if not (root / "docs" / target.partition("#")[0]).exists():
                yield f"there is no {target}"
    for name, target in LINK.findall(tests):
        path = root / "docs" / target
        if not target.startswith("../tests/"):
            yield f"{target} is no test"
        elif path.exists() and name.strip("`") != path.name and not has_case(path.read_text(encoding="utf-8"), path.suffix, name.strip("`")):
            yield f"{target} has no {name}"
    if kind == "lib" and "../runtime/include/ramie" not in where:
        yield "no header is linked"


def main():
    root = pathlib.Path(sys.argv[1])
    page = root / "docs/parity.md"
    problems, rows = [], 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("|") or re.match(r"\|[-| ]+\|$", line) or "| where |" in line:
            continue
        rows += 1
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        problems += [f"docs/parity.md:{number}: {problem}" for problem in check_row(root, cells)]
    print("\n".join(problems) or f"{rows} rows, each with its test")
    return 1 if problems or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
