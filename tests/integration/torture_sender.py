"""Sends the messages of torture.py, many at a time, and behaves well in everything else: acknowledges what is answered,
ends what was accepted, answers what the recorder asks. Each so many messages the recorder must answer an OPTIONS."""

import collections
import select
import socket
import ssl
import time

import sip_client as sip
from recorder import check
from torture import Session, Torture

PING_EACH = 16
SESSION_LIFE = 200	# messages that may go into one dialog before another one takes its place
CSEQ_LAST = 2147483647	# no torture can have raised it above this (RFC 3261 §8.1.1.5)
ANSWER_S = 20		# a busy machine is no fault


class Sender:
    """One transport's worth of torture against a recorder."""

    def __init__(self, recorder, transport, seed):
        self.port = recorder.tls_port if transport == "tls" else recorder.port
        self.transport, self.seed, self.media_address = transport, seed, recorder.host
        self.statuses = collections.Counter()
        self.sent = 0
        self.pings = 0
        self.client = None
        self.accepted = {}	# (Call-ID, tag): the BYE of what was accepted, until its answer
        self.session, self.session_sent = None, 0
        self.well_behaved = sip.Client(recorder.port, "udp")	# asks whether it still lives, and opens the dialogs
        self.connect()
        self.torture = Torture(seed, self.client)

    def connect(self):
        if self.client is not None:
            self.client.close()
        self.client = sip.Client(self.port, self.transport)
        self.client.socket.settimeout(ANSWER_S)
        if hasattr(self, "torture"):
            self.torture.client = self.client

    def close(self):
        self.end_session()
        self.client.close()
        self.well_behaved.close()

    # ---- what is right ----

    def ping(self):
        self.pings += 1
        answer = self.insist(sip.request(self.well_behaved, "OPTIONS", f"alive-{self.seed}-{self.transport}-{self.pings}", 1))
        check(answer.status in (200, 503), f"{answer.status} to OPTIONS")

    def insist(self, data):
        """A good request and its answer. UDP may lose either: the kernel's queue of the listener is full of torture."""
        for _ in range(8):
            answer = self.well_behaved.ask(data, wait_s=ANSWER_S / 8)
            if answer is not None:
                return answer
        check(False, f"no answer to {data[:40]} behind {self.transport} message {self.sent} of seed {self.seed}")

    def open_session(self):
        """A dialog that lives, for what is sent inside one."""
        call_id = f"victim-{self.seed}-{self.transport}-{self.sent}"
        data = sip.invite(self.well_behaved, call_id, sip.sdp(self.media_address, [(4000, "1"), (4002, "2")]),
                          sip.rs_metadata(["A", "B"], ["1", "2"]))
        answer = self.insist(data)
        self.well_behaved.send(sip.ack_for(data, answer))
        self.session = Session(call_id, "src", answer.tag("To", "t"), 1) if answer.status == 200 else None
        self.session_sent = 0

    def end_session(self):
        if self.session is not None:
            s = self.session
            answer = self.insist(sip.request(self.well_behaved, "BYE", s.call_id, CSEQ_LAST, to_tag=s.to_tag, contact=""))
            check(answer.status in (200, 481), f"{answer.status} to the BYE of {s.call_id}: {answer.header('Warning')}")
        self.session = None

    def answer(self, m):
        """To what the recorder sent on the torturer's own socket."""
        if m.status is None:
            if m.method not in ("", "ACK"):
                self.reply(sip.plain_answer(m))
            return
        self.statuses[m.status] += 1
        number, method = m.cseq
        call_id = m.header("Call-ID", "i")
        key = (call_id, m.tag("To", "t"))
        if m.status >= 200 and method == "BYE":
            self.accepted.pop(key, None)
        if m.status < 200 or method != "INVITE":
            return
        lines = [f"Via: {m.header('Via', 'v')}", "Max-Forwards: 70", f"From: {m.header('From', 'f')}", f"To: {m.header('To', 't')}",
                 f"Call-ID: {call_id}"]
        if m.status < 300:
            lines[0] += "a"
        self.reply(text_of("ACK", lines, number))
        if m.status < 300 and (self.session is None or key != (self.session.call_id, self.session.to_tag)):
            lines[0] += "b"
            self.accepted[key] = text_of("BYE", lines, CSEQ_LAST)
            self.reply(self.accepted[key])

    def reply(self, data):
        try:
            self.client.send(data)
        except OSError:
            pass	# it closed meanwhile

    # ---- what is wrong ----

    def drain(self, wait_s=0.0):
        """Take what has come. False: the connection is over."""
        end = time.monotonic() + wait_s
        c = self.client
        while True:
            if c.transport != "udp":
                whole = c._cut()
                if whole is not None:
                    self.answer(sip.Message(whole))
                    continue
            waiting = getattr(c.socket, "pending", lambda: 0)() > 0
            if not waiting and not select.select([c.socket], [], [], max(0, end - time.monotonic()))[0]:
                return True
            try:
                c.socket.settimeout(0)
                data = c.socket.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                continue	# a record that holds nothing for us, as TLS 1.3 sends them
            except OSError:
                return False
            finally:
                c.socket.settimeout(ANSWER_S)
            if c.transport == "udp":
                self.answer(sip.Message(data))
            elif not data:
                return False
            else:
                c.pending += data

    def send_one(self, number):
        if self.session is None or self.session_sent >= SESSION_LIFE:
            self.end_session()
            self.open_session()
        data, _, framed = self.torture.message(number, self.session)
        self.sent += 1
        self.session_sent += 1
        try:
            self.client.send(data)
            alive = self.drain(0 if framed or self.transport == "udp" else 0.01)
        except OSError:
            alive = False
        if self.transport != "udp" and not (alive and framed):
            self.connect()	# what comes behind a wrong length would be its body

    def run(self, first, n):
        for number in range(first, first + n):
            self.send_one(number)
            if number % PING_EACH == 0:
                self.ping()
        for _ in range(50):	# UDP, and connections that ended, may have lost a BYE or its answer
            if not self.drain(0.1):
                self.connect()
            if not self.accepted:
                break
            for bye in list(self.accepted.values())[:50]:
                self.reply(bye)
        check(not self.accepted, f"no answer to BYE: {list(self.accepted)[:3]}")
        self.ping()


def text_of(method, lines, cseq):
    head = [f"{method} sip:srs@127.0.0.1 SIP/2.0", *lines, f"CSeq: {cseq} {method}", "Content-Length: 0"]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
