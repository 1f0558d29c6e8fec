"""What run.py runs: each row of its tables is one figure of one of these programs."""
import collections
import json
import os
import pathlib
import re
import subprocess
import tempfile

PATIENCE_S = 600
FS_MODES = ("fsgsbase", "trap", "prctl")  # the best first: the order in which "auto" prefers them


def first_match(pattern, path):
    """The first group of the pattern in a file, or "unknown"."""
    try:
        found = re.search(pattern, pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1] if found else "unknown"


class Failure(Exception):
    """What a benchmark said when it did not work."""


class NotHosted(Failure):
    """It worked, but on kernel threads."""


class Timing(collections.namedtuple("Timing", "wall cpu")):
    """ns per operation, by the clock and of CPU time."""


class Program:
    """One process, run again and again; it gives a figure for each of the comparisons `names`."""

    def __init__(self, kind, names, command, one_cpu=False):
        self.kind, self.names, self.command = kind, names, [str(part) for part in command]
        self.one_cpu = one_cpu
        self.environment = {}
        self.notes = collections.Counter()  # what was remarkable, and in how many runs

    def rows(self):
        return [f"{name}/{self.kind}" for name in self.names]

    def start(self):
        """Its standard output; raises Failure."""

        def pin():
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

        try:
            done = subprocess.run(
                self.command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                env=os.environ | self.environment, timeout=PATIENCE_S, check=False,
                preexec_fn=pin if self.one_cpu else None,
            )
        except subprocess.TimeoutExpired as error:
            raise Failure(f"not done after {PATIENCE_S} s") from error
        except OSError as error:
            raise Failure(str(error)) from error
        if done.returncode != 0:
            raise Failure(f"exit code {done.returncode}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def run(self):
        """The Timing of each of `names`."""
        raise NotImplementedError


class FiberProgram(Program):
    """One benchmark of a Google Benchmark program, in which one iteration is one operation."""

    def __init__(self, kind, name, program, benchmark, quick):
        least = 0.001 if quick else 0.2
        command = [program, f"--benchmark_filter=^{benchmark}/", "--benchmark_format=json",
                   f"--benchmark_min_time={least}"]
        super().__init__(kind, [name], command, one_cpu=name.startswith("switch"))

    def run(self):
        found = json.loads(self.start() or '{"benchmarks": []}')["benchmarks"]
        if len(found) != 1:
            raise Failure(f"{len(found)} benchmarks instead of one")
        if found[0].get("error_occurred"):
            raise Failure(found[0]["error_message"])
        return {self.names[0]: Timing(found[0]["real_time"], found[0]["cpu_time"])}


class ThreadProgram(Program):
    """The plain program: natively, or hosted with one way to switch the FS base."""

    def __init__(self, kind, names, build, arguments):
        self.mode = kind.removeprefix("hosted-") if kind != "kernel" else None
        self.build = build
        command = [build / "bench" / "bench_threads", *arguments]
        super().__init__(kind, names, command, one_cpu=arguments[0] == "switch")

    def run(self):
        if self.mode is None:
            output = self.start()
        else:
            with tempfile.TemporaryDirectory() as folder:
                stats = pathlib.Path(folder, "stats")
                self.environment = {
                    "LD_PRELOAD": str(self.build / "interpose" / "libramie-preload.so"),
                    "RAMIE_FS": self.mode,
                    "RAMIE_STATS": str(stats),
                }
                output = self.start()
                self.check_mode(stats)
        figures = [line.split()[1:] for line in output.splitlines()]
        timings = [Timing(*map(float, pair)) for pair in figures]
        return dict(zip(self.names, timings, strict=True))

    def check_mode(self, stats):
        """Without a line in RAMIE_STATS the threads were not hosted, the figure is the kernel's.
        The runtime may leave trap mode in the middle, which makes the figure a mixture."""
        if not stats.exists():
            raise NotHosted("its threads are not hosted")
        used = first_match(r"\bfs=(\w+)", stats)
        if used != self.mode:
            self.notes[f"ended in FS mode {used}"] += 1


def modes_here(build):
    """The FS modes that this machine has: those in which the smallest run of all is hosted, and
    prctl, which every machine has."""
    for mode in FS_MODES:
        smallest = ThreadProgram(f"hosted-{mode}", ["spawn"], build, ["spawn", 1])
        reason = None
        try:
            smallest.run()
            reason = next(iter(smallest.notes), None)
        except NotHosted as failure:
            reason = failure
        except Failure:
            pass  # It will fail again, where that is shown.
        if reason is None or mode == "prctl":
            yield mode
        else:
            print(f"no row for hosted threads, {mode}: {reason} on this machine")


def programs(build, modes, quick):
    """Everything there is to run."""
    switch, spawn = build / "bench" / "bench_switch", build / "bench" / "bench_spawn"
    for kind in ("raw", "light", "boost"):
        for count in (2, 1000):
            yield FiberProgram(kind, f"switch/{count}", switch, f"{kind}/{count}", quick)
        yield FiberProgram(kind, "spawn", spawn, f"{kind}/spawn", quick)
    for kind in ("light", "boost"):
        for size, count in (("20k", 20_000), ("100k", 100_000)):
            for state in ("cold", "warm"):
                benchmark = f"{kind}/{state}/{1000 if quick else count}"
                yield FiberProgram(kind, f"burst-{size}/{state}", spawn, benchmark, quick)
    for kind in ("kernel", *(f"hosted-{mode}" for mode in modes)):
        # Counts that take some tenths of a second; prctl mode is as slow as a kernel's thread.
        swift = kind.startswith("hosted") and kind != "hosted-prctl"
        turns = 2000 if quick else 2_000_000 if swift else 100_000
        for count in (2, 1000):
            yield ThreadProgram(kind, [f"switch/{count}"], build, ["switch", count, turns])
        spawned = 100 if quick else 30_000 if kind != "kernel" else 5000
        yield ThreadProgram(kind, ["spawn"], build, ["spawn", spawned])
        for size, count in (("20k", 20_000), ("100k", 100_000)):
            # The kernel's default limits don't let a process have the stacks of 100,000 threads.
            if kind != "kernel" or size == "20k":
                names = [f"burst-{size}/cold", f"burst-{size}/warm"]
                yield ThreadProgram(kind, names, build, ["burst", 1000 if quick else count])
