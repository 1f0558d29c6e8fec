#!/usr/bin/env python3
"""Checks that links between the repository's files lead somewhere: links.py SOURCE_ROOT

The file must exist, and a `#part` must be a heading of it. Links to the web are left alone.
"""

import pathlib
import re
import sys

from snippets import markdown_files

LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|`[^`]*`)*\]\(([^()\s]+)\)")


def anchors(path):
    """The names of a Markdown file's headings, as GitHub makes them."""
    found = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        heading = re.match(r"#{1,6} +(.+)", line)
        if heading:
            name = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
            found.add(name)
    return found


def problem_of(root, file, target):
    """What is wrong with a link in this file, or None."""
    path, _, part = target.partition("#")
    to = (file.parent / path).resolve() if path else file.resolve()
    if not to.exists():
        return f"there is no {target}"
    if not to.is_relative_to(root.resolve()):
        return f"{target} leads out of the repository"
    if part and (to.suffix != ".md" or part not in anchors(to)):
        return f"there is no heading {target}"
    return None


def links(file):
    """Pairs (line number, target), without what stands in code blocks."""
    code = False
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        code ^= line.startswith("```")
        if not code:
            for target in LINK.findall(line):
                if not re.match(r"\w+:", target):
                    yield number, target


def main():
    root = pathlib.Path(sys.argv[1])
    problems = [f"{file.relative_to(root)}:{number}: {problem}"
                for file in markdown_files(root) for number, target in links(file)
                if (problem := problem_of(root, file, target))]
    print("\n".join(problems) or "all links lead somewhere")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
