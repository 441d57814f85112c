"""At the door: a flood of one address, a profile's own bound, and how a recorder takes its leave."""

import signal
import time

import sip_client as sip
from recorder import check

DRAIN = {"node__drain_s": "20", "sip__t1_ms": "100"}


def options(client, call_id):
    return client.ask(sip.request(client, "OPTIONS", call_id, 1))


def wait_not_ready(r, wait_s=3):
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        status, document = r.get("/health/ready")
        if status == 503:
            return document
        time.sleep(0.05)
    check(False, "still ready")


def test_a_flood_of_one_address_leaves_another_its_service(context):
    with context.recorder(sip__rate_per_s="50", sip__rate_burst_s="1") as r:
        live = sip.Call(r, "before-the-flood")
        with sip.Client(r.port) as flood, sip.Client(r.port) as other:
            offer = sip.sdp(r.host, [(20000, "1")])
            message = sip.invite(flood, "flood-0", offer)
            end, n, slowest = time.monotonic() + 3, 0, 0.0
            while time.monotonic() < end:
                for _ in range(200):
                    n += 1
                    flood.send(message.replace(b"flood-0", b"flood-%d" % n))
                begun = time.monotonic()
                answer = options(other, f"ping-{n}")
                slowest = max(slowest, time.monotonic() - begun)
                check(answer is not None and answer.status == 200, f"another address was answered {answer and answer.status}")
                time.sleep(0.05)
            check(slowest < 1.0, f"another address waited {slowest:.2f} s")
            m = r.metrics()
            check(m["sip_rate_refused"] > 0 and m["sip_rate_dropped"] > 0, "nobody was refused for its rate")
            check(m["sip_requests"] >= 0.5 * n, "the flood did not come in")
            check(m["sip_rate_refused"] < 0.2 * n, f"{m['sip_rate_refused']:.0f} answers to {n} requests are a flood, too")
            second = sip.Call(r, "beside-the-flood")
            check(second.status == 200, f"a call of another address: {second.status}")
            check(second.bye() == 200 and live.bye() == 200, "BYE")
        second.close()
        live.close()


def test_a_profile_bounds_its_sessions(context):
    profile = 'src:\n  - name: one-call\n    addresses: ["127.0.0.0/8"]\n    sessions_max: 1\n'
    with context.recorder(yaml=profile) as r:
        call = sip.Call(r, "the-one")
        with sip.Client(r.port) as c:
            data = sip.invite(c, "one-too-many", sip.sdp(r.host, [(20000, "1")]))
            answer = c.ask(data)
            c.send(sip.ack_for(data, answer))
            check(answer.status == 503 and "sessions_max" in answer.header("Warning"), f"{answer.status} {answer.header('Warning')}")
            check(1 <= int(answer.header("Retry-After")) <= 10, "Retry-After")
            check(r.get("/health/ready")[0] == 200, "others are still served")
            check(call.bye() == 200, "BYE")
            r.wait_sealed(1)
            data = sip.invite(c, "the-next", sip.sdp(r.host, [(20000, "1")]))
            answer = c.ask(data)
            check(answer.status == 200, f"the next call: {answer.status}")
        call.close()


def test_sigterm_drains(context):
    with context.recorder(**DRAIN) as r:
        call = sip.Call(r, "last-one")
        call.send(0, sip.rtp(1, 160, 1, b"\x55" * 160))
        r.process.send_signal(signal.SIGTERM)
        document = wait_not_ready(r)
        check("draining" in document["reason"], document)
        check(r.get("/health")[1]["status"] == "draining", "health")
        with sip.Client(r.port) as c:
            data = sip.invite(c, "late", sip.sdp(r.host, [(20000, "1")]))
            answer = c.ask(data)
            c.send(sip.ack_for(data, answer))
            check(answer.status == 503 and "draining" in answer.header("Warning"), f"{answer.status} {answer.header('Warning')}")
            check(options(c, "ping").status == 503, "OPTIONS outside a dialog")
        inside = sip.request(call.client, "OPTIONS", "last-one", call.cseq + 1, to_tag=call.answer.tag("To", "t"))
        check(call.client.ask(inside).status == 200, "OPTIONS inside the call")
        call.cseq += 1
        call.send(0, sip.rtp(2, 320, 1, b"\x55" * 160))
        time.sleep(0.5)
        check(r.process.poll() is None, "it went before its last call")
        check(call.bye() == 200, "BYE")
        begun = time.monotonic()
        check(r.process.wait(8) == 0, "exit status")
        check(time.monotonic() - begun < 5, "slow after the last call")
        row = r.recordings()[0]
        check(row["state"] == "sealed" and row["reason"] == "bye" and row["n_frames"] >= 2, row)
        call.close()


def test_an_operator_drains_and_takes_it_back(context):
    with context.recorder(sip__t1_ms="100") as r:
        call = sip.Call(r, "goes-on")
        check(r.tool("node", "drain", "--reason", "upgrade", "--json") == {"draining": True, "sessions": 1}, "node drain")
        with sip.Client(r.port) as c:
            check(options(c, "drained").status == 503, "OPTIONS while it drains")
            check("draining" in wait_not_ready(r)["reason"], "/health/ready")
            check(r.process.poll() is None, "it must not stop")
            check("calls are taken again" in r.tool("node", "undrain", expect=None)[1], "node undrain")
            check(options(c, "back").status == 200, "OPTIONS when it is back")
        check(call.bye() == 200, "BYE")
        check(r.tool("node", "sleep", expect=None)[0] == 2, "an unknown verb")
        check('drained by=' in r.log_text() and 'reason="upgrade"' in r.log_text(), "the log says who and why")
        call.close()


def test_what_is_left_at_the_end_of_the_drain_is_sealed(context):
    with context.recorder(**{**DRAIN, "node__drain_s": "1"}) as r:
        call = sip.Call(r, "endless")
        begun = time.monotonic()
        r.process.send_signal(signal.SIGTERM)
        bye = call.client.receive(5)
        check(bye is not None and bye.method == "BYE" and time.monotonic() - begun >= 0.9, "BYE at the end of node.drain_s")
        call.client.send(sip.plain_answer(bye))
        check(r.process.wait(8) == 0, "exit status")
        check(r.recordings()[0]["reason"] == "shutdown", r.recordings()[0])
        call.close()


def test_a_second_signal_seals_at_once(context):
    with context.recorder(**DRAIN) as r:
        call = sip.Call(r, "cut-short")
        r.process.send_signal(signal.SIGTERM)
        r.wait_log("draining")
        r.process.send_signal(signal.SIGTERM)
        bye = call.client.receive(3)
        check(bye is not None and bye.method == "BYE", "no BYE after the second signal")
        call.client.send(sip.plain_answer(bye))
        check(r.process.wait(5) == 0, "exit status")
        check(r.recordings()[0]["state"] == "sealed", r.recordings()[0])
        call.close()


def test_ctrl_c_and_an_empty_recorder_stop_at_once(context):
    with context.recorder(**DRAIN) as r:
        status, seconds = r.stop()
        check(status == 0 and seconds < 5, f"empty: {status} after {seconds:.1f} s")
    with context.recorder(**DRAIN) as r:
        call = sip.Call(r, "interrupted")
        r.process.send_signal(signal.SIGINT)
        bye = call.client.receive(3)
        check(bye is not None and bye.method == "BYE", "no BYE after SIGINT")
        call.client.send(sip.plain_answer(bye))
        check(r.process.wait(5) == 0, "exit status")
        call.close()
