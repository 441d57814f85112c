"""The recorder's receiver reports as a sender gets them: capstan-src opens each with the recorder's key, looks at its form,
and holds what it says of its own SSRCs against what it sent."""

import concurrent.futures
import socket
import time

import sip_client as sip
from recorder import check
from srtp_call import Run

SECONDS = 8	# a first report comes within five


def test_receiver_reports_say_what_was_lost(context):
    """In clear, by SDES and by DTLS, on one port and on two, under keys and sources that change."""
    ways = [(), ("--no-rtcp-mux",), ("--srtp", "AES_CM_128_HMAC_SHA1_32", "--mki", "2", "--rekey-at", "3"),
            ("--srtp", "AEAD_AES_256_GCM", "--no-rtcp-mux", "--seq", "65400"),
            ("--srtp", "AES_192_CM_HMAC_SHA1_80", "--roc", "1", "--ssrc-change-at", "3", "--replays", "5"), ("--dtls",)]
    with context.recorder(srtp__sdes_unprotected="allow") as r, concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        runs = list(pool.map(lambda way: Run(r, "--loss", "10", *way, seconds=SECONDS), ways))
        r.wait_sealed(len(ways))
        for way, run in zip(ways, runs):
            sent = run.sent
            check(sent["reports_received"] >= 2, f"{sent['reports_received']} reports for two streams of {SECONDS} s with {way}")
            check(sent["reports_bad"] == 0, f"{sent['failure']} with {way}")
            check(0 < sent["lost_reported"] <= sent["dropped"], f"{sent['lost_reported']} reported lost of {sent['dropped']} with {way}")
        m, received = r.metrics(), sum(run.sent["reports_received"] for run in runs)
        check(received <= m["tx_reports"] <= received + 2 * len(ways), f"{received} reports came of {m['tx_reports']:.0f} sent")
        sent = sum(run.sent["reports_sent"] for run in runs)
        check(m["rx_recorded_rtcp"] == sent, f"rx_recorded_rtcp {m['rx_recorded_rtcp']:.0f} of {sent}, "
              f"{ {k: v for k, v in m.items() if k.startswith('rx_drop') and v} }")


def test_reports_go_where_a_rtcp_line_says(context):
    """RFC 3605: to a port that is not beside that of RTP, from a client that sends no RTCP itself."""
    with context.recorder() as r, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtcp:
        rtcp.bind((r.host, 0))
        rtcp.settimeout(SECONDS)
        call = sip.Call(r, "rtcp", labels=("1",), names=("Alice",), extra=(f"a=rtcp:{rtcp.getsockname()[1]} IN IP4 {r.host}",))
        check(call.status == 200, f"INVITE got {call.status}")
        for i in range(int(SECONDS * 50)):
            call.send(0, sip.rtp(i, 160 * i, 0x1234, bytes(160)))
            time.sleep(0.02)
            if r.metrics()["tx_reports"] if i % 50 == 49 else 0:
                break
        packet, source = rtcp.recvfrom(2048)
        check(packet[1] == 201 and packet[8:12] == (0x1234).to_bytes(4, "big"), f"no receiver report: {packet.hex()}")
        check(source[0] == call.media[0][0] and source[1] == call.media[0][1] + 1, f"it came from {source}")
        check(call.bye() == 200, "BYE")
        call.close()
