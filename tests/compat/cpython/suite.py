"""One run of one module of CPython's suite, natively or under Ramie, and what each test came to."""

import dataclasses
import json
import pathlib

from suite_run import GOOD, Outcome, Programs

RECORDER = pathlib.Path(__file__).with_name("recorder.py")
# One hang must not hide what comes behind it, and ten are enough to know.
MOST_RESTARTS = 10


@dataclasses.dataclass
class Suite:
    python: str
    programs: Programs

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
        def command(scratch):
            line = [self.python, str(RECORDER), "-v", "-u",
                    "cpu,network" if "loopback" in words else "cpu"]
            unfit = [word.removeprefix("without=") for word in words if word.startswith("without=")]
            for flag, names in (("--matchfile", only), ("--ignorefile", [*ignored, *unfit])):
                if names:
                    listed = scratch / flag.strip("-")
                    listed.write_text("".join(f"test.{module}.{name}\n" for name in names))
                    line += [flag, str(listed)]
            return [*line, module]

        _, record, code, end = self.programs.run(
            module, command, lambda scratch: {"RECORD": str(scratch / "record")},
            lambda scratch: scratch / "record")
        # The driver answers 2 if a test failed, 3 and 4 for what it left behind.
        if not end and not 0 <= code <= 5:
            end = f"ended by {code}"
        return read_record(record, module, end)


def read_record(record, module, end):
    """The outcomes that were written down; a test that was begun and not ended is how it ended."""
    outcomes, begun = {}, None
    prefix = f"test.{module}."
    for line in record.splitlines():
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
