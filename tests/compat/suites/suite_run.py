"""One run of a program of some suite, in a folder and a session of its own, and its outcomes."""

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

# A test that says nothing for so long hangs; CPython's slowest one takes 40 s natively.
STALL_SECONDS = 120
PROGRAM_SECONDS = 1200

GOOD = ("pass", "xfail")


@dataclasses.dataclass
class Outcome:
    event: str  # pass, xfail, skip, fail, error, crash, hang, absent
    detail: str = ""


@dataclasses.dataclass
class Programs:
    """How programs are started: `prefix` is empty, or `ramie run --`."""

    prefix: list
    logs: pathlib.Path | None = None
    # How many threads have been fibers, in all processes of all runs: proof that Ramie took part.
    fibers: int = 0

    def run(self, name, command, environment, progress):
        """Runs what `command(folder)` answers, with the variables of `environment(folder)`, as long as
        the file `progress(folder)` grows (None: what it writes). Returns what it wrote, what is in
        that file, its exit code, and "hang" if it was ended for that."""
        with tempfile.TemporaryDirectory(prefix="ramie_suite_") as scratch:
            folder = pathlib.Path(scratch, "tmp")
            folder.mkdir()
            output = pathlib.Path(scratch, "output")
            stats = pathlib.Path(scratch, "stats")
            watched = progress(pathlib.Path(scratch)) or output
            watched.touch()
            words = [*self.prefix, *command(pathlib.Path(scratch))]
            variables = dict(os.environ, TMPDIR=str(folder), HOME=str(folder),
                             RAMIE_STATS=str(stats), **environment(pathlib.Path(scratch)))
            with output.open("wb") as text:
                process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=text,
                                           stderr=text, env=variables, cwd=folder,
                                           start_new_session=True)
                code, end = watch(process, watched)
                end_all(process.pid, str(folder))
            if stats.exists():
                self.fibers += sum(map(int, re.findall(r"fibers=(\d+)", stats.read_text())))
            written = output.read_bytes()
            if self.logs:
                with (self.logs / f"{name}.log").open("ab") as log:
                    log.write(written)
            return written.decode(errors="replace"), watched.read_text(errors="replace"), code, end


def watch(process, watched):
    """Waits for the end; returns the exit code and what else ended it, "hang" or nothing."""
    begun = progress = time.monotonic()
    size = 0
    while True:
        try:
            return process.wait(0.1), ""
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if watched.stat().st_size != size:
            size, progress = watched.stat().st_size, now
        if now - progress > STALL_SECONDS or now - begun > PROGRAM_SECONDS:
            return None, "hang"


def end_all(leader, folder):
    """Ends what the run has left: its session, and what calls the scratch folder its own."""
    mark = f"TMPDIR={folder}".encode()
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        try:
            ours = pid == leader or mark in (entry / "environ").read_bytes().split(b"\0")
            if ours:
                os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    try:
        os.waitpid(leader, 0)
    except OSError:
        pass
