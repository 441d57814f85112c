#!/usr/bin/env python3
"""docs/rfc-coverage.md and docs/sbc against the tests: prints a line for every test that it names and nobody has, for an item that
stands twice, and for an item that names neither a test nor why there is none."""
import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCUMENT = os.path.join(ROOT, "docs", "rfc-coverage.md")
NAME = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+){2,}")  # a test is a sentence of three words or more


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def tests():
    """-> {name in the document: the tests of that file}; integration and differential tests stand under
    one name each."""
    found = {"integration": set(), "diff": set()}
    for path in glob.glob(os.path.join(ROOT, "tests", "unit", "test_*.c")):
        # every function that takes cmocka's state
        names = set(re.findall(r"^([a-z0-9_]+)\(void \*\*state", text_of(path), re.M))
        found[os.path.basename(path)[len("test_"):-len(".c")]] = names
    for path in glob.glob(os.path.join(ROOT, "tests", "diff", "*.c")):
        found["diff"] |= set(re.findall(r"^([a-z0-9_]+)\(void \*\*state", text_of(path), re.M))
    for path in glob.glob(os.path.join(ROOT, "tests", "integration", "test_*.py")):
        found["integration"] |= set(re.findall(r"^def (test_\w+)\(", text_of(path), re.M))
    return found


def named_in(cell):
    """(file, test) pairs of a cell: "dialog: a, b; session: c" """
    file = None
    for word, colon in re.findall(r"([A-Za-z0-9_]+)(:?)", cell):
        if colon:
            file = word
        elif NAME.fullmatch(word):
            yield file, word


def main():
    known, seen, bad = tests(), set(), 0
    for line_no, line in enumerate(text_of(DOCUMENT).splitlines(), 1):
        cells = [c.strip() for c in line.split("|")]
        if len(cells) != 7 or cells[1] in ("id", "---"):
            continue
        item, shown = cells[1], cells[5]
        names = list(named_in(shown))
        for file, name in names:
            if name not in known.get(file, ()):
                print(f"rfc-coverage.md:{line_no}: {item}: there is no test {name} in {file}")
                bad = 1
        if item and item in seen:
            print(f"rfc-coverage.md:{line_no}: {item} stands twice")
            bad = 1
        seen.add(item)
        if not names and "not yet" not in shown and "no behaviour" not in shown:
            print(f"rfc-coverage.md:{line_no}: {item}: neither a test nor why not")
            bad = 1
    return bad | quirks(known)


def quirks(known):
    """The tables of docs/sbc: "what, here, shown by", with tests as above and files of the corpus in backquotes."""
    rows, bad = text_of(os.path.join(ROOT, "tests", "integration", "corpus.yaml")), 0
    for path in sorted(glob.glob(os.path.join(ROOT, "docs", "sbc", "*.md"))):
        for line_no, line in enumerate(text_of(path).splitlines(), 1):
            cells = [c.strip() for c in line.split("|")]
            if len(cells) != 5 or cells[1] in ("what", "page", "---") or os.path.basename(path) == "README.md":
                continue
            where, shown = f"{os.path.basename(path)}:{line_no}", cells[3]
            files = [f.strip("`") for f in re.findall(r"`[a-z0-9_.*-]+`", shown)]
            names = list(named_in(re.sub(r"`[^`]*`", "", shown)))
            for name in [f for f in files if not f.startswith(("-", "...")) and f.rstrip("*") not in rows]:
                print(f"{where}: corpus.yaml has no {name}")
                bad = 1
            for file, name in [n for n in names if n[1] not in known.get(n[0], ())]:
                print(f"{where}: there is no test {name} in {file}")
                bad = 1
            if not files and not names:
                print(f"{where}: neither a test nor a message")
                bad = 1
    return bad


if __name__ == "__main__":
    raise SystemExit(main())
