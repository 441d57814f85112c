"""Replaces (RFC 3891): a standby client takes a call over, and one recording goes on."""

import json
import re
import shutil
import tempfile
import time

from certificates import Authority
from recorder import check
from sip_client import Call, Client, ack_for, invite, rtp, sdp

PACKETS = 50


def replaces(call, extra=""):
    return f"Replaces: {call.call_id};to-tag={call.answer.tag('To', 't')};from-tag=src{extra}"


def talk(call, ssrc, first=0, n=PACKETS):
    for i in range(first, first + n):
        for stream in range(len(call.media)):
            call.send(stream, rtp(i, 160 * i, ssrc + stream, bytes([ssrc & 0x7f]) * 160))


def test_one_recording_goes_on_in_another_dialog(context):
    with context.recorder() as r:
        old = Call(r, "active@src")
        check(old.status == 200, f"the first call got {old.status}")
        talk(old, 0x1000)
        r.settle()
        new = Call(r, "standby@src", beside=old, lines=("Require: siprec, replaces", replaces(old)))
        check(new.status == 200, f"the replacing call got {new.status}: {new.answer.header('Warning')}")
        check("replaces" in new.answer.header("Supported", "k"), "Supported does not name replaces")
        old.client.final(wait_s=2)
        check([m.method for m in old.client.requests] == ["BYE"], f"the old dialog got {old.client.requests}")
        check("replaced" in old.client.requests[0].header("Reason"), "its BYE does not say why")
        check(not {m[1] for m in old.media} & {m[1] for m in new.media}, "a port serves both dialogs")
        talk(new, 0x2000)
        r.settle()
        check(new.bye() == 200, "BYE of the new dialog")
        row = r.wait_sealed(1)[0]
        check(len(r.recordings()) == 1, "more than one recording")
        m = r.check_conservation()
        check(m["sessions_replaced"] == 1, "sessions_replaced")
        check(m["sessions_started"] == m["sessions_ended"] == 2, "sessions started and ended")
        check(m["rx_recorded"] == 4 * PACKETS and row["missing"] == 0, f"rx_recorded is {m['rx_recorded']:.0f}")
        shown = r.tool("recordings", "show", row["id"], "--json")
        check(shown["parts"] == 2, f"{shown['parts']} parts")
        check([s["recorded"] for s in shown["streams"]] == 4 * [PACKETS], f"streams: {shown['streams']}")
        check([(s["label"], s["speaker"]) for s in shown["streams"]] == 2 * [("1", "Alice"), ("2", "Bob")], f"streams: {shown['streams']}")
        check(shown["call_id"] == "standby@src", f"described as of {shown['call_id']}")
        check([p["name"] for p in shown["participants"]] == ["Alice", "Bob"], f"participants: {shown['participants']}")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"], "--json")
        check(status == 0 and json.loads(text[:text.rindex("}") + 1])["ok"], f"reel.py: {text[-400:]}")
        status, out, err = r.tool("verify", "--json", expect=None)
        check(status == 0, f"capstan verify: {out[-600:]} {err}")
        seam_is_where_the_dialogs_meet(r)
        check(r.stop()[0] == 0, "exit status")


def seam_is_where_the_dialogs_meet(r):
    status, text = r.reel_py("dump", "--keys", r.settings["keys.path"])
    check(status == 0, f"reel.py dump: {text[-400:]}")
    frames = [line for line in text.splitlines() if re.search(r" (RTP|MARK|OFFER|ANSWER|METADATA|DESCRIPTION) stream=", line)]
    seams = [i for i, line in enumerate(frames) if " SEAM " in line]
    check(len(seams) == 1, f"{len(seams)} seam marks")
    before, after = frames[:seams[0]], frames[seams[0]:]
    check(len([f for f in before if " RTP " in f]) == 2 * PACKETS, "frames of the old dialog before the seam")
    check(len([f for f in after if " RTP " in f]) == 2 * PACKETS, "frames of the new dialog behind it")
    check(all(re.search(r"ssrc=0000100[01]", f) for f in before if " RTP " in f), "a foreign frame before the seam")
    for kind in ("OFFER", "ANSWER", "METADATA", "DESCRIPTION"):
        check(any(f" {kind} " in f for f in after), f"no {kind} in the new part")


def test_a_call_that_is_replaced_time_and_again_keeps_its_seams(context):
    """Faster than parts can begin: the seam of the last one comes as soon as there can be one, not seconds later."""
    with context.recorder() as r:
        first = last = Call(r, "chain-0@src")
        for i in range(1, 13):
            last = Call(r, f"chain-{i}@src", beside=first, lines=("Require: siprec, replaces", replaces(last)))
            check(last.status == 200, f"replacement {i} got {last.status}: {last.answer.header('Warning')}")
        time.sleep(1)
        talk(last, 0x3000)
        r.settle()
        check(last.bye() == 200, "BYE of the last one")
        r.wait_sealed(1)
        status, text = r.reel_py("dump", "--keys", r.settings["keys.path"])
        check(status == 0, f"reel.py dump: {text[-400:]}")
        frames = [line for line in text.splitlines() if re.search(r" (RTP|MARK) stream=", line)]
        spoken = [i for i, line in enumerate(frames) if " RTP " in line]
        seams = [i for i, line in enumerate(frames) if " SEAM " in line]
        check(len(spoken) == 2 * PACKETS, f"{len(spoken)} frames")
        check(len(seams) > 1 and seams[-1] < spoken[0], f"seams at {seams}, frames from {spoken[0]} on")
        status, out, err = r.tool("verify", "--json", expect=None)
        check(status == 0, f"capstan verify: {out[-600:]} {err}")


def test_what_may_not_replace_leaves_the_call_as_it_was(context):
    with context.recorder() as r:
        old = Call(r, "here@src")
        lines = ("Require: siprec, replaces",)
        for status, line, host in ((481, "Replaces: never@src;to-tag=a;from-tag=b", old), (400, "Replaces: here@src", old),
                                   (486, replaces(old, ";early-only"), old), (403, replaces(old), None)):
            refused = Call(r, f"refused-{status}@src", beside=host, lines=(*lines, line))
            check(refused.status == status, f"{line} got {refused.status} instead of {status}")
            check(refused.answer.header("Warning") != "", f"{status} without a Warning")
            refused.close()
        talk(old, 0x1000)
        r.settle()
        check(old.bye() == 200, "BYE")
        late = Call(r, "late@src", beside=old, lines=(*lines, replaces(old)))
        check(late.status == 603, f"a dialog that has ended: {late.status}")
        row = r.wait_sealed(1)[0]
        shown = r.tool("recordings", "show", row["id"], "--json")
        check(shown["parts"] == 1 and sum(s["recorded"] for s in shown["streams"]) == 2 * PACKETS, f"shown: {shown}")
        check(r.metrics()["sessions_replaced"] == 0, "sessions_replaced")


def ask_by_tls(r, ca, own, call_id, lines):
    """(client, answer) of an INVITE by who shows this certificate; acknowledged."""
    client = Client(r.tls_port, "tls", tls=ca.context(own))
    data = invite(client, call_id, sdp(r.host, [(30000, "1")]), lines=lines, contact="")	# it is reached by its connection
    answer = client.ask(data)
    check(answer is not None, f"{call_id}: no answer: {r.log_tail(3)}")
    client.send(ack_for(data, answer))
    return client, answer


def test_the_certificate_that_began_a_call_is_needed_to_replace_it(context):
    folder = tempfile.mkdtemp(prefix="capstan-ca-")
    ca = Authority(folder)
    active, other = ca.issue("sbc-a", "URI:sip:sbc-a.example.com"), ca.issue("sbc-b", "URI:sip:sbc-b.example.com")
    try:
        with context.recorder(sip__replaces="identity", **ca.settings(verify="request")) as r:
            first, answer = ask_by_tls(r, ca, active, "tls-first", ("Require: siprec",))
            check(answer.status == 200, f"the first call got {answer.status}")
            named = f"Replaces: tls-first;to-tag={answer.tag('To', 't')};from-tag=src"
            lines = ("Require: siprec, replaces", named)
            clients = [first]
            for own, what in ((other, "another certificate"), (None, "no certificate")):
                client, answer = ask_by_tls(r, ca, own, f"tls-{what.split()[0]}", lines)
                check(answer.status == 403, f"{what}, the same host: {answer.status}")
                clients.append(client)
            plain = Call(r, "plain", transport="tcp", lines=lines)
            check(plain.status == 403, f"without TLS: {plain.status}")
            plain.close()
            client, answer = ask_by_tls(r, ca, active, "tls-standby", lines)
            check(answer.status == 200, f"the same certificate on another connection: {answer.status}")
            clients.append(client)
            first.final(wait_s=2)
            check([m.method for m in first.requests] == ["BYE"], f"the old dialog got {[m.method for m in first.requests]}")
            check(r.metrics()["sessions_replaced"] == 1, "sessions_replaced")
            for c in clients:
                c.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_calls_that_are_replaced_at_once_lose_nothing(context):
    n = 30
    with context.recorder() as r:
        sent = r.simulate("--calls", str(n), "--rate", "60", "--duration", "5", "--replace-at", "2", "--no-rtcp")
        check(sent["replaced"] == n, f"{sent['replaced']} of {n} replaced")
        rows = r.wait_sealed(n)
        check(len(rows) == n, f"{len(rows)} recordings of {n} calls")
        m = r.check_conservation()
        check(m["rx_recorded"] == sent["packets_sent"], f"{m['rx_recorded']:.0f} recorded of {sent['packets_sent']}")
        for name in ("totals_dropped", "marks_dropped", "notes_dropped", "session_notes_lost", "rx_drop_no_stream"):
            check(m[name] == 0, f"{name} is {m[name]:.0f}")
        check(m["sessions_replaced"] == n, f"sessions_replaced is {m['sessions_replaced']:.0f}")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"], "--json")
        check(status == 0 and json.loads(text[:text.rindex("}") + 1])["ok"], f"reel.py: {text[-400:]}")
