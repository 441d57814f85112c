"""kill -9 at random times under load: what was known to be durable is there after the restart, and sound."""

import json
import os
import random
import subprocess
import time

from recorder import check

SEED = 20261123
CALLS = 20


def load(recorder, seconds):
    return subprocess.Popen([os.path.join(recorder.build, "bench", "src", "capstan-src"), "--calls", str(CALLS), "--rate", "100",
                             "--duration", str(seconds), "--local", recorder.host, f"127.0.0.1:{recorder.port}"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def frames_in(recorder):
    """Frames of all kinds in the vault, as the independent reader counts them; fails on damage."""
    status, text = recorder.reel_py("verify", "--keys", recorder.settings["keys.path"], "--json")
    document = json.loads(text[:text.rindex("}") + 1])
    check(status == 0 and document["ok"], f"reel.py finds damage: {document['damage'][:5]}")
    total = 0
    for recording in document["recordings"]:
        check(recording["state"] in ("final", "interrupted"), f"{recording['id']} is {recording['state']} after recovery")
        total += sum(part["frames"] for part in recording["parts"])
    return total, document


def kill_cycle(context, rng, cycles, **settings):
    r = context.idle_recorder(**settings)
    try:
        durable_before = 0
        for cycle in range(cycles):
            r.start()
            # what the lives before had committed is there, before anything new comes
            found, _ = frames_in(r)
            check(found >= durable_before, f"cycle {cycle}: {found} frames found, {durable_before} were durable")
            at_start = r.metrics()["writer_frames_durable"]
            with_load = load(r, 30)
            moment = rng.uniform(0.6, 2.6)
            time.sleep(moment)
            durable = r.metrics()["writer_frames_durable"] - at_start
            time.sleep(rng.uniform(0, 0.05))
            r.kill()
            with_load.kill()
            with_load.wait()
            durable_before = found + durable
            check(durable > 0 or moment < 1, f"cycle {cycle}: nothing was durable after {moment:.1f} s")
        r.start()
        total, document = frames_in(r)
        check(total >= durable_before, f"at the end: {total} frames found, {durable_before} were durable")
        rows = {row["id"]: row["state"] for row in r.recordings()}
        for recording in document["recordings"]:
            check(rows.get(recording["id"]) in ("sealed", "interrupted"),
                  f"{recording['id']}: the catalog says {rows.get(recording['id'])}, the vault {recording['state']}")
        check(sum(x["state"] == "interrupted" for x in document["recordings"]) >= CALLS, "nothing was interrupted")
        status, out, err = r.tool("verify", "--json", expect=None)
        check(status == 0, f"capstan verify: {out[-600:]} {err}")
        # and it goes on recording
        r.simulate("--duration", "1")
        check(any(row["state"] == "sealed" for row in r.wait_sealed(len(rows) + 1)), "nothing sealed after recovery")
        status, _ = r.stop()
        check(status == 0, f"exit status {status}")
        frames_in(r)
        check(r.tool("fsck", "--json")["ok"], "fsck finds something")
    finally:
        r.close()


def test_kill_at_random_times_keeps_what_was_durable(context):
    rng = random.Random(SEED)
    kill_cycle(context, rng, 1 if context.sanitized else 5)


def test_kill_while_parts_and_segments_roll_over(context):
    """A part lasts a second and a segment holds half a thousand slots: each kill falls into some rollover."""
    kill_cycle(context, random.Random(SEED + 1), 1 if context.sanitized else 4,
               storage__part_seconds_max=1, storage__segment_mib=2)
