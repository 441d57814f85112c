"""A disk that fills up: calls go on with counted gaps, new ones are refused, nothing committed is lost, and recording
goes on when there is room again."""

import os
import subprocess
import time

import sip_client as sip
from recorder import check

DISK_MIB = 48


def flood(call, frames, seq, pace=400):
    """Large frames fill the disk: 1,200 octets each."""
    for i in range(frames):
        for stream in (0, 1):
            call.send(stream, sip.rtp(seq + i, (seq + i) * 160, 10 + stream, bytes([i & 0xff]) * 1200))
        if i % 20 == 19:
            time.sleep(20 / pace)


def test_full_disk_counts_gaps_and_recovers(context):
    if os.geteuid() != 0:
        context.skip("mounting a small tmpfs needs root")
    r = context.idle_recorder(storage__segment_mib=8, storage__reserve_mib=4, storage__engine="pwrite")
    vault = r.settings["storage.devices"]
    os.makedirs(vault)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "capstan-test", vault], check=True)
    ballast = os.path.join(vault, "ballast")
    try:
        r.start()
        before = sip.Call(r, "before@disk")
        check(before.status == 200, f"INVITE got {before.status}")
        flood(before, 200, 1)
        check(before.bye() == 200, "BYE")
        before.close()
        r.wait_sealed(1)
        intact = r.tool("recordings", "show", r.recordings()[0]["id"], "--json")
        call = sip.Call(r, "during@disk")
        check(call.status == 200, f"INVITE got {call.status}")
        flood(call, 100, 1)
        time.sleep(1)
        # somebody else fills the disk
        free = os.statvfs(vault)
        with open(ballast, "wb") as f:
            left = free.f_bavail * free.f_frsize
            for _ in range(left // (1 << 20) + 1):
                try:
                    f.write(bytes(1 << 20))
                    f.flush()
                except OSError:
                    break
        seq, refused = 101, None
        end = time.monotonic() + 20
        while time.monotonic() < end:
            flood(call, 200, seq)
            seq += 200
            m = r.metrics()
            if m["rx_drop_disk_full"] > 0:
                break
        check(m["rx_drop_disk_full"] > 0, f"{seq} frames of a call on a full disk and no rx_drop_disk_full: {r.log_tail()}")
        time.sleep(1.2)
        refused = sip.Call(r, "refused@disk")
        check(refused.status == 503, f"a new call on a full disk got {refused.status}")
        check(int(refused.answer.header("Retry-After").split()[0]) > 0, "no Retry-After")
        refused.close()
        check(r.get("/health/ready")[0] == 503, "/health/ready says ready on a full disk")
        check(r.process.poll() is None, f"the recorder died: {r.log_tail()}")
        # room returns
        os.unlink(ballast)
        end = time.monotonic() + 15
        while time.monotonic() < end:
            dropped = r.metrics()["rx_drop_disk_full"]
            flood(call, 20, seq)
            seq += 20
            time.sleep(0.3)
            if r.metrics()["rx_drop_disk_full"] == dropped:
                break
        check(r.metrics()["rx_drop_disk_full"] == dropped, f"still dropped with room on the disk: {r.log_tail()}")
        flood(call, 50, seq)
        r.settle()
        m = r.check_conservation()
        check(call.bye() == 200, "BYE")
        call.close()
        end = time.monotonic() + 10
        while r.get("/health/ready")[0] != 200 and time.monotonic() < end:
            time.sleep(0.2)
        after = sip.Call(r, "after@disk")
        check(after.status == 200, f"a call after room returned got {after.status}: {r.log_tail()}")
        flood(after, 20, 1)
        check(after.bye() == 200, "BYE")
        after.close()
        rows = {row["call_id"]: row for row in r.wait_sealed(3)}
        during = r.tool("recordings", "show", rows["during@disk"]["id"], "--json")
        gaps = sum(s["missing"].get("disk_full", 0) for s in during["streams"])
        recorded = sum(s["recorded"] for s in during["streams"])
        check(gaps == m["rx_drop_disk_full"], f"{gaps} frames marked as gaps, {m['rx_drop_disk_full']:.0f} counted: {during['streams']}")
        check(sum(s["recorded"] + sum(s["missing"].values()) for s in during["streams"]) == 2 * (seq + 49),
              f"{recorded} recorded and {gaps} in gaps of {2 * (seq + 49)} sent: {during['streams']}")
        check(r.tool("recordings", "show", rows["before@disk"]["id"], "--json")["streams"] == intact["streams"],
              "what was committed before has changed")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
        check(status == 0, f"reel.py: {text[-600:]}")
        status, out, err = r.tool("verify", "--json", expect=None)
        check(status == 0, f"capstan verify: {out[-600:]} {err}")
        status, _ = r.stop()
        check(status == 0, f"exit status {status}")
    finally:
        r.close(keep=True)
        subprocess.run(["umount", "-l", vault], check=False)
        r.close()
