#!/usr/bin/env python3
"""CPython's own tests, natively and under Ramie: none may fail there that passes here.

    compare.py --ramie build/release/cli/ramie [--quick] [--jobs N] [--logs FOLDER] [MODULE...]

The modules are in modules.txt; `--quick` takes those that are marked so.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "suites"))
import comparison  # noqa: E402
import suite  # noqa: E402


def wanted_modules(arguments):
    """(name, words) of each module that shall run"""
    listed = {row[0]: " ".join(row[1:]).split() for row in comparison.rows(HERE / "modules.txt")}
    if arguments.modules:
        return [(name, listed.get(name, [])) for name in arguments.modules]
    return [(name, words) for name, words in listed.items()
            if not arguments.quick or "quick" in words]


def main():
    parser = comparison.parser(__doc__)
    parser.add_argument("--python", default="/usr/bin/python3", help="one that has the suite")
    parser.add_argument("--quick", action="store_true", help="the modules that take no time")
    arguments = parser.parse_args()
    good = comparison.check(arguments, lambda programs: suite.Suite(arguments.python, programs),
                            wanted_modules(arguments), HERE / "known_differences.txt")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
