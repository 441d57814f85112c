"""What peers do that they should not, and what operators do at 3 a.m.: raw SIP over sockets, no simulator."""

import os
import re
import secrets
import signal
import socket
import stat
import time

from recorder import check


def sdp(streams, version=1):
    """streams: (port, label); port 0 removes the m-line."""
    text = f"v=0\r\no=src 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    for port, label in streams:
        text += f"m=audio {port} RTP/AVP 0\r\na=label:{label}\r\na=sendonly\r\n"
    return text


def metadata(streams, mode="complete"):
    """streams: (label, session id)."""
    text = "<recording xmlns='urn:ietf:params:xml:ns:recording:1'>" \
           f"<datamode>{mode}</datamode>"
    for session in sorted({s for _, s in streams}):
        text += f"<session session_id='{session}'/>"
    for label, session in streams:
        text += f"<participant participant_id='p{label}'><nameID aor='sip:p{label}@example.org'/></participant>" \
                f"<stream stream_id='m{label}' session_id='{session}'><label>{label}</label></stream>" \
                f"<participantsessionassoc participant_id='p{label}' session_id='{session}'/>" \
                f"<participantstreamassoc participant_id='p{label}'><send>m{label}</send></participantstreamassoc>"
    return text + "</recording>"


class Peer:
    """One SRC: a UDP socket and a dialog at a time."""

    def __init__(self, recorder):
        self.recorder = recorder
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.connect(("127.0.0.1", recorder.port))
        self.port = self.udp.getsockname()[1]
        self.contact = None
        self.begin()

    def begin(self):
        self.call_id, self.tag, self.to_tag, self.cseq = secrets.token_hex(8), secrets.token_hex(4), "", 0

    def send(self, method, body="", kind="application/sdp", cseq=None, branch=None, headers=""):
        if cseq is None and method not in ("ACK", "CANCEL"):
            self.cseq += 1
        self.branch = branch or "z9hG4bK" + secrets.token_hex(8)
        body = body if isinstance(body, bytes) else body.encode()
        head = f"{method} sip:srs@127.0.0.1 SIP/2.0\r\n" \
               f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch={self.branch}\r\nMax-Forwards: 70\r\n" \
               f"From: <sip:src@example.org>;tag={self.tag}\r\n" \
               f"To: <sip:srs@example.org>{';tag=' + self.to_tag if self.to_tag else ''}\r\n" \
               f"Call-ID: {self.call_id}\r\nCSeq: {cseq or self.cseq} {method}\r\n" \
               f"Contact: {self.contact or f'<sip:src@127.0.0.1:{self.port}>;+sip.src'}\r\n{headers}"
        if body:
            head += f"Content-Type: {kind}\r\n"
        self.udp.send(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def final(self, method, wait_s=5):
        """The final response to our latest request: (status, text)."""
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            self.udp.settimeout(max(0.01, end - time.monotonic()))
            try:
                text = self.udp.recv(65535).decode(errors="replace")
            except socket.timeout:
                break
            status = re.match(r"SIP/2\.0 ([2-6]\d\d)", text)
            if status and f"CSeq: {self.cseq} {method}\r\n" in text:
                return int(status.group(1)), text
        check(False, f"no final response to {method} within {wait_s} s: {self.recorder.log_tail()}")

    def invite(self, streams, said=None, version=1, sdp_text=None):
        """INVITE or re-INVITE, acknowledged. Returns (status, ports of our m-lines, response)."""
        body, kind = sdp_text or sdp(streams, version), "application/sdp"
        if said is not None:
            body = f"--b\r\nContent-Type: application/sdp\r\n\r\n{body}\r\n--b\r\n" \
                   f"Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n" \
                   f"{said}\r\n--b--\r\n"
            kind = "multipart/mixed;boundary=b"
        self.send("INVITE", body, kind)
        branch = self.branch
        status, text = self.final("INVITE")
        if status < 300:
            self.to_tag = re.search(r"\r\nTo:[^\r]*;tag=([^;\r]+)", text).group(1)
            branch = None
        self.send("ACK", branch=branch)
        return status, [int(p) for p in re.findall(r"\r\nm=audio (\d+)", text)], text

    def bye(self):
        self.send("BYE")
        return self.final("BYE")[0]


def drained(recorder, wait_s=10):
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        if recorder.get("/api/v1/sessions")[1]["sessions"] == []:
            return True
        time.sleep(0.1)
    return False


def test_a_new_session_with_new_m_lines_is_recorded(context):
    """A turret's dialog: the next communication session comes with m-lines of its own, the last one's go."""
    with context.recorder() as r:
        peer = Peer(r)
        status, ports, _ = peer.invite([(4000, 1), (4002, 2)], metadata([(1, "one"), (2, "one")]))
        check(status == 200 and all(ports), f"{status} {ports}")
        status, ports, _ = peer.invite([(0, 1), (0, 2), (4004, 3), (4006, 4)], metadata([(3, "two"), (4, "two")]), 2)
        check(status == 200 and ports[:2] == [0, 0], f"{status} {ports}")
        check(all(ports[2:]), f"the new session's m-lines were refused: {ports}")
        check(peer.bye() == 200 and drained(r), "the session did not end")
        rows = r.wait_sealed(2)
        check(sorted(row["cs_id"] for row in rows) == ["one", "two"], f"recordings: {rows}")


def test_hangup_and_a_deleted_catalog_lose_no_call(context):
    with context.recorder() as r:
        peer = Peer(r)
        check(peer.invite([(4000, 1)], metadata([(1, "one")]))[0] == 200, "no call")
        r.process.send_signal(signal.SIGHUP)
        vault = r.settings["storage.devices"]
        for name in os.listdir(vault):
            if name.startswith("catalog.db"):
                os.unlink(os.path.join(vault, name))
        check(peer.bye() == 200 and drained(r), "the call did not end in order")
        peer.begin()
        check(peer.invite([(4000, 1)], metadata([(1, "two")]))[0] == 200 and peer.bye() == 200, "no second call")
        check(drained(r), "the second call did not end")
        end = time.monotonic() + 5
        while not any(row["cs_id"] == "two" and row["state"] == "sealed" for row in r.recordings()):
            check(time.monotonic() < end, f"the new catalog does not have the new call: {r.recordings()}")
            time.sleep(0.1)
        check("catalog_replaced" in r.log_text(), "nobody was told that the catalog is gone")
        status, _ = r.stop()
        check(status == 0, f"exit status {status}")
        r.tool("fsck", "--rebuild", "--json")
        check(sorted(row["cs_id"] for row in r.recordings()) == ["one", "two"], "the rebuild lost a recording")


def test_tool_guards_devices_calls_in_clear_and_the_vault(context):
    with context.recorder(storage__segment_mib=16, storage__reserve_mib=0) as r:
        r.simulate("--duration", "1")
        row = r.wait_sealed(1)[0]
        call = row["id"]
        check(isinstance(row["started_wall_ns"], int), f"a rounded time: {row['started_wall_ns']}")
        status, _, said = r.tool("fsck", "--rebuild", expect=None)
        check(status == 2 and "running" in said, f"the catalog was replaced under a recorder: {status} {said}")
        fifo, wav = os.path.join(r.folder, "fifo"), os.path.join(r.folder, "a.wav")
        os.mkfifo(fifo)
        status, _, said = r.tool("export", call, "--format", "wav", "--output", fifo, expect=None)
        check(status == 2 and "plain file" in said, f"export onto a pipe: {status} {said}")
        check(stat.S_ISFIFO(os.stat(fifo).st_mode), "the pipe was replaced")
        r.tool("export", call, "--format", "wav", "--output", wav)
        check(stat.S_IMODE(os.stat(wav).st_mode) == 0o600, "a call in clear can be read by others")
        status, _, said = r.tool("recordings", "show", expect=None)
        check(status == 2 and "usage: capstan recordings" in said, f"{status} {said}")
        for option, value in (("--limit", "x"), ("--limit", "0"), ("--limit", "1001"), ("--limit", "-1"), ("--state", "lost")):
            status, listed, said = r.tool("recordings", "ls", option, value, expect=None)
            check(status == 2 and option in said and listed == "", f"{option} {value}: {status} {listed} {said}")
        status, _, said = r.tool("config", "check", "absent.yaml", "another.yaml", expect=None)
        check(status == 2 and "usage: capstan config check" in said, f"two files to check: {status} {said}")
        status, _, said = r.tool("config", "check", "absent.yaml", expect=None)
        check(status == 3 and "absent.yaml" in said, f"a configuration that is not there: {status} {said}")
        _, listed, _ = r.tool("recordings", "ls", "--limit", "1", expect=None)
        check("there may be more" in listed, f"a list that was cut does not say so: {listed}")
        r.stop()
        r.start()   # a second segment, so that the vault is not empty without the first
        r.simulate("--duration", "1")
        r.wait_sealed(2)
        r.stop()
        segments = os.path.join(r.settings["storage.devices"], "segments")
        check(r.tool("verify", "--json")["ok"] and r.tool("fsck", "--json")["ok"], "a good vault does not verify")
        os.unlink(os.path.join(segments, sorted(os.listdir(segments))[0]))
        for command in ("verify", "fsck"):
            findings = r.tool(command, "--json", expect=1)["findings"]
            check(any(call in f for f in findings), f"{command} does not miss the deleted segment: {findings}")


def test_an_answer_has_the_offers_m_lines_whatever_octets_stand_between(context):
    with context.recorder() as r:
        peer = Peer(r)
        offer = sdp([(4000, 1)]) + "i=\0\r\nm=audio 4002 RTP/AVP 0\r\na=label:2\r\na=sendonly\r\n"
        status, ports, _ = peer.invite([], metadata([(1, "one"), (2, "one")]), sdp_text=offer)
        check(status == 200 and len(ports) == 2 and all(ports), f"{status}, m-lines {ports} for two that were offered")
        # a re-INVITE with metadata alone: our 200 is the offer, and nothing may pass it before the ACK
        peer.send("INVITE", metadata([(1, "one"), (2, "one")]), "application/rs-metadata+xml")
        status, text = peer.final("INVITE")
        check(status == 200 and "m=audio" in text, f"no offer of ours: {text}")
        ours = peer.cseq
        for method in ("UPDATE", "INVITE"):
            peer.send(method, sdp([(4000, 1), (4002, 2)], 2))
            status, _ = peer.final(method)
            check(status in (491, 500), f"{method} across our own offer got {status}")
            if method == "INVITE":
                peer.send("ACK", branch=peer.branch)
        peer.send("ACK", sdp([(4000, 1), (4002, 2)], 2), cseq=ours)
        status, ports, _ = peer.invite([(4000, 1), (4002, 2)], version=3)
        check(status == 200 and all(ports), f"the session did not go on after its ACK: {status} {ports}")
        check(peer.bye() == 200 and drained(r), "the session did not end")
        peer.begin()
        peer.contact = "*"
        status, _, text = peer.invite([(4000, 1)], metadata([(1, "one")]))
        check(status == 400 and "Warning" in text, f"an INVITE whose Contact names nobody got {status}")


def test_more_sessions_than_recordings_are_recorded_in_the_first_and_said(context):
    with context.recorder() as r:
        peer = Peer(r)
        named = [(label, f"s{label:03}") for label in range(1, 41)]
        status, ports, _ = peer.invite([(4000, 1), (4002, 40)], metadata(named))
        check(status == 200 and all(ports), f"{status} {ports}")
        check(peer.bye() == 200 and drained(r), "the session did not end")
        check("recordings_bounded" in r.log_text(), "nobody was told that sessions share a recording")
        check(len(r.wait_sealed(16)) == 16 == len(r.recordings()), f"a recording was left open: {r.recordings()}")
