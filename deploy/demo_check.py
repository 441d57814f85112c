"""demo_check.py CALL.wav LEFT.wav RIGHT.wav: does each channel of the export say what its speaker said?

Correlation of each channel with its source at least 0.95 at the best alignment within 20 ms, and the length of the
export within 20 ms of the longer speaker. Standard library only. Exit status 1 when one does not hold."""

import array
import sys
import wave

RATE = 8000
SLACK = RATE * 20 // 1000


def read(path):
    with wave.open(path) as f:
        if f.getframerate() != RATE or f.getsampwidth() != 2:
            sys.exit(f"{path}: expected 8000 Hz, 16 bit")
        samples = array.array("h", f.readframes(f.getnframes()))
        return [samples[i :: f.getnchannels()] for i in range(f.getnchannels())]


def correlation(a, b):
    n = min(len(a), len(b))
    if n == 0:
        return 0.0
    mean_a, mean_b = sum(a[:n]) / n, sum(b[:n]) / n
    ab = aa = bb = 0.0
    for x, y in zip(a[:n], b[:n]):
        x -= mean_a
        y -= mean_b
        ab += x * y
        aa += x * x
        bb += y * y
    return ab / (aa * bb) ** 0.5 if aa > 0 and bb > 0 else 0.0


def best(channel, source):
    """(correlation, shift in samples) at the best alignment; zero shift first, since it is the usual one."""
    found = (correlation(channel, source), 0)
    for shift in [s for k in range(1, SLACK + 1) for s in (k, -k)]:
        if found[0] >= 0.95:
            break
        a, b = (channel[shift:], source) if shift > 0 else (channel, source[-shift:])
        found = max(found, (correlation(a, b), shift))
    return found


def main():
    call, sources = read(sys.argv[1]), [read(p)[0] for p in sys.argv[2:]]
    ok = len(call) == len(sources)
    if not ok:
        print(f"the export has {len(call)} channels for {len(sources)} speakers")
    for i, (channel, source) in enumerate(zip(call, sources)):
        r, shift = best(channel, source)
        ok = ok and r >= 0.95
        print(f"channel {i + 1}: correlation {r:.4f} with {sys.argv[2 + i].rsplit('/', 1)[-1]}, shifted by {shift * 1000 / RATE:.1f} ms"
              + ("" if r >= 0.95 else " - below 0.95"))
    length, longest = len(call[0]), max(len(s) for s in sources)
    close = abs(length - longest) <= SLACK
    print(f"length {length / RATE:.3f} s for {longest / RATE:.3f} s spoken" + ("" if close else " - more than 20 ms apart"))
    sys.exit(0 if ok and close else 1)


main()
