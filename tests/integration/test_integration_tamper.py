"""A sealed recording that was changed: every single bit, a lost, a doubled, a swapped slot, a cut file. The tool and
the independent reader must both find it, with and without keys."""

import json
import os
import random
import re
import shutil
import subprocess
import sys

from recorder import ROOT, check

sys.path.insert(0, os.path.join(ROOT, "tests"))
import reel  # noqa: E402

SLOT = 4096
SEED = 4711


def sealed_vault(context):
    """A stopped recorder with two sealed recordings, and one of them exported as a .reel."""
    r = context.idle_recorder(storage__segment_mib=2)
    r.start()
    r.simulate("--calls", "2", "--rate", "10", "--duration", "2")
    rows = r.wait_sealed(2)
    r.stop()
    lone = os.path.join(r.folder, "lone.reel")
    r.tool("export", rows[0]["id"], "--format", "reel", "--output", lone)
    return r, lone


def used_slots(path):
    with open(path, "rb") as f:
        data = f.read()
    return [i for i in range(len(data) // SLOT) if any(data[i * SLOT:(i + 1) * SLOT])]


def tool_findings(recorder, path, keys):
    """(exit status, findings) of capstan verify on one file as the whole vault, or on a lone .reel."""
    binary = os.path.join(recorder.build, "controlplane", "tool", "capstan")
    args = [binary, "--set", f"keys.path={recorder.settings['keys.path']}"]
    if path.endswith(".reel"):
        args += ["verify", path]
    else:
        args += ["--set", f"storage.devices={os.path.dirname(os.path.dirname(path))}", "verify"]
    done = subprocess.run([*args, "--json", *([] if keys else ["--no-keys"])], capture_output=True, text=True, timeout=60)
    try:
        return done.returncode, json.loads(done.stdout).get("findings", [done.stdout])
    except ValueError:
        return done.returncode, [done.stdout + done.stderr]


class Reader:
    """reel.py in this process; the checksums of slots that did not change are kept."""

    def __init__(self, recorder):
        self.keystore = reel.Keystore(recorder.settings["keys.path"])
        plain, known = reel.slot_crc, {}

        def remembered(uuid, slot_no, slot):
            key = (uuid, slot_no, bytes(slot))
            if key not in known:
                known[key] = plain(*key)
            return known[key]
        if not hasattr(reel, "remembers"):
            reel.slot_crc, reel.remembers = remembered, True

    def damages(self, path, keys):
        vault = reel.Vault([path], self.keystore if keys else None, self.keystore.node_public)
        vault.verify()
        return vault.report.damages


def located(findings, path, slot):
    """Does a sentence say where? The file and the slot, or what stands in it."""
    return any(os.path.basename(path) in f or re.search(r"\b(slot|chunk|part|footer|header|seal)\b", f) for f in findings)


def missed(recorder, reader, path, what, slot=None):
    """Who did not see the damage that was just done."""
    out = []
    for keys in (True, False):
        status, findings = tool_findings(recorder, path, keys)
        if status != 1 or not findings:
            out.append(f"{what}: capstan verify {'with' if keys else 'without'} keys ended with {status}: {findings}")
        elif not located(findings, path, slot):
            out.append(f"{what}: not located: {findings}")
        if not reader.damages(path, keys):
            out.append(f"{what}: reel.py {'with' if keys else 'without'} keys finds nothing")
    return out


def test_every_flipped_bit_is_found(context):
    r, lone = sealed_vault(context)
    try:
        rng = random.Random(SEED)
        reader = Reader(r)
        findings = []
        segment = [p for p in r.segments() if p.endswith(".seg")][0]
        for path, count in ((segment, 4 if context.sanitized else 40), (lone, 4 if context.sanitized else 30)):
            check(tool_findings(r, path, True) == (0, []), f"{path} is damaged before anything was changed")
            check(not reader.damages(path, True), f"reel.py finds damage in {path} before anything was changed")
            slots = used_slots(path)
            # each kind of slot at least once: header, the last ones (footer or seal), then anywhere
            places = [slots[0], slots[1], slots[-1], slots[-2]]
            places += [rng.choice(slots) for _ in range(count - len(places))]
            for n, slot in enumerate(places):
                bit = 8 * SLOT * slot + rng.randrange(8 * SLOT)
                repair = n % 3 == 2	# a forger mends the checksum: hash, tag and signature have to find it
                if repair and bit % (8 * SLOT) >= 8 * (SLOT - 4):
                    repair = False
                reel.flip(path, bit, repair)
                if n % 4 == 3 or repair:
                    findings += missed(r, reader, path, f"{os.path.basename(path)} bit {bit} (slot {slot}, repaired {repair})", slot)
                else:	# the tool alone, one way: a process costs more than the reader
                    status, found = tool_findings(r, path, n % 2 == 0)
                    if status != 1 or not located(found, path, slot):
                        findings.append(f"{os.path.basename(path)} bit {bit} (slot {slot}): capstan verify {status} {found}")
                    if not reader.damages(path, n % 2 == 1):
                        findings.append(f"{os.path.basename(path)} bit {bit} (slot {slot}): reel.py finds nothing")
                reel.flip(path, bit, repair)
        check(not findings, f"{len(findings)} not found: " + "; ".join(findings[:8]))
        check(tool_findings(r, segment, True) == (0, []), "the last flip was not taken back")
    finally:
        r.close()


def copy_slots(path, order):
    """The file's slots in another order, in place."""
    with open(path, "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(b"".join(data[i * SLOT:(i + 1) * SLOT] for i in order))


def test_cut_dropped_and_swapped_slots_are_found(context):
    r, lone = sealed_vault(context)
    try:
        reader = Reader(r)
        findings = []
        segment = [p for p in r.segments() if p.endswith(".seg")][0]
        for path in (segment, lone):
            keep = path + ".keep"
            shutil.copy(path, keep)
            name = os.path.basename(path)
            n = os.path.getsize(path) // SLOT
            slots = used_slots(path)
            middle = slots[len(slots) // 3]
            swapped = list(range(n))
            swapped[middle], swapped[middle + 1] = middle + 1, middle
            doubled = list(range(n))
            doubled[middle] = middle + 1
            cases = {
                "cut in the middle of a slot": lambda: os.truncate(path, (middle + 1) * SLOT + 1000),
                "cut behind a slot": lambda: os.truncate(path, (middle + 1) * SLOT),
                "dropped": lambda: copy_slots(path, [i for i in range(n) if i != middle]),
                "zeroed": lambda: zero_slot(path, middle),
                "swapped": lambda: copy_slots(path, swapped),
                "one twice": lambda: copy_slots(path, doubled),
            }
            for what, damage in cases.items():
                damage()
                findings += missed(r, reader, path, f"{name} {what}")
                shutil.copy(keep, path)
            os.unlink(keep)
        check(not findings, f"{len(findings)} not found: " + "; ".join(findings[:8]))
        # a damaged chunk loses its own range and nothing else
        status, out, err = r.tool("verify", lone, "--json", expect=None)
        check(status == 0, f"the copy was not put back: {out}")
        with open(lone, "rb") as f:
            data = f.read()
        chunk = [i for i in used_slots(lone) if data[i * SLOT:i * SLOT + 4] == b"CHNK"][3]
        reel.flip(lone, 8 * (SLOT * chunk + 500))
        exported = os.path.join(r.folder, "rest.wav")
        status, out, err = r.tool("export", lone, "--format", "wav", "--output", exported, expect=None)
        check(status == 1, f"export of a damaged recording ended with {status}: {err}")
        check(os.path.getsize(exported) > 2 * 2 * 8000, "the undamaged part was not exported")
    finally:
        r.close()


def zero_slot(path, slot):
    with open(path, "r+b") as f:
        f.seek(slot * SLOT)
        f.write(bytes(SLOT))
