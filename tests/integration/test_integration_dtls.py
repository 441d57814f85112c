"""DTLS-SRTP through the real server: every profile in both roles, faults, certificates, and GStreamer as the peer."""

import concurrent.futures
import json
import os
import subprocess
import sys

from recorder import check
from srtp_call import Peer, Run, check_balance, check_seals, check_voices, exported, heard, next_seed, noise, row_of

EARLY_MAX = 50	# packets of a stream within the second that a busy machine may need to put its keys in place; each is counted
PROFILES = {"SRTP_AES128_CM_SHA1_80": "AES_CM_128_HMAC_SHA1_80", "SRTP_AES128_CM_SHA1_32": "AES_CM_128_HMAC_SHA1_32",
            "SRTP_AEAD_AES_128_GCM": "AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM": "AEAD_AES_256_GCM"}


def test_dtls_every_profile_as_client_and_server(context):
    """The recorder answers passive where it may: its keys are in place before its last flight, and nothing is lost. Where
    the offer says passive it is the client and the sender's packets may overtake the sender's last flight: they are
    counted (rx_drop_no_key)."""
    ways = [(profile, setup) for profile in PROFILES for setup in ("actpass", "passive")]
    with context.recorder() as r, concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda way: Run(r, f"--dtls={way[0]}", "--setup", way[1]), ways))
        rows = r.wait_sealed(len(ways))
        for (profile, setup), run in zip(ways, runs):
            check(run.sent["suite"] == PROFILES[profile], f"{run.sent['suite']} for {profile}")
            check(run.sent["handshakes"] == 2, f"{run.sent['handshakes']} handshakes for two streams")
            check_voices(r, row_of(r, rows, run), run, all_but=2 * EARLY_MAX if setup == "passive" else 0)
        check_balance(r, runs, missed_max=len(PROFILES) * 2 * EARLY_MAX)
        check_seals(r, runs, rows)


def test_dtls_faults_balance_and_a_reinvite_keeps_the_association(context):
    with context.recorder() as r:
        run = Run(r, "--dtls", "--setup", "active", "--savpf", "--loss", "4", "--reorder", "4", "--duplicate", "4", "--replays", "6",
                  "--bad-tags", "6", "--rekey-at", "1", "--rekey-same", "--calls", "10", "--rate", "100", seconds=3)
        check(run.sent["handshakes"] == 20, f"{run.sent['handshakes']} handshakes")
        rows = r.wait_sealed(10)
        check_balance(r, [run])
        check_seals(r, [run], rows)


def test_dtls_certificate_without_its_fingerprint_records_nothing(context):
    with context.recorder() as r:
        for setup in ("active", "passive"):
            sent = r.simulate("--dtls", "--wrong-fingerprint", "--setup", setup, "--duration", "1", "--seed", next_seed(), expect=1)
            check("DTLS" in sent["failure"], f"the handshake did not fail: {sent['failure']}")
        r.settle()
        m = r.check_conservation()
        check(m["rx_recorded"] == 0, f"{m['rx_recorded']:.0f} packets recorded of a peer that is not who it says")


def test_dtls_strangers_and_forgers_disturb_no_live_stream(context):
    """Forged media, BYEs and ClientHellos from the address and port of the live association itself."""
    n = 5000 if context.sanitized else 30000
    with context.recorder() as r:
        run = Run(r, "--dtls", "--forge", str(n), seconds=3)
        check(run.sent["forged_dtls"] > 0, "no ClientHello was forged")
        check_voices(r, r.wait_sealed(1)[0], run)
        m = check_balance(r, [run])
        check(m["rx_dtls"] + m["rx_drop_dtls_rate"] > run.sent["forged_dtls"], "ClientHellos without a verdict")
        check(m["dtls_handshakes_started"] == 2, f"{m['dtls_handshakes_started']:.0f} handshakes: a stranger got past its cookie")


def gstreamer_python():
    """An interpreter with GStreamer's bindings: they belong to the system's."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst"],
                          capture_output=True).returncode == 0:
            return python
    check(False, "no Python here has GStreamer's bindings: apt-get install python3-gi gir1.2-gstreamer-1.0")


def gstreamer(context, setup, client):
    coded = noise(100)
    with context.recorder() as r:
        source = os.path.join(r.folder, "noise.ul")
        with open(source, "wb") as f:
            f.write(coded)
        driver = subprocess.Popen(
            [gstreamer_python(), os.path.join(os.path.dirname(os.path.abspath(__file__)), "gst_dtls.py"), "--local", r.host,
             "--g711", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            own = json.loads(driver.stdout.readline())
            peer = Peer(r, f"gstreamer-{setup}", own["port"],
                        ("a=rtcp-mux", f"a=setup:{setup}", f"a=fingerprint:{own['fingerprint']}"), "UDP/TLS/RTP/SAVP")
            check(peer.attributes.get("setup") == ("passive" if client else "active"), f"a=setup:{peer.attributes.get('setup')}")
            print(json.dumps({"address": peer.address, "port": peer.port, "client": client,
                              "fingerprint": peer.attributes["fingerprint"]}), file=driver.stdin, flush=True)
            result = json.loads(driver.stdout.readline())
            check(result["connected"] and not result["errors"], f"GStreamer: {result} log: {r.log_tail(4)}")
            check(result["not_reports"] == 0, f"RTCP of ours that is no report after GStreamer read it: {result}")
            check(result["fingerprint_matches"], "the recorder's certificate does not have the fingerprint of its answer")
            r.settle()
            peer.end()
        finally:
            driver.stdin.close()
            driver.wait(20)
            driver.stdout.close()
        row = r.wait_sealed(1)[0]
        spoken = heard(exported(r, row), coded)
        check(len(spoken) == result["sent"] == 100, f"{len(spoken)} packets came back of {result['sent']} that GStreamer sent")
        check(r.check_conservation()["rx_drop_auth"] == 0, "packets of GStreamer's did not authenticate")


def test_gstreamer_as_dtls_client_comes_back_bit_exact(context):
    gstreamer(context, "actpass", client=True)


def test_gstreamer_as_dtls_server_comes_back_bit_exact(context):
    gstreamer(context, "passive", client=False)
