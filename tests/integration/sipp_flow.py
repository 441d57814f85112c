"""SIPp scenarios of recording sessions, put together from steps; SIPp (Debian's sip-tester) plays them. What a step
expects of the answer stands beside it, so that SIPp itself fails the call."""

import os
import subprocess

from recorder import check

NAMESPACE = "urn:ietf:params:xml:ns:recording:1"
HEAD = """{method} {uri} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: "SIPp" <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag[call_number]
To: <sip:srs@[remote_ip]:[remote_port]>{to_tag}
Call-ID: [call_id]
CSeq: {cseq} {method}
"""
CONTACT = "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>;+sip.src\nAccept: application/sdp, application/rs-metadata-request\n"


def metadata(participants, streams, sessions=("one",), mode="complete", more=""):
    """`participants`: names; `streams`: label: (session, senders)."""
    out = [f"<recording xmlns=\"{NAMESPACE}\"><datamode>{mode}</datamode>"]
    out += [f"<session session_id=\"{s}\"/>" for s in sessions]
    out += [f"<participant participant_id=\"{p}\"><nameID aor=\"sip:{p}@example.com\"><name>{p}</name></nameID></participant>" for p in participants]
    out += [f"<stream stream_id=\"s{label}\" session_id=\"{s}\"><label>{label}</label></stream>" for label, (s, _) in streams.items()]
    pairs = sorted({(p, s) for s, senders in streams.values() for p in senders})
    out += [f"<participantsessionassoc participant_id=\"{p}\" session_id=\"{s}\"/>" for p, s in pairs]
    for p in participants:
        sends = "".join(f"<send>s{label}</send>" for label, (_, senders) in streams.items() if p in senders)
        out.append(f"<participantstreamassoc participant_id=\"{p}\">{sends}</participantstreamassoc>")
    return "\n".join(out) + more + "\n</recording>"


def sdp(streams, version=1):
    """(label, port or 0, direction) of each m-line."""
    lines = ["v=0", f"o=sipp 5365 {version} IN IP[media_ip_type] [media_ip]", "s=-", "c=IN IP[media_ip_type] [media_ip]", "t=0 0"]
    for label, port, direction in streams:
        lines += [f"m=audio {port and f'[media_port+{port}]'} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", f"a={direction}", f"a=label:{label}"]
    return "\n".join(lines) + "\n"


class Flow:
    def __init__(self, name):
        self.name, self.cseq, self.steps, self.expected = name, 0, [], 0

    def send(self, method, body="", kind="", lines="", cseq=None, retransmit=True):
        if cseq is None:
            self.cseq += 1
        first = self.cseq == 1 and method in ("INVITE", "CANCEL")
        head = HEAD.format(method=method, uri="sip:srs@[remote_ip]:[remote_port]" if first else "[next_url]",
                           to_tag="" if first else "[peer_tag_param]", cseq=cseq or self.cseq)
        if not first:
            head += "[routes]\n"
        head += CONTACT if method in ("INVITE", "UPDATE") else ""
        head += lines + (f"Content-Type: {kind}\nContent-Length: [len]\n\n{body}" if body else "Content-Length: 0\n\n")
        again = ' retrans="500"' if retransmit else ""
        self.steps.append(f"<send{again}><![CDATA[\n{head}\n]]></send>")

    def receive(self, status, says=()):
        """A final answer, and regular expressions that its text must match."""
        checks = ""
        for pattern in says:
            checks += f"<ereg regexp=\"{pattern}\" search_in=\"msg\" check_it=\"true\" assign_to=\"v{self.expected}\"/>"
            self.expected += 1
        self.steps.append(f"<recv response=\"100\" optional=\"true\"/><recv response=\"{status}\" rrs=\"true\">" +
                          (f"<action>{checks}</action>" if checks else "") + "</recv>")

    def invite(self, offer, document, says=(), ack=True):
        if document is None:
            body, kind = offer, "application/sdp"
        else:
            kind = "multipart/mixed;boundary=sipp-part"
            body = f"--sipp-part\nContent-Type: application/sdp\n\n{offer}--sipp-part\nContent-Type: application/rs-metadata+xml\n" \
                   f"Content-Disposition: recording-session\n\n{document}\n--sipp-part--\n"
        self.send("INVITE", body, kind, "Require: siprec\n")
        self.receive(200, says)
        if ack:
            self.ack()

    def ack(self):
        self.send("ACK", cseq=self.cseq, retransmit=False)

    def update(self, document):
        self.send("UPDATE", document, "application/rs-metadata+xml", "Content-Disposition: recording-session\n")
        self.receive(200)

    def pause(self, ms):
        self.steps.append(f"<pause milliseconds=\"{ms}\"/>")

    def play(self, ms):
        """The first `ms` of speech.pcap, from the first media port."""
        self.steps.append("<nop><action><exec play_pcap_audio=\"speech.pcap\"/></action></nop>")
        self.pause(ms)

    def bye(self):
        self.send("BYE")
        self.receive(200)

    def text(self):
        names = ",".join(f"v{i}" for i in range(self.expected))
        used = f"<Reference variables=\"{names}\"/>" if names else ""
        return f"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"{self.name}\">\n" + "\n".join(self.steps) + used + "\n</scenario>\n"

    def run(self, folder, host, target, transport, media_port):
        """SIPp in `folder` (which may hold speech.pcap); `transport` u1 or t1. Fails with what SIPp says."""
        path, errors = os.path.join(folder, f"{self.name}.xml"), os.path.join(folder, f"{self.name}.errors")
        with open(path, "w") as f:
            f.write(self.text())
        done = subprocess.run(["sipp", target, "-sf", path, "-m", "1", "-i", host, "-mi", host, "-mp", str(media_port), "-t", transport,
                               "-nostdin", "-timeout", "40", "-timeout_error", "-cid_str", f"{self.name}-%u-%p@%s", "-trace_err", "-error_file", errors],
                              cwd=folder, capture_output=True, text=True, timeout=60)
        said = open(errors).read()[-1500:] if os.path.exists(errors) else done.stderr[-400:]
        check(done.returncode == 0, f"{self.name} over {transport}: SIPp ended with {done.returncode}: {said}")
