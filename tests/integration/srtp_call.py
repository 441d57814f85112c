"""SRTP calls and what came of them: speakers of noise, their packets as the recorder exports them, and the sums that must
agree between the sender's report, the recorder's counters and the seals."""

import itertools
import os
import random
import wave

import sip_client as sip
import speech
from capture import udp_payloads
from recorder import check

CODES = [c for c in range(256) if c != 0x7f]	# 0x7f and 0xff are the same sample
numbers = itertools.count(1)


# ---- what is sent ----

def next_seed():
    """Calls of one seed have one Call-ID."""
    return str(next(numbers))


def noise(frames):
    """G.711 in which no two frames are the same."""
    return bytes(random.Random(next(numbers)).choices(CODES, k=frames * speech.FRAME))


def write_wav(path, coded):
    with wave.open(path, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(8000)
        w.writeframes(speech.ulaw_decode(coded).tobytes())
    return path


class Run:
    """One call of capstan-src with two speakers of noise: what they said and what it reports."""

    def __init__(self, recorder, *args, seconds=1.5, expect=0):
        self.voices = [noise(int(seconds * 50)) for _ in range(2)]
        paths = [write_wav(os.path.join(recorder.folder, f"noise-{next(numbers)}.wav"), v) for v in self.voices]
        self.sent = recorder.simulate("--wav", paths[0], "--wav", paths[1], "--seed", next_seed(), *args, expect=expect)


# ---- what was recorded ----

def exported(recorder, row):
    """(SSRC, timestamp, payload) of every RTP packet, in order of arrival."""
    path = os.path.join(recorder.folder, f"out-{next(numbers)}.pcapng")
    recorder.tool("export", row["id"], "--format", "pcapng", "--output", path)
    return [(int.from_bytes(p[8:12], "big"), int.from_bytes(p[4:8], "big"), p[12:]) for p in udp_payloads(path)
            if not 64 <= p[1] & 0x7f <= 95]


def heard(packets, voice):
    """Samples of `voice` that these packets of one SSRC hold, as positions of packets; none when another one spoke."""
    at = voice.find(packets[0][2])
    if at < 0:
        return set()
    out = set()
    for _, timestamp, payload in packets:
        offset = at + ((timestamp - packets[0][1] + 0x80000000) & 0xffffffff) - 0x80000000
        check(offset >= 0 and voice[offset:offset + len(payload)] == payload,
              f"a packet at sample {offset} is not what was sent there")
        check(offset not in out, f"the packet at sample {offset} stands twice in the recording")
        out.add(offset)
    return out


def check_voices(recorder, row, run, lost=0, all_but=0):
    """The recording holds what the call's speakers said, bit by bit, `lost` packets apart, at most `all_but` more."""
    by_source = {}
    for packet in exported(recorder, row):
        by_source.setdefault(packet[0], []).append(packet)
    found = [set(), set()]
    for packets in by_source.values():
        parts = [heard(packets, voice) for voice in run.voices]
        check(any(parts), "an SSRC that nobody of this call spoke under")
        for whole, part in zip(found, parts):
            check(not whole & part, "a packet stands twice, under two SSRCs")
            whole |= part
    n, of = sum(len(f) for f in found), sum(len(v) for v in run.voices) // speech.FRAME
    check(of - lost - all_but <= n <= of - lost, f"{n} packets came back of {of} that were spoken, {lost} lost on the way")


def row_of(recorder, rows, run):
    """The recording in which this call's speakers are heard."""
    for row in rows:
        packets = exported(recorder, row)
        if packets and any(packets[0][2] in voice for voice in run.voices):
            return row
    check(False, "a call is in no recording")


def seal_of(recorder, row):
    return recorder.tool("recordings", "show", row["id"], "--json")["streams"]


def check_balance(recorder, runs, missed_max=0):
    """What was sent of each kind against the recorder's counters. `missed_max`: packets that may have come before their
    key was known (rx_drop_no_key) or their rollover counter found (rx_drop_auth)."""
    total = {k: sum(run.sent[k] for run in runs) for k in runs[0].sent if isinstance(runs[0].sent[k], int)}
    recorder.settle()
    m = recorder.check_conservation()
    check(m["nic_missed"] == 0, f"the port lost {m['nic_missed']:.0f} packets: the machine is too slow for this test")
    unique, again = total["packets_made"] - total["dropped"], total["duplicated"] + total["replays"]
    missed = m["rx_drop_no_key"] + m["rx_drop_auth"] - total["bad_tags"] - total["forged"]
    check(0 <= missed <= missed_max, f"{missed:.0f} true packets failed for want of a key, or broken ones did not: {total}")
    paused = m["rx_drop_paused"]	# on the way when the hold began
    check(m["rx_recorded"] == unique - missed - paused,
          f"rx_recorded {m['rx_recorded']:.0f} of {unique}, {missed:.0f} without key, {paused:.0f} paused")
    twice = m["rx_drop_duplicate"] + m["rx_drop_late"]
    check(twice == again, f"rx_drop_duplicate and rx_drop_late {twice:.0f} of {again}")
    check(m["rx_drop_auth_rtcp"] == total["forged_rtcp"], f"rx_drop_auth_rtcp {m['rx_drop_auth_rtcp']:.0f} of {total['forged_rtcp']}")
    check(m["rx_recorded_rtcp"] == total["reports_sent"], f"rx_recorded_rtcp {m['rx_recorded_rtcp']:.0f} of {total['reports_sent']}")
    check(total["reports_bad"] == 0, f"{total['reports_bad']} bad reports came back")
    return m


def check_seals(recorder, runs, rows):
    """The seals agree with the senders: recorded once, duplicates (those past the window are a counter alone), and losses
    as far as a receiver can see them."""
    streams = [s for row in rows for s in seal_of(recorder, row)]
    made, dropped = (sum(run.sent[k] for run in runs) for k in ("packets_made", "dropped"))
    again = sum(run.sent["duplicated"] + run.sent["replays"] for run in runs)
    recorded, lost, duplicates = (sum(s[k] for s in streams) for k in ("recorded", "lost_upstream", "duplicates"))
    m = recorder.metrics()
    early, paused = m["rx_drop_no_key"], m["rx_drop_paused"]
    check(recorded == made - dropped - early - paused,
          f"seals: {recorded} recorded of {made - dropped}, {early:.0f} before their key, {paused:.0f} paused")
    late = m["rx_drop_late"]
    check(duplicates + late == again, f"seals: {duplicates} duplicates, {late:.0f} too old, of {again}")
    check(0 <= dropped - lost <= 4 * len(streams), f"seals: {lost} lost of {dropped} (the ends of a stream cannot be seen)")
    status, text = recorder.reel_py("verify", "--keys", recorder.settings["keys.path"])
    check(status == 0, f"reel.py: {text[-400:]}")


# ---- senders that are not ours ----

class Peer:
    """A call by sip_client.py for a sender that only does media. `offer` makes the m-line's port and attributes."""

    def __init__(self, recorder, call_id, port, attributes, profile):
        self.client = sip.Client(recorder.port)
        self.call_id = call_id
        offer = sip.sdp(recorder.host, [(port, "1")], extra=attributes).replace(b"RTP/AVP", profile.encode())
        invite = sip.invite(self.client, call_id, offer, sip.rs_metadata(("Alice",), ("1",)))
        self.answer = self.client.ask(invite)
        check(self.answer is not None and self.answer.status == 200,
              f"INVITE: {self.answer and self.answer.start} log: {recorder.log_tail(3)}")
        self.client.send(sip.ack_for(invite, self.answer))
        self.address, self.port, _, self.attributes = sip.media_of(self.answer.body)[0]

    def end(self):
        answer = self.client.ask(sip.request(self.client, "BYE", self.call_id, 2, contact="", to_tag=self.answer.tag("To", "t")))
        check(answer is not None and answer.status == 200, "BYE was not answered")
        self.client.close()
