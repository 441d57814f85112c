#!/usr/bin/env python3
"""The counters of the recorder, read from the lists in the source, as the table of docs/operations.md.

    tests/counters.py                        print the table
    tests/counters.py --check docs/operations.md    exit status 1 and a line for each row that differs
    tests/counters.py --write docs/operations.md    put the table between its two marks
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "<!-- counters: tests/counters.py --write -->", "<!-- end of counters -->"

# file, list, prefix of the name, which of the row's identifiers is the name, the unit when the row has none
LISTS = (
    ("dataplane/counters.h", "VERDICT_LIST", "", 1, "packets"),
    ("dataplane/counters.h", "LCORE_COUNTER_LIST", "", 0, None),
    ("dataplane/dataplane.c", "WRITER_COUNTER_LIST", "writer_", 0, None),
    ("controlplane/sip/dialog.h", "SIP_COUNTER_LIST", "", 1, None),
    ("controlplane/session/session.h", "SESSION_COUNTER_LIST", "", 1, None),
    ("controlplane/dtls/dtls_association.h", "DTLS_COUNTER_LIST", "", 1, None),
)
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|([A-Za-z_][A-Za-z0-9_]*)')


def source(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def of_list(name, macro, prefix, name_i, unit):
    body = re.search(r"#define " + macro + r"\(X\)((?:.*\\\n)+.*\n)", source(name))
    if body is None:
        sys.exit(f"{name} has no {macro}: tests/counters.py must learn its new place")
    for row in re.findall(r"X\(((?:[^()\"]|\"(?:[^\"\\]|\\.)*\")*)\)", body.group(1)):
        words = WORD.findall(row)
        texts = [text for text, identifier in words if not identifier]
        identifiers = [identifier for _, identifier in words if identifier]
        severity = identifiers[-1].replace("COUNTER_", "").lower()
        yield prefix + identifiers[name_i], unit or texts[0], severity, texts[-1]


def single():
    """Counters that main.c hands over by themselves."""
    pattern = r'\.name = "(\w+)",\s*\.unit = "(\w+)",\s*\.severity = COUNTER_(\w+),\s*\.sentence = "([^"]*)"'
    for name, unit, severity, sentence in re.findall(pattern, source("controlplane/main.c")):
        yield name, unit, severity.lower(), sentence


def gauges():
    for name, sentence in re.findall(r'metrics_gauge\(&m, "(\w+)", "([^"]*)"', source("controlplane/rest/rest_pages.c")):
        yield f"`capstan_{name}`", "gauge", "info", sentence


def table():
    rows = ["| metric | unit | severity | what it counts |", "| --- | --- | --- | --- |"]
    found = [row for where in LISTS for row in of_list(*where)] + list(single())
    for name, unit, severity, sentence in found:
        rows.append(f"| `capstan_{name}{'' if name.endswith('_now') else '_total'}` | {unit} | {severity} | {sentence} |")
    rows += ["| " + " | ".join(row) + " |" for row in gauges()]
    return rows


def main():
    if len(sys.argv) == 1:
        print("\n".join(table()))
        return 0
    if len(sys.argv) != 3 or sys.argv[1] not in ("--check", "--write"):
        sys.exit(__doc__)
    with open(sys.argv[2], encoding="utf-8") as f:
        text = f.read()
    before, begin, rest = text.partition(BEGIN + "\n")
    old, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{sys.argv[2]} has no place for the counters: {BEGIN} ... {END}")
    if sys.argv[1] == "--write":
        with open(sys.argv[2], "w", encoding="utf-8") as f:
            f.write(before + begin + "\n".join(table()) + "\n" + end + after)
        return 0
    ours, theirs = old.splitlines(), table()
    for row in [r for r in ours if r not in theirs]:
        print(f"no such counter any more: {row}")
    for row in [r for r in theirs if r not in ours]:
        print(f"not in the document: {row}")
    if ours != theirs:
        print(f"to mend it: tests/counters.py --write {sys.argv[2]}")
    return 0 if ours == theirs else 1


if __name__ == "__main__":
    sys.exit(main())
