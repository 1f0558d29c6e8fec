#!/usr/bin/env python3
"""Checks that Doxygen makes the reference of the headers without a warning: each public declaration has
its comment.

reference.py SOURCE_ROOT OUTPUT_DIRECTORY
"""

import os
import pathlib
import shutil
import subprocess
import sys

SKIPPED = 77


def main():
    root, output = sys.argv[1:]
    if shutil.which("doxygen") is None:
        print("doxygen is not installed; `./dev lint` installs it")
        return SKIPPED
    pathlib.Path(output).mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["doxygen", "docs/doxygen/Doxyfile"], cwd=root,
                          env=os.environ | {"RAMIE_DOCS": output}, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
