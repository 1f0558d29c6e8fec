#!/usr/bin/env python3
"""Checks that the code in the documentation is code that the tests compile and run.

snippets.py SOURCE_ROOT

Each block of C++ in a Markdown file stands below a comment that names a source:

    <!-- from: demos/echo.cc -->

and its lines are, but for the indentation, lines of that source in the same order and without a gap;
a line `...` stands for a gap. The source is named in a meson.build. In docs/migration.md, each
expression in the last column of a table is a part of tests/docs/migration_test.cc.
"""

import pathlib
import re
import subprocess
import sys

FENCE = re.compile(r"^```(\w*)\s*$")
SOURCE = re.compile(r"^<!-- from: (\S+) -->$")
CODE = ("cpp", "c++", "c")


def markdown_files(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "*.md"],
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return sorted(path for path in map(root.joinpath, listed.stdout.split()) if path.is_file())
    return sorted(p for p in root.rglob("*.md") if "build" not in p.relative_to(root).parts[:1])


def blocks(lines):
    """Triples (line number, source or None, lines) of the blocks of C and C++."""
    block, source, start = None, None, 0
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if block is not None:
            if fence:
                if language in CODE:
                    yield start, source, block
                block = None
            else:
                block.append(line)
        elif fence:
            language, block, start = fence[1], [], number
            above = SOURCE.match(lines[number - 2]) if number > 1 else None
            source = above[1] if above else None


def contains(text, block):
    """Whether the block's lines stand in the text, one below the other, but where it says `...`."""
    text = [line.strip() for line in text.splitlines()]
    place = 0
    part = []
    for line in [*(line.strip() for line in block), "..."]:
        if line != "...":
            part.append(line)
            continue
        found = next((i for i in range(place, len(text) - len(part) + 1)
                      if text[i:i + len(part)] == part), None)
        if found is None:
            return False
        place, part = found + len(part), []
    return True


def is_built(root, source):
    """A meson.build beside it, or above, names it, with its suffix or without."""
    path = pathlib.PurePath(source)
    for folder in path.parents:
        building = root / folder / "meson.build"
        name = path.relative_to(folder)
        if building.is_file() and path.suffix != ".h":
            text = building.read_text(encoding="utf-8")
            if f"'{name}'" in text or f"'{name.with_suffix('')}'" in text:
                return True
    # A header is compiled if a source beside or below it includes it.
    return path.suffix == ".h" and any(f'"{source}"' in other.read_text(encoding="utf-8")
                                       for other in (root / path.parent).rglob("*.cc"))


def check_blocks(root, file):
    where = file.relative_to(root)
    for number, source, block in blocks(file.read_text(encoding="utf-8").splitlines()):
        if source is None:
            yield f"{where}:{number}: no `<!-- from: FILE -->` above this code"
        elif not (root / source).is_file():
            yield f"{where}:{number}: there is no {source}"
        elif not is_built(root, source):
            yield f"{where}:{number}: {source} is not compiled"
        elif not contains((root / source).read_text(encoding="utf-8"), block):
            yield f"{where}:{number}: this is not in {source}"


def squeezed(text):
    return re.sub(r"\s+", "", text)


def check_tables(root):
    table = root / "docs/migration.md"
    program = squeezed((root / "tests/docs/migration_test.cc").read_text(encoding="utf-8"))
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("|"):
            continue
        ours = re.split(r"(?<!\\)\|", line)[-2]
        for piece in re.findall(r"`([^`]*[(:][^`]*)`", ours):  # names alone are prose
            if not piece.startswith("std::") and squeezed(piece) not in program:
                yield f"docs/migration.md:{number}: `{piece}` is not in migration_test.cc"


def main():
    root = pathlib.Path(sys.argv[1])
    problems = [problem for file in markdown_files(root) for problem in check_blocks(root, file)]
    problems += check_tables(root)
    print("\n".join(problems) or "all code in the documentation is compiled")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
