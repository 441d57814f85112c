"""Requests of ours to a client that is a name: by SRV, once its connection is gone (RFC 3263)."""

import os
import shutil
import signal
import socket
import subprocess
import time

import sip_client as sip
from recorder import check, free_port


class Dns:
    """dnsmasq on loopback."""

    def __init__(self, *records):
        self.port = free_port()
        self.process = subprocess.Popen(["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                                         "--pid-file=", "--user=", "--bind-interfaces", "--listen-address=127.0.0.1",
                                         f"--port={self.port}", "--local=/example/", *records],
                                        stderr=subprocess.DEVNULL)
        time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.process.terminate()
        self.process.wait()


def accept_one(listener, wait_s):
    listener.settimeout(wait_s)
    try:
        return listener.accept()[0]
    except socket.timeout:
        return None


def test_bye_finds_the_client_by_srv(context):
    """The client's Contact is a name and its connection has closed: the BYE goes where SRV says."""
    if shutil.which("dnsmasq", path=os.environ["PATH"] + ":/usr/sbin") is None:
        context.skip("no dnsmasq")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        port = listener.getsockname()[1]
        with Dns("--host-record=node.example,127.0.0.1,300", f"--srv-host=_sip._tcp.sbc.example,node.example,{port},1,1") as dns, \
                context.recorder(sip__dns_servers=f"127.0.0.1:{dns.port}") as r:
            client = sip.Client(r.port, "tcp")
            data = sip.request(client, "INVITE", "by-name", 1, contact="", body=sip.sdp(r.host, [(20000, "1")]),
                               lines=["Contact: <sip:src@sbc.example;transport=tcp>;+sip.src", "Require: siprec",
                                      "Content-Type: application/sdp"])
            answer = client.ask(data)
            check(answer is not None and answer.status == 200, "INVITE")
            client.send(sip.ack_for(data, answer))
            time.sleep(0.5)
            client.close()
            time.sleep(0.2)
            r.process.send_signal(signal.SIGTERM)
            peer = accept_one(listener, 10)
            check(peer is not None, f"nobody came to where SRV points: {r.log_tail()}")
            peer.settimeout(5)
            text = peer.recv(65536)
            check(text.startswith(b"BYE sip:src@sbc.example;transport=tcp SIP/2.0\r\n"), text[:200])
            peer.sendall(sip.plain_answer(sip.Message(text)))
            r.process.wait(10)
            peer.close()
