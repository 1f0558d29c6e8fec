#!/usr/bin/env python3
"""GLib's own tests, as Debian installs them (libglib2.0-tests), natively and under Ramie.

    compare.py --ramie build/release/cli/ramie [--jobs N] [--logs FOLDER] [PROGRAM...]
"""

import configparser
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "suites"))
import comparison  # noqa: E402
import suite  # noqa: E402

INSTALLED = pathlib.Path("/usr/share/installed-tests/glib")


def programs(wanted):
    """(name, its command line) of each"""
    unfit = {row[0] for row in comparison.rows(HERE / "left_out.txt")}
    for path in sorted(INSTALLED.glob("*.test")):
        described = configparser.ConfigParser(interpolation=None)
        described.read(path)
        if path.stem in wanted or (not wanted and path.stem not in unfit):
            yield path.stem, [described["Test"]["Exec"]]


def main():
    arguments = comparison.parser(__doc__).parse_args()
    good = comparison.check(arguments, suite.Suite, list(programs(arguments.modules)),
                            HERE / "known_differences.txt")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
