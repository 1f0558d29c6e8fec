#!/usr/bin/env python3
"""Checks that `ramie config` and the reference know the same variables and defaults.

settings.py SOURCE_ROOT
"""

import pathlib
import re
import sys


def printed(root):
    """What cli/config.cc prints: variable -> default, or nothing."""
    text = (root / "cli/config.cc").read_text(encoding="utf-8")
    return dict(re.findall(r'\{"(RAMIE_\w+)",\s*"([^"]*)"\}', text))


def documented(root):
    text = (root / "docs/reference/environment.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(RAMIE_\w+)` \| (\S+) \|", text, flags=re.M)
    return {name: "" if value == "unset" else value.strip("`") for name, value in rows}


def main():
    root = pathlib.Path(sys.argv[1])
    ours, theirs = printed(root), documented(root)
    problems = [f"{name}: `ramie config` says {ours.get(name)!r}, environment.md {theirs.get(name)!r}"
                for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    print("\n".join(problems) or f"{len(ours)} variables")
    return 1 if problems or not ours else 0


if __name__ == "__main__":
    sys.exit(main())
