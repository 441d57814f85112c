"""rs-metadata as a recording client composes it, and calls that send it in mid-call."""

import base64
import hashlib

from sip_client import Call, ack_for, multipart, plain_answer, request


def uid(name):
    """16 octets in base64 (RFC 7865 §6.10), the same for the same name."""
    return base64.b64encode(hashlib.sha256(name.encode()).digest()[:16]).decode()


def document(*elements, datamode="complete"):
    body = "\r\n".join(elements)
    return ('<?xml version="1.0" encoding="UTF-8"?>\r\n<recording xmlns="urn:ietf:params:xml:ns:recording:1">\r\n'
            f"<datamode>{datamode}</datamode>\r\n{body}\r\n</recording>").encode()


def _times(associated, disassociated):
    return (f"<associate-time>{associated}</associate-time>" if associated else "") + \
        (f"<disassociate-time>{disassociated}</disassociate-time>" if disassociated else "")


def group(name, associated="", disassociated=""):
    return f'<group group_id="{uid(name)}">{_times(associated, disassociated)}</group>'


def session(name, *, group="", ids=(), start="", stop="", reason=""):
    return f'<session session_id="{uid(name)}">' + "".join(f"<sipSessionID>{i}</sipSessionID>" for i in ids) + \
        (f'<reason protocol="SIP" cause="200">{reason}</reason>' if reason else "") + \
        (f"<group-ref>{uid(group)}</group-ref>" if group else "") + \
        (f"<start-time>{start}</start-time>" if start else "") + (f"<stop-time>{stop}</stop-time>" if stop else "") + \
        "</session>"


def participant(name):
    return f'<participant participant_id="{uid(name)}"><nameID aor="sip:{name.lower()}@example.com">' \
           f"<name>{name}</name></nameID></participant>"


def stream(name, session, label):
    return f'<stream stream_id="{uid(name)}" session_id="{uid(session)}"><label>{label}</label></stream>'


def in_session(name, session, associated="", disassociated=""):
    return f'<participantsessionassoc participant_id="{uid(name)}" session_id="{uid(session)}">' \
           f"{_times(associated, disassociated)}</participantsessionassoc>"


def sends(name, *streams, associated="", disassociated=""):
    return f'<participantstreamassoc participant_id="{uid(name)}">' + "".join(f"<send>{uid(s)}</send>" for s in streams) + \
        f"{_times(associated, disassociated)}</participantstreamassoc>"


class Talk(Call):
    """A call whose metadata is given as a document, and that can send more of it."""

    def __init__(self, recorder, call_id, first, labels=("1", "2"), transport="udp", **more):
        super().__init__(recorder, call_id, labels=labels, names=None, transport=transport, metadata=first, **more)
        self.tag = self.answer.tag("To", "t") if self.answer else ""

    def ask(self, method, kind, body, lines=()):
        """A request of the dialog with this body; the final answer."""
        self.cseq += 1
        return self.client.ask(request(self.client, method, self.call_id, self.cseq, to_tag=self.tag,
                                       lines=["Content-Type: " + kind, "Content-Disposition: recording-session", *lines],
                                       body=body))

    def update(self, body):
        return self.ask("UPDATE", "application/rs-metadata+xml", body).status

    def info(self, body):
        return self.ask("INFO", "application/rs-metadata+xml", body).status

    def bye_with(self, body):
        """BYE that brings the last document (RFC 8068 §3.2.4)."""
        return self.ask("BYE", "multipart/mixed;boundary=capstan-test",
                        multipart(("application/rs-metadata+xml", body))).status

    def asked(self, status=None, wait_s=5):
        """The recorder's next request, answered 200, or with this status line."""
        if self.client.requests:
            return self.client.requests.pop(0)
        m = self.client.receive(wait_s)
        if m is None or m.status is not None:
            return None
        answer = plain_answer(m)
        self.client.send(answer if status is None else answer.replace(b"200 OK", status.encode(), 1))
        return m

    def reinvite(self, body=None, offer=None):
        """A re-INVITE with what is given, and its ACK: with our SDP when the 200 offered."""
        parts = ([("application/sdp", offer)] if offer else []) + ([("application/rs-metadata+xml", body)] if body else [])
        self.cseq += 1
        whole = request(self.client, "INVITE", self.call_id, self.cseq, to_tag=self.tag,
                        lines=["Require: siprec", "Content-Type: multipart/mixed;boundary=capstan-test"],
                        body=multipart(*parts))
        answer = self.client.ask(whole)
        ack = ack_for(whole, answer)
        if answer.status == 200 and offer is None:
            head = ack.replace(b"Content-Length: 0\r\n", b"Content-Type: application/sdp\r\nContent-Length: %d\r\n" %
                               len(self.offer))
            ack = head + self.offer
        self.client.send(ack)
        return answer
