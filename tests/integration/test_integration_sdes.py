"""SRTP keys in SDP (RFC 4568): what is answered, what is refused and why, and that keys leave no trace."""

import base64
import os
import re
import time

import sip_client as sip
from certificates import temporary
from recorder import check

LENGTHS = {"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30, "AES_192_CM_HMAC_SHA1_80": 38,
           "AES_192_CM_HMAC_SHA1_32": 38, "AES_256_CM_HMAC_SHA1_80": 46, "AES_256_CM_HMAC_SHA1_32": 46,
           "AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44}
T1_MS = 50		# a 200 is kept for 64 T1, and with it our key


def key(n=30):
    return base64.b64encode(os.urandom(n)).decode()


def line(tag, suite, own=None, more=""):
    return f"crypto:{tag} {suite} inline:{own or key(LENGTHS.get(suite, 30))}{more}"


def offer(r, *mlines, version=1):
    """(profile, [attributes]) pairs as an offer."""
    out = ["v=0", f"o=src 1 {version} IN IP4 {r.host}", "s=-", f"c=IN IP4 {r.host}", "t=0 0"]
    for i, (profile, attributes) in enumerate(mlines):
        out += [f"m=audio {20000 + 2 * i} {profile} 0", "a=sendonly", f"a=label:{i + 1}", *(f"a={a}" for a in attributes)]
    return ("\r\n".join(out) + "\r\n").encode()


class Session:
    """One call, offer by offer."""

    def __init__(self, r, call_id, transport="udp"):
        self.client, self.call_id, self.cseq, self.tag = sip.Client(r.tls_port if transport == "tls" else r.port, transport), call_id, 0, ""

    def invite(self, sdp):
        self.cseq += 1
        data = sip.invite(self.client, self.call_id, sdp, cseq=self.cseq, to_tag=self.tag)
        answer = self.client.ask(data)
        check(answer is not None, f"{self.call_id}: no answer")
        self.client.send(sip.ack_for(data, answer))
        if answer.status == 200:
            self.tag = answer.tag("To", "t")
        return answer

    def update(self, sdp):
        self.cseq += 1
        return self.client.ask(sip.request(self.client, "UPDATE", self.call_id, self.cseq, to_tag=self.tag,
                                           lines=["Content-Type: application/sdp"], body=sdp))

    def end(self):
        if self.tag:
            self.cseq += 1
            bye = self.client.ask(sip.request(self.client, "BYE", self.call_id, self.cseq, to_tag=self.tag, contact=""))
            check(bye is not None and bye.status == 200, f"{self.call_id}: BYE")
        self.client.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.end()
        else:
            self.client.close()


def mlines_of(answer):
    """[(port, profile, tag, suite, key)] of an answer."""
    out = []
    for text in answer.body.decode().split("\r\nm=")[1:]:
        port, profile = re.match(r"audio (\d+) (\S+)", text).groups()
        lines = re.findall(r"(?m)^a=crypto:(\d+) (\S+) inline:(\S+?)\r?$", text)
        check(len(lines) <= 1, f"{len(lines)} a=crypto lines in one m-line of the answer")
        out.append((int(port), profile, *(lines[0] if lines else ("", "", ""))))
    return out


def test_sdes_answers(context):
    with context.recorder(srtp__sdes_unprotected="allow") as r:
        for transport in ("udp", "tcp"):
            for suite, length in LENGTHS.items():
                with Session(r, f"{suite}-{transport}@sdes", transport) as s:
                    own = key(length)
                    answer = s.invite(offer(r, ("RTP/SAVP", [line(7, suite, own, "|2^31|1:4")])))
                    check(answer.status == 200, f"{suite}: {answer.start} {answer.header('Warning')}")
                    port, profile, tag, chosen, ours = mlines_of(answer)[0]
                    check(port != 0 and (profile, tag, chosen) == ("RTP/SAVP", "7", suite), f"{suite}: {answer.body}")
                    check(len(base64.b64decode(ours)) == length and ours != own, f"{suite}: our key {len(ours)} letters")
        with Session(r, "mixed@sdes") as s:
            answer = s.invite(offer(r, ("RTP/SAVP", [line(1, "AES_CM_128_HMAC_SHA1_32"), line(2, "AES_CM_128_HMAC_SHA1_80")]),
                                    ("RTP/AVP", []), ("RTP/SAVPF", [line(1, "AEAD_AES_128_GCM")]),
                                    ("RTP/SAVP", [line(1, "F8_128_HMAC_SHA1_80")]), ("RTP/AVP", [line(1, "AES_CM_128_HMAC_SHA1_80")])))
            check(answer.status == 200, f"mixed: {answer.start}")
            got = mlines_of(answer)
            check([m[1:4] for m in got] == [("RTP/SAVP", "2", "AES_CM_128_HMAC_SHA1_80"), ("RTP/AVP", "", ""),
                                            ("RTP/SAVPF", "1", "AEAD_AES_128_GCM"), ("RTP/SAVP", "", ""), ("RTP/AVP", "", "")], f"{got}")
            check([m[0] != 0 for m in got] == [True, True, True, False, True], f"ports {got}")


def test_sdes_later_offers(context):
    with context.recorder(srtp__sdes_unprotected="allow") as r:
        with Session(r, "later@sdes") as s:
            first_line, other_line = line(1, "AES_CM_128_HMAC_SHA1_80"), line(1, "AES_CM_128_HMAC_SHA1_80")
            first = s.invite(offer(r, ("RTP/SAVP", [first_line])))
            again = s.invite(offer(r, ("RTP/SAVP", [first_line])))
            check(again.status == 200 and again.body == first.body, f"the same offer, another answer: {again.body}")
            moved = s.invite(offer(r, ("RTP/SAVP", [other_line]), version=2))
            check(moved.status == 200, f"new key: {moved.start}")
            before, after = mlines_of(first)[0], mlines_of(moved)[0]
            check(after[:4] == before[:4] and after[4] != before[4], f"{before} became {after}")
            versions = [int(re.search(rb"o=\S+ \d+ (\d+)", a.body).group(1)) for a in (first, moved)]
            check(versions[1] == versions[0] + 1, f"version {versions}")
            updated = s.update(offer(r, ("RTP/SAVP", [first_line]), version=3))
            check(updated.status == 200 and mlines_of(updated)[0][4] not in (before[4], after[4]), f"UPDATE: {updated.data}")
            plain = s.invite(offer(r, ("RTP/AVP", []), version=4))
            check(mlines_of(plain)[0][0] not in (0, before[0]), "plain RTP on the port of SRTP")
            refused = s.invite(offer(r, ("RTP/SAVP", [line(1, "AES_CM_128_HMAC_SHA1_80", more=" UNENCRYPTED_SRTP")]), version=5))
            check(refused.status == 488 and "a=crypto" in refused.header("Warning"), f"{refused.start}")
            sessions = r.get("/api/v1/sessions")[1]["sessions"]
            check([x["protection"] for x in sessions[0]["streams"]] == ["none"], f"the refused offer moved something: {sessions}")
        check(r.metrics()["session_rekeys"] == 2, f"{r.metrics()['session_rekeys']} rekeys")


def test_sdes_refusals_say_why(context):
    good = line(1, "AES_CM_128_HMAC_SHA1_80")

    def expect(r, name, sdp, warning, transport="udp"):
        with Session(r, f"{name}-{transport}@sdes", transport) as s:
            answer = s.invite(sdp)
            check(answer.status == 488 and warning in answer.header("Warning"), f"{name}: {answer.start} {answer.header('Warning')!r}")
    with context.recorder() as r:	# keys over UDP and TCP are refused unless the settings allow them
        for transport in ("udp", "tcp"):
            expect(r, "unprotected", offer(r, ("RTP/SAVP", [good])), "srtp.sdes_unprotected is refuse: send SIP over TLS", transport)
        with Session(r, "beside@sdes") as s:
            ports = [m[0] for m in mlines_of(s.invite(offer(r, ("RTP/SAVP", [good]), ("RTP/AVP", []))))]
            check(ports[0] == 0 and ports[1] != 0, f"ports {ports}")
        check(r.metrics()["sessions_refused_srtp"] == 2, "the refusals were not counted")
    with context.recorder(srtp__enabled="false") as r:
        expect(r, "off", offer(r, ("RTP/SAVP", [good])), "srtp.enabled")
    with context.recorder(srtp__sdes_unprotected="allow", srtp__required_from="127.0.0.0/8",
                          srtp__suites="AES_CM_128_HMAC_SHA1_80") as r:
        expect(r, "plain", offer(r, ("RTP/AVP", [])), "srtp.required_from")
        for name, bad in {"suite": line(1, "AEAD_AES_256_GCM"), "length": line(1, "AES_CM_128_HMAC_SHA1_80", key(28)),
                          "lifetime": good + "|2^49", "session": good + " UNAUTHENTICATED_SRTP", "kdr": good + " KDR=1",
                          "unknown": good + " FOO=1", "keys": good + ";inline:" + key()}.items():
            expect(r, name, offer(r, ("RTP/SAVP", [bad])), "No a=crypto line can be taken")
        check(r.get("/api/v1/sessions")[1]["sessions"] == [], "a refused INVITE left a session")
        with Session(r, "tolerated@sdes") as s:
            answer = s.invite(offer(r, ("RTP/SAVP", [good + "|2^48 KDR=0 WSH=128 -FOO=1"])))
            check(answer.status == 200, f"{answer.start} {answer.header('Warning')}")


def test_sdes_with_the_portable_engine(context):
    """Suites that the library lacks are not chosen, and its bound is one of admission."""
    with context.recorder(srtp__sdes_unprotected="allow", srtp__engine="libsrtp2", srtp__libsrtp2_streams_max=3) as r:
        lacks = re.findall(r"suite_left_out suite=(\S+):", r.log_text())
        both = [line(1, lacks[0] if lacks else "AES_256_CM_HMAC_SHA1_80"), line(2, "AES_CM_128_HMAC_SHA1_80")]
        with Session(r, "first@portable") as a, Session(r, "second@portable") as b, Session(r, "third@portable") as c:
            got = mlines_of(a.invite(offer(r, ("RTP/SAVP", both), ("RTP/SAVP", [line(1, "AEAD_AES_256_GCM")]))))
            check([m[2] for m in got] == ["2" if lacks else "1", "1"], f"without {lacks}: {got}")
            got = mlines_of(b.invite(offer(r, ("RTP/SAVP", both), ("RTP/SAVP", [line(1, "AES_CM_128_HMAC_SHA1_80")]), ("RTP/AVP", []))))
            check([m[0] != 0 for m in got] == [True, False, True], f"the fourth SRTP stream of three: {got}")
            answer = c.invite(offer(r, ("RTP/SAVP", both)))
            check(answer.status == 503 and answer.header("Retry-After"), f"{answer.start}")
        print(f"libsrtp2 lacks {lacks}", flush=True)


def needles_of(keys):
    """Each key as text, and as key and salt: derived keys stand elsewhere, the master itself may not."""
    out = {}
    for name, text in keys.items():
        out |= {f"{name}, base64": text[:36].encode(), f"{name}, key": base64.b64decode(text)[:16],
                f"{name}, salt": base64.b64decode(text)[16:]}
    return out


def test_sdes_keys_leave_the_memory(context):
    """Theirs go as soon as they are answered, ours with the call and the transaction that carried it."""
    with temporary() as ca, context.recorder(srtp__sdes_unprotected="allow", sip__t1_ms=T1_MS, node__log_level="debug",
                                             srtp__rekey_grace_ms=100, **ca.settings()) as r:
        theirs, ours = {}, {}

        def crypto(name):
            theirs[name] = key()
            return line(1, "AES_CM_128_HMAC_SHA1_80", theirs[name])
        for transport in ("udp", "tcp", "tls"):
            with Session(r, f"memory-{transport}@sdes", transport) as s:
                for step in ("first", "second"):
                    answer = s.invite(offer(r, ("RTP/SAVP", [crypto(f"{step} over {transport}")])))
                    ours[f"our {step} over {transport}"] = mlines_of(answer)[0][4]
                answer = s.update(offer(r, ("RTP/SAVP", [crypto(f"UPDATE over {transport}")])))
                ours[f"our UPDATE over {transport}"] = mlines_of(answer)[0][4]
                check(s.invite(offer(r, ("RTP/SAVP", [crypto(f"refused over {transport}") + " KDR=9"]))).status == 488, "KDR=9")
                time.sleep(0.2)
                if not context.sanitized:	# there the map of the memory has no end
                    live = r.memory_holds(needles_of(ours))
                    check(f"our UPDATE over {transport}, key" in live, f"the search does not find a key in use: {live}")
                    left = sorted(r.memory_holds(needles_of(theirs)))
                    check(not left, f"during the call: {left}")
        time.sleep(64 * T1_MS / 1000 + 1)
        if not context.sanitized:
            left = r.memory_holds(needles_of(theirs | ours))
            check(not left, f"after the calls: {sorted(left)}")
        r.wait_sealed(3)
        log = r.log_text()
        check(not any(k in log for k in (theirs | ours).values()), "a key is in the log")
        for needle in (theirs | ours).values():
            status, text = r.reel_py("grep", "--keys", r.settings["keys.path"], first=needle.encode().hex())
            check(status == 0 and text.rstrip().endswith("0 found"), f"a key is in a recording: {text[-200:]}")


def test_signals_of_the_driver_interrupt_no_thread_that_handles_keys(context):
    """The kernel saves vector registers on the stack of the thread that takes a signal, and a key may stand in them."""
    with context.recorder() as r:
        real_time = ~((1 << 33) - 1)	# bits of the signals from 34 on, SIGRTMIN
        folder, takers = f"/proc/{r.process.pid}/task", set()
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/status") as f:
                status = dict(row.split(":\t", 1) for row in f.read().splitlines() if ":\t" in row)
            check(int(status["SigCgt"], 16) & real_time, "the driver uses no real-time signal: this test looks for nothing")
            if int(status["SigCgt"], 16) & ~int(status["SigBlk"], 16) & real_time:
                takers.add(status["Name"])
            check(not (int(task) == r.process.pid and status["Name"] in takers), "the control thread takes the driver's signals")
        check(takers, "no thread takes the driver's signals")
        ours = {"lcore", "writer", "keys", "dtls", "api"}
        check(not [name for name in takers if any(name.startswith(own) for own in ours)], f"these threads take them: {takers}")
