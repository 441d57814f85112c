"""Silent recording clients: asked whether they still know the call, and only their own word, or none, ends it."""

import time

import sip_client as sip
from recorder import check

SETTINGS = {"session__idle_s": "1", "session__check_interval_s": "1", "sip__t1_ms": "50"}


def question(call, wait_s=6):
    request = call.client.receive(wait_s)
    check(request is not None and request.method == "OPTIONS", f"OPTIONS awaited, {request and request.start} came")
    return request


def row_of(r, call_id):
    rows = r.tool("sessions", "ls", "--json")["sessions"]
    return next((s for s in rows if s["call_id"] == call_id), None)


def test_a_client_that_knows_the_call_keeps_it(context):
    with context.recorder(**SETTINGS) as r:
        call = sip.Call(r, "quiet")
        call.client.send(sip.plain_answer(question(call)))
        time.sleep(0.3)
        check(row_of(r, "quiet")["silent"], "nobody says that it is silent")
        call.send(0, sip.rtp(1, 160, 1, b"\x55" * 160))
        time.sleep(2.2)
        row = row_of(r, "quiet")
        check(row["state"] == "recording", row["state"])
        check(r.log_text().count("session silent") == 1, "one warning a silence")
        check(call.bye() == 200, "BYE")
        call.close()


def test_a_client_that_knows_nothing_or_is_gone_is_sealed(context):
    with context.recorder(**SETTINGS) as r:
        forgot, gone, hung = sip.Call(r, "forgot"), sip.Call(r, "gone"), sip.Call(r, "hung", transport="tcp")
        request = question(forgot)
        forgot.client.send(sip.plain_answer(request).replace(b"200 OK", b"481 Call/Transaction Does Not Exist"))
        gone.close()	# nobody answers: timer F
        hung.close()	# and nobody accepts a connection
        rows = r.wait_sealed(3, 20)
        check({row["reason"] for row in rows} == {"src_gone"}, [row["reason"] for row in rows])
        check(not r.tool("sessions", "ls", "--json")["sessions"], "a session was left")
        forgot.close()


def test_a_held_call_is_asked_and_lives(context):
    with context.recorder(**SETTINGS) as r:
        call = sip.Call(r, "held", extra=[])
        offer = sip.sdp(r.host, [(s.getsockname()[1], str(i + 1)) for i, s in enumerate(call.sockets)])
        call.cseq += 1
        data = sip.invite(call.client, "held", offer.replace(b"sendonly", b"inactive"), cseq=call.cseq,
                          to_tag=call.answer.tag("To", "t"))
        answer = call.client.ask(data)
        call.client.send(sip.ack_for(data, answer))
        call.client.send(sip.plain_answer(question(call)))
        time.sleep(1.2)
        row = row_of(r, "held")
        check(row["state"] == "paused" and not row["silent"], row)
        check(call.bye() == 200, "BYE")
        call.close()
