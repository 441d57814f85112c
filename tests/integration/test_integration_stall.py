"""A recorder that gets no CPU for a while: what the kernel's queue drops meanwhile is counted as missed here."""

import signal
import time

import sip_client as sip
from recorder import check

BURST = 20000	# more than the kernel keeps for a tap (16,384)


def test_packets_dropped_before_the_port_are_counted(context):
    with context.recorder() as r:
        call = sip.Call(r, "stall@test")
        check(call.status == 200, f"INVITE got {call.status}")
        call.send(0, sip.rtp(1, 160, 7, bytes(160)))
        time.sleep(0.3)
        r.process.send_signal(signal.SIGSTOP)
        try:
            for i in range(BURST):
                call.send(0, sip.rtp(2 + i, 160 * (2 + i), 7, bytes(160)))
        finally:
            r.process.send_signal(signal.SIGCONT)
        call.send(0, sip.rtp(2 + BURST, 160 * (2 + BURST), 7, bytes(160)))
        sent = BURST + 2
        end = time.monotonic() + 5
        while time.monotonic() < end:
            m = r.metrics()
            if m["rx_recorded"] + m["nic_missed"] >= sent:
                break
            time.sleep(0.1)
        check(m["nic_missed"] > 0, f"{m['rx_recorded']:.0f} of {sent} recorded, and nothing missed")
        check(m["rx_recorded"] + m["nic_missed"] >= sent,
              f"{m['rx_recorded']:.0f} recorded and {m['nic_missed']:.0f} missed of {sent} sent")
        r.check_conservation()
        check(call.bye() == 200, "BYE")
        call.close()
        shown = r.tool("recordings", "show", r.wait_sealed(1)[0]["id"], "--json")
        check(sum(s["recorded"] for s in shown["streams"]) == m["rx_recorded"], f"totals: {shown['streams']}")
