"""One run of one of GLib's installed test programs, and what each of its tests came to.

They write TAP (testanything.org): `ok 2 /mutex/basic`, `not ok 3 /a/b - why`, `ok 4 /c # SKIP why`.
How the program ends counts as one test more, (program).
"""

import dataclasses
import re
import shlex

from suite_run import Outcome, Programs

LINE = re.compile(r"^(not ok|ok) \d+ (.*)$", re.M)


@dataclasses.dataclass
class Suite:
    programs: Programs

    def run(self, module, words, only=()):
        command = shlex.split(" ".join(words))
        chosen = [word for name in only if name.startswith("/") for word in ("-p", name)]
        written, _, code, end = self.programs.run(module, lambda scratch: [*command, *chosen],
                                                  lambda scratch: {"LC_ALL": "C.UTF-8"},
                                                  lambda scratch: None)
        outcomes = {}
        for verdict, rest in LINE.findall(written):
            name, _, detail = re.sub(r"^- ", "", rest).partition(" ")
            name = re.sub(r"seed:\d+$", "seed", name)
            event = "skip" if "# SKIP" in rest else "xfail" if "# TODO" in rest else "pass"
            outcomes[name] = Outcome(event if verdict == "ok" or event == "xfail" else "fail", detail)
        # 77 says that all of it was skipped.
        ending = end or ("skip" if code == 77 else "pass" if code == 0 else "fail")
        outcomes["(program)"] = Outcome("crash" if code is not None and code < 0 else ending,
                                        "" if code == 0 else f"exit code {code}")
        return outcomes
