"""Capture files, pcap and pcapng: what tests replay, and what `capstan export --format pcapng` wrote."""

import struct


def udp_payloads(path):
    """UDP payloads of a pcap or pcapng file of Ethernet, cooked, raw or null frames; anything else is passed over."""
    data = open(path, "rb").read()
    for link, frame in capture_frames(data):
        at = {1: 14, 113: 16, 0: 4, 101: 0, 12: 0, 276: 20}.get(link)
        if at is None:
            continue
        if link == 1 and frame[12:14] == b"\x81\x00":
            at += 4
        ip = frame[at:]
        if len(ip) < 20:
            continue
        if ip[0] >> 4 == 4 and ip[9] == 17:
            udp = ip[(ip[0] & 15) * 4:]
        elif ip[0] >> 4 == 6 and ip[6] == 17:
            udp = ip[40:]
        else:
            continue
        if len(udp) >= 8:
            yield udp[8:struct.unpack(">H", udp[4:6])[0]]


def capture_frames(data):
    """(link type, frame) of each packet."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        links, at = [], 0
        while at + 12 <= len(data):
            kind, size = struct.unpack("<II", data[at:at + 8])
            if size < 12 or at + size > len(data):
                return
            if kind == 1:
                links.append(struct.unpack("<H", data[at + 8:at + 10])[0])
            elif kind == 6:
                interface, _, _, n = struct.unpack("<IIII", data[at + 8:at + 24])
                yield links[interface], data[at + 28:at + 28 + n]
            at += size
        return
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link = struct.unpack(order + "I", data[20:24])[0] & 0xffff
    at = 24
    while at + 16 <= len(data):
        n = struct.unpack(order + "I", data[at + 8:at + 12])[0]
        yield link, data[at + 16:at + 16 + n]
        at += 16 + n
