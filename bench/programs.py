"""How the bench runs one process, and reads the figures that it prints."""
import collections
import json
import os
import pathlib
import re
import resource
import subprocess
import tempfile

from comparisons import COMPARISONS

PATIENCE_S = 120


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


def prepare_process(cpus):
    """What runs in each child before its program: which CPUs it may use, and as many descriptors as
    there may be."""

    def prepare():
        if cpus:
            os.sched_setaffinity(0, cpus)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    return prepare


def first_cpu():
    return {min(os.sched_getaffinity(0))}


def last_cpu():
    return {max(os.sched_getaffinity(0))}


class Program:
    """One process, run again and again. It prints lines of a name and figures; `names` says to which
    comparison each name belongs. It has one CPU, or with one_cpu=False all there are. One that takes long
    may have fewer rounds than others; one that may fail meets a limit of the system."""

    def __init__(self, kind, names, command, one_cpu=True, most_rounds=1000, may_fail=False):
        self.kind, self.names = kind, names
        self.command = [str(part) for part in command]
        self.cpus = last_cpu() if one_cpu else None
        self.environment = {}
        self.most_rounds, self.may_fail = most_rounds, may_fail
        self.notes = collections.Counter()  # what was remarkable, and in how many runs

    def rows(self):
        return [f"{name}/{self.kind}" for name in self.names.values()]

    def start(self, output=subprocess.PIPE):
        """Its standard output, unless it goes to a file; raises Failure."""
        try:
            done = subprocess.run(
                self.command, stdout=output, stderr=subprocess.PIPE, text=True,
                stdin=subprocess.DEVNULL, env=os.environ | self.environment, timeout=PATIENCE_S,
                check=False, preexec_fn=prepare_process(self.cpus),
            )
        except subprocess.TimeoutExpired as error:
            raise Failure(f"not done after {PATIENCE_S} s") from error
        except OSError as error:
            raise Failure(str(error)) from error
        if done.returncode != 0:
            raise Failure(f"exit code {done.returncode}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def run(self):
        """{comparison: its figures}"""
        return read_figures(self.start(), self.names)


def read_figures(output, names):
    figures = {}
    for line in output.splitlines():
        name, *numbers = line.split()
        if name in names:
            figures[names[name]] = [float(number) for number in numbers]
    for name, comparison in names.items():
        if len(figures.get(comparison, ())) != len(COMPARISONS[comparison].columns):
            raise Failure(f"no figures of {name} in what it prints")
    return figures


class GoogleProgram(Program):
    """One benchmark of a Google Benchmark program, in which one iteration is one operation."""

    def __init__(self, kind, name, program, benchmark, quick):
        least = 0.001 if quick else 0.2
        command = [program, f"--benchmark_filter=^{benchmark}/", "--benchmark_format=json",
                   f"--benchmark_min_time={least}"]
        super().__init__(kind, {benchmark: name}, command)

    def run(self):
        found = json.loads(self.start() or '{"benchmarks": []}')["benchmarks"]
        if len(found) != 1:
            raise Failure(f"{len(found)} benchmarks instead of one")
        if found[0].get("error_occurred"):
            raise Failure(found[0]["error_message"])
        (name,) = self.names.values()
        return {name: [found[0]["real_time"], found[0]["cpu_time"]]}


class HostedProgram(Program):
    """A plain program under the preload, with one way to switch the FS base."""

    def __init__(self, kind, names, command, build, carriers=None, **more):
        super().__init__(kind, names, command, **more)
        self.mode = kind.split("-")[1]
        self.environment = {"LD_PRELOAD": str(preload(build)), "RAMIE_FS": self.mode}
        if carriers:
            self.environment["RAMIE_CARRIERS"] = str(carriers)

    def run(self):
        with tempfile.TemporaryDirectory() as folder:
            stats = pathlib.Path(folder, "stats")
            self.environment["RAMIE_STATS"] = str(stats)
            figures = super().run()
            self.check_mode(stats)
        return figures

    def check_mode(self, stats):
        """Without a line in RAMIE_STATS the threads were not hosted, the figure is the kernel's.
        The runtime may leave trap mode in the middle, which makes the figure a mixture."""
        if not stats.exists():
            raise NotHosted("its threads are not hosted")
        used = first_match(r"\bfs=(\w+)", stats)
        if used != self.mode:
            self.notes[f"ended in FS mode {used}"] += 1


def preload(build):
    return build / "interpose" / "libramie-preload.so"
