#!/usr/bin/env python3
"""libuv's own tests, natively and under Ramie.

    compare.py --ramie build/release/cli/ramie --source FOLDER --build FOLDER [--logs FOLDER] [TEST...]

The source is libuv's, and the other folder is where it was built with its tests. They use fixed ports
and paths, so that no two runs of them fit on one machine at the same time.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "suites"))
import comparison  # noqa: E402
import suite  # noqa: E402


def main():
    parser = comparison.parser(__doc__)
    parser.add_argument("--source", required=True, type=pathlib.Path, help="libuv's source")
    parser.add_argument("--build", required=True, type=pathlib.Path, help="where it was built")
    arguments = parser.parse_args()
    good = comparison.check(
        arguments,
        lambda programs: suite.Suite(arguments.source.resolve(), arguments.build.resolve(), programs),
        [("libuv", arguments.modules)], HERE / "known_differences.txt")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
