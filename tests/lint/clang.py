#!/usr/bin/env python3
"""Whether clang has nothing to say of any source: its warnings are errors.

    clang.py BUILD_DIR [--tidied FOLDER...] [--tested BUILD_DIR]

BUILD_DIR is one that meson has set up for clang; of what it builds, only headers and the like are made.
A source is translated no further than its warnings need, but for those that have assembler in them,
which nobody looks at before there is code. What else is in a tidied FOLDER is left out, since clang-tidy
looks for the same warnings; and so are the tests that the other BUILD_DIR has, where they are run.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys


def make_headers(build):
    """Those that sources include and nobody has written: generated ones, and the precompiled."""
    known = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], check=True,
                           capture_output=True, text=True).stdout
    made = re.findall(r"^(\S+\.(?:gen\.\w+|pch)):", known, re.MULTILINE)
    subprocess.run(["ninja", "-C", build, "--quiet", *made], check=True)


def has_assembler(source):
    return source.suffix == ".S" or re.search(r"\basm\b", source.read_text(encoding="utf-8"))


def check(build, entry):
    """What clang says, or nothing."""
    command = shlex.split(entry["command"])
    del command[command.index("-MD"):command.index("-c")]  # notes for ninja, and the output
    command += ["-o", os.devnull] if has_assembler(build / entry["file"]) else ["-fsyntax-only"]
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode != 0 else ""


def translated(build):
    """What it translates: the path of each source, and the entry of compile_commands.json."""
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        if not entry["output"].endswith(".pch"):
            yield (build / entry["file"]).resolve(), entry


def main():
    parser = argparse.ArgumentParser(description="Has clang nothing to say of any source?")
    parser.add_argument("build", type=pathlib.Path, help="build directory, set up for clang")
    parser.add_argument("--tidied", type=pathlib.Path, nargs="*", default=[], help="folders of sources")
    parser.add_argument("--tested", type=pathlib.Path, help="another such directory")
    options = parser.parse_args()
    build, tests = options.build, pathlib.Path("tests").resolve()
    tidied = [folder.resolve() for folder in options.tidied]
    tested = {source for source, _ in translated(options.tested) if source.is_relative_to(tests)} \
        if options.tested else set()
    make_headers(build)
    entries = [entry for source, entry in translated(build)
               if source not in tested
               and (not any(map(source.is_relative_to, tidied)) or has_assembler(source))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as workers:
        complaints = [told for told in workers.map(lambda entry: check(build, entry), entries) if told]
    print("".join(complaints), end="")
    print(f"{len(entries)} sources, {len(complaints)} with complaints")
    return 1 if complaints or not entries else 0


if __name__ == "__main__":
    sys.exit(main())
