#!/usr/bin/env python3
"""An independent reader of recordings, written from docs/format.md alone: no line of it comes from the recorder's C.

    reel.py verify FILE... [--keys DIR] [--node-pub FILE] [--partial] [--json]
    reel.py dump FILE... [--keys DIR]         every slot; with keys, every frame
    reel.py metadata FILE... --keys DIR       every metadata document with its number and time, as JSON
    reel.py grep HEX FILE... --keys DIR       where these bytes stand in opened bodies (also across joined pieces)
    reel.py flip FILE BIT [--repair]          change one bit, for tests; --repair makes the slot's crc right again

FILE is a segment (.seg, .open) or a .reel; those of one recording are given together. Exit status: 0 no damage,
1 damage (each line names file, slot and chunk), 2 wrong use.
"""
import argparse
import collections
import glob
import hashlib
import hmac
import json
import os
import struct
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat, load_pem_private_key, load_pem_public_key)

SLOT = 4096
CRC_AT = 4092
VERSION = 1
END, FINAL, DOCUMENTS, CLEAR, COMMITMENT, SALVAGE = 1, 2, 4, 8, 16, 32
INTERRUPTED = 0x100
KINDS = {0: "unused", 1: "container", 2: "chunk", 3: "envelope", 4: "seal"}
SUITES = {1: AESGCM, 2: ChaCha20Poly1305}
FRAME_KINDS = {1: "RTP", 2: "RTCP", 3: "GAP", 4: "MARK", 16: "DESCRIPTION", 17: "OFFER", 18: "ANSWER",
               19: "METADATA", 20: "DEVIATIONS", 21: "BODY", 22: "EVENT", 23: "RECEIPT"}
REASONS = ["none", "no_chunk", "disk_full", "write_error", "paused", "too_long", "6", "7"]
MARKS = {1: "SSRC", 2: "SSRC_GONE", 3: "CLOCK_STEP", 4: "PAUSED", 5: "RESUMED", 6: "HIDDEN", 7: "SEAM"}
JOINED_MAX, DOCUMENT_MAX = 65536, 262144


class Damage(Exception):
    """What is wrong with one piece; the caller adds where."""


class NotBegun(Exception):
    """A file of which not even the header was written."""


def need(condition, what):
    if not condition:
        raise Damage(what)


def zero(data, what):
    need(not any(data), f"{what} is not zero")


def sha256(data):
    return hashlib.sha256(data).digest()


def make_crc_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return table


CRC_TABLE = make_crc_table()


def crc32c(data, crc=0):
    state, table = crc ^ 0xFFFFFFFF, CRC_TABLE
    for byte in data:
        state = state >> 8 ^ table[(state ^ byte) & 0xFF]
    return state ^ 0xFFFFFFFF


def slot_crc(uuid, slot_no, slot):
    return crc32c(slot[:CRC_AT], crc32c(uuid + struct.pack(">Q", slot_no)))


# ---- slots ----

class Container:
    def __init__(self, slot):
        need(len(slot) == SLOT, "file is shorter than one slot")
        need(slot[:4] == b"CAPS", "no container header")
        version, self.kind, zeros, self.writer_id, zeros2 = struct.unpack(">BBHII", slot[4:16])
        need(version == VERSION, f"container version {version}")
        need(sha256(slot[:64]) == slot[64:96], "container header digest")
        self.uuid = slot[16:32]
        self.sequence, self.created_ns, self.n_slots, self.footer_slot = struct.unpack(">4Q", slot[32:64])
        need(zeros == 0 and zeros2 == 0, "container header padding is not zero")
        zero(slot[96:CRC_AT], "container header padding")
        need(struct.unpack(">I", slot[CRC_AT:])[0] == slot_crc(self.uuid, 0, slot), "container header crc")
        need(self.kind in (1, 2), f"container kind {self.kind}")
        need(1 <= self.footer_slot <= self.n_slots, "container geometry")
        self.n_footer = 0
        if self.footer_slot != self.n_slots:
            self.n_footer = -(-self.n_slots // 126)
            need(self.kind == 1 and self.footer_slot + self.n_footer <= self.n_slots, "container geometry")


class Chunk:
    def __init__(self, slot):
        (version, self.suite, self.flags, self.no, self.recording, self.part, self.body_len, self.wall_ns,
         self.n_frames, ext_len) = struct.unpack(">BBHQ16sIIQIH", slot[4:54])
        need(version == VERSION, f"chunk version {version}")
        need(self.suite in SUITES, f"chunk suite {self.suite}")
        need(self.flags & ~0x3F == 0, f"chunk flags {self.flags:#06x}")
        need(not self.flags & FINAL or self.flags & END, "FINAL without END")
        need(bool(self.flags & COMMITMENT) == (self.no == 0), "key commitment missing, or not in chunk 0")
        zero(slot[54:64], "chunk header padding")
        need(ext_len == (32 if self.flags & COMMITMENT else 0) + (12 if self.flags & SALVAGE else 0),
             "chunk extension length")
        need(self.body_len <= CRC_AT - 64 - ext_len - 16, "chunk body length")
        need(self.n_frames <= self.body_len // 12 and (self.n_frames == 0) == (self.body_len == 0),
             "chunk frame count")
        at = 64
        self.commitment = self.origin = None
        if self.flags & COMMITMENT:
            self.commitment, at = slot[64:96], 96
        if self.flags & SALVAGE:
            self.origin, at = struct.unpack(">IQ", slot[at:at + 12]), at + 12
        self.head, self.body = slot[:at], slot[at:at + self.body_len]
        at += self.body_len + 16
        self.signed = slot[:at]
        zero(slot[at:CRC_AT], "chunk padding")
        self.leaf = sha256(self.signed)

    def open(self, key):
        """The frames' bytes, or InvalidTag."""
        nonce = bytes(4) + struct.pack(">Q", self.no)
        tag = self.signed[-16:]
        cipher = SUITES[self.suite](key)
        if self.flags & CLEAR:
            cipher.decrypt(nonce, tag, self.head + self.body)
            return self.body
        return cipher.decrypt(nonce, self.body + tag, self.head)


Stanza = collections.namedtuple("Stanza", "kek_id kek_version ephemeral wrapped")


class Envelope:
    def __init__(self, slot):
        (version, self.suite, zeros, self.recording, self.part, n, zeros2, self.interval_id, self.nonce,
         self.wrapped_dek, zeros3) = struct.unpack(">BBH16sIHH16s12s48sI", slot[4:112])
        need(version == VERSION, f"envelope version {version}")
        need(self.suite in SUITES, f"envelope suite {self.suite}")
        need(zeros == 0 and zeros2 == 0 and zeros3 == 0, "envelope zero bytes")
        need(n <= 36, "envelope stanza count")
        self.stanzas = [Stanza(*struct.unpack(">16sI32s48s", slot[112 + 100 * i:212 + 100 * i])) for i in range(n)]
        for s in self.stanzas:
            need(any(s.ephemeral), "envelope stanza without an ephemeral key")
        self.erased = n == 0
        if self.erased:
            zero(self.interval_id + self.nonce + self.wrapped_dek, "erased envelope")
        zero(slot[112 + 100 * n:CRC_AT], "envelope padding")


class SealPiece:
    def __init__(self, slot):
        version, self.piece, self.n_pieces, zeros, self.recording, self.part, self.flags, length = \
            struct.unpack(">BBBB16sIHH", slot[4:32])
        need(version == VERSION, f"seal version {version}")
        need(zeros == 0, "seal header zero byte")
        need(self.flags in (0, FINAL, INTERRUPTED), f"seal flags {self.flags:#06x}")
        need(1 <= self.n_pieces <= 64 and self.piece < self.n_pieces, "seal piece number")
        need(length == 4060 or (self.piece == self.n_pieces - 1 and 0 < length <= 4060), "seal piece length")
        self.data = slot[32:32 + length]
        zero(slot[32 + length:CRC_AT], "seal padding")


SealStream = collections.namedtuple(
    "SealStream", "stream payload_type generation ssrc first_index highest_index recorded duplicates rtcp missing")


def text64(data, what):
    text, _, rest = data.partition(b"\0")
    need(len(text) < 64, f"seal {what} has no end")
    zero(rest, f"seal {what} padding")
    return text.decode("utf-8", "replace")


class Seal:
    def __init__(self, joined, piece):
        need(len(joined) >= 128, "seal is too short")
        self.index, self.n_leaves, n_path, zeros, body_len, self.commit_root, self.node_key_id, self.signature = \
            struct.unpack(">IIB3sI32s16s64s", joined[:128])
        zero(zeros, "seal proof padding")
        need(n_path <= 16 and self.index < self.n_leaves, "seal proof numbers")
        at = 128 + 32 * n_path
        need(len(joined) == at + body_len, "seal length")
        self.path = [joined[128 + 32 * i:160 + 32 * i] for i in range(n_path)]
        body = joined[at:]
        need(len(body) >= 256, "seal body is too short")
        self.digest = sha256(body)
        (version, zeros, self.flags, self.part, self.recording, self.n_chunks, self.n_frames, self.first_ns,
         self.last_ns, self.root, self.previous, self.bound_ms, n_streams, n_missing) = \
            struct.unpack(">BBHI16sQQQQ32s32sIHH", body[:128])
        need(version == VERSION and zeros == 0, "seal body version")
        need(self.flags in (0, FINAL, INTERRUPTED), "seal body flags")
        need((self.recording, self.part, self.flags) == (piece.recording, piece.part, piece.flags),
             "seal slot header differs from the signed body")
        self.final, self.interrupted = self.flags == FINAL, self.flags == INTERRUPTED
        self.reason, self.node = text64(body[128:192], "reason"), text64(body[192:256], "node")
        need(n_streams <= 1020 and len(body) == 256 + 112 * n_streams + 16 * n_missing, "seal body length")
        self.streams = []
        for i in range(n_streams):
            v = struct.unpack(">BBHI5Q8Q", body[256 + 112 * i:368 + 112 * i])
            self.streams.append(SealStream(*v[:9], v[9:]))
        at = 256 + 112 * n_streams
        self.missing = [struct.unpack(">QQ", body[at + 16 * i:at + 16 * i + 16]) for i in range(n_missing)]
        for i, (first, last) in enumerate(self.missing):
            need(first <= last and (i == 0 or first > self.missing[i - 1][1]), "seal missing ranges")
        need(path_root(self.digest, self.index, self.n_leaves, self.path) == self.commit_root,
             "seal: path does not lead to the commit root")

    def check_signature(self, public):
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        need(self.node_key_id == sha256(raw)[:16], "seal: signed by another node's key")
        try:
            public.verify(self.signature, b"capstan commit v1" + struct.pack(">I", self.n_leaves) + self.commit_root)
        except InvalidSignature:
            raise Damage("seal: signature does not verify") from None


# ---- trees ----

def tree_root(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + tree_root(leaves[:left]) + tree_root(leaves[left:]))


def path_root(digest, index, n_leaves, path):
    value, f, s = sha256(b"\0" + digest), index, n_leaves - 1
    for p in path:
        need(s != 0, "seal: path is too long")
        if f & 1 or f == s:
            value = sha256(b"\1" + p + value)
            while not f & 1 and f:
                f, s = f >> 1, s >> 1
        else:
            value = sha256(b"\1" + value + p)
        f, s = f >> 1, s >> 1
    need(s == 0, "seal: path is too short")
    return value


# ---- keys ----

def hkdf_extract(salt, ikm):
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def hkdf_expand32(prk, info):
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()


def raw_public(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def unwrap_x25519(private, ephemeral, label, kek_id, version, aad, wrapped):
    """A stanza's interval key, or a sealed KEK's private half."""
    shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    info = label + b"\0" + kek_id + struct.pack(">I", version)
    key = hkdf_expand32(hkdf_extract(ephemeral + raw_public(private), shared), info)
    return AESGCM(key).decrypt(bytes(12), wrapped, aad)


def part_key(dek, chunk_like, label):
    info = label + b"\0" + struct.pack(">BBI", VERSION, chunk_like.suite, chunk_like.part)
    return hkdf_expand32(hkdf_extract(chunk_like.recording, dek), info)


class Keystore:
    """The folder of a file keystore: root.key opens the kek-*.key files."""

    def __init__(self, folder):
        with open(os.path.join(folder, "root.key"), "rb") as f:
            root = load_pem_private_key(f.read(), None)
        self.keks = {}
        for path in sorted(glob.glob(os.path.join(folder, "kek-*.key"))):
            kek_id, version, private = self.kek_read(root, path)
            self.keks[kek_id, version] = X25519PrivateKey.from_private_bytes(private)
        self.node_public = None
        if os.path.exists(os.path.join(folder, "node.pub")):
            self.node_public = public_read(os.path.join(folder, "node.pub"))

    @staticmethod
    def kek_read(root, path):
        with open(path, "rb") as f:
            data = f.read()
        if len(data) != 200 or sha256(data[:168]) != data[168:]:
            raise ValueError(f"{path}: damaged")
        (magic, file_version, zeros, version, zeros2, kek_id, _created, root_id, public, ephemeral, wrapped) = \
            struct.unpack(">4sHHII16sQ16s32s32s48s", data[:168])
        if (magic, file_version, zeros, zeros2) != (b"CKEK", 1, 0, 0):
            raise ValueError(f"{path}: not a KEK file of version 1")
        if root_id != sha256(raw_public(root))[:16]:
            raise ValueError(f"{path}: sealed to another root key")
        try:
            private = unwrap_x25519(root, ephemeral, b"capstan kek v1", kek_id, version, kek_id, wrapped)
        except InvalidTag:
            raise ValueError(f"{path}: does not open with root.key") from None
        if raw_public(X25519PrivateKey.from_private_bytes(private)) != public or sha256(public)[:16] != kek_id:
            raise ValueError(f"{path}: key and id do not fit together")
        return kek_id, version, private

    def dek(self, envelope):
        """The DEK; every stanza that this keystore can open is checked."""
        interval_keys = set()
        for s in envelope.stanzas:
            private = self.keks.get((s.kek_id, s.kek_version))
            if private is None:
                continue
            try:
                interval_keys.add(unwrap_x25519(private, s.ephemeral, b"capstan interval v1", s.kek_id, s.kek_version,
                                                envelope.interval_id, s.wrapped))
            except (InvalidTag, ValueError):
                raise Damage("envelope stanza does not unwrap") from None
        need(interval_keys, "envelope is for no key of this keystore")
        need(len(interval_keys) == 1, "envelope stanzas hold different keys")
        aad = b"capstan dek v1\0" + bytes([envelope.suite]) + envelope.interval_id
        try:
            return AESGCM(interval_keys.pop()).decrypt(envelope.nonce, envelope.wrapped_dek, aad)
        except InvalidTag:
            raise Damage("envelope does not unwrap") from None


def public_read(path):
    with open(path, "rb") as f:
        key = load_pem_public_key(f.read())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{path}: not an Ed25519 public key")
    return key


# ---- frames ----

Frame = collections.namedtuple("Frame", "kind more redacted stream wall_ns seq_ext data")


def frames_of(chunk, body):
    """The frame records of an opened body, checked."""
    at, frames = 0, []
    while at < len(body):
        need(len(body) - at >= 12, "frame header is cut off")
        length, kind, stream, delta_us, seq_ext = struct.unpack(">HBBII", body[at:at + 12])
        need(len(body) - at - 12 >= length, "frame is cut off")
        frame = Frame(kind & 0x3F, bool(kind & 0x80), bool(kind & 0x40), stream, chunk.wall_ns + 1000 * delta_us,
                      seq_ext, body[at + 12:at + 12 + length])
        need(frame.kind != 0, "frame kind 0")
        need((frame.kind >= 16) == bool(chunk.flags & DOCUMENTS), "frame is of the other class")
        if frame.kind == 3:
            need(length == 28 and not any(frame.data[1:4]) and 1 <= frame.data[0] <= 7, "GAP frame")
        if frame.kind == 4:
            need(length == 48 and frame.data[0] in MARKS and frame.data[16] in (0, 4, 6), "MARK frame")
            zero(frame.data[17:18] + frame.data[20:24], "MARK frame padding")
            zero(frame.data[24 + {0: 0, 4: 4, 6: 16}[frame.data[16]]:40], "MARK frame address padding")
        frames.append(frame)
        at += 12 + length
    need(len(frames) == chunk.n_frames, f"{len(frames)} frames, the header says {chunk.n_frames}")
    return frames


class Joiner:
    """Joins MORE pieces, by stream and kind."""

    def __init__(self):
        self.held = {}

    def add(self, frame):
        """The whole frame, or None while pieces are to come."""
        first = self.held.pop((frame.stream, frame.kind), None)
        if first is not None:
            need(frame.seq_ext == first.seq_ext, "pieces of a frame differ in seq_ext")
            frame = first._replace(data=first.data + frame.data, more=frame.more,
                                   redacted=first.redacted or frame.redacted)
        need(len(frame.data) <= (JOINED_MAX if frame.kind < 16 else DOCUMENT_MAX), "joined frame is too long")
        if frame.more:
            self.held[frame.stream, frame.kind] = frame
            return None
        return frame


def frame_text(frame):
    kind = FRAME_KINDS.get(frame.kind, str(frame.kind))
    text = f"{frame.wall_ns} {kind} stream={frame.stream} len={len(frame.data)}"
    if frame.kind == 1 and len(frame.data) >= 12:
        pt, seq, timestamp, ssrc = struct.unpack(">xBHII", frame.data[:12])
        text += f" ssrc={ssrc:08x} index={frame.seq_ext:08x} seq={seq} ts={timestamp} pt={pt & 127} m={pt >> 7}"
    elif frame.kind == 3:
        n, first, last = struct.unpack(">QQQ", frame.data[4:])
        text += f" reason={REASONS[frame.data[0]]} missing={n} from={first} to={last}"
    elif frame.kind == 4:
        pt, generation, ssrc, index = struct.unpack(">xBHIQ", frame.data[:16])
        value, = struct.unpack(">q", frame.data[40:])
        text += f" {MARKS[frame.data[0]]} ssrc={ssrc:08x} index={index:x} generation={generation} pt={pt} value={value}"
    elif frame.kind >= 16:
        text += (" redacted " if frame.redacted else " ") + ascii(frame.data[:100].decode("utf-8", "replace"))
    return text


# ---- walking ----

Found = collections.namedtuple("Found", "file slot_no item")


class File:
    """One container: its good slots, and what is wrong with the others."""

    def __init__(self, path, report):
        self.path, self.report = path, report
        self.found, self.kinds = [], {}
        with open(path, "rb") as f:
            first = f.read(SLOT)
            self.is_open = path.endswith(".open")
            if self.is_open and not any(first):
                raise NotBegun("open, and nothing was written yet")
            self.container = Container(first)
            length = os.fstat(f.fileno()).st_size
            self.walk(f, length)

    def damage(self, slot_no, what):
        self.report.damage(what, file=self.path, slot=slot_no)

    def walk(self, f, length):
        c = self.container
        footer = {}
        if length < c.n_slots * SLOT and not self.is_open:
            self.damage(length // SLOT, f"file is truncated: {length} bytes of {c.n_slots * SLOT}")
        if length > c.n_slots * SLOT and not self.is_open:
            self.damage(c.n_slots, "bytes after the last slot")
        bad_footer = self.walk_footer(f, footer)
        if not self.is_open or not bad_footer:
            self.is_open = False
            for slot_no, what in bad_footer:
                self.damage(slot_no, what)
        else:
            footer = {}
        f.seek(SLOT)
        for slot_no in range(1, c.footer_slot):
            slot = f.read(SLOT)
            if len(slot) < SLOT:
                break
            self.walk_slot(slot_no, slot, footer.get(slot_no) if c.n_footer and not self.is_open else None)

    def walk_footer(self, f, entries):
        bad = []
        c = self.container
        for k in range(c.n_footer):
            slot_no = c.footer_slot + k
            f.seek(slot_no * SLOT)
            try:
                self.read_footer(slot_no, k, f.read(SLOT), entries)
            except Damage as e:
                bad.append((slot_no, str(e)))
        f.seek((c.footer_slot + c.n_footer) * SLOT)
        for slot_no in range(c.footer_slot + c.n_footer, c.n_slots):
            if any(f.read(SLOT)):
                bad.append((slot_no, "slot after the footer is not empty"))
        return bad

    def read_footer(self, slot_no, k, slot, entries):
        c = self.container
        need(len(slot) == SLOT, "footer is cut off")
        need(slot_crc(c.uuid, slot_no, slot) == struct.unpack(">I", slot[CRC_AT:])[0], "footer crc")
        magic, version, zeros, n, first = struct.unpack(">4sBBHQ", slot[:16])
        need(magic == b"FOOT", "no footer here")
        need(version == VERSION and zeros == 0, "footer version")
        zero(slot[16:64], "footer header padding")
        need(first == 125 * k and n == max(0, min(125, c.footer_slot - first)), "footer entry numbers")
        zero(slot[64 + 32 * n:CRC_AT], "footer padding")
        for i in range(n):
            recording, no, part, kind, flags, zeros = struct.unpack(">16sQIBBH", slot[64 + 32 * i:96 + 32 * i])
            need(zeros == 0 and kind in KINDS, f"footer entry of slot {first + i}")
            if first + i == 0:
                need((recording, no, part, kind, flags) == (bytes(16), 0, 0, 1, 0), "footer entry of slot 0")
            entries[first + i] = (recording, no, part, kind, flags)

    def walk_slot(self, slot_no, slot, entry):
        unused = (bytes(16), 0, 0, 0, 0)
        if not any(slot):
            if entry not in (None, unused):
                self.damage(slot_no, f"empty, but the footer lists a {KINDS[entry[3]]} {describe_entry(entry)}")
            return
        try:
            item, seen = self.read_slot(slot_no, slot)
        except Damage as e:
            if entry == unused:
                return  # torn by a crash, or an earlier life's: the footer says that nothing stands here
            if self.is_open:
                self.report.note(str(e), file=self.path, slot=slot_no)
                return
            where = f" (the footer lists a {KINDS[entry[3]]} {describe_entry(entry)})" if entry else ""
            self.damage(slot_no, str(e) + where)
            return
        self.kinds[seen[3]] = self.kinds.get(seen[3], 0) + 1
        if entry is not None and entry != seen:
            self.damage(slot_no, f"footer lists a {KINDS[entry[3]]} {describe_entry(entry)}, "
                                 f"the slot holds a {KINDS[seen[3]]} {describe_entry(seen)}")
        elif entry is None and self.container.n_footer and not self.is_open:
            self.damage(slot_no, "the footer does not list this slot")
        self.found.append(Found(self.path, slot_no, item))

    def read_slot(self, slot_no, slot):
        """The item, and the footer entry that it should have."""
        crc, = struct.unpack(">I", slot[CRC_AT:])
        need(crc == slot_crc(self.container.uuid, slot_no, slot), "slot crc")
        magic = slot[:4]
        if magic == b"CHNK":
            c = Chunk(slot)
            return c, (c.recording, c.no, c.part, 2, c.flags & 0xFF)
        if magic == b"ENVL":
            e = Envelope(slot)
            return e, (e.recording, 0, e.part, 3, 0)
        need(magic == b"SEAL", f"unknown slot magic {magic!r}")
        s = SealPiece(slot)
        return s, (s.recording, s.piece, s.part, 4, s.flags & 0xFF)


def describe_entry(entry):
    recording, no, part, kind, flags = entry
    return f"recording={recording.hex()} part={part} no={no} flags={flags:#04x}" if kind > 1 else ""


class Report:
    def __init__(self):
        self.damages, self.notes = [], []

    @staticmethod
    def row(what, where):
        return {**{k: v for k, v in where.items() if v is not None}, "what": what}

    def damage(self, what, **where):
        self.damages.append(self.row(what, where))

    def note(self, what, **where):
        self.notes.append(self.row(what, where))


class Part:
    """What was found of one part, wherever it stood."""

    def __init__(self, recording, number):
        self.recording, self.number = recording, number
        self.chunks = {}        # chunk_no: Found
        self.envelopes, self.pieces = [], {}
        self.seal = self.seal_at = None
        self.dek = None
        self.opened = False
        self.n_copies = 0

    def where(self, found=None, chunk_no=None):
        where = {"recording": self.recording.hex(), "part": self.number, "chunk_no": chunk_no}
        if found is not None:
            where.update(file=found.file, slot=found.slot_no)
        return where


class Vault:
    def __init__(self, paths, keystore=None, node_public=None, partial=False):
        self.report = Report()
        self.keystore, self.partial = keystore, partial
        self.node_public = node_public or (keystore.node_public if keystore else None)
        self.files, self.recordings = [], {}
        for path in paths:
            try:
                self.files.append(File(path, self.report))
            except NotBegun as e:
                self.report.note(str(e), file=path, slot=0)
            except Damage as e:
                self.report.damage(str(e), file=path, slot=0)
        self.any_open = any(f.is_open for f in self.files)
        for f in self.files:
            for found in f.found:
                self.take(found)

    def part(self, item):
        parts = self.recordings.setdefault(item.recording, {})
        return parts.setdefault(item.part, Part(item.recording, item.part))

    def take(self, found):
        part, item = self.part(found.item), found.item
        if isinstance(item, Envelope):
            part.envelopes.append(found)
            return
        table, key, data = (part.chunks, item.no, item.signed) if isinstance(item, Chunk) else \
            (part.pieces, item.piece, (item.n_pieces, item.flags, item.data))
        if key not in table:
            table[key] = found
            return
        other = table[key].item
        part.n_copies += 1
        if data != (other.signed if isinstance(other, Chunk) else (other.n_pieces, other.flags, other.data)):
            self.report.damage(f"differs from the copy in {table[key].file} slot {table[key].slot_no}",
                               **part.where(found, key if isinstance(item, Chunk) else None))

    # -- verify --

    def verify(self):
        for parts in self.recordings.values():
            expected = 0
            for number in sorted(parts):
                if number != expected:
                    self.lack(f"parts {expected} to {number - 1} are missing",
                              recording=parts[number].recording.hex(), part=expected)
                expected = number + 1
            for number in sorted(parts):
                self.verify_part(parts, parts[number])

    def lack(self, what, **where):
        """Something is not in the files given: damage, unless more files are known to exist."""
        (self.report.note if self.partial or self.any_open else self.report.damage)(what, **where)

    def verify_part(self, parts, part):
        for check in (self.check_seal, self.check_chunks, self.check_root, self.check_chain, self.check_keys):
            try:
                check(parts, part)
            except Damage as e:
                self.report.damage(str(e), **part.where(part.seal_at))

    def check_seal(self, parts, part):
        if not part.pieces:
            self.lack("no seal", **part.where())
            return
        first = next(iter(part.pieces.values())).item
        absent = [i for i in range(first.n_pieces) if i not in part.pieces]
        if absent:
            self.lack(f"seal piece {absent[0]} of {first.n_pieces} is missing", **part.where())
            return
        pieces = [part.pieces[i] for i in sorted(part.pieces)]
        part.seal_at = pieces[0]
        for p in pieces:
            need((p.item.n_pieces, p.item.flags) == (first.n_pieces, first.flags), "seal pieces disagree")
        seal = Seal(b"".join(p.item.data for p in pieces), first)
        if self.node_public is not None:
            seal.check_signature(self.node_public)
        part.seal = seal

    def check_chunks(self, parts, part):
        seal, numbers = part.seal, sorted(part.chunks)
        missing = seal.missing if seal else []
        top = max([numbers[-1] if numbers else -1] + [last for _, last in missing])
        for no in numbers:
            need(not any(first <= no <= last for first, last in missing), f"chunk {no} is listed as missing, but is here")
        expected = 0
        for no, after in sorted([(n, n + 1) for n in numbers] + [(f, l + 1) for f, l in missing]):
            if no != expected:
                self.lack_chunks(part, expected, no - 1)
            expected = after
        for no in numbers:
            chunk = part.chunks[no].item
            if chunk.flags & END and no != top:
                self.report.damage("END, but the part goes on", **part.where(part.chunks[no], no))
            if chunk.flags & FINAL and (part.number != max(parts) or (seal and not seal.final)):
                self.report.damage("FINAL, but not the end", **part.where(part.chunks[no], no))
        if seal and not seal.interrupted and numbers and numbers[-1] == top:
            last = part.chunks[top]
            if not last.item.flags & END:
                self.lack("the last chunk is missing: no END", **part.where(last, top))
            elif seal.final and not last.item.flags & FINAL:
                self.report.damage("the seal is FINAL, the last chunk is not", **part.where(last, top))
        if not part.envelopes:
            self.lack("no envelope", **part.where())

    def lack_chunks(self, part, first, last):
        if part.seal and not self.partial:
            self.report.damage(f"chunks {first} to {last} are missing", **part.where(None, first))
        else:
            self.lack(f"chunks {first} to {last} are missing", **part.where(None, first))

    def check_root(self, parts, part):
        seal = part.seal
        if seal is None:
            return
        chunks = [part.chunks[no].item for no in sorted(part.chunks)]
        if self.partial and len(chunks) < seal.n_chunks:
            self.report.note(f"{len(chunks)} of {seal.n_chunks} chunks are here: root not checked", **part.where())
            return
        need(len(chunks) == seal.n_chunks, f"{len(chunks)} chunks, the seal says {seal.n_chunks}")
        root = tree_root([sha256(b"\0" + struct.pack(">Q", c.no) + c.leaf) for c in chunks])
        need(root == seal.root, "the chunks do not give the sealed root")
        need(sum(c.n_frames for c in chunks) == seal.n_frames, "frame count differs from the seal")
        need(seal.first_ns == (chunks[0].wall_ns if chunks else 0), "first time differs from the seal")

    def check_chain(self, parts, part):
        if part.seal is None:
            return
        if part.number == 0:
            zero(part.seal.previous, "previous seal digest of part 0")
        elif part.number - 1 in parts and parts[part.number - 1].seal:
            need(part.seal.previous == parts[part.number - 1].seal.digest, "previous seal digest")
        need(not part.seal.final or part.number == max(parts), "FINAL seal, but another part follows")

    # -- with keys --

    def check_keys(self, parts, part):
        if self.keystore is None or not part.envelopes:
            return
        if all(e.item.erased for e in part.envelopes):
            self.report.note("erased: no key opens it", **part.where(part.envelopes[0]))
            return
        if not self.find_dek(part):
            return
        part.opened = True
        counts, joiner = collections.Counter(), Joiner()
        for no in sorted(part.chunks):
            try:
                for frame in self.frames(part, no):
                    whole = joiner.add(frame)
                    if whole and whole.kind == 1 and len(whole.data) >= 12:
                        counts[whole.stream, struct.unpack(">I", whole.data[8:12])[0], whole.seq_ext] += 1
                    if whole and whole.kind in (16, 20, 22, 23):
                        self.check_json(part, no, whole)
            except Damage as e:
                part.opened = False
                self.report.damage(str(e), **part.where(part.chunks[no], no))
        self.check_totals(part, joiner, counts)

    def find_dek(self, part):
        commitment = part.chunks[0].item.commitment if 0 in part.chunks else None
        for found in part.envelopes:
            try:
                if found.item.erased:
                    continue
                dek = self.keystore.dek(found.item)
                need(commitment is None or part_key(dek, found.item, b"capstan commitment v1") == commitment,
                     "the envelope's key does not give the commitment of chunk 0")
                part.dek = dek
            except Damage as e:
                self.report.damage(str(e), **part.where(found))
        return part.dek is not None

    def frames(self, part, no):
        chunk = part.chunks[no].item
        try:
            body = chunk.open(part_key(part.dek, chunk, b"capstan chunk v1"))
        except InvalidTag:
            raise Damage("chunk tag does not verify") from None
        return frames_of(chunk, body)

    def check_json(self, part, no, frame):
        try:
            json.loads(frame.data)
        except ValueError:
            self.report.damage(f"{FRAME_KINDS[frame.kind]} is not JSON", **part.where(part.chunks[no], no))

    def check_totals(self, part, joiner, counts):
        seal = part.seal
        if not part.opened or seal is None or seal.interrupted or seal.missing or len(part.chunks) != seal.n_chunks:
            return
        need(not joiner.held, "a frame's last piece is missing")
        got, said = collections.Counter(), collections.Counter()
        for stream, ssrc, _ in counts:
            got[stream, ssrc] += 1
        for s in seal.streams:
            said[s.stream, s.ssrc] += s.recorded
        for key in sorted(set(got) | set(said)):
            need(got[key] == said[key], f"stream {key[0]} ssrc {key[1]:08x}: {got[key]} packets recorded, "
                                        f"the seal says {said[key]}")

    def summary(self):
        return {"ok": not self.report.damages, "damage": self.report.damages, "notes": self.report.notes,
                "node_key": self.node_public is not None, "keys": self.keystore is not None,
                "files": [self.file_summary(f) for f in self.files],
                "recordings": [{"id": r.hex(), "state": self.state(p),
                                "parts": [self.part_summary(p[n]) for n in sorted(p)]}
                               for r, p in sorted(self.recordings.items())]}

    @staticmethod
    def state(parts):
        seal = parts[max(parts)].seal
        return "open" if seal is None else "final" if seal.final else "interrupted" if seal.interrupted else "sealed"

    @staticmethod
    def file_summary(f):
        c = f.container
        return {"path": f.path, "kind": {1: "segment", 2: "reel"}[c.kind], "uuid": c.uuid.hex(), "open": f.is_open,
                "n_slots": c.n_slots, "sequence": c.sequence, "writer": c.writer_id,
                "slots": {KINDS[k]: n for k, n in sorted(f.kinds.items())}}

    def part_summary(self, part):
        seal, chunks = part.seal, [f.item for f in part.chunks.values()]
        row = {"part": part.number, "chunks": len(chunks), "frames": sum(c.n_frames for c in chunks),
               "copies": part.n_copies, "envelopes": len(part.envelopes), "opened": part.opened, "seal": None}
        if seal:
            row["seal"] = {"final": seal.final, "interrupted": seal.interrupted, "reason": seal.reason,
                           "node": seal.node, "digest": seal.digest.hex(), "signed": self.node_public is not None,
                           "first_wall_ns": seal.first_ns, "last_wall_ns": seal.last_ns, "bound_ms": seal.bound_ms,
                           "missing": seal.missing,
                           "streams": [{**s._asdict(), "missing": dict(zip(REASONS[1:], s.missing[1:]))}
                                       for s in seal.streams]}
        return row


# ---- commands ----

def where_text(row):
    return " ".join(f"{k}={row[k]}" for k in ("file", "slot", "recording", "part", "chunk_no") if k in row)


def vault_of(args):
    keystore = Keystore(args.keys) if args.keys else None
    node_public = public_read(args.node_pub) if getattr(args, "node_pub", None) else None
    return Vault(args.file, keystore, node_public, getattr(args, "partial", False))


def command_verify(args):
    vault = vault_of(args)
    vault.verify()
    summary = vault.summary()
    if args.json:
        json.dump(summary, sys.stdout, indent=1)
        print()
        return 0 if summary["ok"] else 1
    for recording in summary["recordings"]:
        for p in recording["parts"]:
            seal = p["seal"]
            print(f"{recording['id']} part={p['part']} {recording['state']} chunks={p['chunks']} frames={p['frames']}"
                  f" opened={'yes' if p['opened'] else 'no'}"
                  f" signature={'none' if not seal else 'ok' if seal['signed'] else 'unchecked'}")
    for row in summary["notes"]:
        print(f"note: {where_text(row)}: {row['what']}")
    for row in summary["damage"]:
        print(f"damage: {where_text(row)}: {row['what']}")
    print("ok" if summary["ok"] else f"{len(summary['damage'])} damaged")
    return 0 if summary["ok"] else 1


def command_dump(args):
    vault = vault_of(args)
    vault.verify()
    for recording, parts in sorted(vault.recordings.items()):
        for number in sorted(parts):
            dump_part(vault, recording, parts[number])
    for row in vault.report.damages:
        print(f"damage: {where_text(row)}: {row['what']}")
    return 1 if vault.report.damages else 0


def dump_part(vault, recording, part):
    for found in part.envelopes:
        print(f"{found.file}:{found.slot_no} envelope {recording.hex()} part={part.number} "
              f"stanzas={len(found.item.stanzas)}")
    joiner = Joiner()
    for no in sorted(part.chunks):
        found, c = part.chunks[no], part.chunks[no].item
        names = [n for n, bit in (("end", END), ("final", FINAL), ("documents", DOCUMENTS), ("clear", CLEAR),
                                  ("salvage", SALVAGE)) if c.flags & bit]
        print(f"{found.file}:{found.slot_no} chunk {recording.hex()} part={part.number} no={no} suite={c.suite} "
              f"time={c.wall_ns} frames={c.n_frames} bytes={c.body_len} {' '.join(names)}")
        if part.dek is None:
            continue
        try:
            for frame in vault.frames(part, no):
                whole = joiner.add(frame)
                if whole:
                    print("  " + frame_text(whole))
        except Damage as e:
            print(f"  damaged: {e}")
    if part.seal:
        s = part.seal
        print(f"{part.seal_at.file}:{part.seal_at.slot_no} seal {recording.hex()} part={part.number} final={s.final} "
              f"interrupted={s.interrupted} chunks={s.n_chunks} frames={s.n_frames} reason={s.reason!r} "
              f"node={s.node!r} leaf={s.index}/{s.n_leaves}")
        for row in s.streams:
            print(f"  {row}")


def whole_frames(vault, parts):
    """Every frame of a recording, joined, with its part."""
    for number in sorted(parts):
        part, joiner = parts[number], Joiner()
        if part.dek is None:
            raise Damage(f"{part.recording.hex()} part {number} cannot be opened")
        for no in sorted(part.chunks):
            for frame in vault.frames(part, no):
                whole = joiner.add(frame)
                if whole:
                    yield number, whole


def metadata_versions(frames):
    """A RECEIPT, then the METADATA of as many bytes; what stands there again is told once."""
    rows, receipt = {}, None
    for _, frame in frames:
        if frame.kind == 23:
            receipt = json.loads(frame.data)
            rows.setdefault(receipt["version"], {**receipt, "document": None})
        elif frame.kind == 19 and receipt and len(frame.data) == receipt["bytes"]:
            rows[receipt["version"]].update(document=frame.data.decode("utf-8", "replace"), redacted=frame.redacted,
                                            sha256=sha256(frame.data).hex())
            receipt = None
    return [rows[n] for n in sorted(rows)]


def command_metadata(args):
    vault = vault_of(args)
    vault.verify()
    json.dump({recording.hex(): metadata_versions(whole_frames(vault, parts))
               for recording, parts in sorted(vault.recordings.items())}, sys.stdout, indent=1)
    print()
    return 1 if vault.report.damages else 0


def command_grep(args):
    needle = bytes.fromhex(args.hex)
    vault = vault_of(args)
    vault.verify()
    n_found = 0
    for recording, parts in sorted(vault.recordings.items()):
        for part in (parts[n] for n in sorted(parts)):
            if part.dek is None:
                raise Damage(f"{recording.hex()} part {part.number} cannot be opened")
            joiner = Joiner()
            for no in sorted(part.chunks):
                for frame in vault.frames(part, no):
                    whole = joiner.add(frame)
                    if whole and needle in whole.data:
                        n_found += 1
                        print(f"{recording.hex()} part={part.number} chunk_no={no} {frame_text(whole)}")
    print(f"{n_found} found")
    return 1 if vault.report.damages else 0


def flip(path, bit, repair=False):
    """Change bit `bit` of the file (8 x byte + bit, 0 the lowest); the same call changes it back."""
    with open(path, "r+b") as f:
        uuid = f.read(SLOT)[16:32]
        slot_no = bit // 8 // SLOT
        f.seek(slot_no * SLOT)
        slot = bytearray(f.read(SLOT))
        slot[bit // 8 % SLOT] ^= 1 << bit % 8
        if repair:
            slot[CRC_AT:] = struct.pack(">I", slot_crc(bytes(slot[16:32]) if slot_no == 0 else uuid, slot_no,
                                                       bytes(slot)))
        f.seek(slot_no * SLOT)
        f.write(slot)


def command_flip(args):
    need(0 <= args.bit < 8 * os.path.getsize(args.file), "no such bit in the file")
    flip(args.file, args.bit, args.repair)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in (("verify", command_verify), ("dump", command_dump), ("metadata", command_metadata),
                           ("grep", command_grep)):
        p = commands.add_parser(name)
        p.set_defaults(function=function)
        if name == "grep":
            p.add_argument("hex")
        p.add_argument("file", nargs="+")
        p.add_argument("--keys", metavar="DIR", help="keystore folder", required=name in ("grep", "metadata"))
        p.add_argument("--node-pub", metavar="FILE", help="the node's public key (default: node.pub of --keys)")
        p.add_argument("--partial", action="store_true", help="other files of these recordings exist")
        if name == "verify":
            p.add_argument("--json", action="store_true")
    p = commands.add_parser("flip")
    p.set_defaults(function=command_flip)
    p.add_argument("file")
    p.add_argument("bit", type=int)
    p.add_argument("--repair", action="store_true")
    args = parser.parse_args()
    try:
        sys.exit(args.function(args))
    except Damage as e:
        print(f"damage: {e}", file=sys.stderr)
        sys.exit(1)
    except (OSError, ValueError) as e:
        print(f"reel.py: {e}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
