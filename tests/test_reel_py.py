#!/usr/bin/env python3
"""reel.py against slots written by the C side: clean files verify, every kind of damage is found and located.

    test_reel_py.py MAKE_REEL"""
import functools
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reel

reel.slot_crc = functools.lru_cache(4096)(reel.slot_crc)  # most slots of most tests are the same
TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reel.py")
MAKE_REEL = None
SLOT = reel.SLOT


class ReelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="reel-test-")
        subprocess.run([MAKE_REEL, cls.folder], check=True)
        cls.keys = os.path.join(cls.folder, "keys")
        cls.keystore = reel.Keystore(cls.keys)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def setUp(self):
        self.seg = shutil.copy(os.path.join(self.folder, "vector.seg"), os.path.join(self.folder, "copy.seg"))
        self.reel = shutil.copy(os.path.join(self.folder, "vector.reel"), os.path.join(self.folder, "copy.reel"))
        self.rng = random.Random(7)

    def damages(self, path, keys=None, node=None, **more):
        vault = reel.Vault([path], keys, node, **more)
        vault.verify()
        return vault.report.damages

    def slots(self, path):
        """(slot_no, magic) of all that is not empty."""
        with open(path, "rb") as f:
            data = f.read()
        return [(i, data[i * SLOT:i * SLOT + 4]) for i in range(len(data) // SLOT) if any(data[i * SLOT:i * SLOT + 8])]

    def assert_found(self, path, bit, keys=None, node=None, repair=False):
        reel.flip(path, bit, repair)
        found = self.damages(path, keys, node)
        self.assertTrue(found, f"bit {bit} (slot {bit // 8 // SLOT}, byte {bit // 8 % SLOT}) repair={repair}")
        reel.flip(path, bit, repair)
        return found

    def test_clean_files_have_no_damage(self):
        for path in (self.seg, self.reel):
            self.assertEqual(self.damages(path), [])
            self.assertEqual(self.damages(path, None, self.keystore.node_public), [])
            self.assertEqual(self.damages(path, self.keystore), [])

    def test_segment_and_reel_together_are_copies(self):
        vault = reel.Vault([self.seg, self.reel], self.keystore)
        vault.verify()
        self.assertEqual(vault.report.damages, [])
        parts = vault.recordings[b"recording one id"]
        self.assertEqual([p.n_copies for p in parts.values()], [6, 2])

    def test_one_flipped_bit_anywhere_is_found_without_a_key(self):
        for path in (self.reel, self.seg):
            for slot_no, _ in self.slots(path):
                for byte in [0, 5, 40, 64, SLOT - 6, SLOT - 1, self.rng.randrange(SLOT)]:
                    self.assert_found(path, 8 * (slot_no * SLOT + byte) + self.rng.randrange(8))

    def test_one_flipped_bit_with_a_repaired_crc_is_found_by_what_is_signed(self):
        for slot_no, magic in self.slots(self.reel):
            if magic == b"ENVL":
                continue
            for byte in list(range(0, 64, 5)) + [70, 130, 200, 400, 2000, 4080, 4091]:
                self.assert_found(self.reel, 8 * (slot_no * SLOT + byte) + self.rng.randrange(8),
                                  node=self.keystore.node_public, repair=True)

    def test_every_byte_of_a_seal_slot_is_covered(self):
        slot_no = next(i for i, magic in self.slots(self.reel) if magic == b"SEAL")
        for byte in list(range(0, 620, 2)) + list(range(640, 4092, 397)):
            self.assert_found(self.reel, 8 * (slot_no * SLOT + byte) + self.rng.randrange(8),
                              node=self.keystore.node_public, repair=True)

    def test_a_changed_envelope_with_a_repaired_crc_is_found_with_keys(self):
        slot_no = next(i for i, magic in self.slots(self.reel) if magic == b"ENVL")
        for byte in list(range(0, 64)) + list(range(64, 300, 5)):
            self.assert_found(self.reel, 8 * (slot_no * SLOT + byte) + self.rng.randrange(8), self.keystore, repair=True)

    def test_a_footer_that_lies_is_found(self):
        slot_no = next(i for i, magic in self.slots(self.seg) if magic == b"FOOT")
        for byte in list(range(0, 400, 3)) + [4070]:
            self.assert_found(self.seg, 8 * (slot_no * SLOT + byte) + self.rng.randrange(8), repair=True)

    def test_damage_is_located(self):
        slot_no = [i for i, magic in self.slots(self.reel) if magic == b"CHNK"][3]
        found = self.assert_found(self.reel, 8 * (slot_no * SLOT + 1000))
        self.assertEqual((found[0]["file"], found[0]["slot"], found[0]["what"]), (self.reel, slot_no, "slot crc"))
        self.assertEqual((found[1]["part"], found[1]["chunk_no"]), (0, 3))

    def test_a_cut_off_file_is_found(self):
        os.truncate(self.reel, 5 * SLOT + 100)
        self.assertTrue(self.damages(self.reel))
        os.truncate(self.reel, 0)
        self.assertTrue(self.damages(self.reel))

    def test_slots_that_changed_places_are_found(self):
        with open(self.reel, "r+b") as f:
            data = f.read()
            f.seek(3 * SLOT)
            f.write(data[4 * SLOT:5 * SLOT] + data[3 * SLOT:4 * SLOT])
        self.assertIn("slot crc", [d["what"] for d in self.damages(self.reel)])

    def test_an_open_file_is_no_damage(self):
        path = os.path.join(self.folder, "copy.open")
        shutil.copy(self.seg, path)
        last = max(i for i, magic in self.slots(path) if magic == b"SEAL")
        with open(path, "r+b") as f:
            f.seek(last * SLOT)
            f.write(b"torn" * 1024)
            f.seek((64 - 1) * SLOT)
            f.write(bytes(SLOT))
        vault = reel.Vault([path], self.keystore)
        vault.verify()
        self.assertEqual(vault.report.damages, [])
        self.assertIn("slot crc", [n["what"] for n in vault.report.notes])
        self.assertIn("no seal", [n["what"] for n in vault.report.notes])

    def test_an_open_file_that_was_not_begun_is_no_damage(self):
        path = os.path.join(self.folder, "blank.open")
        with open(path, "wb") as f:
            f.write(bytes(3 * SLOT))
        self.assertEqual(self.damages(path), [])
        os.rename(path, path := os.path.join(self.folder, "blank.seg"))
        self.assertEqual([d["what"] for d in self.damages(path)], ["no container header"])

    def test_another_nodes_signature_is_refused(self):
        other = reel.X25519PrivateKey.generate()
        key = reel.Ed25519PublicKey.from_public_bytes(reel.raw_public(other))
        self.assertEqual({d["what"] for d in self.damages(self.reel, None, key)},
                         {"seal: signed by another node's key"})

    def test_an_absent_envelope_is_found(self):
        slot_no = next(i for i, magic in self.slots(self.reel) if magic == b"ENVL")
        with open(self.reel, "r+b") as f:
            f.seek(slot_no * SLOT)
            f.write(bytes(SLOT))
        self.assertIn("no envelope", [d["what"] for d in self.damages(self.reel)])

    def test_random_bytes_never_crash_the_reader(self):
        with open(self.reel, "rb") as f:
            clean = f.read()
        for _ in range(60):
            data = bytearray(clean)
            slot_no = self.rng.randrange(1, len(data) // SLOT)
            for _ in range(self.rng.randrange(1, 30)):
                data[slot_no * SLOT + self.rng.randrange(200)] = self.rng.randrange(256)
            slot = bytes(data[slot_no * SLOT:(slot_no + 1) * SLOT])
            data[slot_no * SLOT + 4092:(slot_no + 1) * SLOT] = struct.pack(
                ">I", reel.slot_crc(clean[16:32], slot_no, slot))
            with open(self.reel, "wb") as f:
                f.write(data)
            self.assertTrue(self.damages(self.reel, self.keystore))

    def run_tool(self, *args):
        return subprocess.run([sys.executable, TOOL, *args], capture_output=True, text=True, timeout=60)

    def test_the_commands_work(self):
        done = self.run_tool("verify", self.seg, "--keys", self.keys, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        summary = json.loads(done.stdout)
        self.assertTrue(summary["ok"])
        self.assertEqual([r["state"] for r in summary["recordings"]], ["final", "final"])
        self.assertEqual(summary["recordings"][1]["parts"][0]["seal"]["streams"][0]["recorded"], 60)
        done = self.run_tool("dump", self.reel, "--keys", self.keys)
        self.assertEqual(done.stdout.count(" RTP "), 80)
        self.assertIn("BODY stream=255 len=6000 redacted", done.stdout)
        done = self.run_tool("grep", "78" * 5000, self.reel, "--keys", self.keys)
        self.assertIn("1 found", done.stdout)
        done = self.run_tool("grep", "deadbeef00", self.reel, "--keys", self.keys)
        self.assertIn("0 found", done.stdout)
        self.assertEqual(self.run_tool("flip", self.reel, str(8 * 9000)).returncode, 0)
        done = self.run_tool("verify", self.reel)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"damage: file={self.reel} slot=2", done.stdout)
        self.assertEqual(self.run_tool("verify", "/nonexistent").returncode, 2)


if __name__ == "__main__":
    MAKE_REEL = sys.argv.pop(1)
    unittest.main(verbosity=1)
