"""SIPp (Debian's sip-tester) as a recording client that this project did not write: its RTP, played from a capture of
G.711 speech through the tap, must come back sample for sample."""

import os
import subprocess

import speech
from recorder import ROOT, check

SCENARIO = os.path.join(ROOT, "tests", "integration", "sipp", "siprec_pcap.xml")
LEAD_SAMPLES_MAX = 160	# silence before the first packet: none is due, 20 ms are borne


def sipp(recorder, folder, seconds, transport):
    done = subprocess.run(
        ["sipp", f"{recorder.host}:{recorder.port}", "-sf", SCENARIO, "-m", "1", "-d", str(int(seconds * 1000) + 200),
         "-i", recorder.host, "-mi", recorder.host, "-mp", "20000", "-t", transport, "-nostdin", "-timeout", "60",
         "-trace_err", "-error_file", os.path.join(folder, "sipp-errors.log")],
        cwd=folder, capture_output=True, text=True, timeout=90)
    log = os.path.join(folder, "sipp-errors.log")
    why = open(log).read()[-800:] if os.path.exists(log) else done.stderr[-400:]
    check(done.returncode == 0, f"SIPp ended with {done.returncode}: {why} log: {recorder.log_tail(4)}")


def compare(exported, coded):
    rate, channels = speech.read_wav(exported)
    check(rate == 8000, f"sample rate {rate}")
    want = speech.ulaw_decode(coded)
    check(len(channels) == 1, f"{len(channels)} channels for one stream")
    got = channels[0]
    at = got.tobytes().find(want.tobytes())
    check(at >= 0, f"the {len(want)} samples that SIPp played are not in the {len(got)} exported ones as they were")
    check(at % 2 == 0 and at // 2 <= LEAD_SAMPLES_MAX, f"{at // 2} samples before the first")
    check(not any(got[:at // 2]), "what stands before the first sample is not silence")
    check(abs(len(got) - len(want)) <= LEAD_SAMPLES_MAX, f"{len(got)} samples for {len(want)}: not time-true")


def test_sipp_speech_comes_back_sample_for_sample(context):
    with context.recorder() as r:
        for n, (transport, voice) in enumerate((("u1", "en-us+m3"), ("t1", "en-gb+f4"))):
            folder = os.path.join(r.folder, f"sipp-{transport}")
            os.mkdir(folder)
            coded = speech.spoken(folder, "speech", voice, "Every packet is in the recording, or it is counted as missing.")
            check(len(coded) > 8000, "espeak-ng said nothing")
            # sequence numbers and timestamps wrap on the way
            speech.write_capture(os.path.join(folder, "capture.pcap"), coded, 0x1234567 + n, 65500, 0xffffffff - 8000)
            sipp(r, folder, len(coded) / 8000, transport)
            rows = r.wait_sealed(n + 1)
            row = max(rows, key=lambda x: x["started_wall_ns"])
            shown = r.tool("recordings", "show", row["id"], "--json")
            check(sum(s["recorded"] for s in shown["streams"]) == len(coded) // speech.FRAME,
                  f"{shown['streams']} for {len(coded) // speech.FRAME} packets")
            check(len(shown["participants"]) == 2, f"participants: {shown['participants']}")
            exported = os.path.join(folder, "out.wav")
            r.tool("export", row["id"], "--format", "wav", "--output", exported)
            compare(exported, coded)
