"""Everything that the bench runs, group by group. Counts are such that one run takes some tenths of
a second on a machine that does nothing else; quick ones are as small as possible."""
import functools

from comparisons import FS_MODES
from echo_program import EchoProgram
from parallel_inputs import Inputs
from parallel_program import ParallelProgram
from programs import Failure, GoogleProgram, HostedProgram, NotHosted, Program, preload

PYTHON = "/usr/bin/python3"  # the one that Debian's gevent belongs to


class Catalog:
    """`modes` are the FS modes of this machine."""

    def __init__(self, build, source, modes, quick):
        self.build, self.quick, self.modes = build, quick, modes
        self.bench = build / "bench"
        self.gevent_folder = source / "bench" / "gevent"
        self.plain_folder = source / "bench" / "plain"

    def all(self):
        for group in (self.switches, self.spawns, self.bursts, self.wakes, self.parked, self.sleeps,
                      self.skynets, self.echoes, self.scale, self.hogs, self.calls,
                      self.starts, self.primitives, self.parallel,
                      self.python_echoes):
            yield from group()

    def count(self, full, quick):
        return quick if self.quick else full

    def peer(self, kind, names, *arguments, **more):
        """A program that is not ours, by the name of its row."""
        commands = {
            "go": [self.bench / "go_all"],
            "gevent": [PYTHON, self.gevent_folder / "measure.py"],
            "st": [self.bench / "peers_state_threads"],
            "pth": [self.bench / "peers_pth"],
        }
        return Program(kind, names, [*commands[kind.partition("-")[0]], *arguments], **more)

    def threads(self, names, program, *arguments, modes=None, native="kernel", **more):
        """A plain program: natively, and hosted in each mode."""
        command = [self.bench / f"plain_{program}", *arguments]
        if native:
            yield Program(native, names, command, **more)
        for mode in self.modes if modes is None else modes:
            yield HostedProgram(f"hosted-{mode}", names, command, self.build, **more)

    def fibers(self, kind, names, program, *arguments, **more):
        return Program(kind, names, [self.bench / f"fibers_{program}", *arguments], **more)

    def switches(self):
        slow, swift = self.count(100_000, 2000), self.count(2_000_000, 2000)
        for number in (2, 1000):
            names = {"switch": f"switch/{number}"}
            for kind in ("raw", "light", "boost"):
                yield GoogleProgram(kind, f"switch/{number}", self.bench / "fibers_switch",
                                    f"{kind}/{number}", self.quick)
            yield from self.threads(names, "switch", "yield", number, slow, modes=())
            for mode in self.modes:
                turns = slow if mode == "prctl" else swift
                yield from self.threads(names, "switch", "yield", number, turns, modes=(mode,),
                                        native=None)
            yield self.peer("go", names, "yield", number, swift)
            yield self.peer("gevent", names, "yield", number, slow)
            yield self.peer("st", names, "yield", number, slow)
            # Pth looks at all its threads at each switch.
            yield self.peer("pth", names, "yield", number, slow if number == 2 else slow // 50)

    def spawns(self):
        names = {"spawn": "spawn"}
        for kind in ("raw", "light", "boost"):
            yield GoogleProgram(kind, "spawn", self.bench / "fibers_spawn", f"{kind}/spawn",
                                self.quick)
        yield from self.threads(names, "spawn", "one_by_one", self.count(5000, 100), modes=())
        yield from self.threads(names, "spawn", "one_by_one", self.count(30_000, 100), native=None)
        for kind, count in (("go", 500_000), ("gevent", 10_000), ("st", 500_000), ("pth", 10_000)):
            yield self.peer(kind, names, "one_by_one", self.count(count, 100))

    def bursts(self):
        for size, full in (("20k", 20_000), ("100k", 100_000)):
            count = self.count(full, 1000)
            names = {"cold": f"burst-{size}/cold", "warm": f"burst-{size}/warm"}
            for kind in ("light", "boost"):
                for state, name in names.items():
                    yield GoogleProgram(kind, name, self.bench / "fibers_spawn",
                                        f"{kind}/{state}/{count}", self.quick)
            # The kernel's default limits don't let a process have the stacks of 100,000 threads.
            native = "kernel" if size == "20k" else None
            yield from self.threads(names, "spawn", "burst", count, native=native)
            for kind in ("go", "gevent", "st"):
                yield self.peer(kind, names, "burst", count)

    def wakes(self):
        same, across, pairs = ({"handover": f"wake/{name}"} for name in ("same", "across", "pairs"))
        swift, slow = self.count(1_000_000, 500), self.count(50_000, 500)
        for kind in ("light", "boost"):
            yield self.fibers(kind, {"wake": "wake/same"}, "wake", kind, swift)
        yield from self.threads(same, "switch", "handover", 1, slow)
        for kind, rounds in (("go", swift), ("gevent", slow), ("st", swift), ("pth", slow // 5)):
            yield self.peer(kind, same, "handover", 1, rounds)
        crowd, beside = {"crowd": "wake/crowd"}, ("crowd", *self.count((1000, 500), (20, 20)))
        yield self.fibers("light", crowd, "wake", *beside)
        yield from self.threads(crowd, "switch", *beside)
        yield self.peer("go", crowd, *beside)
        # On two CPUs.
        more = {"one_cpu": False}
        yield self.fibers("light", {"wake": "wake/across"}, "wake", "across", slow, **more)
        yield self.fibers("light", {"wake": "wake/thread"}, "wake", "thread", slow, **more)
        yield from self.threads({"handover": "wake/thread"}, "switch", "handover", 1, slow,
                                modes=(), **more)
        for names, number in ((across, 1), (pairs, 100)):
            rounds = max(1, slow // number)
            yield from self.threads(names, "switch", "handover", number, rounds, **more)
            yield self.peer("go", names, "handover", number, rounds, **more)
        yield self.peer("gevent", pairs, "handover", 100, max(1, slow // 100), **more)

    def parked(self):
        for size, full in (("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000)):
            count, names = self.count(full, 500), {"parked": f"parked/{size}"}
            yield self.fibers("light", names, "parked", "light", "memory", count)
            yield self.peer("go", names, "memory", count)
            if size != "1M":
                yield self.fibers("boost", names, "parked", "boost", "memory", count)
                # By the kernel's default limits a process has no 100,000 kernel threads.
                yield from self.threads(names, "parked", "memory", count, modes=(),
                                        **({"most_rounds": 1, "may_fail": True} if size == "100k" else {}))
                yield from self.threads(names, "parked", "memory", count, modes=self.modes[:1],
                                        native=None)
                for kind in ("st", "gevent"):
                    yield self.peer(kind, names, "memory", count)

    def sleeps(self):
        most_us = self.count(1_000_000, 1000)
        for size, full in (("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000)):
            arguments = ("sleeps", self.count(full, 500), most_us)
            names = {"sleeps": f"sleeps/{size}"}
            yield self.fibers("light", names, "parked", "light", *arguments)
            yield self.peer("go", names, *arguments)
            if size != "1M":
                yield from self.threads(names, "parked", *arguments,
                                        native="kernel" if size == "10k" else None)
                yield self.fibers("boost", names, "parked", "boost", *arguments)
                for kind in ("st", "gevent"):
                    yield self.peer(kind, names, *arguments)

        command = [PYTHON, self.plain_folder / "sleep.py", *self.count((10_000, 3), (100, 0.01))]
        names = {"sleeps": "sleeps/python"}
        yield Program("kernel", names, command, one_cpu=False, most_rounds=1)
        yield HostedProgram(f"hosted-{self.modes[0]}", names, command, self.build, one_cpu=False,
                            most_rounds=3)

    def skynets(self):
        for size, full in (("10k", 10_000), ("1M", 1_000_000)):
            arguments = ("skynet", self.count(full, 100))
            names = {"skynet": f"skynet/{size}"}
            yield self.fibers("light", names, "skynet", "light", arguments[1])
            yield self.peer("go", names, *arguments)
            if size == "10k":
                yield self.fibers("boost", names, "skynet", "boost", arguments[1])
                yield from self.threads(names, "forks", *arguments)
                yield self.peer("st", names, *arguments)
                yield self.peer("gevent", names, *arguments)

    def scale(self):
        skynet = ("skynet", self.count(100_000, 100))
        tasks = ("tasks", *self.count((10_000, 50_000), (20, 1000)))  # some 100 us each
        for what in (skynet, tasks):
            names = {what[0]: f"scale/{what[0]}"}
            for number in (1, 2):
                more = {"one_cpu": number == 1}
                if what is tasks:  # the tree is more than the kernel's limits allow
                    yield from self.threads(names, "forks", *what, modes=(),
                                            native=f"kernel-{number}", **more)
                yield HostedProgram(f"hosted-{self.modes[0]}-{number}", names,
                                    [self.bench / "plain_forks", *what], self.build,
                                    carriers=number, **more)
                yield self.fibers(f"light-{number}", names, "forks", *what, number, **more)
                yield self.peer(f"go-{number}", names, *what, **more)

    def hogs(self):
        milliseconds = self.count(3000, 100)
        for prefix, command in (("", [self.bench / "plain_hog", "hog"]),
                                ("python-", [PYTHON, self.plain_folder / "hog.py"])):
            names = {"late": f"hog/{prefix}sleep", "trip": f"hog/{prefix}echo"}
            for number in (1, 2):
                more = {"one_cpu": number == 1}
                yield Program(f"kernel-{number}", names, [*command, milliseconds], **more)
                yield HostedProgram(f"hosted-{self.modes[0]}-{number}", names,
                                    [*command, milliseconds], self.build, carriers=number, **more)

    def calls(self):
        names = {call: f"calls/{call}" for call in ("getppid", "mutex", "read", "file")}
        count = self.count(200_000, 200)
        yield from self.threads(names, "calls", "thread", count, native="native")
        alone = Program("preloaded", names, [self.bench / "plain_calls", "alone", count])
        alone.environment = {"LD_PRELOAD": str(preload(self.build))}
        yield alone

    def starts(self):
        count, program = self.count(200, 2), self.bench / "plain_start"
        for what in ("exit", "thread"):
            names = {"start": f"start/{what}"}
            yield Program("native", names, [program, count, program, what])
            hosted = Program(f"hosted-{self.modes[0]}" if what == "thread" else "preloaded", names,
                             [program, count, program, what])
            hosted.environment = {"BENCH_PRELOAD": str(preload(self.build))}
            yield hosted
            command = [self.build / "cli" / "ramie", "run", program, what]
            yield Program("run", names, [program, count, *command])

    def parallel(self):
        inputs, of_sysbench = Inputs(), {"pattern": rb"total number of events: +\d+"}
        text, files = self.count((24_000, 6_000), (200, 100)), self.count(24, 2)
        project = functools.partial(inputs.project, files)

        def sysbench(test, threads, *options):
            return lambda: ["sysbench", test, f"--threads={threads}", "--time=0", *options, "run"]

        commands = {
            "pigz": (lambda: ["pigz", "-p2", "-c", inputs.text(text[0])], {}),
            "xz": (lambda: ["xz", "-T2", "-2", "--block-size=1MiB", "-c", inputs.text(text[1])], {}),
            "sysbench-cpu": (sysbench("cpu", 2, f"--events={self.count(3000, 10)}"), of_sysbench),
            "sysbench-threads": (sysbench("threads", 64, f"--events={self.count(2000, 64)}",
                                          "--thread-yields=200", "--thread-locks=8"), of_sysbench),
            "sysbench-mutex": (sysbench("mutex", 64, "--mutex-loops=500", "--mutex-num=64",
                                        f"--mutex-locks={self.count(40_000, 10)}"), of_sysbench),
            "sort": (lambda: [self.bench / "parallel_sort", self.count(8_000_000, 1000)], {}),
            "relax": (lambda: [self.bench / "parallel_relax", *self.count((400, 10_000), (20, 10))], {}),
            "make": (lambda: ["make", "-s", "-j2", "-C", inputs.clean(project()), "CC=/usr/bin/cc"],
                     {"result": lambda: (project() / "program").read_bytes(), "has_threads": False}),
        }
        for name, (command, more) in commands.items():
            for kind in ("native", "run"):
                yield ParallelProgram(kind, f"parallel/{name}", command, self.build, **more)

    def primitives(self):
        whats = ("mutex", "contended", "condition", "semaphore", "channel", "buffered", "queue",
                 "select", "future", "pool")
        missing = {"boost": ("semaphore", "queue", "select", "pool"), "go": ("queue",),
                   "gevent": ("condition", "select"), "light": ()}
        for kind, lacks in missing.items():
            names = {what: f"primitives/{what}" for what in whats if what not in lacks}
            count = self.count(20_000 if kind == "gevent" else 500_000, 200)
            if kind in ("light", "boost"):
                yield self.fibers(kind, names, "primitives", kind, count)
            else:
                yield self.peer(kind, names, "primitives", count)

    def echoes(self):
        threads = self.build / "demos" / "thread_echo"
        servers = {
            "epoll": [self.bench / "echo_epoll"],
            "uring": [self.bench / "echo_uring"],
            "light": [self.bench / "echo_light"],
            "light-epoll": [self.bench / "echo_light"],
            "light-uring": [self.bench / "echo_light"],
            "kernel": [threads],
            **{f"hosted-{mode}": [threads] for mode in self.modes},
            "go": [self.bench / "go_all", "echo"],
            "st": [self.bench / "echo_state_threads"],
            "gevent": [PYTHON, self.gevent_folder / "echo.py"],
        }
        for connections in (16, 100, 1000, 10_000):
            for kind, command in servers.items():
                mode = kind.removeprefix("hosted-") if kind.startswith("hosted-") else None
                poller = {"light-epoll": "epoll", "light-uring": "io_uring"}.get(kind, "auto")
                yield EchoProgram(kind, f"echo/{connections}", self.count(connections, 20),
                                  self.count(100_000, 100), command, self.build, mode, poller)


    def python_echoes(self):
        """Natively 5,000 connections would take minutes."""
        command = [PYTHON, self.plain_folder / "echo.py"]
        for connections, full in ((16, 20_000), (1000, 10_000), (5000, 10_000)):
            arguments = (f"python-echo/{connections}", self.count(connections, 20), self.count(full, 100),
                         command, self.build)
            if connections <= 1000:
                yield EchoProgram("kernel", *arguments, most_rounds=3)
            yield EchoProgram(f"hosted-{self.modes[0]}", *arguments, self.modes[0], most_rounds=3)


def modes_here(build):
    """The FS modes that this machine has: those in which the smallest run of all is hosted, and
    prctl, which every machine has."""
    for mode in FS_MODES:
        smallest = HostedProgram(f"hosted-{mode}", {"spawn": "spawn"},
                                 [build / "bench" / "plain_spawn", "one_by_one", 1], build)
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
