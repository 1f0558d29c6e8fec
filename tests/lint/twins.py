#!/usr/bin/env python3
"""Checks that every row of the shim's two tables has a twin (tests/twins): a program that makes the
call, and is compared with its native run in each entry. Prints how many rows and names have one.

twins.py SOURCE_ROOT

A twin makes a system call if it names its number (SYS_read), calls the function of that name, or one
that is said here or in blocking_symbols.txt to make it. An exported name is called as it is, or
looked up by dlsym.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "interpose"))
import generate  # noqa: E402
import tables  # noqa: E402

# What libc makes of its functions besides waiting.
MADE_BY = {
    "clone3": {"pthread_create"},
    "exit": {"pthread_create"},
    "futex": {"pthread_mutex_lock", "pthread_cond_wait", "sem_wait"},
    "rt_sigaction": {"sigaction"},
    "rt_sigpending": {"sigpending"},
    "rt_sigprocmask": {"pthread_sigmask", "sigprocmask"},
    "rt_sigqueueinfo": {"sigqueue"},
    "signalfd4": {"signalfd"},
    "syslog": {"klogctl"},
}
# Nothing that a program could see of them is the same in both runs.
NONE = {
    "rseq": "libc has registered it before main, and its answer to a second time depends on the kernel",
}


def calls(source):
    """The names that are followed by a bracket, and the numbers of system calls."""
    return set(re.findall(r"\b([A-Za-z_]\w*)\s*\(", source)) | {
        f"SYS_{name}" for name in re.findall(r"\bSYS_(\w+)", source)}


def main():
    root = pathlib.Path(sys.argv[1])
    folder = root / "tests/twins"
    programs = re.search(r"kPrograms\[\] = \{(.*?)\};",
                         (folder / "twins_test.cc").read_text(encoding="utf-8"), re.S)
    names = set(re.findall(r'"(\w+)"', programs[1]))
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())
                     if path.suffix in (".c", ".cc") and path.stem in names)
    made = calls(text)

    listed = {}
    rows, problems = tables.read_blocking(HERE / "blocking_symbols.txt")
    for _, _, functions, numbers in rows:
        for number in numbers:
            listed.setdefault(number, set()).update(functions)

    path = root / "interpose/syscalls.def"
    table = [row.name for row in generate.parse_syscalls(path)]
    for name in table:
        ways = {name, f"SYS_{name}"} | MADE_BY.get(name, set()) | listed.get(name, set())
        if bool(ways & made) == (name in NONE):
            problems.append(f"{path}: {name} has no twin" if name not in NONE
                            else f"{path}: {name} has a twin, and is listed in twins.py as having none")
    path = root / "interpose/symbols.def"
    exported = generate.exported_names(generate.parse_symbols(path))
    words = set(re.findall(r"\w+", text))
    problems += [f"{path}: {name} has no twin" for name in exported if name not in words]
    print("\n".join(problems) or
          f"{len(table) - len(NONE)} of {len(table)} system calls and all of {len(exported)} exported "
          "names have a twin, which runs by patched sites, by Syscall User Dispatch and by the "
          "exported names alone")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
