#!/usr/bin/env python3
"""Runs the hello demos side by side, as kernel threads and as fibers, and prints a short table.

    run_demo.py BUILD_DIR [THREADS]

Each of THREADS (10,000) threads says hello, sleeps for three seconds and says goodbye. The exit code
is 0 if everything that ran under Ramie did what it should.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

DEMOS = pathlib.Path(__file__).resolve().parent
SAMPLE_EVERY_S = 0.02
PATIENCE_S = 180
MOST_KERNEL_THREADS = 8


class Run:
    """What one run of a program took, and what was wrong with it, if anything."""

    def __init__(self, title, command, count):
        self.title = title
        self.wall = self.cpu = 0.0
        self.peak_kb = self.kernel_threads = 0
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            status = self._watch(command, output, errors)
            self.problem = self._judge(status, output, errors, count)

    def _watch(self, command, output, errors):
        begin = time.monotonic()
        with open(os.devnull, "rb") as null:
            process = subprocess.Popen(command, stdin=null, stdout=output, stderr=errors)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            self._sample(process.pid)
            if time.monotonic() - begin > PATIENCE_S:
                process.kill()
            time.sleep(SAMPLE_EVERY_S)
        process.returncode = status  # It is reaped; Popen need not try again.
        self.wall = time.monotonic() - begin
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak_kb = max(self.peak_kb, usage.ru_maxrss)
        return os.waitstatus_to_exitcode(status)

    def _sample(self, pid):
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                fields = dict(line.split(":", 1) for line in file)
            self.kernel_threads = max(self.kernel_threads, int(fields["Threads"]))
            self.peak_kb = max(self.peak_kb, int(fields["VmHWM"].split()[0]))
        except (OSError, KeyError):
            pass  # It has just ended.

    @staticmethod
    def _judge(status, output, errors, count):
        errors.seek(0)
        text = errors.read().decode(errors="replace").strip()
        if status < 0:
            return f"ended by signal {-status}: {text[-300:]}"
        if status != 0:
            return f"exit code {status}: {text[-300:]}"
        output.seek(0)
        said = sorted(output.read().decode(errors="replace").splitlines())
        wanted = sorted(f"{i}: {word}" for i in range(count) for word in ("hello", "goodbye"))
        if said != wanted:
            missing = len(set(wanted) - set(said))
            return f"{len(said)} lines instead of {len(wanted)}, {missing} of them missing"
        return None

    def row(self):
        note = self.problem or "every thread said both lines"
        return (
            f"{self.title:<31} {self.wall:7.1f} {self.cpu:7.1f} {self.peak_kb / 1024:9.0f}"
            f" {self.kernel_threads:9}  {note}"
        )


def python():
    """Debian's own, where there is one: others may be slower to start, or wrapped in scripts."""
    return "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: run_demo.py BUILD_DIR [THREADS]")
    build = pathlib.Path(sys.argv[1]).resolve()
    count = int(sys.argv[2]) if len(sys.argv) == 3 else 10_000
    ramie = [str(build / "cli" / "ramie"), "run", "--"]
    script = [python(), str(DEMOS / "hello_threads.py"), str(count)]
    threads_in_c = [str(build / "demos" / "hello_threads"), str(count)]
    fibers = [str(build / "demos" / "hello_fibers"), str(count)]
    for program in (ramie[0], threads_in_c[0], fibers[0]):
        if not os.access(program, os.X_OK):
            sys.exit(f"{program} is not there: build first")

    print(f"{count:,} threads, each: hello, sleep 3 s, goodbye", flush=True)
    print(
        f"{'':<31} {'wall s':>7} {'CPU s':>7} {'peak MB':>9} {'k-threads':>9}", flush=True
    )
    wrong = []
    runs = {}
    for key, title, command, ours in (
        ("kernel", "python3, kernel threads", script, False),
        ("ramie", "python3 under `ramie run`", ramie + script, True),
        ("c_kernel", "C pthreads, kernel threads", threads_in_c, False),
        ("c_ramie", "C pthreads under `ramie run`", ramie + threads_in_c, True),
        ("fibers", "C++ on the native API", fibers, True),
    ):
        run = runs[key] = Run(title, command, count)
        print(run.row(), flush=True)
        if ours and run.problem:
            wrong.append(f"{title}: {run.problem}")
        if ours and run.kernel_threads > MOST_KERNEL_THREADS:
            wrong.append(f"{title}: {run.kernel_threads} kernel threads")
    # Not a verdict: on a machine that is busy otherwise, it says more about that than about Ramie.
    if not runs["kernel"].problem and not wrong:
        wall = runs["kernel"].wall / runs["ramie"].wall
        cpu = runs["kernel"].cpu / max(runs["ramie"].cpu, 0.01)
        print(f"python3: kernel threads took {wall:.1f} times as long, and {cpu:.1f} times the CPU")
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
