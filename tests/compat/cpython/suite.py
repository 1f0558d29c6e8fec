"""One run of one module of CPython's suite, natively or under Ramie, and what each test came to."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

RECORDER = pathlib.Path(__file__).with_name("recorder.py")
# A test that says nothing for so long hangs; the slowest one takes 40 s natively.
STALL_SECONDS = 120
MODULE_SECONDS = 1200
# One hang must not hide what comes behind it, and ten are enough to know.
MOST_RESTARTS = 10

GOOD = ("pass", "xfail")


@dataclasses.dataclass
class Outcome:
    event: str
    detail: str = ""


@dataclasses.dataclass
class Runner:
    """How a module is started: `prefix` is empty, or `ramie run --`."""

    python: str
    prefix: list
    logs: pathlib.Path | None = None
    # How many threads have been fibers, in all processes of all runs: proof that Ramie took part.
    fibers: int = 0

    def run(self, module, words, only=()):
        """The outcome of each test by name. `words` are the module's in modules.txt, `only` names the
        tests to be run, all if it is empty."""
        outcomes, ignored, end = {}, [], ""
        for _ in range(MOST_RESTARTS):
            found, end = self._run_once(module, words, only, ignored)
            fresh = {name: outcome for name, outcome in found.items() if name not in outcomes}
            outcomes.update(fresh)
            if not end or not fresh:
                break
            # The rest, without those which are known by now.
            ignored = sorted(outcomes)
        if end and not any(outcome.event in ("hang", "crash") for outcome in outcomes.values()):
            outcomes["(module)"] = Outcome("crash", end)
        return outcomes

    def _run_once(self, module, words, only, ignored):
        with tempfile.TemporaryDirectory(prefix="ramie_cpython_") as scratch:
            record = pathlib.Path(scratch, "record")
            record.touch()
            folder = pathlib.Path(scratch, "tmp")
            folder.mkdir()
            output = pathlib.Path(scratch, "output")
            command = [*self.prefix, self.python, str(RECORDER), "-v", "-u",
                       "cpu,network" if "loopback" in words else "cpu"]
            unfit = [word.removeprefix("without=") for word in words if word.startswith("without=")]
            for flag, names in (("--matchfile", only), ("--ignorefile", [*ignored, *unfit])):
                if names:
                    listed = pathlib.Path(scratch, flag.strip("-"))
                    listed.write_text("".join(f"test.{module}.{name}\n" for name in names))
                    command += [flag, str(listed)]
            stats = pathlib.Path(scratch, "stats")
            environment = dict(os.environ, RECORD=str(record), TMPDIR=str(folder), HOME=str(folder),
                               RAMIE_STATS=str(stats))
            with output.open("wb") as text:
                process = subprocess.Popen([*command, module], stdin=subprocess.DEVNULL, stdout=text,
                                           stderr=text, env=environment, cwd=folder,
                                           start_new_session=True)
                end = watch(process, record)
                end_all(process.pid, str(folder))
            if stats.exists():
                self.fibers += sum(map(int, re.findall(r"fibers=(\d+)", stats.read_text())))
            if self.logs:
                with (self.logs / f"{module}.log").open("ab") as log:
                    log.write(output.read_bytes())
            return read_record(record, module, end)


def watch(process, record):
    """Waits for the end; returns how it ended, empty if it came to the end by itself."""
    begun = progress = time.monotonic()
    size = 0
    while True:
        try:
            code = process.wait(0.25)
            # The driver answers 2 if a test failed, 3 and 4 for what it left behind.
            return "" if 0 <= code <= 5 else f"ended by {code}"
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if record.stat().st_size != size:
            size, progress = record.stat().st_size, now
        if now - progress > STALL_SECONDS or now - begun > MODULE_SECONDS:
            return "hang"


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


def read_record(record, module, end):
    """The outcomes that were written down; a test that was begun and not ended is how it ended."""
    outcomes, begun = {}, None
    prefix = f"test.{module}."
    for line in record.read_text().splitlines():
        event, name, detail = json.loads(line)
        name = name.removeprefix(prefix)
        if event == "start":
            begun = name
            continue
        # What has failed once stays failed: a subtest, or a clean-up after the test.
        if name not in outcomes or outcomes[name].event in GOOD:
            outcomes[name] = Outcome(event, detail)
        if name == begun:
            begun = None
    if begun and begun not in outcomes and end:
        outcomes[begun] = Outcome("hang" if end == "hang" else "crash", end)
    return outcomes, end
