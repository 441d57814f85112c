"""Calls through the real server: SIP over loopback, RTP through the tap."""

import time

from recorder import check


def frames_of(recorder, recording):
    """(frames recorded, per-stream rows) as the tool reports them from the recording itself."""
    return recorder.tool("recordings", "show", recording["id"], "--json")


def test_one_call_is_sealed_and_every_packet_is_in_it(context):
    with context.recorder() as r:
        sent = r.simulate("--duration", "2", "--no-rtcp")
        rows = r.wait_sealed(1)
        check(len(rows) == 1, f"{len(rows)} recordings for one call")
        shown = frames_of(r, rows[0])
        rtp = sum(s["recorded"] for s in shown["streams"])
        check(rtp == sent["packets_sent"], f"{rtp} packets recorded of {sent['packets_sent']} sent")
        check(len(shown["participants"]) == 2, f"participants: {shown['participants']}")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
        check(status == 0, f"reel.py: {text[-400:]}")


def test_loss_reorder_and_duplicates_are_accounted_for(context):
    with context.recorder() as r:
        sent = r.simulate("--calls", "5", "--rate", "20", "--duration", "3", "--loss", "5", "--reorder", "5",
                          "--duplicate", "5", "--no-rtcp")
        rows = r.wait_sealed(5)
        recorded = duplicates = lost = 0
        for row in rows:
            for s in frames_of(r, row)["streams"]:
                recorded += s["recorded"]
                duplicates += s["duplicates"]
                lost += s["lost_upstream"]
        check(recorded == sent["packets_made"] - sent["dropped"],
              f"{recorded} recorded of {sent['packets_made'] - sent['dropped']} that arrived once")
        check(duplicates == sent["duplicated"], f"{duplicates} duplicates of {sent['duplicated']}")
        # losses at the very start or end of a stream cannot be seen by a receiver (RFC 3550 A.3)
        check(0 <= sent["dropped"] - lost <= 20, f"{lost} lost of {sent['dropped']} dropped")


def test_two_hundred_calls_at_once(context):
    n = 40 if context.sanitized else 200
    with context.recorder() as r:
        sent = r.simulate("--calls", str(n), "--rate", "200", "--duration", "6", "--no-rtcp")
        check(sent["answered"] == n, f"{sent['answered']} of {n} answered")
        rows = r.wait_sealed(n, wait_s=30)
        recorded = sum(row["n_frames"] for row in rows)
        check(sum(row["missing"] for row in rows) == 0, "frames were lost here")
        totals = sum(s["recorded"] for row in rows[:10] for s in frames_of(r, row)["streams"])
        check(totals > 0 and recorded >= sent["packets_sent"], f"{recorded} frames for {sent['packets_sent']} packets")
        m = r.metrics()
        check(m["rx_recorded"] == sent["packets_sent"], f"rx_recorded {m['rx_recorded']} of {sent['packets_sent']}")
        status, text = r.reel_py("verify")
        check(status == 0, f"reel.py: {text[-400:]}")


def test_tcp_and_hold(context):
    with context.recorder() as r:
        r.simulate("--transport", "tcp", "--duration", "3", "--hold", "1:1")
        check(len(r.wait_sealed(1)) == 1, "not sealed")


def test_one_mixed_stream(context):
    with context.recorder() as r:
        r.simulate("--mixed", "--duration", "1")
        shown = frames_of(r, r.wait_sealed(1)[0])
        check(len(shown["streams"]) == 1, "a mixed call has one stream")
        check(len(shown["participants"]) == 2, "and two participants")


def test_no_metadata_is_refused_or_recorded_by_policy(context):
    with context.recorder(sip__accept="any") as r:
        r.simulate("--no-metadata", "--duration", "1")
        check(len(r.wait_sealed(1)) == 1, "not sealed")


def test_cancel_leaves_nothing_behind(context):
    with context.recorder() as r:
        r.simulate("--cancel", "--duration", "1")
        for _ in range(20):	# its recording is given back first
            status, sessions = r.get("/api/v1/sessions")
            if sessions["sessions"] == []:
                break
            time.sleep(0.1)
        check(status == 200 and sessions["sessions"] == [], f"sessions left: {sessions}")
        sealed = r.wait_sealed(1)[0]
        check(sealed["call_id"] != "" and sealed["started_wall_ns"] > 0 and len(sealed["participants"]) == 2,
              f"the cancelled call's recording does not say whose it was: {sealed}")


def test_too_many_sessions_get_503(context):
    with context.recorder(limits__sessions_max=2) as r:
        import subprocess
        import os
        busy = subprocess.Popen([os.path.join(r.build, "bench", "src", "capstan-src"), "--calls", "2", "--duration", "4",
                                 "--local", r.host, f"127.0.0.1:{r.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        import time
        time.sleep(1.5)
        r.simulate("--expect", "503", "--duration", "1")
        check(busy.wait(30) == 0, "the two calls within the limit were disturbed")
        check(len(r.wait_sealed(2)) == 2, "not sealed")


def test_stop_ends_calls_with_bye_and_seals_within_5_s(context):
    import os
    import subprocess
    import time
    with context.recorder() as r:
        caller = subprocess.Popen([os.path.join(r.build, "bench", "src", "capstan-src"), "--calls", "10", "--duration", "60",
                                   "--local", r.host, f"127.0.0.1:{r.port}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(2.5)
        status, seconds = r.stop()
        check(status == 0, f"exit status {status}: {r.log_tail()}")
        check(seconds <= 5 or context.sanitized, f"took {seconds:.1f} s")
        check(caller.wait(20) == 0, "the SRC did not see an orderly end")
        rows = r.recordings()
        check(len(rows) == 10, f"{len(rows)} recordings")
        check(all(row["state"] == "sealed" for row in rows), f"states: {[row['state'] for row in rows]}")
        status, text = r.reel_py("verify")
        check(status == 0, f"reel.py: {text[-400:]}")


def test_ipv6_call(context):
    with context.recorder() as r:
        sent = r.simulate("--duration", "1", "--no-rtcp", host="::1")
        shown = frames_of(r, r.wait_sealed(1)[0])
        check(sum(s["recorded"] for s in shown["streams"]) == sent["packets_sent"], f"{shown['streams']}")
