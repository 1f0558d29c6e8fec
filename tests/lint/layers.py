#!/usr/bin/env python3
"""Checks the direction of use between the layers, and what may live in one place only.

layers.py SOURCE_ROOT
"""

import pathlib
import re
import sys

# For each folder, the folders that its `#include "..."` may name. The most specific one counts.
MAY_INCLUDE = {
    "runtime/base": ("base/",),
    "runtime/core": ("base/", "core/"),
    "runtime/event": ("base/", "core/", "event/"),
    "runtime/sync": ("base/", "core/", "event/", "sync/"),
    "runtime/include": (),
    "runtime": ("base/", "core/", "event/", "sync/", "api/"),
    "interpose/patch": ("base/", "interpose/patch/"),
    "interpose": ("base/", "core/", "event/", "sync/", "interpose/"),
    "cli": ("base/", "cli/"),
    "demos": ("demos/",),
    "tests/twins": ("twins/",),
}
# Layers whose sources may use the public headers, <ramie/...>.
NO_PUBLIC_HEADERS = (
    "runtime/base", "runtime/core", "runtime/event", "runtime/sync", "interpose/patch", "tests/twins",
)

# What a line may say in a few places only: (what, pattern, where it is at home).
ONE_PLACE = (
    ("Boost", re.compile(r"#include\s*[<\"]boost/"), (r"runtime/core/context\w*\.(h|cc)",)),
    ("liburing", re.compile(r"#include\s*[<\"]liburing"), (r"runtime/event/\w*uring\w*\.(h|cc)",)),
    ("dlsym", re.compile(r"\bdlv?sym\s*\("), (
        r"interpose/real\w*\.(h|cc)", r"interpose/symbols/\w+\.cc", r"runtime/api/original\.cc")),
    (
        "default visibility",
        re.compile(r"visibility\(\"default\"\)"),
        (r"interpose/symbols/.*", r"interpose/(generate\.py|init\.cc)", r"runtime/include/ramie/.*"),
    ),
    (
        "a thread-local",
        re.compile(r"^[^/]*\b(__thread|thread_local)\b"),
        (
            r"runtime/core/(carrier|current|tls)\w*\.(h|cc)",
            r"interpose/(host/)?entry\w*\.(h|cc)", r"interpose/host/native_threads\.cc",
            r"runtime/include/ramie/detail/extras\.h",  # the program's own, not the library's
        ),
    ),
    (
        "the standard library's streams or allocation",
        re.compile(r"#include\s*<(iostream|fstream|sstream|string|vector|map|memory|mutex|thread|stdio\.h|cstdio|malloc\.h)>"),
        (r"runtime/include/ramie/.*", r"interpose/types\.h"),
    ),
)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def layer_of(path, layers):
    """The longest folder of `layers` that holds `path`, or None."""
    held = [layer for layer in layers if path.startswith(layer + "/")]
    return max(held, key=len, default=None)


def check_includes(path, lines):
    layer = layer_of(path, MAY_INCLUDE)
    # What runs the twins is not one of them.
    if layer is None or (layer == "tests/twins" and path.endswith("_test.cc")):
        return
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, target = match.groups()
        if bracket == '"' and "/" in target and not target.startswith(MAY_INCLUDE[layer]):
            yield f"{path}:{number}: {layer} must not include \"{target}\""
        if target.startswith("ramie/") and layer_of(path, NO_PUBLIC_HEADERS):
            yield f"{path}:{number}: {layer} must not use the public API (<{target}>)"
        if layer == "runtime/include" and bracket == '"':
            yield f"{path}:{number}: an installed header includes <ramie/...> and system headers only"


def check_places(path, lines):
    if not path.startswith(("runtime/", "interpose/")):
        return
    for what, pattern, homes in ONE_PLACE:
        if any(re.fullmatch(home, path) for home in homes):
            continue
        for number, line in enumerate(lines, 1):
            if pattern.search(line.split("//", 1)[0]):
                yield f"{path}:{number}: {what} does not belong here, only in {' or '.join(homes)}"


def main():
    root = pathlib.Path(sys.argv[1])
    problems = []
    for top in ("runtime", "interpose", "cli", "demos", "tests"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in (".h", ".cc", ".c", ".S"):
                continue
            path = file.relative_to(root).as_posix()
            lines = file.read_text(encoding="utf-8").splitlines()
            problems += [*check_includes(path, lines), *check_places(path, lines)]
    print("\n".join(problems) or "every layer keeps its place")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
