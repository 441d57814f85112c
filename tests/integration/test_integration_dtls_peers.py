"""DTLS-SRTP against the stacks of others, and who must not get in: OpenSSL's and GnuTLS's own programs shake hands and ffmpeg
sends with the keys that they print; wrong certificates, strangers, more handshakes than there may be."""

import base64
import concurrent.futures
import datetime
import itertools
import os
import re
import socket
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import sip_client as sip
from recorder import check
from srtp_call import Peer, Run, check_balance, check_voices, exported, heard, noise

EXPORTER = "EXTRACTOR-dtls_srtp"
MATERIAL = 2 * (16 + 14)	# of the profiles with AES-CM
ports = itertools.count(22000 + os.getpid() % 400 * 20, 2)	# tests run side by side


HELLO = bytes.fromhex(	# an empty one, of DTLS 1.2, without a cookie
    "16fefd000000000000000000370100002b000000000000002bfefd" + "5a" * 32 + "00000002c02b0100")


def test_a_wrong_fingerprint_gets_nothing_recorded(context):
    with context.recorder() as r:
        sent = r.simulate("--dtls", "--wrong-fingerprint", "--duration", "2", expect=1)
        check(sent is not None, "no report")
        row = r.wait_sealed(1)[0]
        m = r.check_conservation()
        check(m["rx_recorded"] == 0 and m["session_dtls_keys"] == 0, f"{m['rx_recorded']:.0f} packets recorded")
        check(m["dtls_fingerprint_mismatches"] >= 1, "the mismatch was not counted")
        check(re.search(r"dtls_failed call_id=\S+ mline=\d peer=\S+ reason=fingerprint detail=\"sha-256 [0-9A-F:]{95}\" keys=none",
                        r.log_text()), f"no line about it: {r.log_tail()}")
        check(len(re.findall("dtls_failed", r.log_text())) == 1, "told more than once a call")
        check(1 <= row["deviations"] <= 2, f"{row['deviations']} deviations of two streams")
        status, text = r.reel_py("grep", "--keys", r.settings["keys.path"], first=b"not the certificate that".hex())
        check(status == 0 and text.strip(), f"not in the recording: {text}")


def test_strangers_hellos_disturb_nobody(context):
    with context.recorder() as r, concurrent.futures.ThreadPoolExecutor(1) as pool:
        run = pool.submit(Run, r, "--dtls", seconds=4)
        end = time.monotonic() + 10
        while not (ports := [s["port"] for x in r.get("/api/v1/sessions")[1]["sessions"] for s in x["streams"]]):
            check(time.monotonic() < end, "no call")
            time.sleep(0.02)
        sent = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((r.host, 0))
            while not run.done():
                for port in ports:
                    s.sendto(HELLO, (r.media, port))
                    sent += 1
                time.sleep(0.001)
        row = r.wait_sealed(1)[0]
        check_voices(r, row, run.result())
        m = check_balance(r, [run.result()])
        check(m["dtls_handshakes_started"] == m["dtls_handshakes_done"] == 2, f"{m['dtls_handshakes_started']:.0f} begun")
        check(m["rx_drop_dtls_rate"] + m["rx_drop_source"] > 0 and sent > 1000, f"{sent} hellos, none held back")


def test_too_many_handshakes_are_503(context):
    with context.recorder(srtp__dtls_handshakes_max=2) as r:
        offered = {i: (f"a=fingerprint:sha-256 {':'.join(['00'] * 32)}", "a=setup:actpass") for i in range(3)}
        peers = [Peer(r, f"many-{i}", 20000 + 2 * i, offered[i], "UDP/TLS/RTP/SAVP") for i in range(2)]
        with sip.Client(r.port) as client:
            offer = sip.sdp(r.host, [(20008, "1")], extra=offered[2]).replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVP")
            answer = client.ask(sip.invite(client, "many-2", offer))
            check(answer.status == 503 and answer.header("Retry-After").isdigit(), f"{answer.start}")
            check("srtp.dtls_handshakes_max" in answer.header("Warning"), answer.header("Warning"))
        for peer in peers:
            peer.end()
        r.wait_sealed(2)
        again = Peer(r, "many-3", 20000, offered[0], "UDP/TLS/RTP/SAVP")
        again.end()
        m = r.metrics()
        check(m["dtls_handshakes_refused"] == 1, f"{m['dtls_handshakes_refused']:.0f} refused")


# ---- the stacks of others ----

class Identity:
    """A certificate in the recorder's folder, and its fingerprint."""

    def __init__(self, r):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
        now = datetime.datetime(2020, 1, 1)
        cert = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=36500)) \
            .add_extension(x509.KeyUsage(True, *[False] * 8), True).sign(key, hashes.SHA256())
        self.cert, self.key = (os.path.join(r.folder, f) for f in ("peer.crt", "peer.key"))
        with open(self.cert, "wb") as f:
            f.write(cert.public_bytes(serialization.Encoding.PEM))
        with open(self.key, "wb") as f:
            f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        self.line = f"a=fingerprint:SHA-256 {cert.fingerprint(hashes.SHA256()).hex(':')}"


class Program:
    """A peer's program with its input held open, its output gathered until it says what is waited for."""

    def __init__(self, *args):
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def wait_for(self, pattern, wait_s=10):
        end = time.monotonic() + wait_s
        while True:
            self.text += (self.process.stdout.read() or b"").decode(errors="replace")
            found = re.search(pattern, self.text)
            if found:
                return found.group(1)
            check(time.monotonic() < end and self.process.poll() is None,
                  f"{self.process.args[0]} did not say {pattern}: {self.text[-800:]}")
            time.sleep(0.02)

    def end(self):
        self.process.kill()
        self.process.communicate()


def ffmpeg_speaks(r, peer, port, key, coded):
    """ffmpeg sends `coded` with this key from the port of the handshake."""
    source = os.path.join(r.folder, "noise.ul")
    with open(source, "wb") as f:
        f.write(coded)
    done = subprocess.run(
        ["ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-f", "mulaw", "-ar", "8000", "-ac", "1", "-i", source,
         "-c:a", "copy", "-f", "rtp", "-srtp_out_suite", "AES_CM_128_HMAC_SHA1_80", "-srtp_out_params",
         base64.b64encode(key).decode(), f"srtp://{peer.address}:{peer.port}?localaddr={r.host}&localrtpport={port}&pkt_size=182"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"ffmpeg ended with {done.returncode}: {done.stderr[-300:]}")


def foreign_handshake(context, setup, program, says=None, times=1):
    """Offer `setup`, let `program` shake hands (so many times in one call) and print its keys in hexadecimal letters as `says`
    has it, then let ffmpeg speak with the last ones. `program` makes the command line."""
    coded = noise(60)
    port = next(ports)
    with context.recorder() as r:
        own = Identity(r)
        started = Program(*program(r, own, None, port)) if setup == "passive" else None	# a server listens before
        peer = Peer(r, f"foreign-{setup}", port, (own.line, f"a=setup:{setup}"), "UDP/TLS/RTP/SAVP")
        check(peer.attributes["setup"] == ("active" if setup == "passive" else "passive"), f"{peer.attributes}")
        for n in range(times):
            started = started or Program(*program(r, own, peer, port))
            try:
                end = time.monotonic() + 8
                while r.metrics()["session_dtls_keys"] != n + 1:
                    check(time.monotonic() < end, f"no keys: {r.log_tail()}")
                    time.sleep(0.05)
                material = bytes.fromhex(started.wait_for(says)) if says else None
            finally:
                started.end()
            started = None
        if material is not None:
            client, server = (material[i * 16:i * 16 + 16] + material[32 + i * 14:32 + i * 14 + 14] for i in range(2))
            ffmpeg_speaks(r, peer, port, server if setup == "passive" else client, coded)
        r.settle()
        peer.end()
        row = r.wait_sealed(1)[0]
        if material is not None:
            packets = exported(r, row)
            check(b"".join(p for _, _, p in packets) == coded, f"{len(packets)} packets came back, not the same")
            heard(packets, coded)
            if not context.sanitized:	# there the map of the memory has no end
                left = r.memory_holds({"client's key": client[:16], "server's key": server[:16], "node": r.settings["node.name"].encode()})
                check(left == {"node"}, f"in memory after the call: {sorted(left)}")
        m = r.check_conservation()
        check(m["rx_drop_auth"] == 0 and m["dtls_handshakes_failed"] == 0, "rx_drop_auth or a failed handshake")


def openssl_client(r, own, peer, port):
    return ["openssl", "s_client", "-dtls1_2", "-connect", f"{peer.address}:{peer.port}", "-bind", f"{r.host}:{port}",
            "-cert", own.cert, "-key", own.key, "-use_srtp", "SRTP_AES128_CM_SHA1_80", "-keymatexport", EXPORTER,
            "-keymatexportlen", str(MATERIAL)]


def openssl_server(r, own, peer, port):
    return ["openssl", "s_server", "-dtls1_2", "-accept", f"{r.host}:{port}", "-cert", own.cert, "-key", own.key, "-Verify", "1",
            "-use_srtp", "SRTP_AES128_CM_SHA1_80", "-keymatexport", EXPORTER, "-keymatexportlen", str(MATERIAL)]


def gnutls_client(r, own, peer, port):
    return ["gnutls-cli", "--udp", "--no-ca-verification", "--x509certfile", own.cert, "--x509keyfile", own.key,
            "--srtp-profiles", "SRTP_AES128_CM_HMAC_SHA1_80", "--keymatexport", EXPORTER, "--keymatexportsize", str(MATERIAL),
            "-p", str(peer.port), peer.address]


def gnutls_server(r, own, peer, port):
    return ["gnutls-serv", "--udp", "-p", str(port), "--x509certfile", own.cert, "--x509keyfile", own.key, "--require-client-cert",
            "--srtp-profiles", "SRTP_AES128_CM_HMAC_SHA1_80", "--keymatexport", EXPORTER, "--keymatexportsize", str(MATERIAL)]


def test_openssl_as_client(context):
    foreign_handshake(context, "actpass", openssl_client, r"Keying material: ([0-9A-F]{120})")


def test_a_client_begins_anew_from_its_port(context):
    """It was killed and comes again: the association before hears nothing of it, the new keys take over."""
    foreign_handshake(context, "actpass", openssl_client, r"Keying material: ([0-9A-F]{120})", times=3)


def test_openssl_as_server(context):
    foreign_handshake(context, "passive", openssl_server, r"Keying material: ([0-9A-F]{120})")


def test_gnutls_as_client(context):
    foreign_handshake(context, "active", gnutls_client, r"(?i)Key material: ([0-9a-f]{120})")


def test_gnutls_as_server(context):
    foreign_handshake(context, "passive", gnutls_server)	# it keeps its keys to itself
