"""Kamailio (Debian) as an outbound proxy between a recording client and the recorder: TLS on both sides, record-routing. One
call is held and ended by the client, one is paused and ended by the recorder; all of it passes the proxy."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

import sip_client as sip
from certificates import Authority
from recorder import check, free_port

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
tcp_children=2
disable_tcp=no
enable_tls=yes
auto_aliases=no
user_agent_header="User-Agent: proxy"
listen=tls:127.0.0.1:{port}
tcp_connection_lifetime=300
loadmodule "tls.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
modparam("tls", "config", "{folder}/tls.cfg")
modparam("rr", "enable_double_rr", 0)
request_route {{
	if (!mf_process_maxfwd_header("10")) {{
		sl_send_reply("483", "Too Many Hops");
		exit;
	}}
	append_hf("X-Passed: proxy\\r\\n");
	if (has_totag()) {{
		if (loose_route()) {{
			t_relay();
			exit;
		}}
		if (is_method("ACK") && t_check_trans())
			t_relay();
		exit;
	}}
	record_route();
	$du = "sip:127.0.0.1:{target};transport=tls";
	t_relay();
}}
"""
TLS = """[server:default]
method = TLSv1.2+
certificate = {certificate}
private_key = {key}
ca_list = {ca}
verify_certificate = no
require_certificate = no
[client:default]
method = TLSv1.2+
certificate = {certificate}
private_key = {key}
ca_list = {ca}
verify_certificate = yes
require_certificate = yes
"""


class Proxy:
    def __init__(self, folder, authority, recorder):
        self.folder, self.port = folder, free_port()
        certificate, key = authority.issue("proxy", "DNS:srs.example.com,IP:127.0.0.1")
        with open(os.path.join(folder, "tls.cfg"), "w") as f:
            f.write(TLS.format(certificate=certificate, key=key, ca=authority.certificate))
        with open(os.path.join(folder, "proxy.cfg"), "w") as f:
            f.write(CONFIG.format(port=self.port, folder=folder, target=recorder.tls_port))

    def __enter__(self):
        self.log = open(os.path.join(self.folder, "proxy.log"), "w+")
        self.process = subprocess.Popen(["kamailio", "-DD", "-E", "-f", os.path.join(self.folder, "proxy.cfg"), "-w", self.folder, "-Y", self.folder,
                                         "-P", os.path.join(self.folder, "pid"), "-m", "32", "-M", "4"], stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                sip.Client(self.port, "tls").close()
                return self
            except OSError:
                check(self.process.poll() is None, f"kamailio ended at its start: {self.said()}")
                time.sleep(0.1)
        check(False, f"kamailio does not listen: {self.said()}")

    def said(self):
        self.log.flush()
        with open(self.log.name) as f:
            return f.read()[-1500:]

    def __exit__(self, kind, error, trace):
        os.killpg(self.process.pid, signal.SIGTERM)	# it and its children: the group is its own
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.log.close()


def offer(recorder, direction="sendonly", version=1):
    text = sip.sdp(recorder.host, [(30000, "1")]).replace(b"sendonly", direction.encode())
    return text.replace(b"o=src 1 1", f"o=src 1 {version}".encode())


class Dialog:
    """The client's side of a dialog through the proxy: its route set and the recorder's Contact."""

    def __init__(self, client, call_id, recorder):
        self.client, self.call_id, self.cseq = client, call_id, 1
        self.data = sip.invite(client, call_id, offer(recorder), sip.rs_metadata(["Alice"], ["1"]))
        self.answer = client.ask(self.data)
        check(self.answer is not None and self.answer.status == 200, f"INVITE through the proxy: {self.answer and self.answer.start}")
        self.tag = self.answer.tag("To", "t")
        routes = self.answer.all("Record-Route")
        check(len(routes) == 1 and "lr" in routes[0], f"the answer does not keep the proxy's Record-Route: {routes}")
        self.routes = [f"Route: {r}" for r in reversed(routes)]
        self.target = self.answer.header("Contact", "m").split("<")[1].split(">")[0]
        self.ack(1)

    def ack(self, cseq):
        self.client.send(sip.request(self.client, "ACK", self.call_id, cseq, to_tag=self.tag, uri=self.target, contact="", lines=self.routes,
                                     branch=f"{self.call_id}ack{cseq}"))

    def ask(self, method, body=b""):
        self.cseq += 1
        lines = self.routes + (["Content-Type: application/sdp"] if body else [])
        answer = self.client.ask(sip.request(self.client, method, self.call_id, self.cseq, to_tag=self.tag, uri=self.target, lines=lines, body=body))
        check(answer is not None, f"{method} through the proxy was not answered")
        if method == "INVITE":
            self.ack(self.cseq)
        return answer


def next_request(client, recorder, said, wait_s=10):
    """What the recorder sends of its own, answers aside."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        m = client.receive(end - time.monotonic())
        if m is None:
            break
        if m.status is None and m.method != "ACK":
            return m
    check(False, f"no request of the recorder came through the proxy: {recorder.log_tail(6)} {said()}")


def test_kamailio_in_front_with_tls_and_record_routing(context):
    if shutil.which("kamailio") is None:
        context.skip("kamailio is absent")
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder)
        with context.recorder(**authority.settings()) as r, Proxy(folder, authority, r) as proxy, \
                sip.Client(proxy.port, "tls", tls=authority.context(), address="127.0.0.1") as client:
            # hold, resume and BYE from the client
            d = Dialog(client, "proxied-by-client", r)
            for version, direction, want in ((2, "inactive", b"a=inactive"), (3, "sendonly", b"a=recvonly")):
                answer = d.ask("INVITE", offer(r, direction, version))
                check(answer.status == 200 and want in answer.body, f"{direction}: {answer.start} {answer.body}")
            check(d.ask("BYE").status == 200, "BYE from the client")
            # pause and BYE from the recorder
            d = Dialog(client, "proxied-by-recorder", r)
            session = [s for s in r.get("/api/v1/sessions")[1]["sessions"] if s["call_id"] == d.call_id][0]
            check(r.tool("sessions", "pause", session["id"], expect=None)[0] == 0, "pause")
            m = next_request(client, r, proxy.said)
            check(m.method in ("INVITE", "UPDATE") and m.header("X-Passed") == "proxy" and b"a=inactive" in m.body, f"{m.start}: {m.data}")
            ours = sip.plain_answer(m).replace(b"Content-Length: 0\r\n\r\n", b"")
            body = offer(r, "inactive", 2)
            contact = f"Contact: <sip:src@{client.address}:{client.port};transport=tls>;+sip.src"
            record = "".join(f"Record-Route: {x}\r\n" for x in m.all("Record-Route"))
            client.send(ours + f"{record}{contact}\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            r.tool("sessions", "end", session["id"], expect=None)
            m = next_request(client, r, proxy.said)
            check(m.method == "BYE" and m.header("X-Passed") == "proxy", f"{m.start}: {m.data}")
            client.send(sip.plain_answer(m))
            rows = r.wait_sealed(2)
            check({row["call_id"] for row in rows} == {"proxied-by-client", "proxied-by-recorder"}, f"{rows}")
            check(r.process.poll() is None, f"the recorder died: {r.log_tail()}")
