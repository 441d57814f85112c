"""Parts that end each second, segments of 2 MiB: nothing is lost between them, and the sums hold in each."""

import json

from recorder import check

CALLS = 30


def test_parts_of_a_second_lose_nothing(context):
    with context.recorder(storage__part_seconds_max=1, storage__segment_mib=2) as r:
        r.simulate("--calls", str(CALLS), "--rate", "30", "--duration", "6")
        rows = r.wait_sealed(CALLS)
        m = r.check_conservation()
        check(m["rx_recorded"] > 0, "nothing was recorded")
        for name in ("totals_dropped", "marks_dropped", "notes_dropped", "rx_drop_no_chunk", "writer_frames_lost"):
            check(m[name] == 0, f"{name} is {m[name]:.0f}")
        recorded = 0
        for row in rows:
            check(row["state"] == "sealed", f"{row['id']} is {row['state']}")
            shown = r.tool("recordings", "show", row["id"], "--json")
            check(shown["parts"] >= 3, f"{row['id']} has {shown['parts']} parts after six seconds of one-second parts")
            recorded += sum(s["recorded"] for s in shown["streams"])
            check(all(s["lost_upstream"] == 0 for s in shown["streams"]), f"loss at a seam: {shown['streams']}")
        check(recorded == m["rx_recorded"], f"{recorded} frames in totals, {m['rx_recorded']:.0f} recorded")
        check(m["writer_segments_finished"] > 1, "one segment held it all")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"], "--json")
        document = json.loads(text[:text.rindex("}") + 1])
        check(status == 0 and document["ok"], f"reel.py: {document['damage'][:5]}")
        status, out, err = r.tool("verify", "--json", expect=None)
        check(status == 0, f"capstan verify: {out[-600:]} {err}")
        status, _ = r.stop()
        check(status == 0, f"exit status {status}")
