#!/usr/bin/env python3
"""Runs the integration tests: every function test_* of the modules test_<set>_*.py, one after the other.

    run.py --build DIR [--sanitized] [--only TEXT] integration|e2e

Prints "ok NAME (seconds)", "FAIL NAME: why" or "skip NAME: why" a test. A test takes a Context; raising Skip skips it
visibly. Exit status 1 when one failed."""

import argparse
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("set", choices=["integration", "e2e"])
    options = parser.parse_args()
    context = Context(os.path.abspath(options.build), options.sanitized)
    failed = 0
    ran = 0
    for path in sorted(glob.glob(os.path.join(HERE, f"test_{options.set}_*.py"))):
        name = os.path.splitext(os.path.basename(path))[0]
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for function in [f for f in vars(module) if f.startswith("test_")]:
            title = f"{name[5:]}.{function[5:]}"
            if options.only not in title:
                continue
            if options.sanitized and getattr(vars(module)[function], "plain_only", False):
                continue
            begun = time.monotonic()
            ran += 1
            try:
                vars(module)[function](context)
                print(f"ok {title} ({time.monotonic() - begun:.1f} s)", flush=True)
            except Skip as e:
                print(f"skip {title}: {e}", flush=True)
            except Failure as e:
                failed += 1
                print(f"FAIL {title}: {e}", flush=True)
            except Exception:  # a bug of the test is a failure too
                failed += 1
                print(f"FAIL {title}: {traceback.format_exc(limit=4)}", flush=True)
    if ran == 0:
        print(f"FAIL {options.set}: no test found")
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
