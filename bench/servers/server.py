"""A real server as the comparison needs it: started in a folder of its own, natively or under
`ramie run`, watched, and ended with all its processes."""
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import threading
import time

START_S = 60  # until it answers
LOAD_S = 180  # until the load tool is done

KERNEL_STACK_KB = 16  # THREAD_SIZE on x86-64


def task_struct_kb():
    """The kernel's own notes on a thread. Who may not read how large they are guesses."""
    try:
        return int(pathlib.Path("/sys/kernel/slab/task_struct/object_size").read_text(encoding="ascii")) / 1024
    except OSError:
        return 6


TASK_KB = KERNEL_STACK_KB + task_struct_kb()


class Failure(Exception):
    """What went wrong with a server or with its load tool."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def allow_many_descriptors():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def output_of(command, patience=LOAD_S, **more):
    """What a tool prints; raises Failure."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False,
                              stdin=subprocess.DEVNULL, preexec_fn=allow_many_descriptors, **more)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{command[0]} is not done after {patience} s") from error
    if done.returncode != 0:
        raise Failure(f"{command[0]}: exit code {done.returncode}: {(done.stderr + done.stdout)[-300:]}")
    return done.stdout + done.stderr


def number_in(pattern, text):
    """The first group as a number; raises Failure where there is none."""
    found = re.search(pattern, text, re.MULTILINE)
    if not found:
        raise Failure(f"no {pattern!r} in: {text[-300:]}")
    return float(found[1])


class Server:
    """One kind of server. Subclasses say how it is prepared and started, and what its load is."""

    name = ""

    def __init__(self, folder, prefix):
        self.folder, self.prefix = pathlib.Path(folder), prefix
        self.port = free_port()
        self.process = None

    def prepare(self):
        """Before the start."""

    def command(self):
        """The server, in the foreground."""
        raise NotImplementedError

    def fill(self):
        """Once it answers, before it is measured."""

    def load(self, connections, share):
        """That share of the usual load: how many requests per second, and how many in all; raises Failure
        if one was answered wrongly or not at all."""
        raise NotImplementedError

    def __enter__(self):
        self.prepare()
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            [*self.prefix, *map(str, self.command())], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, cwd=self.folder, start_new_session=True,
            preexec_fn=allow_many_descriptors)
        try:
            self.wait_until_it_answers()
            self.fill()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def wait_until_it_answers(self):
        limit = time.monotonic() + START_S
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                raise Failure(f"it ended at once: {self.last_words()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Failure(f"it does not answer after {START_S} s: {self.last_words()}")

    def last_words(self):
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-300:]

    def measure(self, connections, share):
        """Requests per second, the most memory that was seen meanwhile in MB, CPU time per request in us, and
        the most kernel threads; after a warm-up."""
        self.load(connections, share / 5)
        memory, tasks, done = [], [], threading.Event()

        def watch():
            while True:
                memory.append(self.memory_mb())
                tasks.append(self.tasks())
                if done.wait(0.5):
                    return

        watcher, before = threading.Thread(target=watch), self.cpu_s()
        watcher.start()
        try:
            rate, requests = self.load(connections, share)
        finally:
            done.set()
            watcher.join()
        return rate, max(memory), (self.cpu_s() - before) * 1e6 / requests, max(tasks)

    def stats(self):
        """Of all that belong to its session, which this program made for it alone: the folder in /proc, and
        the fields of stat from the third on."""
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[3]) == self.process.pid and fields[0] != "Z":
                    yield entry, fields

    def processes(self):
        return (entry for entry, _ in self.stats())

    def cpu_s(self):
        """User and system time of its processes so far, with that of children which have ended."""
        ticks = sum(int(ticks) for _, fields in self.stats() for ticks in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self):
        """Of all its processes together, what they share counted once; with what the kernel needs for them:
        page tables, and a stack and a task structure for each thread."""
        total = 0
        for entry in self.processes():
            try:
                mapped = (entry / "smaps_rollup").read_text(encoding="utf-8")
                status = (entry / "status").read_text(encoding="utf-8")
            except OSError:
                continue
            total += (number_in(r"^Pss:\s+(\d+)", mapped) + number_in(r"^VmPTE:\s+(\d+)", status)
                      + number_in(r"^Threads:\s+(\d+)", status) * TASK_KB)
        return total / 1024

    def tasks(self):
        """How many kernel threads it has."""
        count = 0
        for entry in self.processes():
            try:
                count += len(os.listdir(entry / "task"))
            except OSError:
                pass
        return count

    def end(self):
        """By SIGTERM, and what is left after that by SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            limit = time.monotonic() + 15
            while time.monotonic() < limit and any(self.processes()):
                self.process.poll()  # or it would stay as a zombie
                time.sleep(0.05)
        self.process.wait()
        self.log.close()
