"""Speech for tests: made by espeak-ng, brought to 8 kHz by sox, coded in G.711 by table (ITU-T G.711), and captures of
its RTP as SIPp plays them."""

import array
import os
import struct
import subprocess
import wave

import sip_client as sip

FRAME = 160		# samples of 20 ms


def _ulaw_value(code):
    """G.711 table 2a/2b: 8 segments of 16 steps, bits inverted on the wire."""
    code = ~code & 0xff
    value = (((code & 0x0f) << 3) + 0x84) << (code >> 4 & 7)
    return 0x84 - value if code & 0x80 else value - 0x84


ULAW = [_ulaw_value(code) for code in range(256)]
_CODE_OF = {value: code for code, value in reversed(list(enumerate(ULAW)))}
_LEVELS = sorted(_CODE_OF)


def _nearest_codes():
    """The code nearest to each 16-bit sample."""
    codes, level = bytearray(65536), 0
    for sample in range(-32768, 32768):
        while level + 1 < len(_LEVELS) and abs(_LEVELS[level + 1] - sample) <= abs(_LEVELS[level] - sample):
            level += 1
        codes[sample & 0xffff] = _CODE_OF[_LEVELS[level]]
    return bytes(codes)


_NEAREST = None


def ulaw_encode(samples):
    global _NEAREST
    if _NEAREST is None:
        _NEAREST = _nearest_codes()
    return bytes(_NEAREST[s & 0xffff] for s in samples)


def ulaw_decode(data):
    return array.array("h", [ULAW[b] for b in data])


def spoken(folder, name, voice, text):
    """Whole frames of G.711 of a sentence."""
    raw, wav = os.path.join(folder, f"{name}-raw.wav"), os.path.join(folder, f"{name}.wav")
    subprocess.run(["espeak-ng", "-v", voice, "-w", raw, text], check=True, capture_output=True)
    subprocess.run(["sox", raw, "-r", "8000", "-c", "1", "-b", "16", wav, "gain", "-n", "-3"], check=True, capture_output=True)
    with wave.open(wav) as w:
        samples = array.array("h", w.readframes(w.getnframes()))
    return ulaw_encode(samples[:len(samples) // FRAME * FRAME])


def _checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def write_capture(path, coded, ssrc, seq, timestamp):
    """RTP of G.711 frames, 20 ms apart, in a classic capture file."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(len(coded) // FRAME):
            packet = sip.rtp(seq + i, timestamp + i * FRAME, ssrc, coded[i * FRAME:(i + 1) * FRAME], marker=i == 0)
            udp = struct.pack(">HHHH", 6000, 6000, 8 + len(packet), 0) + packet
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), i & 0xffff, 0, 64, 17, 0,
                             bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
            ip = ip[:10] + struct.pack(">H", _checksum(ip)) + ip[12:]
            frame = bytes(12) + b"\x08\x00" + ip + udp
            f.write(struct.pack("<IIII", i * 20 // 1000, i * 20 % 1000 * 1000, len(frame), len(frame)) + frame)


def read_wav(path):
    """(sample rate, one array of samples a channel)."""
    with wave.open(path) as w:
        channels, rate = w.getnchannels(), w.getframerate()
        samples = array.array("h", w.readframes(w.getnframes()))
    return rate, [samples[c::channels] for c in range(channels)]
