"""The address that a STUN server (coturn) sees is written for clients beyond a NAT, and for no others."""

import os
import re
import shutil
import subprocess
import time

from recorder import check, free_port
from sip_client import Client, ack_for, invite, media_of, sdp
from test_integration_dns import Dns


class Addresses:
    """Addresses of this machine, on lo, that no list of private ones has."""

    def __init__(self, *addresses):
        self.addresses = addresses

    def __enter__(self):
        for a in self.addresses:
            subprocess.run(["ip", "addr", "replace", f"{a}/32", "dev", "lo"], check=True)
        return self

    def __exit__(self, kind, error, trace):
        for a in self.addresses:
            subprocess.run(["ip", "addr", "del", f"{a}/32", "dev", "lo"], check=False)


class Coturn:
    def __init__(self, folder, address):
        self.port = free_port()
        self.log = open(os.path.join(folder, "turnserver.log"), "wb")
        self.process = subprocess.Popen(["turnserver", "-n", "--stun-only", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp",
                                         f"--listening-ip={address}", f"--listening-port={self.port}", "--log-file=stdout",
                                         "--simple-log", f"--pidfile={folder}/turnserver.pid", f"--userdb={folder}/turndb"],
                                        stdout=self.log, stderr=self.log, cwd=folder)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def wait_known(r, wait_s=10):
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        status, document = r.get("/stun-status")
        if status == 200 and document["state"] == "known":
            return document
        time.sleep(0.2)
    raise AssertionError(f"/stun-status says {document}: {r.log_tail(3)}")


def call(r, client, call_id):
    """(connection address of the answer, origin address, Contact)"""
    client.target = (r.host, r.port)	# an address of ours that is private
    data = invite(client, call_id, sdp(r.host, [(20000, "1")]))
    answer = client.ask(data)
    check(answer is not None and answer.status == 200, f"{call_id}: {answer and answer.status}")
    client.send(ack_for(data, answer))
    origin = re.search(rb"^o=.* (\S+)\r?$", answer.body, re.M).group(1).decode()
    return media_of(answer.body)[0][0], origin, answer.header("Contact")


def test_what_coturn_sees_is_written_for_clients_beyond_the_nat(context):
    if shutil.which("turnserver") is None:
        context.skip("no turnserver")
    r = context.recorder()
    n = r.net.split(".")[2]
    outside, client_address = f"203.0.113.{n}", f"198.51.100.{n}"
    with Addresses(outside, client_address), Coturn(r.folder, outside) as server, \
            Dns(f"--host-record=stun.example,{outside},300") as dns:
        r.settings.update({"stun.server": f"stun.example:{server.port}", "sip.dns_servers": f"127.0.0.1:{dns.port}"})
        with r:
            document = wait_known(r)
            check(document["address"] == outside and document["server"] == f"stun.example:{server.port}", f"{document}")
            check(document["error"] == "" and 0 <= document["age_s"] < 10, f"{document}")
            with Client(r.port, address=client_address) as far, Client(r.port) as near:
                connection, origin, contact = call(r, far, "far@src")
                check(connection == origin == outside, f"c={connection} o={origin} for a client beyond the NAT")
                check(f"@{outside}:{r.port}" in contact, f"Contact for a client beyond the NAT: {contact}")
                connection, origin, contact = call(r, near, "near@src")
                check(connection == origin == r.media, f"c={connection} o={origin} for a client in our network")
                check(f"@{r.host}:{r.port}" in contact, f"Contact for a client in our network: {contact}")


def test_stun_status_says_why_it_is_off(context):
    with context.recorder() as r:
        status, document = r.get("/stun-status")
        check(status == 200 and document["state"] == "off" and not document["enabled"], f"{document}")
        check("stun.server" in document["error"], f"{document}")
