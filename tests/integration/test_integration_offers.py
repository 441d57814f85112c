"""Offers and answers through the life of a call, against the running recorder: each change, packets around it, and then the
recording: what was sent is in it, or counted by reason, under the number that its stream had."""

import array
import os
import socket
import time
import wave

import sip_client as sip
import speech
from recorder import check


def alaw(code):
    """G.711 table 1a/1b: even bits inverted on the wire."""
    code ^= 0x55
    segment, step = code >> 4 & 7, (code & 15) << 4
    value = step + 8 if segment == 0 else (step + 0x108) << (segment - 1)
    return value if code & 0x80 else -value


class Line:
    """An m-line: its label, what it says, and the socket that its packets come from."""

    def __init__(self, recorder, label, *, direction="sendonly", codecs=("0 PCMU/8000",), mux=True, version=4, port=None, extra=()):
        self.host = recorder.host if version == 4 else recorder.host6
        self.label, self.direction, self.codecs, self.mux, self.version, self.extra = label, direction, codecs, mux, version, extra
        self.port = port
        self.socket = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        self.socket.bind((self.host, 0))

    def text(self):
        port = self.socket.getsockname()[1] if self.port is None else self.port
        formats = " ".join(c.split(" ")[0] for c in self.codecs)
        lines = [f"m=audio {port} RTP/AVP {formats}", f"c=IN IP{self.version} {self.host}"]
        lines += [f"a=rtpmap:{c}" for c in self.codecs if "/" in c] + [f"a={self.direction}"]
        lines += ["a=rtcp-mux"] * self.mux + [f"a=label:{self.label}"] * bool(self.label) + list(self.extra)
        return lines


class Talk:
    """A call that changes."""

    def __init__(self, recorder, call_id, *lines, expect=200):
        self.client, self.call_id, self.cseq, self.version, self.tag = sip.Client(recorder.port), call_id, 0, 0, ""
        self.recorder, self.seq, self.sent, self.held = recorder, 100, {}, {}
        self.answer = self.invite(*lines, expect=expect)

    def offer(self, lines):
        self.version += 1
        head = ["v=0", f"o=src 1 {self.version} IN IP4 {self.recorder.host}", "s=-", f"c=IN IP4 {self.recorder.host}", "t=0 0"]
        return ("\r\n".join(head + [text for line in lines for text in line.text()]) + "\r\n").encode()

    def request(self, method, body=b"", kind="application/sdp"):
        self.cseq += 1
        lines = ["Require: siprec"] * (method == "INVITE") + [f"Content-Type: {kind}"] * bool(body)
        return sip.request(self.client, method, self.call_id, self.cseq, to_tag=self.tag, lines=lines, body=body)

    def ask(self, method, body, expect, kind="application/sdp"):
        self.recorder.catch_up()	# packets come by the tap device, SIP by the kernel: neither waits for the other
        message = self.request(method, body, kind)
        answer = self.client.ask(message)
        check(answer is not None and answer.status == expect,
              f"{method} {self.cseq}: {answer and answer.start}, {expect} awaited; {self.recorder.log_tail(3)}")
        return message, answer

    def took(self, lines, answer):
        self.media = sip.media_of(answer.body)
        self.lines = list(lines)
        check(len(self.media) == len(lines), f"{len(self.media)} m-lines answer {len(lines)}")

    def invite(self, *lines, expect=200):
        message, answer = self.ask("INVITE", self.offer(lines), expect)
        self.client.send(sip.ack_for(message, answer))
        if answer.status == 200:
            self.tag = answer.tag("To", "t")
            self.took(lines, answer)
        return answer

    def update(self, *lines, expect=200):
        _, answer = self.ask("UPDATE", self.offer(lines), expect)
        if answer.status == 200:
            self.took(lines, answer)
        return answer

    def offerless(self, *lines):
        """A re-INVITE without an offer; `lines` answer in the ACK."""
        message, answer = self.ask("INVITE", b"", 200)
        ack, body = sip.ack_for(message, answer), self.offer(lines)
        ack = ack.replace(b"Content-Length: 0", b"Content-Type: application/sdp\r\nContent-Length: %d" % len(body)) + body
        self.client.send(ack)
        self.took(lines, answer)
        return answer

    def speak(self, *held, n=10, payload_type=0):
        """n packets of each line that has a port; those labelled as in `held` are to be counted, not recorded."""
        self.recorder.catch_up()
        for line, (address, port, _, _) in zip(self.lines, self.media):
            if port == 0:
                continue
            for i in range(n):
                packet = sip.rtp(self.seq + i, (self.seq + i) * 160, 0x100 + ord(line.label[:1] or "?"), b"%-160d" % i, payload_type)
                line.socket.sendto(packet, (address, port))
                time.sleep(0.001)
            count = self.held if line.label in held else self.sent
            count[line.label] = count.get(line.label, 0) + n
        self.seq += n

    def ports(self):
        return [port for _, port, _, _ in self.media]

    def directions(self):
        return ["inactive" if "inactive" in a else "recvonly" if "recvonly" in a else "" for _, _, _, a in self.media]

    def end(self):
        """BYE; the recording is whole, and holds what was sent. @return its document, {label: row of its streams, or several}"""
        self.ask("BYE", b"", 200)
        row = self.recorder.wait_sealed(1)[0]
        shown = self.recorder.tool("recordings", "show", row["id"], "--json")
        check(shown["verdict"] == "intact", shown["verdict"])
        by_label = {}
        for s in shown["streams"]:
            by_label.setdefault(s["label"], []).append(s)
        for label in {**self.sent, **self.held}:
            rows = by_label.get(label, [])
            recorded, paused = sum(s["recorded"] for s in rows), sum(s["missing"].get("paused", 0) for s in rows)
            sent, held = self.sent.get(label, 0), self.held.get(label, 0)
            check(recorded == sent, f"stream {label}: {sent} packets were sent, {rows}")
            check(paused == held, f"stream {label}: {held} packets held, {paused} counted as paused")
        check(sum(s["lost_upstream"] for s in shown["streams"]) == 0, shown["streams"])
        check(set(by_label) == set(self.sent) | set(self.held), f"streams {sorted(by_label)}")
        self.recorder.check_conservation()
        status, text = self.recorder.reel_py("verify", "--keys", self.recorder.settings["keys.path"])
        check(status == 0, text[-400:])
        self.client.close()
        return shown, by_label


def test_streams_are_added_removed_and_slots_used_again(context):
    with context.recorder() as r:
        a, b, c, d = (Line(r, label) for label in "abcd")
        gone = Line(r, "b", port=0)
        call = Talk(r, "slots", a, b)
        call.speak()
        for change in (call.invite, call.update):
            change(a, b, c)
            call.speak()
            change(a, gone, c)
            check(call.ports()[1] == 0, call.ports())
            call.speak()
            change(a, d, c)
            call.speak()
            change(a, b)
            call.speak()
        _, rows = call.end()
        check(len(rows["a"]) == 1, "the stream that stayed changed its number")
        check(len(rows["d"]) == 2 and len(rows["b"]) == 3, f"{len(rows['d'])} and {len(rows['b'])} lives")


def test_m_lines_in_another_order_and_fewer_of_them(context):
    with context.recorder() as r:
        a, b, c = (Line(r, label) for label in "abc")
        call = Talk(r, "order", a, b, c)
        before = dict(zip("abc", call.ports()))
        call.speak()
        call.invite(c, a, b)
        check(dict(zip("cab", call.ports())) == before, f"ports moved: {call.ports()}")
        call.speak()
        call.update(b, c)
        check(dict(zip("bc", call.ports())) == {k: before[k] for k in "bc"}, f"ports moved: {call.ports()}")
        call.speak()
        a.socket.sendto(sip.rtp(120, 0, 0x161, bytes(160)), (r.media, before["a"]))	# to a port that is no stream's now
        _, rows = call.end()	# recorded nowhere
        check(all(len(of) == 1 for of in rows.values()), rows)


def test_held_and_resumed_one_stream_and_both(context):
    with context.recorder() as r:
        a, b = Line(r, "a"), Line(r, "b")
        call = Talk(r, "held", a, b)
        for change in (call.invite, call.update):
            call.speak()
            a.direction = "inactive"
            change(a, b)
            check(call.directions() == ["inactive", "recvonly"], call.directions())
            call.speak("a")
            b.direction = "recvonly"
            change(a, b)
            check(call.directions() == ["inactive", "inactive"], call.directions())
            call.speak("a", "b")
            a.direction, b.direction = "sendonly", "sendrecv"
            change(a, b)
            check(call.directions() == ["recvonly", "recvonly"], call.directions())
            b.direction = "sendonly"
        call.speak()
        _, rows = call.end()
        check(len(rows["a"]) == len(rows["b"]) == 1, "a hold made a new stream")


def test_inactive_while_it_rings_and_sendonly_when_it_is_answered(context):
    with context.recorder() as r:
        a, b = Line(r, "a", direction="inactive"), Line(r, "b", direction="inactive")
        call = Talk(r, "rings", a, b)
        check(call.directions() == ["inactive", "inactive"], call.directions())
        ports = call.ports()
        call.speak("a", "b")
        a.direction = "sendonly"
        call.update(a, b)
        call.speak("b")
        b.direction = "sendonly"
        call.invite(a, b)
        check(call.ports() == ports, "ports moved")
        call.speak()
        call.end()


def test_a_codec_changes_and_the_description_says_so(context):
    with context.recorder() as r:
        a = Line(r, "a", codecs=("0 PCMU/8000", "8 PCMA/8000"))
        call = Talk(r, "codec", a)
        call.speak()
        a.codecs = ("8 PCMA/8000",)
        call.invite(a)
        call.speak(payload_type=8)
        a.codecs = ("111 opus/48000/2",)
        answer = call.update(a)
        check(b"a=rtpmap:111 opus/48000/2\r\n" in answer.body and b"PCM" not in answer.body, answer.body)
        call.speak(payload_type=111)
        shown, rows = call.end()
        check(len(rows["a"]) == 1, "a codec made a new stream")
        status, text = r.reel_py("grep", "--keys", r.settings["keys.path"], first=b'"name":"OPUS","clock_hz":48000'.hex())
        check(status == 0 and "chunk" in text, "no DESCRIPTION names the new codec")
        check("opus" in str(shown).lower(), "`recordings show` does not name the new codec")


def test_a_payload_type_that_changes_its_meaning_is_decoded_by_its_time(context):
    """RFC 3264 §8.3.2 forbids it, and clients do it: 96 is one law, then the other."""
    with context.recorder() as r:
        a = Line(r, "a", codecs=("96 PCMU/8000",))
        call = Talk(r, "meaning", a)
        call.speak(payload_type=96)
        a.codecs = ("96 PCMA/8000",)
        call.invite(a)
        call.speak(payload_type=96)
        shown, _ = call.end()
        path = os.path.join(r.folder, "meaning.wav")
        r.tool("export", shown["id"], "--format", "wav", "--output", path)
        with wave.open(path) as w:
            samples = array.array("h", w.readframes(w.getnframes()))
        said = (b"%-160d" % 0)[-1]	# blanks
        quiet = {speech.ULAW[said]: 0, alaw(said): 0}
        for i in range(159, len(samples), 160):
            check(samples[i] in quiet, f"sample {i} is {samples[i]}, {list(quiet)} awaited")
            quiet[samples[i]] += 1
        check(list(quiet.values()) == [10, 10], f"frames by law: {quiet}")


def test_rtcp_ports_and_mux_change(context):
    with context.recorder() as r:
        a, b = Line(r, "a", mux=False), Line(r, "b")
        call = Talk(r, "rtcp", a, b)
        check(["rtcp-mux" in m[3] for m in call.media] == [False, True], call.media)
        call.speak()
        a.extra = ("a=rtcp:45678",)
        call.invite(a, b)
        call.speak()
        a.mux, a.extra, b.mux = True, (), False	# the first asks for one port, the second takes that back
        first, second = call.ports()
        call.update(a, b)
        check(call.ports()[0] == first and call.ports()[1] != second, f"{first}, {second}: {call.ports()}")
        check(not any("rtcp-mux" in m[3] for m in call.media), call.media)
        call.speak()
        _, rows = call.end()
        check(len(rows["a"]) == 1 and len(rows["b"]) == 2, rows)


def test_ip4_becomes_ip6_and_back(context):
    with context.recorder() as r:
        a, b, a6, b6 = Line(r, "a"), Line(r, "b"), Line(r, "a", version=6), Line(r, "b", version=6)
        call = Talk(r, "ip6", a, b)
        call.speak()
        call.invite(a, b6)
        check([":" in m[0] for m in call.media] == [False, True], call.media)
        call.speak()
        call.update(a6, b6)
        check(all(":" in m[0] for m in call.media), call.media)
        call.speak()
        call.invite(a, b)
        check(not any(":" in m[0] for m in call.media), call.media)
        call.speak()
        call.end()


def test_an_offerless_reinvite_is_answered_in_the_ack(context):
    with context.recorder() as r:
        a, b = Line(r, "a"), Line(r, "b")
        call = Talk(r, "offerless", a, b)
        first = call.answer.body
        call.speak()
        check(call.offerless(a, b).body == first, "our description changed without a reason")
        call.speak()
        held = Line(r, "b", direction="inactive")
        call.offerless(a, held)
        call.lines = [a, b]
        call.speak("b")
        call.offerless(a, b)
        call.speak()
        call.end()


def test_what_is_refused_leaves_the_call_as_it_was(context):
    with context.recorder() as r:
        a, b = Line(r, "a"), Line(r, "b")
        call = Talk(r, "refused", a, b)
        first, media, lines = call.answer.body, call.media, call.lines
        call.speak()
        for method in ("INVITE", "UPDATE"):
            for body, kind, status in ((b"v=0\r\nno description\r\n", "application/sdp", 400),
                                       (call.offer([a, b]).replace(b"RTP/AVP", b"RTP/SAVP"), "application/sdp", 488),
                                       (b"--x\r\n", "multipart/mixed;boundary=y", 400)):
                message, answer = call.ask(method, body, status, kind)
                if method == "INVITE":
                    call.client.send(sip.ack_for(message, answer))
                check(answer.status != 488 or "399" in answer.header("Warning"), "a refusal without a reason")
                call.media, call.lines = media, lines
                call.speak()
        check(call.invite(a, b).body == first, "a refused offer left something behind")
        call.speak()
        call.end()
