"""The third-party corpus through the real server, as tests/integration/corpus.yaml says. Its files stay where they
are; where they are absent the tests are skipped."""

import concurrent.futures
import os
import random
import re
import socket
import tempfile
import time
import xml.etree.ElementTree
import zlib

import yaml

import sip_client as sip
from certificates import Authority
from capture import udp_payloads
from recorder import CORPUS, ROOT, check

TRANSPORTS = ("udp", "tcp", "tls")
WORKERS = 24
QUIET_S = 0.7		# how long "no answer" is waited for; nothing here may depend on a transaction timer


def table(context):
    if not os.path.isdir(CORPUS):
        context.skip("the corpus folder is absent")
    with open(os.path.join(ROOT, "tests", "integration", "corpus.yaml")) as f:
        return yaml.safe_load(f)


def content(folder, name):
    with open(os.path.join(CORPUS, folder, name), "rb") as f:
        return f.read()


def in_parallel(jobs):
    """Runs (function, arguments) jobs; returns every sentence they give back."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return [s for found in pool.map(lambda job: job[0](*job[1:]), jobs) for s in found]


def report(findings, what):
    check(not findings, f"{len(findings)} of {what}: " + "; ".join(findings[:25]))


def by_transport(value, transport):
    """What a row says, where it tells transports apart: TLS is a stream as TCP is."""
    return value["udp" if transport == "udp" else "tcp"] if isinstance(value, dict) else value


def expected(row, transport):
    return by_transport(row["status"], transport)


def dial(recorder, transport, **more):
    return sip.Client(recorder.tls_port if transport == "tls" else recorder.port, transport, **more)


def answer_faults(row, transport, answer, offer=b""):
    """What is wrong with an answer, as a list of sentences."""
    want = expected(row, transport)
    got = answer.status if answer else "none"
    if want == "any":
        return []
    if got != want:
        return [f"{got} instead of {want}" + (f" ({answer.header('Warning')})" if answer and answer.header("Warning") else "")]
    out = []
    if answer is None:
        return out
    if got >= 400 and not answer.header("Warning"):
        out.append("a refusal without Warning")
    if row.get("warning", "") not in answer.header("Warning"):
        out.append(f"Warning {answer.header('Warning')!r} does not say {row['warning']!r}")
    if got == 200 and "media" in row:
        media = sip.media_of(answer.body)
        if len(media) != row["media"]:
            out.append(f"{len(media)} m-lines instead of {row['media']}")
        live = [m for m in media if m[1] != 0]
        if len(live) != row.get("recorded", row["media"]):
            out.append(f"{len(live)} m-lines with a port instead of {row.get('recorded', row['media'])}")
        if any("recvonly" not in m[3] and "inactive" not in m[3] for m in live):
            out.append("an m-line is neither recvonly nor inactive")
        if answer.header("Content-Type", "c").split(";")[0].strip() != "application/sdp":
            out.append("the answer is no plain application/sdp")
        if "+sip.srs" not in answer.header("Contact", "m"):
            out.append("no +sip.srs in Contact")
        offered = re.findall(rb"(?m)^a=label:(\S+)", offer)
        echoed = [m[3]["label"].encode() for m in media if "label" in m[3]]
        if len(live) == len(media) and offered and offered != echoed:
            out.append(f"labels {echoed} for {offered}")
    return out


# ---- dialogs ----

def dialogs_of(rows):
    """Rows of one dialog together, in the order of their numbers."""
    out = {}
    for row in rows:
        out.setdefault(re.sub(r"-\d\d-[a-z]+\d*\.sip$", "", row["file"]), []).append(row)
    return out


def participants_faults(recorder, call_id, row, transport):
    """The catalog's row of a recording that is over."""
    for _ in range(40):
        rows = [r for r in recorder.get("/api/v1/recordings?limit=1000")[1]["recordings"] if r["call_id"] == call_id]
        if rows and all(r["state"] in ("sealed", "interrupted") for r in rows):
            break
        time.sleep(0.25)
    else:
        return [f"not sealed: {[r['state'] for r in rows]}"]
    out = []
    for key in ("participants", "streams"):
        want = by_transport(row.get(key), transport)
        if want is not None and max(len(r[key]) for r in rows) != want:
            out.append(f"{[len(r[key]) for r in rows]} {key} instead of {want}")
    if len(rows) != row.get("recordings", 1):
        out.append(f"{len(rows)} recordings instead of {row.get('recordings', 1)}")
    return out


def play_dialog(recorder, name, rows, transport):
    call_id = f"{name}-{transport}@corpus"
    found = []
    invited = None		# the last INVITE as sent, and its answer
    tag, cseq = "", 0
    with dial(recorder, transport, local_port=sip.sent_by_port(content("sip", rows[0]["file"]))) as client:
        for row in rows:
            data = sip.with_branch_suffix(content("sip", row["file"]), f"{transport}{zlib.crc32(name.encode())}")
            data = sip.with_header(data, "Call-ID", "i", call_id)
            if transport != "udp":
                data = sip.with_length(data)
            m = sip.Message(data)
            if re.search(r";\s*tag=", m.header("To", "t")) and tag:
                data = sip.with_to_tag(data, tag)
            cseq = max(cseq, int(m.cseq[0] or 0))
            client.send(data)
            if expected(row, transport) == "none":
                continue
            answer = client.final(m.cseq)
            if m.method == "INVITE" and answer is not None:
                if answer.status == 200:
                    tag, invited = answer.tag("To", "t"), (data, answer)
                following = rows[rows.index(row) + 1:][:1]
                if answer.status != 200 or not (following and "-ack" in following[0]["file"]):
                    client.send(sip.ack_for(data, answer))
            if m.method == "BYE" and answer is not None and answer.status == 200:
                invited = None
            faults = answer_faults(row, transport, answer, m.body)
            found += [f"{row['file']} over {transport}: {f}" for f in faults]
        if invited is not None:
            first = sip.Message(invited[0])
            bye = "\r\n".join([f"BYE sip:srs@127.0.0.1 SIP/2.0",
                               f"Via: SIP/2.0/{transport.upper()} {client.address}:{client.port};branch=z9hG4bKend{transport}{name}",
                               "Max-Forwards: 70", f"From: {first.header('From', 'f')}",
                               f"To: {invited[1].header('To', 't')}", f"Call-ID: {call_id}",
                               f"CSeq: {cseq + 1} BYE", "Content-Length: 0"]) + "\r\n\r\n"
            answer = client.ask(bye.encode("latin-1"))
            if answer is None or answer.status != 200:
                found.append(f"{name} over {transport}: BYE at the end got {answer.status if answer else 'no answer'}")
    if "participants" in rows[0] and expected(rows[0], transport) == 200 and not found:
        found += [f"{name} over {transport}: {f}" for f in participants_faults(recorder, call_id, rows[0], transport)]
    return found


def play_offer(recorder, row, transport, kind, body, call_id):
    """An INVITE of ours around a body or an offer of the corpus; BYE when it was accepted."""
    with dial(recorder, transport) as client:
        data = sip.request(client, "INVITE", call_id, 1, lines=["Require: siprec", f"Content-Type: {kind}"], body=body)
        answer = client.ask(data)
        found = answer_faults(row, transport, answer, body)
        if answer is not None:
            client.send(sip.ack_for(data, answer))
        if answer is not None and answer.status == 200:
            bye = client.ask(sip.request(client, "BYE", call_id, 2, to_tag=answer.tag("To", "t"), contact=""))
            if bye is None or bye.status != 200:
                found.append("BYE was not answered by 200")
            if "participants" in row and not found:
                found += participants_faults(recorder, call_id, row, transport)
    return found


def play_body(recorder, row, transport):
    found = play_offer(recorder, row, transport, f"multipart/mixed;boundary={row['boundary']}",
                       content("sip", row["file"]), f"{row['file']}-{transport}@corpus")
    return [f"{row['file']} over {transport}: {f}" for f in found]


def play_sdp(recorder, row, transport):
    # the offers of one tester leave the place of a fingerprint open
    offer = content("sdp", row["file"]).replace(b"$fingerprint", b":".join(b"%02X" % i for i in range(32)))
    labels = [v.decode() for v in re.findall(rb"(?m)^a=label:(\S+)", offer)] or ["1"]
    body = sip.multipart(("application/sdp", offer),
                         ("application/rs-metadata+xml", sip.rs_metadata(["Alice"] * len(labels), labels)))
    found = play_offer(recorder, row, transport, "multipart/mixed;boundary=capstan-test", body,
                       f"{row['file']}-{transport}@corpus")
    if "not_yet" in row:
        return [] if found else [f"{row['file']} over {transport}: now as expected, take `not_yet` away"]
    return [f"{row['file']} over {transport}: {f}" for f in found]


def options_faults(recorder, where):
    """The server must go on answering."""
    with sip.Client(recorder.port) as client:
        answer = client.ask(sip.request(client, "OPTIONS", f"alive-{client.address}", 1))
        return [] if answer is not None and answer.status == 200 else [f"no 200 to OPTIONS after {where}"]


def play_torture(recorder, row, transport):
    data = content("torture", row["file"])
    if not re.search(rb"(?i);branch=z9hG4bK\s", data):
        # several share branch and sent-by: the second would be a retransmission of the first (RFC 3261 §17.2.3)
        data = sip.with_branch_suffix(data, f"{zlib.crc32(row['file'].encode())}")
    try:
        with dial(recorder, transport, local_port=sip.sent_by_port(data)) as client:
            client.send(data if transport == "udp" else sip.with_length(data))
            answer = client.final(wait_s=QUIET_S if expected(row, transport) in ("none", "any") else 3)
            if answer is not None and sip.Message(data).method == "INVITE":
                client.send(sip.ack_for(data, answer))
            found = answer_faults(row, transport, answer)
    except OSError as e:
        found = [f"{e}"]
    if "not_yet" in row:
        found = [] if found else ["now as expected, take `not_yet` away"]
    return [f"{row['file']} over {transport}: {f}" for f in found + options_faults(recorder, "it")]


def test_corpus_messages(context):
    rows = table(context)
    for name in os.listdir(os.path.join(CORPUS, "sip")):
        known = [r["file"] for r in rows["sip"] + rows["bodies"]]
        check(name in known, f"sip/{name} has no row in corpus.yaml")
    with tempfile.TemporaryDirectory() as folder, context.recorder(srtp__sdes_unprotected="allow", **Authority(folder).settings()) as r:
        jobs = [(play_dialog, r, name, steps, t) for name, steps in dialogs_of(rows["sip"]).items() for t in TRANSPORTS]
        jobs += [(play_body, r, row, t) for row in rows["bodies"] for t in TRANSPORTS]
        jobs += [(play_sdp, r, row, t) for row in rows["sdp"] for t in TRANSPORTS]
        findings = in_parallel(jobs)
        findings += options_faults(r, "the corpus")
        not_yet = sum("not_yet" in row for part in ("sip", "bodies", "sdp", "torture") for row in rows[part])
        print(f"not yet: {not_yet}", flush=True)
        if not_yet != rows["not_yet_max"]:
            findings.append(f"{not_yet} rows are not yet done, not_yet_max says {rows['not_yet_max']}: it may only shrink")
        check(r.process.poll() is None, f"the recorder died: {r.log_tail()}")
        report(findings, f"{len(jobs)} runs differ from corpus.yaml")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
        check(status == 0, f"reel.py: {text[-400:]}")


def test_corpus_torture(context):
    rows = table(context)
    findings = []
    for transport in TRANSPORTS:	# a recorder each: the same branch again would be a retransmission
        with tempfile.TemporaryDirectory() as folder, context.recorder(**Authority(folder).settings()) as r:
            findings += in_parallel([(play_torture, r, row, transport) for row in rows["torture"]])
            check(r.process.poll() is None, f"the recorder died: {r.log_tail()}")
    report(findings, "torture messages differ from corpus.yaml")


def test_corpus_nist_torture(context):
    """About two hundred messages in one file: any answer is right, as long as the server lives."""
    table(context)
    messages = []
    for case in xml.etree.ElementTree.fromstring(content("torture", "nist-jsip-torture.xml")).iter("message"):
        text = (case.text or "").strip("\n")
        messages.append(re.sub(r"\r?\n", "\r\n", text).encode("utf-8") + b"\r\n\r\n")
    check(len(messages) > 100, f"only {len(messages)} messages in the file")
    with tempfile.TemporaryDirectory() as folder, context.recorder(**Authority(folder).settings()) as r:
        with sip.Client(r.port) as client:
            for data in messages:
                client.send(data)
                if client.transport == "udp":
                    client.receive(0.002)
        for transport in ("tcp", "tls"):
            for data in messages:
                with dial(r, transport) as client:
                    try:
                        client.send(data)
                    except OSError:
                        pass	# it closed on what came before
        check(not options_faults(r, "them"), f"no 200 to OPTIONS after them: {r.log_tail()}")
        check(r.process.poll() is None, f"the recorder died: {r.log_tail()}")


def test_corpus_metadata(context):
    rows = table(context)["metadata"]
    known = [row["file"] for row in rows]
    for name in os.listdir(os.path.join(CORPUS, "metadata")):
        check(name in known, f"metadata/{name} has no row in corpus.yaml")
    r = context.idle_recorder()

    def one(row):
        status, out, err = r.tool("metadata", "check", os.path.join(CORPUS, "metadata", row["file"]), "--json", expect=None)
        import json
        if row.get("malformed"):
            return [] if status == 1 and ("model" not in out or "error" in out) else [f"{row['file']}: passes as well-formed"]
        if status not in (0, 1):
            return [f"{row['file']}: status {status}: {err[-200:]}"]
        document = json.loads(out)
        if "model" not in document:
            return [f"{row['file']}: not parsed: {document}"]
        found = []
        for key in ("participants", "streams"):
            if len(document["model"].get(key, [])) != row[key]:
                found.append(f"{row['file']}: {len(document['model'].get(key, []))} {key} instead of {row[key]}")
        if document["ok"] == bool(document["deviations"]):
            found.append(f"{row['file']}: ok and deviations disagree")
        return found
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        findings = [s for found in pool.map(one, rows) for s in found]
    r.close()
    report(findings, "metadata documents differ from corpus.yaml")


# ---- captures ----

def test_corpus_captures(context):
    """Whatever the captures hold arrives at the ports of a live call: each packet gets one verdict, none a crash."""
    table(context)
    folder = os.path.join(CORPUS, "pcap")
    random.seed(20)
    with context.recorder() as r:
        before = r.metrics()
        sent = 0
        for name in sorted(os.listdir(folder)):
            if not name.endswith((".pcap", ".pcapng")):
                continue
            payloads = [p for p in udp_payloads(os.path.join(folder, name)) if len(p) <= 1472]
            payloads = payloads[:200 if context.sanitized else 600]
            if not payloads:
                continue
            call = sip.Call(r, f"{name}@corpus")
            check(call.status == 200, f"{name}: INVITE got {call.status}")
            # the stack behind a UDP socket may not be outrun: the kernel side of the tap queues some hundred packets
            for i, payload in enumerate(payloads):
                call.send(0, payload)
                if i % 50 == 49:
                    time.sleep(0.004)
            # the same bytes on the control port, where RTCP goes
            for payload in payloads[:20]:
                call.sockets[1].sendto(payload, (call.media[1][0], call.media[1][1] + 1))
            sent += len(payloads) + len(payloads[:20])
            check(call.bye() == 200, f"{name}: BYE was not answered by 200")
            call.close()
        r.settle()
        after = r.metrics()
        r.check_conservation()
        received = after["nic_received"] - before["nic_received"]
        check(sent > 1000 and received >= sent, f"{received} of {sent} packets arrived")
        recorded = after["rx_recorded"] - before["rx_recorded"]
        check(recorded > sent * 0.4, f"only {recorded} of {sent} recorded")
        check(not options_faults(r, "the captures"), f"no 200 to OPTIONS: {r.log_tail()}")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
        check(status == 0, f"reel.py: {text[-400:]}")
