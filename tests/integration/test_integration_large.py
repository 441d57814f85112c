"""Large messages: datagrams that the kernel puts together out of fragments, and bodies of hundreds of KiB over TCP."""

import socket
import struct
import time

from recorder import check
from sip_client import Client, ack_for, invite, request, rs_metadata, sdp, with_length

MTU = 1500
IP_HEADER = 20


def metadata_of(n):
    """A document with n participants, about 470 octets each, two of whom have the streams."""
    return rs_metadata([f"participant-{i:03d}-" + "x" * 80 for i in range(n)], ["1", "2"])


def padded(data, size):
    """`data`, an INVITE with metadata, brought to this size by a comment in its XML."""
    room = size - len(data) - len(b"<!--" b"-->")
    for dots in range(room - 4, room + 1):	# Content-Length may take a digit more
        longer = data.replace(b"</recording>", b"<!--" + b"." * dots + b"--></recording>")
        longer = with_length(longer)
        if len(longer) == size:
            return longer
    raise AssertionError(f"no {size} octets out of {len(data)}")


def fragments(source, target, datagram):
    """IPv4 fragments of one UDP datagram, as a link of MTU 1500 carries them."""
    udp = struct.pack("!HHHH", source[1], target[1], 8 + len(datagram), 0) + datagram	# checksum 0: none (RFC 768)
    step = (MTU - IP_HEADER) // 8 * 8
    out = []
    for at in range(0, len(udp), step):
        piece = udp[at:at + step]
        more = 0x2000 if at + step < len(udp) else 0
        out.append(struct.pack("!BBHHHBBH4s4s", 0x45, 0, IP_HEADER + len(piece), 0x5153, more | at // 8, 64,
                               socket.IPPROTO_UDP, 0, socket.inet_aton(source[0]), socket.inet_aton(target[0])) + piece)
    return out


def reassembled():
    with open("/proc/net/snmp") as f:
        names, values = [line.split() for line in f if line.startswith("Ip:")]
    return int(values[names.index("ReasmOKs")])


def shown_of(r, n_participants):
    row = r.wait_sealed(1)[0]
    shown = r.tool("recordings", "show", row["id"], "--json")
    check(len(shown["participants"]) == n_participants, f"{len(shown['participants'])} participants of {n_participants}")
    return shown


def hang_up(client, call_id, answer):
    bye = client.ask(request(client, "BYE", call_id, 2, to_tag=answer.tag("To", "t")))
    check(bye is not None and bye.status == 200, "BYE was not answered with 200")


def test_sixty_kib_over_udp_in_fragments(context):
    with context.recorder() as r, Client(r.port) as client:
        whole = invite(client, "frag", sdp(client.address, [(4000, "1"), (4002, "2")]), metadata_of(100))
        whole = padded(whole, 60 * 1024)
        pieces = fragments((client.address, client.port), client.target, whole)
        check(len(pieces) > 40, f"only {len(pieces)} fragments")
        before = reassembled()
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for piece in pieces[::2] + pieces[1::2][::-1]:	# in no order
                raw.sendto(piece, (client.target[0], 0))
        answer = client.final(("1", "INVITE"))
        check(answer is not None and answer.status == 200, f"no 200: {answer and answer.start}")
        check(reassembled() > before, "the kernel put nothing together")
        client.send(ack_for(whole, answer))
        time.sleep(0.3)
        hang_up(client, "frag", answer)
        shown_of(r, 100)


def test_the_largest_datagram_in_fragments(context):
    """65,507 octets: IPv4 has no room for more. One lost fragment, and the retransmission brings the whole."""
    with context.recorder() as r, Client(r.port) as client:
        whole = invite(client, "largest", sdp(client.address, [(4000, "1"), (4002, "2")]), metadata_of(110))
        whole = padded(whole, 65507)
        pieces = fragments((client.address, client.port), client.target, whole)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for piece in pieces[:7] + pieces[8:]:
                raw.sendto(piece, (client.target[0], 0))
            check(client.final(("1", "INVITE"), 0.5) is None, "an answer to a datagram that never was whole")
            for piece in pieces:
                raw.sendto(piece[:4] + b"\x51\x54" + piece[6:], (client.target[0], 0))	# another IP datagram
        answer = client.final(("1", "INVITE"))
        check(answer is not None and answer.status == 200, f"no 200: {answer and answer.start}")
        client.send(ack_for(whole, answer))
        hang_up(client, "largest", answer)
        shown_of(r, 110)


def test_two_hundred_kib_over_tcp(context):
    with context.recorder() as r, Client(r.port, "tcp") as client:
        whole = invite(client, "tcp", sdp("127.0.0.1", [(4000, "1"), (4002, "2")]), metadata_of(200))
        whole = padded(whole, 200 * 1024)
        for at in range(0, len(whole), 8191):
            client.send(whole[at:at + 8191])
            time.sleep(0.002)
        answer = client.final(("1", "INVITE"))
        check(answer is not None and answer.status == 200, f"no 200: {answer and answer.start}")
        client.send(ack_for(whole, answer))
        hang_up(client, "tcp", answer)
        shown_of(r, 200)


def test_a_body_over_the_bound_gets_413_and_the_call_beside_it_goes_on(context):
    with context.recorder() as r, Client(r.port, "tcp") as client, Client(r.port) as other:
        offer = sdp("127.0.0.1", [(4000, "1"), (4002, "2")])
        small = invite(other, "small", offer, metadata_of(2))
        answer = other.ask(small)
        check(answer is not None and answer.status == 200, "the small call was not taken")
        other.send(ack_for(small, answer))
        large = padded(invite(client, "large", offer, metadata_of(2)), 300 * 1024)
        refusal = client.ask(large)
        check(refusal is not None and refusal.status == 413, f"not 413: {refusal and refusal.start}")
        check("body_bytes_max" in refusal.header("Warning"), f"no remedy: {refusal.header('Warning')}")
        hang_up(other, "small", answer)
        shown_of(r, 2)
