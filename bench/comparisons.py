"""What is compared: each comparison's name, title and columns, the names of those that are compared,
and the goals."""
import dataclasses

FS_MODES = ("fsgsbase", "trap", "prctl")  # the best first: the order in which "auto" prefers them

# What a row is about, in the order of the tables.
LABELS = {
    "raw": "raw Boost.Context",
    "epoll": "raw epoll loop",
    "uring": "raw io_uring loop",
    "light": "light fibers",
    "light-epoll": "light fibers, RAMIE_POLLER=epoll",
    "light-uring": "light fibers, RAMIE_POLLER=io_uring",
    "light-1": "light fibers, 1 carrier",
    "light-2": "light fibers, 2 carriers",
    **{f"hosted-{mode}": f"hosted threads, {mode}" for mode in FS_MODES},
    **{f"hosted-{mode}-1": f"hosted threads, {mode}, 1 carrier" for mode in FS_MODES},
    **{f"hosted-{mode}-2": f"hosted threads, {mode}, 2 carriers" for mode in FS_MODES},
    "preloaded": "preloaded, no thread yet",
    "run": "by `ramie run`",
    "kernel": "kernel threads",
    "kernel-1": "kernel threads, 1 CPU",
    "kernel-2": "kernel threads, 2 CPUs",
    "native": "native",
    "boost": "Boost.Fiber",
    "go": "Go",
    "go-1": "Go, GOMAXPROCS=1",
    "go-2": "Go, GOMAXPROCS=2",
    "st": "State Threads",
    "pth": "GNU Pth",
    "gevent": "gevent",
}


@dataclasses.dataclass(frozen=True)
class Column:
    heading: str
    decimals: int = 1
    is_rate: bool = False  # more is better


@dataclasses.dataclass(frozen=True)
class Comparison:
    title: str
    columns: tuple
    decisive: int = 0  # the column of which ratios are made, and charts
    bases: tuple = ("raw", "kernel", "go")  # what ratios relate to


def time_of(title, **more):
    """ns for each operation, by the clock and of CPU time: the latter decides."""
    return Comparison(title, (Column("ns"), Column("CPU ns")), decisive=1, **more)


def whole(title, decisive=1, **more):
    """What all of it took."""
    columns = (Column("s", 3), Column("CPU s", 3), Column("peak MB"))
    return Comparison(title, columns, decisive, **more)


def parked(title):
    columns = (Column("bytes", 0), Column("tables", 0), Column("ns start", 0), Column("ns wake", 0))
    return Comparison(title, columns, bases=("kernel", "go"))


def lateness(title):
    columns = (Column("p50 us"), Column("p99 us"))
    return Comparison(title, columns, decisive=1, bases=("kernel-1", "kernel-2"))


def parallel(title):
    return Comparison(title, (Column("s", 3), Column("CPU s", 3), Column("switches", 0)),
                      bases=("native",))


def echo(title, **more):
    columns = (Column("CPU us", 2), Column("per s", 0, is_rate=True), Column("p50 us", 0),
               Column("p99 us", 0), Column("tasks", 0))
    return Comparison(title, columns, **({"bases": ("epoll", "uring", "kernel")} | more))


def python_echo(title):
    return echo(title, decisive=1, bases=("kernel",))


COMPARISONS = {
    "switch/2": time_of("switch, 2 taking turns"),
    "switch/1000": time_of("switch, 1,000 taking turns"),
    "spawn": time_of("spawn and join, one after another"),
    "burst-20k/cold": time_of("20,000 spawned, then joined; the first time"),
    "burst-20k/warm": time_of("20,000 spawned, then joined; the second time"),
    "burst-100k/cold": time_of("100,000 spawned, then joined; the first time"),
    "burst-100k/warm": time_of("100,000 spawned, then joined; the second time"),
    "wake/same": time_of("hand-over, one CPU", bases=("kernel", "go")),
    "wake/crowd": Comparison("hand-over beside 1,000 that always yield, one CPU",
                             (Column("CPU ns", 0), Column("CPU ns of a turn", 1)),
                             bases=("kernel", "go")),
    "wake/across": time_of("hand-over, two CPUs", bases=("kernel", "go")),
    "wake/thread": time_of("hand-over, fiber and kernel thread", bases=("kernel",)),
    "wake/pairs": time_of("hand-over, 100 pairs, two CPUs", bases=("kernel", "go")),
    "parked/10k": parked("10,000 that wait, each"),
    "parked/100k": parked("100,000 that wait, each"),
    "parked/1M": parked("1,000,000 that wait, each"),
    "sleeps/10k": whole("10,000 sleep for 0 to 1 s"),
    "sleeps/100k": whole("100,000 sleep for 0 to 1 s"),
    "sleeps/1M": whole("1,000,000 sleep for 0 to 1 s"),
    "sleeps/python": whole("python3: 10,000 threads sleep for 3 s", 0, bases=("kernel",)),
    "skynet/10k": whole("tree of 10,000 leaves, each node's children spawned, then joined"),
    "skynet/1M": whole("tree of 1,000,000 leaves, each node's children spawned, then joined"),
    "scale/skynet": whole("tree of 100,000 leaves", 0, bases=("kernel-1", "go-1")),
    "scale/tasks": whole("10,000 tasks that compute, spawned by one", 0, bases=("kernel-1", "go-1")),
    "hog/sleep": lateness("sleeps of 10 ms beside one that computes: too late by"),
    "hog/echo": lateness("a byte there and back beside one that computes"),
    "hog/python-sleep": lateness("python3: sleeps of 10 ms beside one that computes: too late by"),
    "hog/python-echo": lateness("python3: a byte there and back beside one that computes"),
    "calls/getppid": time_of("getppid", bases=("native",)),
    "calls/mutex": time_of("an uncontended mutex, locked and unlocked", bases=("native",)),
    "calls/read": time_of("read of a socket that has data", bases=("native",)),
    "calls/file": time_of("pread of 64 bytes of a file", bases=("native",)),
    "start/exit": time_of("a process that does nothing", bases=("native",)),
    "start/thread": time_of("a process with one thread more", bases=("native",)),
    "primitives/mutex": time_of("mutex, uncontended", bases=("boost", "go", "gevent")),
    "primitives/contended": time_of("mutex, 4 in turn", bases=("boost", "go", "gevent")),
    "primitives/condition": time_of("condition variable, 2 in turn", bases=("boost", "go", "gevent")),
    "primitives/semaphore": time_of("semaphore, uncontended", bases=("boost", "go", "gevent")),
    "primitives/channel": time_of("channel without room", bases=("boost", "go", "gevent")),
    "primitives/buffered": time_of("channel with room for 128", bases=("boost", "go", "gevent")),
    "primitives/queue": time_of("queue without limit", bases=("boost", "go", "gevent")),
    "primitives/select": time_of("select of two channels", bases=("boost", "go", "gevent")),
    "primitives/future": time_of("future, by another fiber", bases=("boost", "go", "gevent")),
    "primitives/pool": time_of("task in a pool of 10", bases=("boost", "go", "gevent")),
    "parallel/pigz": parallel("pigz -p2 of a text"),
    "parallel/xz": parallel("xz -T2 of a text"),
    "parallel/sysbench-cpu": parallel("sysbench cpu, 2 threads"),
    "parallel/sysbench-threads": parallel("sysbench threads, 64 that yield with a lock"),
    "parallel/sysbench-mutex": parallel("sysbench mutex, 64 threads"),
    "parallel/sort": parallel("parallel sort by libstdc++"),
    "parallel/relax": parallel("10,000 short parallel loops by OpenMP"),
    "parallel/make": parallel("make -j2 of 25 files of C"),
    "echo/16": echo("echo of 64 bytes, 16 connections"),
    "echo/100": echo("echo of 64 bytes, 100 connections"),
    "echo/1000": echo("echo of 64 bytes, 1,000 connections"),
    "echo/10000": echo("echo of 64 bytes, 10,000 connections"),
    "python-echo/16": python_echo("python3: echo by threads, 16 connections"),
    "python-echo/1000": python_echo("python3: echo by threads, 1,000 connections"),
    "python-echo/5000": python_echo("python3: echo by threads, 5,000 connections"),
}


@dataclasses.dataclass(frozen=True)
class Goal:
    """At most `limit` times what `base` has, or at least if it is a rate; without a base, at most `limit`, on
    a machine like the one that the goals were set on. "hosted" stands for the mode that "auto" chooses
    here. The base is a kind, or a whole row of the same group. `heading` is of the column that counts,
    where it isn't the decisive one."""
    comparison: str
    kind: str
    base: str | None
    limit: float
    heading: str | None = None

    @property
    def place(self):
        comparison = COMPARISONS[self.comparison]
        headings = [column.heading for column in comparison.columns]
        return headings.index(self.heading) if self.heading else comparison.decisive


GOALS = (
    Goal("switch/2", "light", "raw", 2.5),
    Goal("switch/1000", "light", "raw", 2.5),
    Goal("wake/same", "light", "go", 0.33),
    Goal("wake/same", "light", None, 40),
    Goal("spawn", "light", "go", 0.2),
    Goal("spawn", "light", None, 60),
    Goal("burst-100k/cold", "light", None, 2000),
    Goal("burst-100k/warm", "light", None, 150),
    Goal("parked/10k", "light", None, 4400),
    Goal("parked/100k", "light", None, 4400),
    Goal("parked/1M", "light", None, 4400),
    Goal("sleeps/100k", "light", None, 1),
    Goal("skynet/1M", "light", "go", 1),
    Goal("echo/1000", "light", "epoll", 1.05),
    Goal("echo/10000", "light", "uring", 1.25),
    Goal("switch/2", "hosted", "kernel", 0.2),
    Goal("spawn", "hosted", "kernel", 0.3),
    Goal("parked/10k", "hosted", None, 9000),
    Goal("parked/100k", "hosted", None, 9000),
    Goal("echo/16", "hosted", "kernel", 1),
    Goal("echo/1000", "hosted", "kernel", 0.75),
    Goal("echo/10000", "hosted", "kernel", 0.6),
    *(Goal(f"echo/{number}", "hosted", "kernel", 1, "p99 us") for number in (1000, 10000)),
    Goal("sleeps/python", "hosted", None, 5),
    *(Goal(f"python-echo/{number}", "hosted", "python-echo/16/kernel", 1) for number in (1000, 5000)),
    *(Goal(f"hog/{what}", f"hosted-{number}", f"kernel-{number}", 2)
      for what in ("sleep", "echo", "python-sleep", "python-echo") for number in (1, 2)),
    *(Goal(f"calls/{call}", "hosted", "native", 1.03)
      for call in ("getppid", "mutex", "read", "file")),
    *(Goal(name, "run", "native", 1.05) for name in COMPARISONS if name.startswith("parallel/")),
)
