#!/usr/bin/env python3
"""Checks the two shared objects from outside: what they need, import and export.

exports.py SYMBOLS.DEF LIBRAMIE.SO LIBRAMIE-PRELOAD.SO OBJECT_ARCHIVE...

- Both need libc.so.6 alone, and nothing of what allocates, prints or throws.
- libramie.so exports the public API; libramie-preload.so that, what symbols.def tables, and names that
  start with ramie_.
- No object of ours calls a name that we export. Such a call would come back to us: as a loop, or as
  a park on the scheduler's stack.
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "interpose"))
import generate  # noqa: E402

ALLOWED_NEEDED = {"libc.so.6", "ld-linux-x86-64.so.2"}
# What the linker itself adds to every shared object.
WEAK_IMPORTS = {"_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "__gmon_start__",
                "__cxa_finalize", "__cxa_get_globals"}
# liburing's probe allocates. We never call it, but it shares an object file with what we do call.
URING_IMPORTS = {"calloc", "free"}
FORBIDDEN_IMPORT = re.compile(
    r"(malloc|calloc|realloc|free|posix_memalign|aligned_alloc|f?printf|v?f?s?n?printf|puts|fputs"
    r"|fopen|fwrite|__cxa_(?!finalize|get_globals|thread_atexit_impl).*|_Unwind_.*|_Z.*|pthread_once|dlopen)")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def needed(library):
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-dW", library)))


def symbols(library, *options):
    """Pairs (letter of nm, name without its version)."""
    output = run("nm", *options, library)
    rows = (line.split() for line in output.splitlines() if line and not line.endswith(":"))
    return {(row[-2], row[-1].split("@")[0]) for row in rows if len(row) >= 2}


def check_imports(library):
    for name in needed(library) - ALLOWED_NEEDED:
        yield f"{library}: needs {name}"
    for letter, name in symbols(library, "-D", "--undefined-only"):
        if letter in "wv" and name in WEAK_IMPORTS or name in URING_IMPORTS:
            continue
        if FORBIDDEN_IMPORT.fullmatch(name):
            yield f"{library}: imports {name}"


def check_archive(archive):
    own = {name for _, name in symbols(archive, "--defined-only")}
    for letter, name in symbols(archive, "--undefined-only"):
        if letter == "U" and FORBIDDEN_IMPORT.fullmatch(name) and name not in own:
            if not re.match(r"_ZNK?5ramie", name):
                yield f"{archive}: uses {name}"


def is_api(name):
    return name.startswith("ramie_") or re.match(r"_ZNK?5ramie", name)


def check_exports(library, preload, table):
    api = {name for _, name in symbols(library, "-D", "--defined-only")}
    exported = {name for _, name in symbols(preload, "-D", "--defined-only")}
    for name in sorted(name for name in api if not is_api(name)):
        yield f"{library}: exports {name}, which is not of the public API"
    for name in sorted((table | api) - exported):
        yield f"{preload}: does not export {name}"
    # Beside the runtime's, the shim has an interface of its own for the `ramie` command.
    for name in sorted(name for name in exported - table - api if not is_api(name)):
        yield f"{preload}: exports {name}, which nothing tables"


def check_self_calls(preload, archives, table):
    for archive in archives:
        for _, name in symbols(archive, "--undefined-only"):
            if name in table:
                yield f"{archive}: calls {name}, which we export"
    # The exported names' own objects are in no archive. Their calls to each other show as
    # relocations of the finished object.
    for line in run("readelf", "-rW", preload).splitlines():
        fields = line.split()
        if len(fields) >= 5 and re.match(r"R_X86_64_(JUMP_SLOT?|GLOB_DAT|64)$", fields[2]):
            name = fields[4].split("@")[0]
            if name in table:
                yield f"{preload}: refers to {name}, which it exports, by its name"


def main():
    _, definitions, library, preload, *archives = sys.argv
    table = set(generate.exported_names(generate.parse_symbols(definitions)))
    problems = [
        *check_imports(library),
        *check_imports(preload),
        *(problem for archive in archives for problem in check_archive(archive)),
        *check_exports(library, preload, table),
        *check_self_calls(preload, archives, table),
    ]
    print("\n".join(sorted(problems)) or f"{len(table)} symbols are exported, as tabled")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
