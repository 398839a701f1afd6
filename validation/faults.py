"""All faults that have a test: how many were tried, how many were survived, and which could not be tried here.

    python validation/faults.py [-k EXPRESSION]

A fault counts as survived if its test passes: what the user reads, the exit code and what is left on disk are those of
docs/reliability.md. What was skipped is listed with its reason, since some faults need root (a disk that fills up),
some need another user than root (a file that may not be read is no obstacle to root), and some a program.
"""

import argparse
import os
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent / "plugin_tests"
FAULTS = {
    "disks, killed processes, files that are no input, exit codes, terminals": ["process/faults"],
    "resumed and damaged stores": ["process/test_resume.py", "unit/test_store_faults.py", "unit/test_fuzz_stores.py",
                                   "unit/test_effects_store.py"],
    "tables and other files": ["unit/test_fuzz_readers.py", "unit/test_tables.py", "unit/test_files.py",
                               "process/test_cli_config.py"],
    "models' processes": ["process/test_worker.py", "unit/test_frames.py"],
    "Dask clusters": ["process/test_cluster.py"],
    "caches": ["unit/test_batches.py", "unit/test_compiled.py"],
    "the page of the report": ["process/test_report_browser.py"],
}


class Counted:
    """Outcomes of tests by file, and why tests were skipped."""

    def __init__(self):
        self.outcomes, self.reasons, self.failed = defaultdict(Counter), defaultdict(list), []

    def pytest_runtest_logreport(self, report):
        """A test counts once: by its call, or by what kept it from that."""
        if report.when != "call" and report.outcome == "passed":
            return
        self.outcomes[report.nodeid.split("::")[0].split("plugin_tests/")[-1]][report.outcome] += 1
        if report.outcome == "skipped":
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.reasons[reason.removeprefix("Skipped: ")].append(report.nodeid)
        elif report.outcome == "failed":
            self.failed.append(report.nodeid)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", default="", help="only tests of this expression, as in pytest")
    arguments = parser.parse_args()
    counted = Counted()
    places = [str(TESTS / place) for group in FAULTS.values() for place in group]
    pytest.main(["-q", "--no-header", "--tb=short", "-n0", "-k", arguments.k, *places], plugins=[counted])
    print(f"\nrun by {'root' if os.geteuid() == 0 else f'user {os.geteuid()}'}")
    print(f"{'tried':>6} {'survived':>8} {'not tried':>9}  faults of")
    rows = [(group, sum((outcomes for name, outcomes in counted.outcomes.items() if name.startswith(tuple(places))),
                        Counter())) for group, places in FAULTS.items()]
    rows.append(("all", sum((outcomes for _, outcomes in rows), Counter())))
    for group, outcomes in rows:
        tried = outcomes["passed"] + outcomes["failed"]
        print(f"{tried:>6} {outcomes['passed']:>8} {outcomes['skipped']:>9}  {group}")
    for reason, tests in sorted(counted.reasons.items()):
        print(f"not tried, {len(tests)}: {reason}")
    for test in counted.failed:
        print(f"NOT SURVIVED: {test}")
    sys.exit(bool(counted.failed))


if __name__ == "__main__":
    main()
