"""Pause, resume and mask: what is not to be recorded is in no chunk, and the recording says who stopped it."""

import concurrent.futures
import threading
import time

import sip_client as sip
from recorder import check

SECRET = b"the card number is 4111"		# what may never be found
SPOKEN = b"an ordinary sentence..."		# what must be


def voice(call, stream, at, text, n=25, payload_type=0):
    """n packets that hold the text. @return the next sequence number"""
    for i in range(n):
        call.send(stream, sip.rtp(at + i, (at + i) * 160, 0x1000 + stream, (text * 8)[:160], payload_type))
        time.sleep(0.002)
    return at + n


def info(call, digit):
    call.cseq += 1
    return call.client.ask(sip.request(call.client, "INFO", call.call_id, call.cseq, to_tag=call.answer.tag("To", "t"),
                                       lines=["Content-Type: application/dtmf-relay"],
                                       body=f"Signal={digit}\r\nDuration=160\r\n".encode()))


def session_row(r, call_id):
    return next(s for s in r.tool("sessions", "ls", "--json")["sessions"] if s["call_id"] == call_id)


def wait_recorded(r, n, wait_s=10):
    """Until n packets are recorded. @return the row of the only session"""
    end = time.monotonic() + wait_s
    while r.metrics()["rx_recorded"] < n:
        check(time.monotonic() < end, f"not {n} packets after {wait_s} s: {r.log_tail()}")
        time.sleep(0.1)
    return r.tool("sessions", "ls", "--json")["sessions"][0]


def dump(r):
    status, text = r.reel_py("dump", "--keys", r.settings["keys.path"])
    check(status == 0, text[-500:])
    return text


def places_of(r, text):
    """Where the independent reader finds these bytes in opened chunks."""
    status, found = r.reel_py("grep", "--keys", r.settings["keys.path"], first=text.hex())
    check(status in (0, 1), found[-300:])
    return [line for line in found.splitlines() if "chunk" in line]


def check_sealed(r, paused=None):
    """One recording, sealed, and its paused packets, if as many are awaited, are counted as just that."""
    row = r.wait_sealed(1)[0]
    shown = r.tool("recordings", "show", row["id"], "--json")
    check(shown["verdict"] == "intact", shown["verdict"])
    check(paused in (None, sum(s["missing"].get("paused", 0) for s in shown["streams"])), shown["streams"])
    check(sum(s["lost_upstream"] for s in shown["streams"]) == 0, shown["streams"])
    status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
    check(status == 0, text[-400:])
    return shown


def test_masked_speech_keys_and_digits_reach_no_chunk(context):
    with context.recorder() as r:
        call = sip.Call(r, "masked", extra=["a=rtpmap:101 telephone-event/8000"])
        check(call.status == 200, f"INVITE got {call.status}")
        at = [voice(call, stream, 100, SPOKEN) for stream in (0, 1)]
        check(info(call, "3").status == 200, "INFO before")
        r.catch_up()
        row = session_row(r, "masked")
        shown = r.tool("sessions", "mask", row["id"][:12], "--reason", "card number", "--by", "ann", "--json")
        check(shown["masked"] and shown["state"] == "paused", shown)
        r.catch_up()
        at = [voice(call, stream, at[stream], SECRET) for stream in (0, 1)]
        at[0] = voice(call, 0, at[0], b"\x04\x8a\x03\xc0", 5, 101)
        check(info(call, "4").status == 200, "INFO while masked")
        r.catch_up()
        status, _, why = r.tool("sessions", "mask", row["id"], expect=None)
        check(status == 1 and "so already" in why, (status, why))
        r.tool("sessions", "unmask", row["id"])
        r.catch_up()
        at = [voice(call, stream, at[stream], SPOKEN) for stream in (0, 1)]
        r.catch_up()
        check(call.bye() == 200, "BYE")
        call.close()
        events = check_sealed(r, 55)["events"]
        check([(e["event"], e["by"], e["name"], e["reason"]) for e in events][0] == ("masked", "operator", "ann", "card number"), events)
        check([e["event"] for e in events] == ["masked", "unmasked"] and events[0]["wall_ns"] < events[1]["wall_ns"], events)
        told = r.tool("recordings", "show", r.recordings()[0]["id"])
        check("PAUSED" in told and "card number" in told, told)
        check(not places_of(r, SECRET), "masked speech was recorded")
        check(not places_of(r, b"Signal=4"), "a masked digit was recorded")
        check(places_of(r, SPOKEN) and places_of(r, b"Signal=3"), "what was not masked is missing")
        text = dump(r)
        for word in ("PAUSED", "RESUMED", "HIDDEN", "EVENT"):
            check(word in text, f"no {word} in the recording")
        for said in (b'"event":"masked","by":"operator","name":"ann","reason":"card number"', b'"event":"unmasked"'):
            check(places_of(r, said), f"nobody says {said}")


def answer_with(call, request, direction):
    """200 to an offer of the recorder, as a client that does as it is asked; then the ACK of a re-INVITE."""
    offer = sip.sdp(call.recorder.host, [(s.getsockname()[1], str(i + 1)) for i, s in enumerate(call.sockets)])
    body = offer.replace(b"a=sendonly", f"a={direction}".encode())
    lines = ["SIP/2.0 200 OK"] + [f"Via: {v}" for v in request.all("Via", "v")]
    lines += [f"{name}: {request.header(name)}" for name in ("From", "To", "Call-ID", "CSeq")]
    lines += ["Contact: <sip:src@%s:%d>;+sip.src" % (call.client.address, call.client.port),
              "Content-Type: application/sdp", f"Content-Length: {len(body)}"]
    call.client.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    if request.method == "INVITE":
        ack = call.client.receive(5)
        check(ack is not None and ack.method == "ACK", "no ACK from the recorder")


def offered(call, method):
    request = call.client.receive(5)
    check(request is not None and request.method == method, f"{method} awaited, {request and request.start} came")
    return request


def test_a_pause_is_asked_of_the_client_and_holds_whatever_it_does(context):
    """The recorder offers inactive; a client that goes on sending is not recorded; a resume offers recvonly again."""
    with context.recorder() as r:
        call = sip.Call(r, "paused")
        check(call.status == 200, f"INVITE got {call.status}")
        at = voice(call, 0, 100, SPOKEN)
        r.catch_up()
        row = session_row(r, "paused")
        r.tool("sessions", "pause", row["id"], "--reason", "lunch")
        request = offered(call, "INVITE")	# this client never said that it takes UPDATE
        check(b"a=inactive" in request.body and b"a=recvonly" not in request.body, request.body)
        answer_with(call, request, "inactive")
        at = voice(call, 0, at, SECRET)
        check(session_row(r, "paused")["state"] == "paused", "not paused")
        r.tool("sessions", "resume", row["id"])
        request = offered(call, "INVITE")
        check(b"a=recvonly" in request.body and b"a=inactive" not in request.body, request.body)
        answer_with(call, request, "sendonly")
        r.catch_up()
        check(session_row(r, "paused")["state"] == "recording", "not resumed")
        voice(call, 0, at, SPOKEN)
        r.catch_up()
        check(call.bye() == 200, "BYE")
        call.close()
        check_sealed(r, 25)
        check(not places_of(r, SECRET), "paused speech was recorded")


def reinvite(call, offer):
    """A later INVITE of the client; None: without an offer. @return its answer, acknowledged"""
    call.cseq += 1
    data = sip.request(call.client, "INVITE", call.call_id, call.cseq, to_tag=call.answer.tag("To", "t"),
                       lines=["Require: siprec", "Content-Type: application/sdp"], body=offer or b"")
    answer = call.client.ask(data)
    check(answer is not None and answer.status == 200, f"re-INVITE: {answer and answer.start}")
    return data, answer


def test_a_client_that_refreshes_its_session_amid_a_pause_can_be_resumed(context):
    """Its re-INVITE says inactive, for that is what was agreed; so does our 200 to one without an offer. The resume asks
    for media all the same, by UPDATE for this one, and again after it said 491."""
    with context.recorder() as r:
        call = sip.Call(r, "refresh", lines=("Require: siprec", "Allow: INVITE, ACK, BYE, UPDATE"))
        check(call.status == 200, f"INVITE got {call.status}")
        held = call.offer.replace(b"a=sendonly", b"a=inactive")
        row = session_row(r, "refresh")
        r.tool("sessions", "pause", row["id"])
        request = offered(call, "UPDATE")
        check(b"a=recvonly" not in request.body, request.body)
        answer_with(call, request, "inactive")
        data, answer = reinvite(call, held)
        check(b"a=inactive" in answer.body and b"a=recvonly" not in answer.body, answer.body)
        call.client.send(sip.ack_for(data, answer))
        data, answer = reinvite(call, None)
        check(b"a=recvonly" not in answer.body, f"paused, and the offer asks for media: {answer.body}")
        ack = sip.ack_for(data, answer).replace(b"Content-Length: 0", b"Content-Type: application/sdp\r\nContent-Length: %d" % len(held))
        call.client.send(ack + held)
        at = voice(call, 0, 100, SECRET)
        time.sleep(0.1)
        r.tool("sessions", "resume", row["id"])
        request = offered(call, "UPDATE")
        call.client.send(sip.plain_answer(request).replace(b"200 OK", b"491 Request Pending"))
        request = offered(call, "UPDATE")
        check(b"a=inactive" not in request.body, request.body)
        answer_with(call, request, "sendonly")
        time.sleep(0.1)
        check(session_row(r, "refresh")["state"] == "recording", "not resumed")
        voice(call, 0, at, SPOKEN)
        check(call.bye() == 200, "BYE")
        call.close()
        check_sealed(r, 25)
        check(not places_of(r, SECRET) and places_of(r, SPOKEN), "paused speech was recorded, or what came behind was not")
        check(not places_of(r, b'"event":"held"'), "our own pause is told as the client's hold")


def test_a_stream_is_dropped_by_port_0(context):
    with context.recorder() as r:
        call = sip.Call(r, "dropped")
        check(call.status == 200, f"INVITE got {call.status}")
        row = session_row(r, "dropped")
        talk = threading.Thread(target=lambda: voice(call, 0, 1, SPOKEN, 400))	# the port is never quiet
        talk.start()
        r.tool("sessions", "drop", row["id"], "--stream", "2", "--reason", "consent withdrawn")
        voice(call, 1, 100, SECRET, 10)	# by what it heard so far its port is open
        request = offered(call, "INVITE")
        ports = [port for _, port, _, _ in sip.media_of(request.body)]
        check(ports[0] != 0 and ports[1] == 0, ports)
        answer_with(call, request, "sendonly")
        talk.join()
        voice(call, 0, 401, SPOKEN)
        r.tool("sessions", "end", row["id"], "--reason", "enough")
        request = offered(call, "BYE")
        check("operator" in request.header("Reason"), request.header("Reason"))
        call.client.send(sip.plain_answer(request))
        call.close()
        shown = check_sealed(r)
        check(not places_of(r, SECRET), "a dropped stream was recorded")
        check(shown["reason"] == "operator", shown["reason"])
        check(places_of(r, b'"event":"ended","by":"operator"'), "nobody says who ended it")


def test_a_pause_of_protected_calls_keeps_their_keys(context):
    """Our offers bring the keys, the tags and the DTLS roles that hold: a pause and a resume begin nothing anew."""
    for how in (("--srtp", "AES_CM_128_HMAC_SHA1_80"), ("--dtls", "--setup", "active"), ("--dtls", "--setup", "passive")):
        with context.recorder(srtp__sdes_unprotected="allow") as r, concurrent.futures.ThreadPoolExecutor(1) as pool:
            call = pool.submit(lambda: r.simulate("--duration", "6", "--no-rtcp", *how))
            row = wait_recorded(r, 60)
            before = r.tool("sessions", "pause", row["id"], "--json")["streams"]
            time.sleep(1)
            paused = r.metrics()["rx_recorded"]
            time.sleep(0.5)
            check(r.metrics()["rx_recorded"] == paused, f"recorded in a pause with {how}")
            after = r.tool("sessions", "resume", row["id"], "--json")["streams"]
            check([s["port"] for s in before] == [s["port"] for s in after], f"ports moved with {how}: {before} {after}")
            sent = call.result()
            r.wait_sealed(1)
            r.settle()
            m = r.check_conservation()
            check(m["rx_recorded"] > paused + 60, f"{m['rx_recorded'] - paused} recorded behind the pause with {how}")
            check(m["rx_recorded"] + m["rx_drop_paused"] + m["rx_drop_no_key"] == sent["packets_sent"], f"{how}: {sent}")
            check(m["session_rekeys"] == m["rx_drop_auth"] == 0, f"{m['session_rekeys']} rekeys with {how}")
            check(m.get("dtls_handshakes_done", 0) == (2 if "--dtls" in how else 0), f"another handshake with {how}")
            check(m["session_offers_refused"] == 0, f"an offer was refused with {how}")
