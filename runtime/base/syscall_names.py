#!/usr/bin/env python3
"""Writes the kernel's system calls as rows of C++: {0, "read"},

syscall_names.py OUT COMPILER...
"""

import re
import subprocess
import sys


def main():
    out, compiler = sys.argv[1], sys.argv[2:]
    defined = subprocess.run([*compiler, "-E", "-dM", "-xc", "-"], input="#include <asm/unistd.h>\n",
                             capture_output=True, text=True, check=True).stdout
    rows = sorted((int(number), name) for name, number in
                  re.findall(r"^#define __NR_(\w+) (\d+)$", defined, flags=re.M))
    with open(out, "w", encoding="utf-8") as file:
        file.writelines(f'{{{number}, "{name}"}},\n' for number, name in rows)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
