"""A small SIP client for tests: whole messages as bytes, over UDP from an address of its own, over TCP or TLS. It shares no
code with the recorder and repairs nothing unless it is asked to."""

import itertools
import os
import re
import socket
import ssl
import time

_numbers = itertools.count(1)


class Message:
    """A message as bytes, cut only where a test looks: start line, header lines, body."""

    def __init__(self, data):
        self.data = data
        m = re.search(rb"\r?\n\r?\n", data)
        self.head = data[:m.start()] if m else data
        self.body = data[m.end():] if m else b""
        self.lines = re.split(rb"\r?\n(?![ \t])", self.head)
        self.start = self.lines[0].decode("latin-1") if self.lines else ""

    @property
    def status(self):
        m = re.match(r"SIP/2\.0 (\d{3})", self.start)
        return int(m.group(1)) if m else None

    @property
    def method(self):
        return self.start.split(" ")[0]

    def all(self, *names):
        """Values of a header, by any of its names."""
        out = []
        for line in self.lines[1:]:
            name, colon, value = line.partition(b":")
            if colon and name.strip().decode("latin-1").lower() in [n.lower() for n in names]:
                out.append(value.strip().decode("latin-1"))
        return out

    def header(self, *names):
        values = self.all(*names)
        return values[0] if values else ""

    @property
    def cseq(self):
        parts = self.header("CSeq").split()
        return (parts[0].lstrip("0") or "0", parts[1]) if len(parts) >= 2 else ("", "")

    def tag(self, name, compact):
        m = re.search(r";\s*tag\s*=\s*([^;>\s]+)", self.header(name, compact), re.I)
        return m.group(1) if m else ""


def with_header(data, name, compact, value):
    """`data` with the first such header's value replaced."""
    pattern = rb"(?im)^(" + name.encode() + rb"|" + compact.encode() + rb")([ \t]*:[ \t]*)[^\r\n]*"
    head, sep, body = _split(data)
    return re.sub(pattern, lambda m: m.group(1) + m.group(2) + value.encode("latin-1"), head, count=1) + sep + body


def with_length(data):
    """`data` with the Content-Length that its body has."""
    head, sep, body = _split(data)
    value = str(len(body)).encode()
    if re.search(rb"(?im)^(content-length|l)[ \t]*:", head):
        head = re.sub(rb"(?im)^(content-length|l)([ \t]*:[ \t]*)[^\r\n]*", lambda m: m.group(1) + m.group(2) + value,
                      head, count=1)
    else:
        head += b"\r\nContent-Length: " + value
    return head + sep + body


def with_to_tag(data, tag):
    """A To without a tag gets this one; a To with one gets it replaced."""
    head, sep, body = _split(data)

    def put(m):
        line = re.sub(rb";\s*tag=[^;>\r\n]*", b"", m.group(0))
        return line + b";tag=" + tag.encode()
    return re.sub(rb"(?im)^(to|t)[ \t]*:[^\r\n]*", put, head, count=1) + sep + body


def with_branch_suffix(data, suffix):
    head, sep, body = _split(data)
    return re.sub(rb"(?i)(;branch=[^;,\s]+)", lambda m: m.group(1) + suffix.encode(), head, count=1) + sep + body


def _split(data):
    m = re.search(rb"\r?\n\r?\n", data)
    return (data[:m.start()], m.group(0), data[m.end():]) if m else (data, b"", b"")


def sent_by_port(data):
    """The port that the topmost Via names: where answers over UDP go (RFC 3261 §18.2.2)."""
    via = Message(data).header("Via", "v").split(",")[0]
    m = re.match(r"\s*SIP\s*/\s*2\.0\s*/\s*\w+\s+(\[[^\]]*\]|[^:;\s]+)\s*(?::\s*(\d+))?", via)
    return int(m.group(2)) if m and m.group(2) and 0 < int(m.group(2)) < 65536 else 5060


def any_server():
    """TLS to whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Client:
    """One peer of the recorder: a UDP socket on a loopback address of its own, or a TCP or TLS connection. `tls` is an
    ssl.SSLContext; without one anybody is trusted and no certificate shown."""

    def __init__(self, port, transport="udp", local_port=5060, host="127.0.0.1", address=None, tls=None, session=None):
        self.transport = transport
        self.target = (host, port)
        n = next(_numbers)
        self.address = address or f"127.{64 + os.getpid() % 64}.{(n >> 8) % 256}.{n % 254 + 1}"
        self.pending = b""
        self.requests = []	# that the recorder sent
        if transport == "udp":
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((self.address, local_port))
        else:
            self.socket = socket.create_connection(self.target, timeout=5)
        if transport == "tls":
            self.socket = (tls or any_server()).wrap_socket(self.socket, server_hostname="srs.example.com", session=session)
        self.port = self.socket.getsockname()[1]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def send(self, data):
        if self.transport == "udp":
            self.socket.sendto(data, self.target)
        else:
            self.socket.sendall(data)

    def receive(self, wait_s):
        """The next message, or None when none came or the connection ended."""
        end = time.monotonic() + wait_s
        while True:
            if self.transport != "udp":
                whole = self._cut()
                if whole is not None:
                    return Message(whole)
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except (socket.timeout, ConnectionError, ssl.SSLError):
                return None
            if self.transport == "udp":
                return Message(data)
            if not data:
                return None
            self.pending += data

    def _cut(self):
        self.pending = self.pending.lstrip(b"\r\n")
        m = re.search(rb"\r\n\r\n", self.pending)
        if not m:
            return None
        length = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", self.pending[:m.start()])
        end = m.end() + (int(length.group(1)) if length else 0)
        if len(self.pending) < end:
            return None
        whole, self.pending = self.pending[:end], self.pending[end:]
        return whole

    def final(self, cseq=None, wait_s=5):
        """The next final answer (to this CSeq); requests of the recorder are answered 200 on the way."""
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            m = self.receive(end - time.monotonic())
            if m is None:
                return None
            if m.status is None:
                self.requests.append(m)
                if m.method != "ACK":
                    self.send(plain_answer(m))
                continue
            if m.status >= 200 and (cseq is None or m.cseq == cseq):
                return m
        return None

    def ask(self, data, wait_s=5):
        self.send(data)
        return self.final(Message(data).cseq, wait_s)


def plain_answer(request):
    lines = ["SIP/2.0 200 OK"] + [f"Via: {v}" for v in request.all("Via", "v")]
    lines += [f"{name}: {request.header(name, name[0])}" for name in ("From", "To")]
    lines += [f"Call-ID: {request.header('Call-ID', 'i')}", f"CSeq: {request.header('CSeq')}", "Content-Length: 0"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def request(client, method, call_id, cseq, *, to_tag="", lines=(), body=b"", uri="sip:srs@127.0.0.1", from_tag="src",
            contact="sip", branch=None):
    """A plain request of ours. `contact`: "" for none, "sip" for one with +sip.src."""
    head = [f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{client.transport.upper()} {client.address}:{client.port};"
            f"branch=z9hG4bK{branch or f'{call_id}{method}{cseq}'}",
            "Max-Forwards: 70",
            f"From: <sip:src@{client.address}>;tag={from_tag}",
            f"To: <{uri}>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}"]
    if contact == "sip":
        head.append(f"Contact: <sip:src@{client.address}:{client.port};transport={client.transport}>;+sip.src")
    head += lines
    head.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + body


def ack_for(invite, answer):
    """The ACK of an INVITE given as bytes: in the transaction for a refusal, a new one for a 2xx."""
    m = Message(invite)
    uri = m.start.split(" ")[1] if " " in m.start else "sip:srs@127.0.0.1"
    via = m.header("Via", "v")
    if answer.status < 300:
        via = re.sub(r"(;branch=[^;,\s]+)", r"\1a", via, count=1)
    lines = [f"ACK {uri} SIP/2.0", f"Via: {via}", "Max-Forwards: 70", f"From: {m.header('From', 'f')}",
             f"To: {answer.header('To', 't')}", f"Call-ID: {m.header('Call-ID', 'i')}",
             f"CSeq: {m.cseq[0]} ACK", "Content-Length: 0"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def sdp(address, streams, codec="0 PCMU/8000", extra=()):
    """An offer: `streams` is a list of (port, label)."""
    number, name = codec.split(" ")
    lines = ["v=0", f"o=src 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0"]
    for port, label in streams:
        lines += [f"m=audio {port} RTP/AVP {number}", f"a=rtpmap:{number} {name}", "a=sendonly", f"a=label:{label}", *extra]
    return ("\r\n".join(lines) + "\r\n").encode()


def rs_metadata(names, labels, session="c2Vzc2lvbi0wMDAwMDAwMQ=="):
    """rs-metadata with one stream a participant."""
    ids = [(f"cGFydGljaXBhbnQt{i:08d}", f"c3RyZWFtLTAwMDAwMDA{i:04d}") for i in range(len(names))]
    out = ['<?xml version="1.0" encoding="UTF-8"?>', '<recording xmlns="urn:ietf:params:xml:ns:recording:1">',
           "<datamode>complete</datamode>", f'<session session_id="{session}"/>']
    for (participant, _), name in zip(ids, names):
        out.append(f'<participant participant_id="{participant}"><nameID aor="sip:{name}@example.com">'
                   f"<name>{name}</name></nameID></participant>")
    for (_, stream), label in zip(ids, labels):
        out.append(f'<stream stream_id="{stream}" session_id="{session}"><label>{label}</label></stream>')
    for participant, _ in ids:
        out.append(f'<participantsessionassoc participant_id="{participant}" session_id="{session}"/>')
    for (participant, stream) in ids:
        out.append(f'<participantstreamassoc participant_id="{participant}"><send>{stream}</send>'
                   "</participantstreamassoc>")
    out.append("</recording>")
    return "\r\n".join(out).encode()


def multipart(*parts, boundary="capstan-test"):
    """(content type, bytes) pairs as one body."""
    out = b""
    for kind, data in parts:
        disposition = b"Content-Disposition: recording-session\r\n" if "metadata" in kind else b""
        out += b"--" + boundary.encode() + b"\r\nContent-Type: " + kind.encode() + b"\r\n" + disposition + b"\r\n" + data + b"\r\n"
    return out + b"--" + boundary.encode() + b"--\r\n"


RECORDING_LINES = ("Require: siprec",)


def invite(client, call_id, offer, metadata=None, *, cseq=1, to_tag="", lines=RECORDING_LINES, contact="sip"):
    """An INVITE as an RFC 7866 client sends it."""
    if metadata is None:
        body, kind = offer, "application/sdp"
    else:
        body, kind = multipart(("application/sdp", offer), ("application/rs-metadata+xml", metadata)), \
                     "multipart/mixed;boundary=capstan-test"
    return request(client, "INVITE", call_id, cseq, to_tag=to_tag, contact=contact,
                   lines=[*lines, f"Content-Type: {kind}"], body=body)


def media_of(answer_sdp):
    """[(address, port, kind, {attributes})] of an SDP answer."""
    session_address, out = "", []
    for line in answer_sdp.decode("latin-1").splitlines():
        if line.startswith("c="):
            address = line.split()[-1]
            if out:
                out[-1] = (address, *out[-1][1:])
            else:
                session_address = address
        elif line.startswith("m="):
            kind, port = line[2:].split()[:2]
            out.append((session_address, int(port.split("/")[0]), kind, {}))
        elif line.startswith("a=") and out:
            name, _, value = line[2:].partition(":")
            out[-1][3][name] = value
    return out


class Call:
    """A recording session of ours: INVITE, ACK, and a socket that sends its RTP from where the offer says."""

    def __init__(self, recorder, call_id, labels=("1", "2"), names=("Alice", "Bob"), transport="udp", extra=(), codec="0 PCMU/8000",
                 lines=RECORDING_LINES, beside=None, metadata=None):
        self.recorder, self.call_id, self.cseq = recorder, call_id, 1
        self.client = Client(recorder.port, transport) if beside is None else \
            Client(recorder.port, transport, local_port=0, address=beside.client.address)	# another port of that host
        self.sockets = []
        for _ in labels:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((recorder.host, 0))
            self.sockets.append(s)
        self.offer = sdp(recorder.host, [(s.getsockname()[1], label) for s, label in zip(self.sockets, labels)], extra=extra, codec=codec)
        metadata = metadata or (rs_metadata(names, labels) if names else None)
        self.invite = invite(self.client, call_id, self.offer, metadata, lines=lines)
        self.answer = self.client.ask(self.invite)
        self.media = []
        if self.answer is not None:
            self.client.send(ack_for(self.invite, self.answer))
            if self.answer.status == 200:
                self.media = media_of(self.answer.body)

    @property
    def status(self):
        return self.answer.status if self.answer else None

    def send(self, stream, packet):
        address, port = self.media[stream][:2]
        self.sockets[stream].sendto(packet, (address, port))

    def bye(self):
        self.cseq += 1
        answer = self.client.ask(request(self.client, "BYE", self.call_id, self.cseq, contact="",
                                         to_tag=self.answer.tag("To", "t")))
        return answer.status if answer else None

    def close(self):
        self.client.close()
        for s in self.sockets:
            s.close()


def rtp(seq, timestamp, ssrc, payload, payload_type=0, marker=False):
    return bytes([0x80, payload_type | (0x80 if marker else 0)]) + (seq & 0xffff).to_bytes(2, "big") + \
        (timestamp & 0xffffffff).to_bytes(4, "big") + ssrc.to_bytes(4, "big") + payload
