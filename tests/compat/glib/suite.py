"""One run of one of GLib's installed test programs, and what each of its tests came to.

They write TAP. How the program ends counts as one test more, (program).
"""

import dataclasses
import re
import shlex

import tap
from suite_run import Programs


@dataclasses.dataclass
class Suite:
    programs: Programs

    def run(self, module, words, only=()):
        command = shlex.split(" ".join(words))
        chosen = [word for name in only if name.startswith("/") for word in ("-p", name)]
        written, _, code, end = self.programs.run(module, lambda scratch: [*command, *chosen],
                                                  lambda scratch: {"LC_ALL": "C.UTF-8"},
                                                  lambda scratch: None)
        outcomes = {re.sub(r"seed:\d+$", "seed", name): outcome
                    for name, outcome in tap.outcomes(written).items()}
        outcomes["(program)"] = tap.ending(code, end)
        return outcomes
