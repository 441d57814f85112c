"""What bad input gets: SIP by status, packets by verdict."""

import os
import re
import socket
import subprocess
import tempfile
import time

import sip_client as sip
from certificates import Authority
from recorder import check

BODY_MAX = 16384


def refusal_cases(c, host):
    """(name, message, status, text that Warning holds)"""
    offer = sip.sdp(host, [(20000, "1")])
    metadata = sip.rs_metadata(["Alice"], ["1"])
    plain = "Content-Type: application/sdp"

    def ask(name, **options):
        return sip.request(c, "INVITE", f"{name}-{c.transport}@refusals", 1, **options)
    yield "cseq_method", ask("cseq_method").replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"), 400, "CSeq"
    yield "version", ask("version").replace(b" SIP/2.0\r\nVia", b" SIP/7.0\r\nVia"), 505, ""
    yield "method", sip.request(c, "BREW", f"brew-{c.transport}@refusals", 1), 501, ""
    yield "register", sip.request(c, "REGISTER", f"register-{c.transport}@refusals", 1), 405, ""
    yield "scheme", ask("scheme", uri="tel:+4912345"), 416, ""
    yield "require", sip.invite(c, f"require-{c.transport}@refusals", offer, metadata, lines=("Require: siprec, teleport",)), 420, ""
    yield "no_sdp", ask("no_sdp", lines=("Require: siprec",)), 488, "SDP"
    yield "only_metadata", ask("only_metadata", lines=("Require: siprec", "Content-Type: application/rs-metadata+xml"),
                               body=metadata), 488, "SDP"
    yield "broken_sdp", ask("broken_sdp", lines=("Require: siprec", plain), body=b"this is no SDP\r\n"), (400, 488), ""
    yield "no_audio", ask("no_audio", lines=("Require: siprec", plain), body=offer.replace(b"m=audio", b"m=video")), 488, ""
    yield "not_siprec", ask("not_siprec", lines=(plain,), body=offer, contact="").replace(
        b"CSeq: 1 INVITE\r\n", b"CSeq: 1 INVITE\r\nContact: <sip:me@127.0.0.1>\r\n"), 403, "Not a recording session"
    yield "type", ask("type", lines=("Require: siprec", "Content-Type: text/plain"), body=b"hello"), 415, ""
    yield "encoding", ask("encoding", lines=("Require: siprec", plain, "Content-Encoding: gzip"), body=offer), 415, ""
    yield "no_dialog", sip.request(c, "BYE", f"no_dialog-{c.transport}@refusals", 1, to_tag="gone"), 481, ""
    yield "short", ask("short", lines=("Require: siprec", plain), body=offer).replace(
        f"Content-Length: {len(offer)}".encode(), f"Content-Length: {len(offer) + 9}".encode()), 400, "Content-Length"
    yield "large", ask("large", lines=("Require: siprec", plain), body=offer + b"a=x\r\n" * (BODY_MAX // 5)), 413, ""


def test_malformed_and_unwanted_sip(context):
    with context.recorder(sip__body_bytes_max=BODY_MAX) as r:
        findings = []
        for transport in ("udp", "tcp"):
            with sip.Client(r.port, transport) as c:
                for name, data, want, warning in refusal_cases(c, r.host):
                    if transport == "tcp" and name == "short":
                        continue	# a stream waits for what is missing
                    answer = c.ask(data) if name != "cseq_method" else (c.send(data), c.final())[1]
                    got = answer.status if answer else "no answer"
                    if got not in (want if isinstance(want, tuple) else (want,)):
                        findings.append(f"{name} over {transport}: {got} instead of {want}")
                        continue
                    if sip.Message(data).method == "INVITE":
                        c.send(sip.ack_for(data, answer))
                    if not answer.header("Warning").startswith("399 ") or warning not in answer.header("Warning"):
                        findings.append(f"{name} over {transport}: Warning {answer.header('Warning')!r}")
                    if want == 420 and answer.header("Unsupported") != "teleport":
                        findings.append(f"{name} over {transport}: Unsupported {answer.header('Unsupported')!r}")
                    if want in (405, 501) and "INVITE" not in answer.header("Allow"):
                        findings.append(f"{name} over {transport}: no Allow")
                    if want == 415 and "application/sdp" not in answer.header("Accept"):
                        findings.append(f"{name} over {transport}: no Accept")
        check(not findings, "; ".join(findings))
        with sip.Client(r.port) as c:
            before = r.metrics()["sip_malformed"]
            c.send(sip.request(c, "OPTIONS", f"no_cseq-{c.transport}@refusals", 1).replace(b"CSeq: 1 OPTIONS\r\n", b""))
            answer = c.receive(2)
            check(answer is not None and answer.status == 400 and "CSeq" in answer.header("Warning"), "no 400 to a request without CSeq")
            c.send(re.sub(rb"Via: [^\r]*\r\n", b"", sip.request(c, "OPTIONS", f"no_via-{c.transport}@refusals", 1)))
            check(c.receive(0.3) is None, "an answer to a request without Via: to where?")
            check(r.metrics()["sip_malformed"] == before + 1, "the drop was not counted")
            for junk in (b"\0", b"\r\n\r\n", b"INVITE", b"INVITE sip:x SIP/2.0\r\n\r\n", os.urandom(1200), b"A" * 60000):
                c.send(junk)
            answer = c.ask(sip.request(c, "OPTIONS", f"after-{c.transport}@refusals", 1))
            check(answer is not None and answer.status == 200, "no 200 to OPTIONS after junk")
            check("siprec" in answer.header("Supported") and "INVITE" in answer.header("Allow"), f"{answer.head}")
        check(r.get("/api/v1/sessions")[1]["sessions"] == [], "a refused INVITE left a session")
        check(r.recordings() == [], "a refused INVITE left a recording")


def test_a_length_that_is_too_short_ends_a_stream(context):
    """What is behind the announced end is the next message, and it is none: 400 to what can be answered, then the end."""
    with tempfile.TemporaryDirectory() as folder, context.recorder(**Authority(folder).settings()) as r:
        for transport, port in (("tcp", r.port), ("tls", r.tls_port)):
            offer = sip.sdp(r.host, [(20000, "1")])
            with sip.Client(port, transport) as c:
                data = sip.invite(c, f"cut-{transport}@refusals", offer).replace(f"Content-Length: {len(offer)}".encode(), b"Content-Length: 4")
                answer = c.ask(data + b"\r\n\r\n")
                check(answer is not None and answer.status == 400, f"{transport}: {answer.status if answer else 'no answer'}")
                c.socket.settimeout(5)
                try:
                    rest = c.socket.recv(4096)
                except ConnectionResetError:
                    rest = b""
                check(rest == b"", f"{transport}: the connection lives on behind a wrong length: {rest[:80]}")
            with sip.Client(port, transport) as c:	# without any length a stream cannot be framed: 400 and the end
                data = sip.invite(c, f"none-{transport}@refusals", offer).replace(f"Content-Length: {len(offer)}\r\n".encode(), b"")
                answer = c.ask(data)
                check(answer is not None and answer.status == 400 and "Content-Length" in answer.header("Warning"),
                      f"{transport}: {answer.status if answer else 'no answer'} without a length")
        check(r.recordings() == [], "a call whose offer was cut was recorded")


def test_lenient_with_what_real_clients_leave_out(context):
    """Bad metadata never loses media: recorded, and noted."""
    with context.recorder() as r:
        cases = {
            "not_xml": b"<recording",
            "doctype": b'<!DOCTYPE r [<!ENTITY a "b">]><recording xmlns="urn:ietf:params:xml:ns:recording:1">&a;</recording>',
            "deep": b"<a>" * 200 + b"</a>" * 200,
            "attributes": b"<recording " + b" ".join(b"a%d='1'" % i for i in range(3000)) + b"/>",
            "empty": b"",
        }
        for name, metadata in cases.items():
            with sip.Client(r.port) as c:
                data = sip.invite(c, f"{name}@metadata", sip.sdp(r.host, [(20000, "1")]), metadata)
                answer = c.ask(data)
                check(answer is not None and answer.status == 200, f"{name}: {answer.start if answer else 'no answer'}")
                c.send(sip.ack_for(data, answer))
                c.ask(sip.request(c, "BYE", f"{name}@metadata", 2, to_tag=answer.tag("To", "t"), contact=""))
        rows = r.wait_sealed(len(cases))
        silent = [row["call_id"] for row in rows if row["deviations"] == 0]
        check(not silent, f"nothing was noted about {silent}")


def test_each_bad_packet_has_one_verdict(context):
    with context.recorder() as r:
        call = sip.Call(r, "packets@verdicts")
        check(call.status == 200, f"INVITE got {call.status}")
        address, port = call.media[0][:2]
        other_host = r.host.rsplit(".", 1)[0] + ".77"
        subprocess.run(["ip", "address", "add", f"{other_host}/24", "dev", r.device], check=True)
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.bind((other_host, 0))
        call.send(0, sip.rtp(1, 160, 7, bytes(160)))	# the stream has begun, the neighbours are known
        stranger.sendto(b"x", (address, port))
        r.settle()
        good = sip.rtp(2, 320, 7, bytes(160))

        cases = [
            ("rx_recorded", 3, lambda n: call.send(0, sip.rtp(2 + n, 320 + 160 * n, 7, bytes(160)))),
            ("rx_drop_duplicate", 4, lambda n: call.send(0, good)),
            ("rx_drop_source", 5, lambda n: stranger.sendto(good, (address, port))),
            ("rx_drop_no_stream", 6, lambda n: call.sockets[0].sendto(good, (address, 16384 + 12000))),
            ("rx_drop_stun", 7, lambda n: call.send(0, b"\x00\x01" + bytes(50))),
            ("rx_drop_not_rtp", 6, lambda n: call.send(0, b"\x40\x01" + bytes(50))),	# version 1
            ("rx_drop_not_rtp", 3, lambda n: call.send(0, b"\x80\x00\x00")),		# shorter than a header
            ("rx_drop_not_rtp", 2, lambda n: call.send(0, b"\x8f\x00" + bytes(12))),	# 15 sources in 14 octets
            ("rx_drop_rtcp", 4, lambda n: call.sockets[0].sendto(b"\x80\xc8\xff\xff" + bytes(24), (address, port + 1))),
        ]
        for name, count, send in cases:
            before = r.check_conservation()
            for n in range(count):
                send(n)
            r.settle()
            after = r.check_conservation()
            moved = {v: int(after[v] - before[v]) for v in r.verdicts() if after[v] != before[v]}
            quiet = {"rx_replied", "rx_drop_neighbour", "rx_drop_ethertype", "rx_drop_protocol", "rx_drop_address"}
            moved = {v: n for v, n in moved.items() if v == name or v not in quiet}
            check(moved == {name: count}, f"{count} packets for {name} gave {moved}")
        stranger.close()
        log = r.log_text().count("\n")
        for n in range(200):
            call.send(0, b"junk")
        r.settle()
        check(r.log_text().count("\n") - log < 5, "bad packets are logged one by one")
        call.bye()
        call.close()
        show = r.tool("recordings", "show", r.wait_sealed(1)[0]["id"], "--json")
        check(sum(s["recorded"] for s in show["streams"]) == 4, f"{show['streams']}")
