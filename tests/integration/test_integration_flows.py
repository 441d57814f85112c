"""The call flows of RFC 8068 (CF-01 to CF-09) by SIPp, over UDP, TCP and TLS (SIPp speaks TCP to socat, which speaks TLS)."""

import itertools
import os
import shutil
import subprocess
import tempfile
import time

import speech
from certificates import Authority
from recorder import check, free_port
from sipp_flow import Flow, metadata, sdp

TWO = {"1": ("one", ("alice",)), "2": ("one", ("bob",))}
BOTH = sdp([("1", 2, "sendonly"), ("2", 4, "sendonly")])
TALK_MS = 400
RECVONLY, INACTIVE = "a=recvonly", "a=inactive"


# Each gives its flow, the number of its communication sessions, and who is there at the end.

def basic():
    flow = Flow("cf01")
    flow.invite(BOTH, metadata(["alice", "bob"], TWO), [RECVONLY, "a=label:1", "a=label:2", "[+]sip[.]srs"])
    flow.update(metadata(["alice"], {"1": ("one", ("alice",))}, (), "partial"))
    flow.bye()
    return flow, 1, {"alice", "bob"}


def hold():
    flow = Flow("cf02")
    flow.invite(BOTH, metadata(["alice", "bob"], TWO))
    flow.invite(sdp([("1", 2, "inactive"), ("2", 4, "inactive")], 2), metadata([], {}, (), "partial"), [INACTIVE])
    flow.invite(sdp([("1", 2, "sendonly"), ("2", 4, "sendonly")], 3), metadata([], {}, (), "partial"), [RECVONLY])
    flow.bye()
    return flow, 1, {"alice", "bob"}


def transfer():
    """Bob leaves and Carol joins the same session; then a new session begins with her, as after a REFER."""
    flow = Flow("cf03")
    flow.invite(BOTH, metadata(["alice", "bob"], TWO))
    flow.invite(sdp([("1", 2, "sendonly"), ("2", 4, "sendonly")], 2), metadata(["alice", "carol"], {"1": ("one", ("alice",)), "2": ("one", ("carol",))}))
    flow.invite(sdp([("1", 2, "sendonly"), ("2", 4, "sendonly")], 3),
                metadata(["alice", "carol"], {"1": ("two", ("alice",)), "2": ("two", ("carol",))}, ("two",)))
    flow.bye()
    return flow, 2, {"alice", "carol"}


def teardown():
    flow = Flow("cf04")
    flow.invite(BOTH, metadata(["alice", "bob"], TWO))
    stopped = "<session session_id=\"one\"><stop-time>2026-01-01T10:00:00Z</stop-time></session>" \
              "<participantsessionassoc participant_id=\"alice\" session_id=\"one\"><disassociate-time>2026-01-01T10:00:00Z</disassociate-time></participantsessionassoc>"
    flow.update(metadata([], {}, (), "partial", stopped))
    flow.bye()
    return flow, 1, {"alice", "bob"}


def mixer():
    flow = Flow("cf05")
    flow.invite(sdp([("1", 2, "sendonly")]), metadata(["alice", "bob"], {"1": ("one", ("alice", "bob"))}), [RECVONLY])
    flow.bye()
    return flow, 1, {"alice", "bob"}


def conference():
    flow = Flow("cf06")
    flow.invite(sdp([("1", 2, "sendonly")]), metadata(["alice", "bob"], {"1": ("one", ("alice", "bob"))}))
    flow.update(metadata(["carol"], {"1": ("one", ("carol",))}, (), "partial"))
    flow.update(metadata(["alice", "carol"], {"1": ("one", ("alice", "carol"))}))
    flow.bye()
    return flow, 1, {"alice", "carol"}


def persistent():
    """A turret: its two handsets' sessions come and go in one dialog; between them there is none."""
    flow = Flow("cf07")
    flow.invite(BOTH, metadata(["alice", "bob"], TWO))
    flow.invite(sdp([("1", 0, "inactive"), ("2", 0, "inactive"), ("3", 2, "sendonly")], 2), metadata(["carol"], {"3": ("two", ("carol",))}, ("two",)))
    flow.invite(sdp([("1", 0, "inactive"), ("2", 0, "inactive"), ("3", 2, "inactive")], 3), metadata([], {}, ()), [INACTIVE])
    flow.invite(sdp([("4", 4, "sendonly"), ("2", 0, "inactive"), ("3", 2, "inactive")], 4), metadata(["dave"], {"4": ("three", ("dave",))}, ("three",)))
    flow.bye()
    return flow, 3, {"dave"}


def early():
    """Media comes before the ACK, and the call fails: BYE without more."""
    flow = Flow("cf08")
    flow.invite(sdp([("1", 2, "sendonly")]), metadata(["alice"], {"1": ("one", ("alice",))}), ack=False)
    flow.play(TALK_MS)
    flow.ack()
    flow.bye()
    return flow, 1, {"alice"}


def ringing():
    flow = Flow("cf09")
    flow.invite(sdp([("1", 2, "inactive")]), metadata(["alice"], {"1": ("one", ("alice",))}), [INACTIVE])
    flow.invite(sdp([("1", 2, "sendonly")], 2), metadata(["alice"], {"1": ("one", ("alice",))}), [RECVONLY])
    flow.play(TALK_MS)
    flow.bye()
    return flow, 1, {"alice"}


FLOWS = (basic, hold, transfer, teardown, mixer, conference, persistent, early, ringing)
WITH_MEDIA = ("cf08", "cf09")
EVER = {"alice", "bob", "carol", "dave"}


def play(recorder, folder, make, transport, target, media_port):
    """One flow; what is wrong with its recordings, as sentences."""
    flow, n_recordings, present = make()
    here = os.path.join(folder, f"{flow.name}-{transport}")
    os.mkdir(here)
    speech.write_capture(os.path.join(here, "speech.pcap"), bytes(i % 251 for i in range(8 * TALK_MS)), 0x51b0, 100, 1000)
    try:
        flow.run(here, recorder.host, target, "u1" if transport == "udp" else "t1", media_port)
    except AssertionError as e:
        return [f"{transport}: {e}"]
    end = time.monotonic() + 10
    while time.monotonic() < end:
        rows = [r for r in recorder.recordings() if r["call_id"].startswith(flow.name) and r["call_id"] not in seen]
        if rows and all(r["state"] == "sealed" for r in rows):
            break
        time.sleep(0.2)
    found = []
    calls = {r["call_id"] for r in rows}
    seen.update(calls)
    if len({(r["cs_id"]) for r in rows}) != n_recordings:
        found.append(f"{flow.name} over {transport}: sessions {[r['cs_id'] for r in rows]}, {n_recordings} were had")
    heard = {p["name"] for r in rows for p in r["participants"]}
    if not present <= heard or not heard <= EVER:
        found.append(f"{flow.name} over {transport}: participants {heard}; at the end {present} were there")
    if flow.name in WITH_MEDIA:
        recorded = sum(s["recorded"] for r in rows for s in recorder.tool("recordings", "show", r["id"], "--json")["streams"])
        if recorded != 8 * TALK_MS // 160:
            found.append(f"{flow.name} over {transport}: {recorded} packets recorded of {8 * TALK_MS // 160}")
    return found


seen = set()


def test_sipp_plays_the_call_flows_of_rfc_8068(context):
    if shutil.which("socat") is None:
        context.skip("socat is absent")
    with tempfile.TemporaryDirectory() as folder, context.recorder(**Authority(folder).settings()) as r:
        tunnel_port = free_port()
        tunnel = subprocess.Popen(["socat", f"TCP-LISTEN:{tunnel_port},bind={r.host},reuseaddr,fork",
                                   f"OPENSSL:127.0.0.1:{r.tls_port},verify=0"], stderr=subprocess.DEVNULL)
        targets = {"udp": f"{r.host}:{r.port}", "tcp": f"{r.host}:{r.port}", "tls": f"{r.host}:{tunnel_port}"}
        ports = itertools.count(20000, 10)
        try:
            findings = []
            for make in FLOWS:
                for transport, target in targets.items():
                    findings += play(r, folder, make, transport, target, next(ports))
        finally:
            tunnel.terminate()
            tunnel.wait(10)
        check(not findings, f"{len(findings)} of {len(FLOWS) * len(targets)}: " + "; ".join(findings))
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
        check(status == 0, f"reel.py: {text[-400:]}")
