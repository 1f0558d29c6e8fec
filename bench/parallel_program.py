"""Programs of other people that use all CPUs, as a whole: the time from start to end, natively and by
`ramie run`, and whether both give the same."""
import hashlib
import pathlib
import re
import resource
import tempfile
import time

from programs import Failure, NotHosted, Program


def used_by_children():
    """Seconds of CPU time, and context switches, of all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime, usage.ru_nvcsw + usage.ru_nivcsw


class ParallelProgram(Program):
    """`command` answers what to run, and makes its input if need be; `result`, what to look at besides
    its output. Of the output counts what `pattern` matches; the rest may be times. The first run says what
    all others have to give."""

    expected = {}  # a hash for each comparison

    def __init__(self, kind, name, command, build, pattern=b"(?s).+", result=None, has_threads=True):
        super().__init__(kind, {name: name}, (), one_cpu=False)
        self.prefix = [build / "cli" / "ramie", "run", "--"] if kind == "run" else []
        self.make_command, self.pattern, self.result = command, pattern, result
        self.must_host = has_threads and kind == "run"

    def run(self):
        (name,) = self.names
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
            stats = pathlib.Path(folder, "stats")
            self.environment = {"RAMIE_STATS": str(stats)}
            self.command = [str(part) for part in (*self.prefix, *self.make_command())]
            before, begin = used_by_children(), time.monotonic()
            self.start(output)
            took, after = time.monotonic() - begin, used_by_children()
            if self.must_host and not stats.exists():
                raise NotHosted("its threads are not hosted")
            output.seek(0)
            self.check(name, output.read())
        return {name: [took, *(new - old for new, old in zip(after, before))]}

    def check(self, name, output):
        counts = b"\n".join(re.findall(self.pattern, output))
        if self.result:
            counts += self.result()
        if not counts:
            raise Failure("it has no output to compare")
        digest = hashlib.sha256(counts).hexdigest()
        if self.expected.setdefault(name, digest) != digest:
            raise Failure("its output is not that of the first run")
