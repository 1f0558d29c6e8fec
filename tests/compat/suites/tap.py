"""What programs say by TAP, the protocol of testanything.org: `ok 2 /mutex/basic`,
`not ok 3 - connect`, `ok 4 /c # SKIP why`."""

import re

from suite_run import Outcome

LINE = re.compile(r"^(not ok|ok) \d+ (.*)$", re.M)


def outcomes(written):
    """The outcome of each test by name."""
    found = {}
    for verdict, rest in LINE.findall(written):
        name, _, detail = re.sub(r"^- ", "", rest).partition(" ")
        event = "skip" if "# SKIP" in rest else "xfail" if "# TODO" in rest else "pass"
        found[name] = Outcome(event if verdict == "ok" or event == "xfail" else "fail", detail)
    return found


def ending(code, end):
    """How the program ended, which counts as one test more."""
    # 77 says that all of it was skipped.
    event = end or ("skip" if code == 77 else "pass" if code == 0 else "fail")
    return Outcome("crash" if code is not None and code < 0 else event,
                   "" if code == 0 else f"exit code {code}")
