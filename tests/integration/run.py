#!/usr/bin/env python3
"""Runs the integration tests: every function test_* of the modules test_<set>_*.py, two at a time.

    run.py --build DIR [--sanitized] [--only TEXT] [--jobs N] integration|e2e

Prints "ok NAME (seconds)", "FAIL NAME: why" or "skip NAME: why" a test. A test takes a Context; raising Skip skips it
visibly. Exit status 1 when one failed."""

import argparse
import concurrent.futures
import glob
import importlib.util
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from recorder import Failure, Recorder  # noqa: E402


class Skip(Exception):
    """Not possible here; the reason is printed."""


class Context:
    def __init__(self, build, sanitized):
        self.build = build
        self.sanitized = sanitized

    def recorder(self, **settings):
        """A running recorder; use it in a with statement."""
        return Recorder(self.build, self.sanitized, **settings)

    def idle_recorder(self, **settings):
        """Folder and tool of a recorder that is not started; close() it."""
        return Recorder(self.build, self.sanitized, **settings)

    @staticmethod
    def skip(why):
        raise Skip(why)


def tests_of(options):
    """(title, function) of every test that the options ask for."""
    for path in sorted(glob.glob(os.path.join(HERE, f"test_{options.set}_*.py"))):
        name = os.path.splitext(os.path.basename(path))[0]
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for function in [f for f in vars(module) if f.startswith("test_")]:
            title = f"{name[5:]}.{function[5:]}"
            plain_only = getattr(vars(module)[function], "plain_only", False)
            if options.only in title and not (options.sanitized and plain_only):
                yield title, vars(module)[function]


def run_one(context, title, function):
    """Run a test, print its line. Returns whether it did not fail."""
    begun = time.monotonic()
    try:
        function(context)
        line, good = f"ok {title} ({time.monotonic() - begun:.1f} s)", True
    except Skip as e:
        line, good = f"skip {title}: {e}", True
    except Failure as e:
        line, good = f"FAIL {title}: {e}", False
    except Exception:  # a bug of the test is a failure too
        line, good = f"FAIL {title}: {traceback.format_exc(limit=4)}", False
    print(line, flush=True)
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2, help="tests at a time: most of a test's time is waiting")
    parser.add_argument("set", choices=["integration", "e2e"])
    options = parser.parse_args()
    context = Context(os.path.abspath(options.build), options.sanitized)
    tests = list(tests_of(options))
    if not tests:
        print(f"FAIL {options.set}: no test found")
        return 1
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda test: run_one(context, *test), tests))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
