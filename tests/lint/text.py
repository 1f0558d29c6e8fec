#!/usr/bin/env python3
"""Checks what every text of the repository must keep to: size, no machine's paths, and that each
source is named in a meson.build (one that is not would silently not be compiled).

text.py SOURCE_ROOT
"""

import os
import pathlib
import re
import subprocess
import sys

MAX_LINES = 400
MAX_IMAGE = 100_000  # bytes
SOURCES = (".cc", ".c", ".h", ".S", ".py", ".sh")
COMPILED = (".cc", ".c", ".S")
# Spelt so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(?:" + "|".join(("work", "root", "home")) + r")/\w")


def files(root):
    """Everything that git tracks or would track; without git, everything outside of build/."""
    git = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(git, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return sorted(p for p in map(root.joinpath, filter(None, listed.stdout.split("\0"))) if p.is_file())
    outside = (p for p in root.rglob("*") if p.is_file())
    return sorted(p for p in outside if p.relative_to(root).parts[0] not in ("build", ".git"))


def check_text(path, text):
    lines = text.splitlines()
    if path.suffix in SOURCES and len(lines) > MAX_LINES:
        yield f"{path}: {len(lines)} lines, over {MAX_LINES}: this is more than one thing"
    if text and not text.endswith("\n"):
        yield f"{path}: the last line does not end"
    for number, line in enumerate(lines, 1):
        if MACHINE_PATHS.search(line):
            yield f"{path}:{number}: a path of one machine"
        if line != line.rstrip():
            yield f"{path}:{number}: space at the end of the line"


def builders(root):
    """Each meson.build below the root, by its folder."""
    return {b.parent.relative_to(root): b.read_text(encoding="utf-8")
            for b in root.glob("*/**/meson.build") if "build" not in b.relative_to(root).parts[:1]}


def check_listed(path, building):
    """A meson.build in the file's folder, or above or beside it, must name the file relative to
    itself, with its suffix or (in a list of tests) without."""
    if path.suffix not in COMPILED:
        return
    for folder, text in building.items():
        name = pathlib.PurePath(os.path.relpath(path, folder))
        if any(f"'{n}'" in text for n in (name.as_posix(), name.with_suffix("").as_posix())):
            return
    yield f"{path}: not named in any meson.build"


def main():
    root = pathlib.Path(sys.argv[1])
    problems, building = [], builders(root)
    for file in files(root):
        path = file.relative_to(root)
        if path.match("docs/images/*.png"):
            if file.stat().st_size > MAX_IMAGE:
                problems.append(f"{path}: more than {MAX_IMAGE} bytes")
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            problems.append(f"{path}: not a text file")
            continue
        problems += [*check_text(path, text), *check_listed(path, building)]
    print("\n".join(problems) or "every file keeps to the rules")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
