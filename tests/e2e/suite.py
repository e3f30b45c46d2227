"""Runs a directory of unittest modules: quiet while all is well, and a line of counts that run.sh adds up.

Usage: suite.py [-k PATTERN] TITLE DIRECTORY [MODULE...]
The last line of the output is `TITLE: N passed, N failed, N skipped`; the exit status is 1 if any failed or none ran.
"""

import argparse
import faulthandler
import os
import sys
import time
import unittest
from pathlib import Path


class Result(unittest.TestResult):
    """Counts whole tests; a test with several failing subtests is one failed test."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.logs = {}  # what the daemons of a failed test said, taken before they are stopped
        self.seconds = []

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        faulthandler.dump_traceback_later(7200 if os.environ.get("FAULTS") == "all" else 900, exit=True)

    def stopTest(self, test):
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()
        self.seconds.append((time.monotonic() - self.began, test.id()))

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.keep_logs(test)

    def addError(self, test, err):
        super().addError(test, err)
        self.keep_logs(test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.keep_logs(test)

    def keep_logs(self, test):
        if hasattr(test, "daemon_logs"):
            self.logs[test.id()] = test.daemon_logs()

    def failed(self):
        """The tests that failed, each with every report of it."""
        reports = {}
        for test, report in self.failures + self.errors:
            reports.setdefault(getattr(test, "test_case", test).id(), []).append(report)
        for test in self.unexpectedSuccesses:
            reports.setdefault(test.id(), []).append("passed although it was expected to fail\n")
        return reports


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", dest="patterns", action="append")
    parser.add_argument("--slowest", type=int, default=0, help="show the N slowest tests")
    parser.add_argument("title")
    parser.add_argument("directory")
    parser.add_argument("modules", nargs="*")
    args = parser.parse_args()
    loader = unittest.TestLoader()
    if args.patterns:
        loader.testNamePatterns = [p if "*" in p else f"*{p}*" for p in args.patterns]
    directory = str(Path(args.directory).resolve())
    sys.path.insert(0, directory)
    tests = loader.loadTestsFromNames(args.modules) if args.modules else loader.discover(directory)
    result = Result()
    tests.run(result)
    failed = result.failed()
    for name, reports in failed.items():
        print(f"FAILED {name}", *reports, result.logs.get(name, ""), sep="\n")
    for seconds, name in sorted(result.seconds, reverse=True)[: args.slowest]:
        print(f"{seconds:7.2f} s  {name}")
    print(f"{args.title}: {result.passed} passed, {len(failed)} failed, {len(result.skipped)} skipped")
    return 1 if failed or not result.passed else 0


if __name__ == "__main__":
    sys.exit(main())
