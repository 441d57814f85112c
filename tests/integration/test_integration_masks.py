"""Attempts to get packets past a mask, and commands past their checks: at each moment of a call, over other dialogs, parts,
recordings and protections, through a crash, by hostile bodies, by two operators at once."""

import json
import random
import re
import signal
import socket
import threading
import time

import sip_client as sip
from recorder import check
from srtp_call import Run, exported, heard
from test_integration_hold import SECRET, SPOKEN, answer_with, check_sealed, dump, offered, places_of, session_row, voice


def post(r, path, body=b"{}", kind="application/json", headers=()):
    """(status, document) of a POST as bytes; status 0: the connection was closed without an answer."""
    head = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{r.http_port}", "Connection: close", f"Content-Length: {len(body)}"]
    head += [f"Content-Type: {kind}"] * bool(kind) + list(headers)
    with socket.create_connection(("127.0.0.1", r.http_port), timeout=5) as s:
        s.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + body)
        data = b""
        try:
            while chunk := s.recv(65536):
                data += chunk
        except ConnectionError:
            pass
    m = re.match(rb"HTTP/1\.[01] (\d{3})", data)
    text = data.partition(b"\r\n\r\n")[2]
    return (int(m.group(1)) if m else 0), (json.loads(text) if text.startswith(b"{") else {})


def command(r, row, verb, expect=200, **members):
    status, document = post(r, f"/api/v1/sessions/{row['id']}/{verb}", json.dumps(members).encode())
    check(status == expect, f"{verb}: {status} {document}")
    return document


def wait_counted(r, counter, n, wait_s=20):
    end = time.monotonic() + wait_s
    while r.metrics()[counter] < n:
        check(time.monotonic() < end, f"{counter} is {r.metrics()[counter]:.0f} after {wait_s} s, {n} awaited")
        time.sleep(0.02)


def check_secret_is_nowhere(r):
    check(not places_of(r, SECRET), "masked speech was recorded")
    check(places_of(r, SPOKEN), "what was not masked is missing")


def test_a_mask_before_the_ack_holds(context):
    with context.recorder() as r:
        call = sip.Call(r, "early")	# its ACK is lost: another one follows, much later
        early = sip.Client(r.port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
            media.bind((r.host, 0))
            invite = sip.invite(early, "no-ack-yet", sip.sdp(r.host, [(media.getsockname()[1], "1")]))
            answer = early.ask(invite)
            check(answer is not None and answer.status == 200, "INVITE")
            address, port = sip.media_of(answer.body)[0][:2]
            row = session_row(r, "no-ack-yet")
            command(r, row, "mask", by="ann")
            command(r, row, "pause")	# cannot be offered before the ACK
            for i in range(25):
                media.sendto(sip.rtp(100 + i, i * 160, 7, (SECRET * 8)[:160]), (address, port))
                time.sleep(0.002)
            early.send(sip.ack_for(invite, answer))
            end = time.monotonic() + 5
            request = None
            while time.monotonic() < end and (request is None or request.method != "INVITE"):
                request = early.receive(1)	# 200 was sent again meanwhile
            check(request is not None and request.method == "INVITE" and b"a=inactive" in request.body, request and request.start)
            early.send(sip.plain_answer(request))	# without an answer: nothing of it holds, but the pause does
            for i in range(25):
                media.sendto(sip.rtp(125 + i, (25 + i) * 160, 7, (SECRET * 8)[:160]), (address, port))
                time.sleep(0.002)
            r.settle()
            check(session_row(r, "no-ack-yet")["state"] == "paused", "not paused")
        voice(call, 0, 100, SPOKEN)
        r.settle()
        check(r.check_conservation()["rx_drop_paused"] == 50, r.metrics()["rx_drop_paused"])
        r.catch_up()
        check(call.bye() == 200, "BYE")
        call.close()
        early.close()
        check(r.stop()[0] == 0, "stop")
        check_secret_is_nowhere(r)


def test_masks_and_drops_go_along_to_the_dialog_that_replaces(context):
    with context.recorder() as r:
        old = sip.Call(r, "first")
        at = [voice(old, stream, 100, SPOKEN) for stream in (0, 1)]
        r.catch_up()
        row = session_row(r, "first")
        command(r, row, "drop", stream="2", reason="consent withdrawn")
        answer_with(old, offered(old, "INVITE"), "sendonly")
        command(r, row, "mask")
        replaces = f"Replaces: first;to-tag={old.answer.tag('To', 't')};from-tag=src"
        new = sip.Call(r, "second", beside=old, lines=("Require: siprec, replaces", replaces))
        check(new.status == 200, f"Replaces got {new.status}")
        check([m[1] != 0 for m in new.media] == [True, False], f"what was dropped is back: {new.media}")
        voice(old, 0, at[0], SECRET)	# its streams went with the ACK
        voice(new, 0, 1, SECRET)
        old.client.final(wait_s=1)
        row = session_row(r, "second")
        check(row["masked"] and row["state"] == "paused", row)
        command(r, row, "unmask")
        r.catch_up()
        voice(new, 0, 26, SPOKEN)
        r.catch_up()
        check(new.bye() == 200, "BYE")
        old.close()
        new.close()
        rows = r.wait_sealed(1)
        check(len(rows) == 1, rows)
        check_secret_is_nowhere(r)
        shown = r.tool("recordings", "show", rows[0]["id"], "--json")
        check(shown["verdict"] == "intact", shown["verdict"])
        check(sum(s["recorded"] for s in shown["streams"]) == 75, shown["streams"])


def test_parts_roll_while_masked(context):
    with context.recorder(storage__part_seconds_max=1) as r:
        call = sip.Call(r, "parts")
        at = voice(call, 0, 100, SPOKEN)
        row = session_row(r, "parts")
        r.catch_up()
        command(r, row, "mask")
        for _ in range(6):
            at = voice(call, 0, at, SECRET)
            time.sleep(0.5)
        parts = session_row(r, "parts")["recordings"][0]["part"]
        check(parts >= 2, f"part {parts} after three seconds of one-second parts")
        command(r, row, "unmask")
        r.catch_up()
        voice(call, 0, at, SPOKEN)
        r.catch_up()
        check(call.bye() == 200, "BYE")
        call.close()
        check_sealed(r, 150)
        check_secret_is_nowhere(r)


def test_a_recording_that_opens_while_masked_is_masked(context):
    with context.recorder() as r:
        call = sip.Call(r, "two-cs")
        at = [voice(call, stream, 100, SPOKEN) for stream in (0, 1)]
        row = session_row(r, "two-cs")
        r.catch_up()
        command(r, row, "mask")
        other = "c2Vzc2lvbi0wMDAwMDAwMg=="
        xml = sip.rs_metadata(("Bob",), ("2",), session=other).replace(b"<datamode>complete", b"<datamode>partial")
        call.cseq += 1
        answer = call.client.ask(sip.request(call.client, "UPDATE", call.call_id, call.cseq, to_tag=call.answer.tag("To", "t"),
                                             lines=["Content-Type: application/rs-metadata+xml"], body=xml))
        check(answer is not None and answer.status == 200, answer and answer.start)
        for _ in range(4):	# also while the stream moves
            at = [voice(call, stream, at[stream], SECRET) for stream in (0, 1)]
        check(len(session_row(r, "two-cs")["recordings"]) == 2, "no second recording")
        command(r, row, "unmask")
        r.catch_up()
        for stream in (0, 1):
            voice(call, stream, at[stream], SPOKEN)
        r.catch_up()
        check(call.bye() == 200, "BYE")
        call.close()
        rows = r.wait_sealed(2)
        check_secret_is_nowhere(r)
        shown = [r.tool("recordings", "show", x["id"], "--json") for x in rows]
        check(sum(s["recorded"] for x in shown for s in x["streams"]) == 100, [x["streams"] for x in shown])
        check(sum(s["missing"].get("paused", 0) for x in shown for s in x["streams"]) == 200, [x["streams"] for x in shown])


def test_protected_streams_are_masked_and_their_counters_go_on(context):
    """What is masked is still authenticated: behind the mask each packet opens, also after a new key or a rollover."""
    for how in (("--srtp", "AES_CM_128_HMAC_SHA1_80", "--seq", "65500", "--rekey-at", "1.2", "--update"),
                ("--dtls", "--setup", "active")):
        with context.recorder(srtp__sdes_unprotected="allow") as r:
            done = []
            runner = threading.Thread(target=lambda: done.append(Run(r, "--no-rtcp", *how, seconds=4)))
            runner.start()
            wait_counted(r, "rx_recorded", 60)
            rows = r.tool("sessions", "ls", "--json")["sessions"]
            command(r, rows[0], "mask")
            wait_counted(r, "rx_drop_paused", 80)
            command(r, rows[0], "unmask")
            runner.join()
            check(done, "the call failed")
            row = r.wait_sealed(1)[0]
            r.settle()
            m = r.check_conservation()
            sent = done[0].sent["packets_sent"]
            unopened = m["rx_drop_auth"] + m["rx_drop_no_key"]	# came before the core had their key: an UPDATE does not wait
            check(unopened <= 20 and m["rx_drop_paused"] >= 80, f"{unopened} did not open, {m['rx_drop_paused']} masked")
            check(m["rx_recorded"] + m["rx_drop_paused"] + unopened == sent, f"{m['rx_recorded']} recorded of {sent}")
            by_source = {}
            for packet in exported(r, row):
                by_source.setdefault(packet[0], []).append(packet)
            said = [max(len(heard(packets, v)) for v in done[0].voices) for packets in by_source.values()]
            check(sum(said) == m["rx_recorded"], f"{said} packets opened to what was said, {m['rx_recorded']} were recorded")
            shown = r.tool("recordings", "show", row["id"], "--json")
            check(sum(s["missing"].get("paused", 0) for s in shown["streams"]) == m["rx_drop_paused"], shown["streams"])


def test_a_crash_while_masked_reveals_nothing(context):
    r = context.idle_recorder()
    try:
        r.start()
        call = sip.Call(r, "crash")
        at = voice(call, 0, 100, SPOKEN)
        row = session_row(r, "crash")
        r.catch_up()
        command(r, row, "mask", by="ann", reason="card number")
        voice(call, 0, at, SECRET, 60)
        r.settle()
        time.sleep(0.5)
        r.kill()
        call.close()
        r.start()
        rows = r.recordings()
        check([x["state"] for x in rows] == ["interrupted"], rows)
        check(not any(s["call_id"] == "crash" for s in r.tool("sessions", "ls", "--json")["sessions"]), "a call without a client")
        check_secret_is_nowhere(r)
        check("PAUSED" in dump(r) and "RESUMED" not in dump(r), "the mask is not told")
        check(places_of(r, b'"event":"masked","by":"operator","name":"ann"'), "nobody says who masked")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
        check(status == 0, text[-300:])
    finally:
        r.close()


def test_hostile_commands_are_refused_and_change_nothing(context):
    with context.recorder() as r:
        call = sip.Call(r, "hostile")
        row = session_row(r, "hostile")
        path = f"/api/v1/sessions/{row['id']}/mask"
        rng = random.Random(4)
        cases = [(path, b"[" * 4096, 400), (path, b'{"by":' * 680 + b"1", 400), (path, b"{" + b" " * 5000 + b"}", 413), (path, b"nul", 400),
                 (path, b'{"by": 7}', 400), (path, b"{}{}", 400), (path, b'{"reason": "\\ud800"}', 400), (path, b"\xff" * 64, 400),
                 ("/api/v1/sessions//mask", b"{}", 404), ("/api/v1/sessions/%s/mask" % row["id"][:2], b"{}", 404),
                 ("/api/v1/sessions/%s/" % row["id"], b"{}", 404), ("/api/v1/sessions/%s" % row["id"], b"{}", 404),
                 (path + "/mask", b"{}", 404), (path + "%00", b"{}", None), ("/api/v1/sessions/../sessions/%s/mask" % ("0" * 32), b"{}", 404),
                 ("/api/v1/recordings/%s/mask" % row["id"], b"{}", 405), ("/api/v1/sessions/" + "a" * 400, b"{}", 405),
                 (f"/api/v1/sessions/{row['id']}/drop", b'{"stream": "%s"}' % (b"2" * 3000), 404),
                 (f"/api/v1/sessions/{row['id']}/drop", b'{"stream": ""}', 404)]
        for where, body, expect in cases:
            status, document = post(r, where, body)
            check(status == expect if expect else status != 200, f"POST {where[-40:]} {body[:30]}: {status} {document}")
        for kind in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            check(post(r, path, b"{}", kind)[0] == 415, f"a form of a web page was taken: {kind}")
        for _ in range(150):
            body = bytes(rng.choice(b'{}[]",:\\ub0 y"') for _ in range(rng.randrange(200)))
            status, _ = post(r, f"/api/v1/sessions/{row['id']}/whisper", body)
            check(status in (400, 404), f"{status} for {body}")
        check(session_row(r, "hostile")["state"] == "recording", "a hostile body stopped the recording")
        voice(call, 0, 100, SPOKEN)
        r.catch_up()
        check(call.bye() == 200, "BYE")
        call.close()
        check_sealed(r, 0)


def test_two_operators_at_once(context):
    """Commands cross in any order: as many lifts as holds, and the recorder's word on each is true."""
    with context.recorder() as r:
        call = sip.Call(r, "two")
        row = session_row(r, "two")
        taken = {verb: 0 for verb in ("mask", "unmask")}
        lock = threading.Lock()

        def operate(seed):
            rng = random.Random(seed)
            for _ in range(25):
                verb = rng.choice(("mask", "unmask"))
                status, _ = post(r, f"/api/v1/sessions/{row['id']}/{verb}", b'{"by": "op%d"}' % seed)
                check(status in (200, 409), f"{verb}: {status}")
                with lock:
                    taken[verb] += status == 200

        operators = [threading.Thread(target=operate, args=(i,)) for i in range(4)]
        for o in operators:
            o.start()
        for o in operators:
            o.join()
        masked = session_row(r, "two")["masked"]
        check(taken["mask"] - taken["unmask"] == masked, f"{taken}, masked: {masked}")
        if not masked:
            command(r, row, "mask")
        at = voice(call, 0, 100, SECRET)
        r.settle()
        command(r, row, "unmask")
        r.catch_up()
        voice(call, 0, at, SPOKEN)
        r.catch_up()
        check(call.bye() == 200, "BYE")
        call.close()
        check_sealed(r, 25)
        check_secret_is_nowhere(r)


def test_a_call_can_be_masked_and_ended_while_the_recorder_drains(context):
    with context.recorder(node__drain_s=30) as r:
        call = sip.Call(r, "drain")
        at = voice(call, 0, 100, SPOKEN)
        row = session_row(r, "drain")
        r.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        check(r.process.poll() is None, "a call was cut off")
        command(r, row, "mask")
        at = voice(call, 0, at, SECRET)
        command(r, row, "end", by="ann")
        request = offered(call, "BYE")
        call.client.send(sip.plain_answer(request))
        check(r.process.wait(10) == 0, "the recorder did not end well")
        call.close()
        rows = r.recordings()
        check([x["state"] for x in rows] == ["sealed"], rows)
        check_secret_is_nowhere(r)
