"""Telephone events (RFC 4733): recorded as they came, told once each."""

import os
import time

import sip_client as sip
from capture import udp_payloads
from recorder import CORPUS, check

KEYS = {"1": "1", "2": "2", "3": "3", "7": "7", "9": "9", "pound": "#", "star": "*"}



def test_keys_of_foreign_captures_are_told_once(context):
    """Each capture holds one key, in packets that repeat it; the recording says it once, and keeps every packet."""
    folder = os.path.join(CORPUS, "pcap")
    if not os.path.isdir(folder):
        context.skip("the corpus folder is absent")
    with context.recorder() as r:
        expected, sent = {}, {}
        for name, key in KEYS.items():
            packets = list(udp_payloads(os.path.join(folder, f"sipp-dtmf-{name}.pcap")))
            call = sip.Call(r, f"key-{name}", labels=("1",), names=None, codec=f"{packets[0][1] & 0x7f} telephone-event/8000")
            check(call.status == 200, f"INVITE got {call.status}")
            for packet in packets:
                call.send(0, packet)
                time.sleep(0.002)
            check(call.bye() == 200, "BYE")
            call.close()
            expected[f"key-{name}"], sent[f"key-{name}"] = key, len(packets)
        for row in r.wait_sealed(len(KEYS)):
            shown = r.tool("recordings", "show", row["id"], "--json")
            events = shown["telephone_events"]
            call_id = shown["call_id"]
            check([e["event"] for e in events] == [expected[call_id]], f"{call_id}: {events}")
            check(events[0]["ended"] and events[0]["duration_ms"] > 20, f"{call_id}: {events}")
            recorded = sum(s["recorded"] for s in shown["streams"])
            doubles = sum(s["duplicates"] for s in shown["streams"])
            check(recorded + doubles == sent[call_id], f"{call_id}: {recorded} + {doubles} of {sent[call_id]} recorded")
