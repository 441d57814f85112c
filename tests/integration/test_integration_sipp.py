"""A SIPREC client that we did not write: Debian's SIPp, with a G.711 capture made here, through the tap."""

import os
import random
import shutil
import struct
import subprocess
import wave

from recorder import check

HERE = os.path.dirname(os.path.abspath(__file__))
PACKETS = 100


def capture_write(path, payloads):
    """A pcap of one RTP stream: Ethernet, IPv4, UDP, RTP with PCMU each 20 ms."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for i, payload in enumerate(payloads):
            rtp = struct.pack(">BBHII", 0x80, 0x80 if i == 0 else 0, 1000 + i, 160 * i, 0x51BBA5ED) + payload
            udp = struct.pack(">HHHH", 6000, 6000, 8 + len(rtp), 0) + rtp
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0,
                             bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])) + udp
            frame = bytes(12) + b"\x08\x00" + ip
            f.write(struct.pack("<IIII", 1700000000 + i // 50, i % 50 * 20000, len(frame), len(frame)) + frame)


def sipp_call(r, transport):
    payloads = [random.Random(f"{transport}{i}").randbytes(160) for i in range(PACKETS)]
    capture_write(os.path.join(r.folder, "call.pcap"), payloads)
    shutil.copy(os.path.join(HERE, "sipp", "siprec.xml"), r.folder)
    done = subprocess.run(["sipp", "-sf", "siprec.xml", "-m", "1", "-t", transport, "-i", r.host, "-mi", r.host,
                           "-mp", "6000", "-timeout", "30", "-trace_err", "-nostdin", f"127.0.0.1:{r.port}"],
                          cwd=r.folder, capture_output=True, text=True, timeout=60)
    errors = "".join(open(os.path.join(r.folder, f), errors="replace").read()[-600:]
                     for f in os.listdir(r.folder) if f.endswith("_errors.log"))
    check(done.returncode == 0, f"sipp over {transport} ended with {done.returncode}: {errors} log: {r.log_tail()}")
    return payloads


def ulaw(byte):
    """ITU-T G.711 mu-law to 16 bit linear."""
    byte = ~byte & 0xFF
    magnitude = (((byte & 0x0F) << 3) + 0x84 << (byte >> 4 & 7)) - 0x84
    return -magnitude if byte & 0x80 else magnitude


def recorded_by_sipp(context, transport):
    with context.recorder() as r:
        payloads = sipp_call(r, transport)
        rows = r.wait_sealed(1)
        check(rows[0]["reason"] == "bye", f"sealed because of {rows[0]['reason']}")
        check(rows[0]["missing"] == 0, f"{rows[0]['missing']} frames were lost here")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
        check(status == 0, f"reel.py verify: {text[-400:]}")
        shown = r.tool("recordings", "show", rows[0]["id"], "--json")
        recorded = sum(s["recorded"] for s in shown["streams"])
        check(recorded == PACKETS, f"{recorded} RTP packets of {PACKETS} played")
        check([p["name"] for p in shown["participants"]] == ["Carol"], f"participants: {shown['participants']}")
        wav = os.path.join(r.folder, "call.wav")
        r.tool("export", rows[0]["id"], "--format", "wav", "--output", wav)
        with wave.open(wav) as f:
            check((f.getframerate(), f.getnchannels()) == (8000, 1), f"{f.getnchannels()} channels at {f.getframerate()}")
            samples = f.readframes(f.getnframes())
        played = b"".join(struct.pack("<h", ulaw(b)) for p in payloads for b in p)
        check(played in samples, f"the {len(played) // 2} samples that were played are not in the {len(samples) // 2} exported")


def test_sipp_over_udp_sample_for_sample(context):
    recorded_by_sipp(context, "u1")


def test_sipp_over_tcp_sample_for_sample(context):
    recorded_by_sipp(context, "t1")
