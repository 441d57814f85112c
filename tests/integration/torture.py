"""Malformed SIP of our own, by grammar: a message that is right, then one to four things done to it. From a seed, so that
a run can be made again. Nothing here knows how the recorder reads; what must hold afterwards is up to the caller.

    torture.py --seed 7 --show 20            prints messages
    torture.py --seed 7 --number 1234        one of them, octet for octet"""

import argparse
import random
import re
import sys

import sip_client as sip

BODY_MAX = 300000	# over streams: more than sip.body_bytes_max
DATAGRAM_MAX = 60000
NUMBERS = ("0", "-1", "1", "65535", "65536", "2147483647", "2147483648", "4294967295", "4294967296", "9999999999999999999999",
           "00000000000000000001", "1e9", "0x10", "", " ", "NaN", "+5", "1 2")
ODD = (b"\0", b"\x00\x00\x00\x00", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\t", b"\x7f", b"\xff\xfe", b"\xc0\x80", b"%", b"%00", b"%zz",
       b"\\", b'"', b"<", b">", b";", b",", b"=", b"@", b":", b"//", b"(", b")", b"[", b"]", b"{}", b"*", b"?", b"&#0;", b"\xe2\x80\xae")
URIS = ("sip:", "sip:@", "sip::", "sip:a@", "sip:a@[", "sip:a@[::1", "sip:a@[fe80::1%eth0]", "sip:a@1.2.3.4:99999", "sip:a@b;transport=",
        "sips:a:b:c@d", "tel:+1-201-555-0123;phone-context=", "urn:service:sos", "http://a/b", "SIP:A@B?X=Y&Z=%20", "a@b", "<sip:a@b",
        "sip:a%00b@c", "sip:%FF%FE@h", "sip:a@b;lr;lr;lr", "sip:a@b;maddr=;ttl=256", "*", "", " ", "sip:a b@c", "sip:" + "x" * 3000 + "@h")
PARTIES = ('"unended <sip:a@b>;tag=x', '"a\\', "<>;tag=x", "sip:a@b;tag=x;tag=y", "<sip:a@b>;tag=", "<sip:a@b>;tag", '"a" "b" <sip:a@b>;tag=x',
           "Mr. X <sip:a@b>;tag=x;p=\"q;r,s\"", "<sip:a@b>, <sip:c@d>", "\xc3\xbc <sip:a@b>;tag=\xfc", "<sip:a@b>;tag=" + "t" * 2000)
VIAS = ("SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0/ ;", "SIP / 2.0 / UDP h ; branch = z9hG4bKx", "SIP/2.0/SCTP h;branch=", "SIP/3.0/UDP h;branch=z9hG4bKx",
        "SIP/2.0/UDP [::1;branch=z9hG4bKx", "SIP/2.0/UDP h:99999;branch=z9hG4bKx", "SIP/2.0/UDP h:;branch=z9hG4bKx;rport=70000",
        "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKx", "SIP/2.0/UDP 127.0.0.1:0;rport", "/", "//", "SIP/2.0/UDP h (c(d)) ;branch=z9hG4bKx",
        "SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKx;received=::1;maddr=224.0.0.1;ttl=300")
CREDENTIALS = ('Digest username="a', 'Digest', 'Digest ,,,,=', 'Basic YTpi', 'Digest username="a",realm="b",nonce="c",uri="d",response="' + "0" * 64 + '"',
               'Digest response=' + "f" * 5000, 'Digest nc=zzzzzzzz,qop=auth,cnonce=""', 'Digest algorithm=SHA-256, algorithm=MD5')
REPLACES = ("a;to-tag=b;from-tag=c", "a", "a;to-tag=b", ";to-tag=;from-tag=", "a;to-tag=b;from-tag=c;early-only", "a;to-tag=b;to-tag=b;from-tag=c",
            "a;from-tag=c;to-tag=b, d;to-tag=e;from-tag=f", '"a;b";to-tag="x";from-tag="y"', "a" * 3000 + ";to-tag=b;from-tag=c")
REQUIRED = ("siprec, siprec, siprec", "100rel", "timer", "replaces", ",,,", "x" * 2000, "siprec;x=y", "\"siprec\"", "precondition, histinfo")
HEADERS = {"CSeq": None, "Max-Forwards": NUMBERS, "Content-Length": NUMBERS, "Session-Expires": tuple(n + ";refresher=uac" for n in NUMBERS),
           "Min-SE": NUMBERS, "Expires": NUMBERS, "RSeq": NUMBERS, "RAck": ("1 1 INVITE", "9999999999 1 X", ""), "Retry-After": NUMBERS,
           "Timestamp": NUMBERS, "From": PARTIES, "To": PARTIES, "Via": VIAS, "Contact": URIS + PARTIES, "Record-Route": URIS + PARTIES,
           "Route": URIS, "Require": REQUIRED, "Supported": REQUIRED, "Proxy-Require": REQUIRED, "Replaces": REPLACES, "Authorization": CREDENTIALS,
           "Proxy-Authorization": CREDENTIALS, "Call-ID": ("", " ", "a b", "a@b@c", "x" * 5000, "\x01", "a\tb"),
           "Content-Type": ("", "/", "a", "a/", "multipart/mixed", "multipart/mixed;boundary=", 'multipart/mixed;boundary="', "application/sdp;",
                            "multipart/mixed;boundary=" + "b" * 300, "MULTIPART/MIXED ; BOUNDARY = \"x y\"", "application/rs-metadata+xml;charset=utf-16"),
           "Content-Disposition": ("", "session;handling=required", "recording-session;handling=optional", ";;", "early-session", "x" * 1000),
           "Content-Encoding": ("gzip", "identity", "", "deflate, gzip"), "Accept": ("", "*/*", "application/rs-metadata-request", ";q=0", "a/b;q=9"),
           "Info-Package": ("dtmf", "", "nil", "x" * 500), "Recv-Info": ("", "nil"), "Reason": ("SIP", "SIP;cause=", "Q.850;cause=99999", "\"\";text="),
           "Session-ID": ("", "0" * 32, "g" * 32, "0" * 32 + ";remote=" + "0" * 32, "0" * 5000), "Allow": ("", "UPDATE", "update", ",,,", "INVITE" * 300),
           "Subject": ("\xff\xfe", "x" * 20000), "Date": ("Mon, 99 Foo 0000",), "Warning": ("399", "1000 x y"), "User-Agent": ("%s%n%x", "x" * 9000)}
METHODS = ("INVITE", "invite", "InVite", "OPTIONS", "BYE", "CANCEL", "ACK", "UPDATE", "INFO", "PRACK", "REGISTER", "SUBSCRIBE", "REFER", "PUBLISH",
           "MESSAGE", "NOTIFY", "NEWMETHOD", "!%*_+`'~-.", "", "X" * 1000, "INVITE\tX", "\xe9")
VERSIONS = ("SIP/2.0", "SIP/7.0", "sip/2.0", "SIP/2", "SIP/2.00", "HTTP/1.1", "SIP /2.0", "", "SIP/2.0 ")


class Session:
    """Call-ID and tags of a dialog that lives, for what is sent inside it."""

    def __init__(self, call_id, from_tag, to_tag, cseq):
        self.call_id, self.from_tag, self.to_tag, self.cseq = call_id, from_tag, to_tag, cseq


class Torture:
    """Messages by number. `client`: address, port and transport for Via and Contact."""

    def __init__(self, seed, client):
        self.seed, self.client = seed, client

    def message(self, number, session=None):
        """(bytes, the mutations' names, whether its Content-Length is right). With a session some of the messages
        belong to it."""
        r = self.random = random.Random(f"{self.seed}:{number}")
        self.number = number
        inside = session if session is not None and r.random() < 0.4 else None
        head, body = self.base(inside)
        done = []
        for _ in range(r.choice((1, 1, 1, 2, 2, 3, 4))):
            mutation = r.choice(MUTATIONS)
            head, body = mutation(self, head, body)
            done.append(mutation.__name__)
        data = b"\r\n".join(head) + b"\r\n\r\n" + body
        # a stream that is cut wrong ends there: most of its messages say how long they are
        repaired = self.client.transport != "udp" and r.random() < 0.93
        if repaired or (r.random() < 0.7 and "content_length" not in done):
            data = sip.with_length(data)
        if r.random() < 0.1 and not repaired:
            data = self.octets(data)
            done.append("octets")
        if r.random() < 0.03 and not repaired:
            data = data[:r.randrange(1, len(data))]
            done.append("cut")
        return data[:DATAGRAM_MAX] if self.client.transport == "udp" else data, done, repaired

    # ---- messages that are right ----

    def base(self, session):
        r, c = self.random, self.client
        what = r.choice(("invite", "invite", "invite", "invite", "options", "update", "info", "bye", "ack", "cancel", "response", "register"))
        call_id, from_tag, to_tag = f"torture-{self.seed}-{c.transport}-{self.number}", f"f{self.number}", ""
        cseq = r.choice((1, 1, 1, 2, 70))
        if what == "cancel":	# of the message before, whatever became of it
            call_id, from_tag = f"torture-{self.seed}-{c.transport}-{self.number - 1}", f"f{self.number - 1}"
        if session is not None:
            session.cseq += r.choice((1, 1, 1, 1, 0, 2))
            call_id, from_tag, to_tag, cseq = session.call_id, session.from_tag, session.to_tag, session.cseq
            if r.random() < 0.1:
                cseq = r.choice((0, 1, cseq - 1, 2147483647))
            if r.random() < 0.1:
                to_tag = r.choice((to_tag + "x", to_tag[:-1], to_tag.upper(), "0", "%00"))
        body, kind = b"", ""
        if what in ("invite", "update", "ack") or r.random() < 0.2:
            kind, body = self.body()
        method = {"response": "INVITE", "register": "REGISTER"}.get(what, what.upper())
        lines = ["Require: siprec"] if what == "invite" and r.random() < 0.8 else []
        lines += [f"Content-Type: {kind}"] if kind else []
        data = sip.request(c, method, call_id, cseq, to_tag=to_tag, from_tag=from_tag, lines=lines, body=body,
                           branch=f"{call_id}-{self.number - (what == 'cancel')}")
        head = data[:len(data) - len(body) - 4].split(b"\r\n")
        if what == "response":
            head[0] = r.choice((b"SIP/2.0 200 OK", b"SIP/2.0 100 Trying", b"SIP/2.0 487 ", b"SIP/2.0 999 ?", b"SIP/2.0 20 x", b"SIP/2.0 200"))
        return head, body

    def body(self):
        r = self.random
        offer, metadata = self.sdp(), self.xml()
        kind = r.choice(("multipart", "multipart", "multipart", "sdp", "metadata", "text"))
        if kind == "sdp":
            return "application/sdp", offer
        if kind == "metadata":
            return "application/rs-metadata+xml", metadata
        if kind == "text":
            return "text/plain", b"hello"
        return self.multipart(offer, metadata)

    def sdp(self):
        r, c = self.random, self.client
        streams = [(r.randrange(1024, 65535, 2), str(i + 1)) for i in range(r.choice((1, 2, 2, 2, 4)))]
        text = sip.sdp(c.address, streams).split(b"\r\n")
        if r.random() < 0.35:
            text = self.bend_sdp(text)
        return b"\r\n".join(text)

    def bend_sdp(self, lines):
        r = self.random
        junk = (b"m=audio 70000 RTP/AVP 0", b"m=audio -1 RTP/AVP 0", b"m=audio 1/65536 RTP/AVP 0", b"m=audio", b"m=", b"m=video 5000 RTP/AVP 96",
                b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel", b"m=audio 5000 RTP/AVP " + b" ".join(b"%d" % i for i in range(300)),
                b"m=audio 5000 RTP/SAVP 0", b"m=audio 5000 UDP/TLS/RTP/SAVPF 0", b"c=IN IP4 0.0.0.0", b"c=IN IP6 ::g", b"c=IN IP4 224.2.1.1/127/3", b"c=",
                b"o=", b"o=- 99999999999999999999999 -1 IN IP4 x", b"t=", b"v=1", b"b=AS:-5", b"a=rtcp:99999999", b"a=rtcp:", b"a=rtpmap:", b"a=rtpmap:0 PCMU/",
                b"a=rtpmap:999 X/0/0", b"a=fmtp:", b"a=label:", b"a=label:" + b"l" * 5000, b"a=mid:", b"a=group:BUNDLE 1 2 3 4 5 6 7 8 9", b"a=ptime:0",
                b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40, b"a=crypto:", b"a=crypto:99999999999 X inline:", b"a=setup:", b"a=setup:actpass",
                b"a=fingerprint:sha-256 " + b":".join([b"00"] * 32), b"a=fingerprint:x 0", b"a=fingerprint:sha-1 " + b"F" * 4000, b"a=sendonly", b"a=inactive",
                b"a=recvonly", b"a=", b"=", b"", b"\0", b"a=" + b"x" * 30000, b"zzz", b"a=candidate:1 1 UDP 1 1.2.3.4 5 typ host", b"a=rtcp-mux", b"a=tls-id:x")
        lines = list(lines)
        for _ in range(r.choice((1, 1, 2, 5, 40))):
            at = r.randrange(len(lines))
            how = r.randrange(4)
            if how == 0:
                lines.insert(at, r.choice(junk))
            elif how == 1:
                lines[at] = r.choice(junk)
            elif how == 2 and len(lines) > 1:
                del lines[at]
            else:
                lines.insert(at, lines[r.randrange(len(lines))])
        if r.random() < 0.05:
            lines += [b"m=audio 5000 RTP/AVP 0", b"a=sendonly"] * r.choice((60, 70, 500))
        return lines

    def xml(self):
        r = self.random
        names = [f"P{i}" for i in range(r.choice((0, 1, 2, 2, 2, 5)))]
        text = sip.rs_metadata(names, [str(i + 1) for i in range(len(names))])
        return self.bend_xml(text) if r.random() < 0.35 else text

    def bend_xml(self, text):
        r = self.random
        root = text.index(b"<recording")
        behind = text.index(b">", root) + 1
        how = r.randrange(12)
        if how == 0:
            return text[:r.randrange(len(text))]
        if how == 1:
            return text[:behind] + b"<a>" * r.choice((10, 33, 5000)) + text[behind:]
        if how == 2:
            return text[:root] + b"<!DOCTYPE r [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>" + text[root:behind] + b"&b;" + text[behind:]
        if how == 3:
            return text[:root] + b"<!DOCTYPE r SYSTEM 'file:///etc/passwd'>" + text[root:]
        if how == 4:
            return text[:behind - 1] + b"".join(b" a%d='1'" % i for i in range(r.choice((10, 65, 2000)))) + text[behind - 1:]
        if how == 5:
            return text.decode().encode("utf-16")
        if how == 6:
            return text.replace(b"urn:ietf:params:xml:ns:recording:1", r.choice((b"urn:ietf:params:xml:ns:recording", b"urn:ietf:params:xml:ns:siprec", b"", b"x" * 3000)))
        if how == 7:
            return text.replace(b"complete", r.choice((b"partial", b"", b"both", b"partial<!-- -- -->")))
        if how == 8:
            return text.replace(b"participant_id", r.choice((b"stream_id", b"session_id", b"id")), r.randrange(1, 4))
        if how == 9:
            return text[:behind] + r.choice((b"<![CDATA[ ]]>", b"<![CDATA[", b"<?x", b"<!-- ", b"&#0;", b"&#x110000;", b"&amp", b"\0", b"]]>")) + text[behind:]
        if how == 10:
            return text[:behind] + b"<stream stream_id='s%d'/>" % self.number * r.choice((5, 300, 3000)) + text[behind:]
        return self.octets(text)

    def multipart(self, offer, metadata):
        r = self.random
        parts = [("application/sdp", offer), ("application/rs-metadata+xml", metadata)]
        r.shuffle(parts)
        boundary = "torture"
        body = sip.multipart(*parts, boundary=boundary)
        how = r.randrange(20)
        if how == 0:
            for _ in range(r.choice((1, 2, 3, 4, 30))):	# nested
                outer = boundary + "-"
                body = b"--" + outer.encode() + b"\r\nContent-Type: multipart/mixed;boundary=" + boundary.encode() + b"\r\n\r\n" + body + \
                    b"\r\n--" + outer.encode() + b"--\r\n"
                boundary = outer
        elif how == 1:
            body = sip.multipart(*parts * r.choice((2, 9, 100)), boundary=boundary)
        elif how == 2:
            body = body[:-len(boundary) - 6]	# not closed
        elif how == 3:
            body = body.replace(b"\r\n", r.choice((b"\n", b"\r")))
        elif how == 4:
            body = body.replace(b"Content-Type", r.choice((b"content-type ", b"X", b"Content-Type: a/b\r\nContent-Type", b" ")), 1)
        elif how == 5:
            body = body.replace(b"Content-Type", b"X-Pad: 1\r\n" * r.choice((5, 20, 2000)) + b"Content-Type", 1)
        elif how == 6:
            body = body.replace(b"Content-Type", b"Content-Transfer-Encoding: base64\r\nContent-Type", 1)
        elif how == 7:
            boundary = r.choice(("", "other", "torture-", "t" * 300, "a\"b", "tor ture", "--torture"))
        elif how == 8:
            body = b"--" + boundary.encode() + b"\r\n" * r.choice((1, 2, 4000)) + body
        elif how == 9:
            body = body.replace(b"recording-session", b"recording-session;handling=" + r.choice((b"required", b"optional", b"\"required", b"")), 1)
        quoted = r.choice(("%s", "\"%s\"", "%s;charset=x", "\"%s")) % boundary
        return f"multipart/mixed;boundary={quoted}", body

    # ---- what is done to them ----

    def octets(self, data):
        r = self.random
        out = bytearray(data)
        for _ in range(r.choice((1, 1, 2, 8))):
            at = r.randrange(len(out)) if out else 0
            how = r.randrange(5)
            if how == 0:
                out[at:at] = r.choice(ODD)
            elif how == 1:
                del out[at:at + r.choice((1, 2, 10, 100))]
            elif how == 2 and out:
                out[at] ^= 1 << r.randrange(8)
            elif how == 3:
                out[at:at] = out[at:at + r.choice((1, 20, 500))]
            else:
                out[at:at] = bytes([r.randrange(256)]) * r.choice((1, 10, 1000))
        return bytes(out)

    def line_i(self, head):
        return self.random.randrange(1, len(head)) if len(head) > 1 else 0

    def drop_line(self, head, body):
        i = self.line_i(head)
        return (head[:i] + head[i + 1:] if i else head), body

    def double_line(self, head, body):
        i = self.line_i(head)
        return head[:i] + [head[i]] * self.random.choice((2, 2, 3, 300)) + head[i + 1:], body

    def shuffle_lines(self, head, body):
        rest = head[1:]
        self.random.shuffle(rest)
        return head[:1] + rest, body

    def fold_line(self, head, body):
        i = self.line_i(head)
        name, colon, value = head[i].partition(b":")
        fold = self.random.choice((b"\r\n ", b"\r\n\t", b"\n ", b"\r\n \r\n ", b" \r\n    "))
        return head[:i] + [name + self.random.choice((b"", b" ", b"\t", fold)) + colon + fold + value.replace(b" ", fold)] + head[i + 1:], body

    def bend_line(self, head, body):
        i = self.line_i(head)
        return head[:i] + [self.octets(head[i])] + head[i + 1:], body

    def compact_line(self, head, body):
        i = self.line_i(head)
        short = {b"via": b"v", b"from": b"f", b"to": b"t", b"call-id": b"i", b"contact": b"m", b"content-type": b"c", b"content-length": b"l"}
        name, colon, value = head[i].partition(b":")
        return head[:i] + [short.get(name.lower(), name.upper()) + self.random.choice((b"", b" ", b"\t ")) + colon + value] + head[i + 1:], body

    def odd_header(self, head, body):
        """A known header with a value that somebody's parser once fell over; in its place, or beside it."""
        r = self.random
        name = r.choice(list(HEADERS))
        values = HEADERS[name] or tuple(f"{n} {r.choice(METHODS)}" for n in NUMBERS)
        line = f"{name}: {r.choice(values)}".encode("latin-1")
        same = [i for i in range(1, len(head)) if head[i].lower().startswith(name.lower().encode() + b":")]
        if same and r.random() < 0.7:
            return head[:same[0]] + [line] + head[same[0] + 1:], body
        i = self.line_i(head) or 1
        return head[:i] + [line] + head[i:], body

    def many_headers(self, head, body):
        r = self.random
        line = r.choice((b"X-A: b", b"Via: SIP/2.0/UDP h;branch=z9hG4bKx", b"Record-Route: <sip:p;lr>", b"Route: <sip:p;lr>", b"Require: a", b"X:", b":", b"x"))
        return head + [line] * r.choice((10, 100, 255, 300)), body

    def long_header(self, head, body):
        r = self.random
        size = r.choice((1000, 4096, 30000)) if self.client.transport == "udp" else r.choice((4096, 65000, 70000))
        return head + [b"X-Long: " + r.choice((b"a", b" ", b",", b"\"", b"\\", b";a=b", b"<", b"(")) * size][:1], body

    def start_line(self, head, body):
        r = self.random
        words = [r.choice(METHODS), r.choice(URIS + ("sip:srs@127.0.0.1",)), r.choice(VERSIONS)]
        keep = head[0].decode("latin-1").split(" ")
        for i in range(3):
            if r.random() < 0.6 and i < len(keep):
                words[i] = keep[i]
        line = r.choice((" ", " ", " ", "  ", "\t", "")).join(words)
        return [(r.choice(("", "", "", " ", "\r\n", "\0")) + line).encode("latin-1")] + head[1:], body

    def content_length(self, head, body):
        value = self.random.choice(NUMBERS + (str(len(body) + 1), str(len(body) + 40000), str(max(0, len(body) - 1)), str(len(body) // 2)))
        head = [line for line in head if not re.match(rb"(?i)(content-length|l)\s*:", line)]
        return head + [b"Content-Length: " + value.encode()] * self.random.choice((1, 1, 2)), body

    def cut_body(self, head, body):
        return head, body[:self.random.randrange(len(body))] if body else body

    def bend_body(self, head, body):
        return head, self.octets(body) if body else body

    def long_body(self, head, body):
        size = self.random.choice((100, 1000, 20000)) if self.client.transport == "udp" else self.random.choice((100, 1000, 20000, BODY_MAX))
        piece = self.random.choice((b"\0", b"x", b"--torture\r\n", b"m=audio 1 RTP/AVP 0\r\n", b"<a/>", b"\r\n"))
        return head, body + piece * (size // len(piece))

    def other_type(self, head, body):
        kinds = HEADERS["Content-Type"] + ("application/sdp", "application/rs-metadata+xml", "application/media_control+xml", "application/dtmf-relay")
        kind = self.random.choice(kinds).encode("latin-1")
        return [line for line in head if not line.lower().startswith(b"content-type")] + [b"Content-Type: " + kind], body


MUTATIONS = (Torture.drop_line, Torture.double_line, Torture.shuffle_lines, Torture.fold_line, Torture.bend_line, Torture.compact_line,
             Torture.odd_header, Torture.odd_header, Torture.odd_header, Torture.many_headers, Torture.long_header, Torture.start_line,
             Torture.start_line, Torture.content_length, Torture.cut_body, Torture.bend_body, Torture.long_body, Torture.other_type)


def main():
    class Nobody:
        address, port, transport = "192.0.2.1", 5060, "udp"
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="1")
    parser.add_argument("--transport", default="udp", choices=("udp", "tcp", "tls"))
    parser.add_argument("--number", type=int)
    parser.add_argument("--show", type=int, default=0)
    options = parser.parse_args()
    Nobody.transport = options.transport
    torture = Torture(options.seed, Nobody)
    if options.number is not None:
        sys.stdout.buffer.write(torture.message(options.number)[0])
    for number in range(options.show):
        data, done, _ = torture.message(number)
        print(f"#{number} {' '.join(done)}\n{data[:600]!r}")


if __name__ == "__main__":
    main()
