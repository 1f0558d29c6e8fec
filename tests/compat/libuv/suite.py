"""One run of libuv's test program, and what each of its tests came to.

It runs each test in processes of its own, ends those that take too long, and writes TAP.
"""

import dataclasses
import pathlib
import shutil

import tap
from suite_run import Outcome, Programs

# On a loaded machine the limits of the tests are short.
PATIENCE = "3"


@dataclasses.dataclass
class Suite:
    source: pathlib.Path
    build: pathlib.Path
    programs: Programs

    def run(self, module, words, only=()):
        """All tests, or those of `words`, or those of `only`."""
        outcomes = {}
        for name in only or words or [None]:
            outcomes.update(self._run_once(module, name))
        return outcomes

    def _run_once(self, module, name):
        def command(scratch):
            shutil.copytree(self.source / "test/fixtures", scratch / "tmp/test/fixtures")
            return [str(self.build / "uv_run_tests"), *([name] if name else [])]

        written, _, code, end = self.programs.run(
            module, command,
            lambda scratch: {"UV_RUN_AS_ROOT": "1", "UV_TEST_TIMEOUT_MULTIPLIER": PATIENCE},
            lambda scratch: None)
        outcomes = tap.outcomes(written)
        # Its exit code is the number of tests that failed.
        if end or code < 0:
            outcomes["(program)"] = Outcome(end or "crash", f"exit code {code}")
        return outcomes
