"""Packets longer than a receive buffer: recorded in pieces, and none vanishes unseen."""

import os
import subprocess
import time

import sip_client as sip
from recorder import check

SIZES = (160, 1400, 2000, 3000, 8988)


def test_jumbo_rtp_is_recorded_or_counted(context):
    if os.geteuid() != 0:
        context.skip("a larger MTU needs root")
    with context.recorder() as r:
        subprocess.run(["ip", "link", "set", r.device, "mtu", "9100"], check=True)
        call = sip.Call(r, "jumbo@test")
        check(call.status == 200, f"INVITE got {call.status}")
        for i, size in enumerate(SIZES):
            call.send(0, sip.rtp(1 + i, 160 * i, 7, bytes(size)))
            call.send(1, sip.rtp(1 + i, 160 * i, 8, bytes(160)))
        call.send(0, b"\x40" + bytes(7999))	# long, and no RTP
        end = time.monotonic() + 5
        while r.metrics()["rx_recorded"] < 2 * len(SIZES) and time.monotonic() < end:
            time.sleep(0.05)
        m = r.metrics()
        check(m["rx_recorded"] == 2 * len(SIZES), f"{m['rx_recorded']:.0f} of {2 * len(SIZES)} recorded, nic_errors {m['nic_errors']:.0f}")
        check(m["rx_drop_not_rtp"] == 1, "the long one that is no RTP was not counted")
        check(call.bye() == 200, "BYE")
        call.close()
        row = r.wait_sealed(1)[0]
        shown = r.tool("recordings", "show", row["id"], "--json")
        check([s["recorded"] for s in shown["streams"]] == [len(SIZES)] * 2, f"totals: {shown['streams']}")
        check(shown["verdict"] == "intact", shown["verdict"])
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
        check(status == 0, f"reel.py: {text[-600:]}")
