"""Runs one module of CPython's suite by its own driver, and writes down each test as it happens.

    RECORD=FILE python3 recorder.py MODULE [options of `python3 -m test`]

FILE gets a JSON array [event, test, detail] per line: `start`, then `pass`, `fail`, `error`, `skip`,
`xfail` (failed as expected) or `upass` (passed against expectation). Because it is written line by
line, it also tells where a run ended that was killed.
"""

import json
import os


def recording(base, path):
    """`base`, a TestResult, with a record at `path`."""
    owner = os.getpid()
    record = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def note(event, test, detail=""):
        # A test may fork and let the child come this far.
        if os.getpid() == owner:
            os.write(record, (json.dumps([event, test.id(), str(detail)[:300]]) + "\n").encode())

    class Recorder(base):
        def startTest(self, test):
            note("start", test)
            super().startTest(test)

        def addSuccess(self, test):
            super().addSuccess(test)
            note("pass", test)

        def addError(self, test, err):
            super().addError(test, err)
            note("error", test, repr(err[1]))

        def addFailure(self, test, err):
            super().addFailure(test, err)
            note("fail", test, repr(err[1]))

        def addSubTest(self, test, subtest, err):
            super().addSubTest(test, subtest, err)
            if err is not None:
                note("fail", test, repr(err[1]))

        def addSkip(self, test, reason):
            super().addSkip(test, reason)
            note("skip", test, reason)

        def addExpectedFailure(self, test, err):
            super().addExpectedFailure(test, err)
            note("xfail", test)

        def addUnexpectedSuccess(self, test):
            super().addUnexpectedSuccess(test)
            note("upass", test)

    return Recorder


def main():
    from test import libregrtest
    from test.support import testresult

    testresult.RegressionTestResult = recording(testresult.RegressionTestResult,
                                                os.environ.pop("RECORD"))
    libregrtest.main()


# multiprocessing imports this module again in the processes that it spawns.
if __name__ == "__main__":
    main()
