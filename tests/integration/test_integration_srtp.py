"""SRTP with keys in SDP through the real server: every suite, faults that balance, keys and sources that change, forgers,
and ffmpeg. What is exported must be what was sent, bit by bit."""

import base64
import concurrent.futures
import itertools
import os
import random
import subprocess

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from recorder import check
from srtp_call import Peer, Run, check_balance, check_seals, check_voices, exported, heard, next_seed, noise, row_of, seal_of

SUITES = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AES_192_CM_HMAC_SHA1_80", "AES_192_CM_HMAC_SHA1_32",
          "AES_256_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"]


def secure(context, **settings):
    return context.recorder(srtp__sdes_unprotected="allow", **settings)


def test_every_suite_comes_back_bit_exact(context):
    with secure(context) as r, concurrent.futures.ThreadPoolExecutor(4) as pool:
        extra = {3: ("--mki", "4", "--lifetime", "2^31"), 4: ("--mki", "1"), 6: ("--savpf",), 7: ("--mki", "2", "--srtp-engine", "ipsec-mb")}
        runs = list(pool.map(lambda i: Run(r, "--srtp", SUITES[i], *extra.get(i, ())), range(len(SUITES))))
        rows = r.wait_sealed(len(SUITES))
        for suite, run in zip(SUITES, runs):
            check(run.sent["suite"] == suite, f"{run.sent['suite']} for {suite}")
            check_voices(r, row_of(r, rows, run), run)
        check_balance(r, runs)
        check_seals(r, runs, rows)


def faults_balance(context, engine):
    faults = ("--loss", "4", "--reorder", "4", "--duplicate", "4", "--replays", "6", "--bad-tags", "6", "--calls", "2")
    with secure(context, srtp__engine=engine) as r, concurrent.futures.ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda suite: Run(r, "--srtp", suite, *faults, seconds=5),
                             ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM"]))
        rows = r.wait_sealed(6)
        check(all(run.sent[k] > 0 for run in runs for k in ("dropped", "duplicated", "reordered", "replays", "bad_tags")),
              "the sender made none of a kind")
        check_balance(r, runs)
        check_seals(r, runs, rows)


def test_faults_balance(context):
    """Loss, reordering, duplicates, replays and broken bits at once: the counters, the seals and the sender agree."""
    faults_balance(context, "ipsec-mb")


def test_faults_balance_with_the_engine_on_libsrtp2(context):
    faults_balance(context, "libsrtp2")


def test_the_engine_on_libsrtp2_takes_what_it_reads_right(context):
    """Another maker's library decides which suites there are: one that it has wrong is not answered with."""
    with secure(context, srtp__engine="libsrtp2") as r:
        run = Run(r, "--srtp", "AES_192_CM_HMAC_SHA1_80", "--srtp", "AES_256_CM_HMAC_SHA1_32", "--rekey-at", "0.7", "--roc", "1")
        check(run.sent["suite"] in ("AES_192_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_32"), f"{run.sent['suite']} was chosen")
        check_voices(r, r.wait_sealed(1)[0], run)
        check_balance(r, [run])


def test_rollover_counter_wraps_within_a_call(context):
    with secure(context) as r:
        runs = [Run(r, "--srtp", "AES_CM_128_HMAC_SHA1_80", "--seq", "65500"),
                Run(r, "--srtp", "AEAD_AES_128_GCM", "--seq", "65500", "--reorder", "20", "--loss", "5", "--bad-tags", "20")]
        rows = r.wait_sealed(2)
        check_voices(r, row_of(r, rows, runs[0]), runs[0])
        check_balance(r, runs)
        check_seals(r, runs, rows)


def test_a_late_joiner_finds_the_rollover_counter(context):
    """A source that was on the air for long: the ROC is not signalled and is searched for, a few tries a packet."""
    with secure(context) as r:
        runs = [Run(r, "--srtp", "AES_CM_128_HMAC_SHA1_80", "--roc", "1", seconds=1),
                Run(r, "--srtp", "AEAD_AES_256_GCM", "--roc", "3", "--seq", "65520", seconds=1),
                Run(r, "--srtp", "AES_CM_128_HMAC_SHA1_32", "--roc", "12", seconds=4)]
        rows = r.wait_sealed(3)
        for run, missed in zip(runs, (0, 0, 2 * 60)):	# the last one costs more tries than a slot has at once
            check_voices(r, row_of(r, rows, run), run, all_but=missed)
        check_balance(r, runs, missed_max=2 * 60)


def test_rekey_by_reinvite(context):
    """New keys open a generation from their first packet on; the same keys go on; nothing is lost on the way."""
    ways = [("--rekey-at", "0.7"), ("--rekey-at", "0.7", "--rekey-same"), ("--rekey-at", "0.7", "--rekey-keeps-roc", "--roc", "1"),
            ("--rekey-at", "0.7", "--seq", "65520"), ("--rekey-at", "0.7", "--mki", "2", "--reorder", "20")]
    with secure(context) as r, concurrent.futures.ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda way: Run(r, "--srtp", "AES_CM_128_HMAC_SHA1_80", *way), ways))
        rows = r.wait_sealed(len(ways))
        for way, run in zip(ways, runs):
            row = row_of(r, rows, run)
            generations = {s["generation"] for s in seal_of(r, row)}
            n = 1 if "--rekey-same" in way else 2
            check(run.sent["rekeys"] == 2 * (n - 1), f"{run.sent['rekeys']} key changes with {way}")
            check(len(generations) == n, f"key generations {generations} with {way}")
            check_voices(r, row, run)
        check_balance(r, runs)


def test_inline_keys_follow_each_other(context):
    with secure(context) as r:
        runs = [Run(r, "--srtp", suite, "--mki", "2", "--keys", "3", "--seq", "65500", "--replays", "5")
                for suite in ("AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM")]
        rows = r.wait_sealed(2)
        for run in runs:
            row = row_of(r, rows, run)
            check(len({s["generation"] for s in seal_of(r, row)}) == 3, f"{seal_of(r, row)}")
            check_voices(r, row, run)
        check_balance(r, runs)
        check_seals(r, runs, rows)


def test_ssrc_changes_in_mid_stream(context):
    with secure(context) as r:
        runs = [Run(r, "--srtp", suite, "--ssrc-change-at", "0.7", "--replays", "5") for suite in ("AES_256_CM_HMAC_SHA1_80", "AEAD_AES_128_GCM")]
        rows = r.wait_sealed(2)
        for run in runs:
            row = row_of(r, rows, run)
            check(len({s["ssrc"] for s in seal_of(r, row)}) == 4, f"{seal_of(r, row)}")
            check_voices(r, row, run)
        check_balance(r, runs)
        check_seals(r, runs, rows)


def test_mixed_profiles_in_one_offer(context):
    with secure(context) as r:
        runs = [Run(r, "--srtp", "AES_CM_128_HMAC_SHA1_80", "--mixed-profiles")]
        check_voices(r, r.wait_sealed(1)[0], runs[0])
        check_balance(r, runs)


def test_best_suite_is_taken_and_keys_in_clear_are_refused_by_default(context):
    with secure(context, srtp__suites="AEAD_AES_256_GCM,AES_CM_128_HMAC_SHA1_80") as r:
        run = Run(r, *itertools.chain(*(("--srtp", s) for s in SUITES)), seconds=1)
        check(run.sent["suite"] == "AEAD_AES_256_GCM", f"{run.sent['suite']} was chosen")
        r.simulate("--srtp", "AES_192_CM_HMAC_SHA1_32", "--expect", "488", "--duration", "1", "--seed", next_seed())
    with context.recorder() as r:
        r.simulate("--srtp", "AES_CM_128_HMAC_SHA1_80", "--expect", "488", "--duration", "1")


def test_hold_keeps_the_keys(context):
    with secure(context) as r:
        run = Run(r, "--srtp", "AEAD_AES_128_GCM", "--hold", "0.5:0.5")
        row = r.wait_sealed(1)[0]
        check({s["generation"] for s in seal_of(r, row)} == {0}, f"{seal_of(r, row)}")
        m = check_balance(r, [run])
        check(m["rx_drop_paused"] <= 4, f"{m['rx_drop_paused']:.0f} packets of a sender on hold")


# ---- attacks ----

def test_forged_packets_change_nothing(context):
    """Packets made without the key, from the right address, with right headers, many times as many as true ones. A million
    of them by CAPSTAN_FORGED=1000000."""
    n = int(os.environ.get("CAPSTAN_FORGED", 20000 if context.sanitized else 200000))
    with secure(context) as r:
        run = Run(r, "--srtp", "AES_CM_128_HMAC_SHA1_80", "--forge", str(n), seconds=max(10, n / 50000))
        row = r.wait_sealed(1)[0]
        check(run.sent["forged"] + run.sent["forged_rtcp"] >= 0.99 * n, f"{run.sent['forged']} forged of {n}")
        check_balance(r, [run])
        check_voices(r, row, run)
        check(len(seal_of(r, row)) == 2, f"a forged source is in the seal: {seal_of(r, row)}")


def test_forged_packets_do_not_stand_before_new_keys(context):
    """A key change in the middle of the spray: what was signalled is found without the tries that forgeries use up."""
    n = 5000 if context.sanitized else 20000
    with secure(context) as r:
        runs = [Run(r, "--srtp", suite, "--forge", str(n), "--rekey-at", "1", "--seq", "65500", seconds=3)
                for suite in ("AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM")]
        rows = r.wait_sealed(2)
        for run in runs:
            check(run.sent["rekeys"] == 2, f"{run.sent['rekeys']} key changes")
            check_voices(r, row_of(r, rows, run), run)
        check_balance(r, runs)


# ---- keys in memory ----

SHAPES = {"AES_CM_128_HMAC_SHA1_80": (16, 14), "AES_256_CM_HMAC_SHA1_80": (32, 14), "AEAD_AES_256_GCM": (32, 12)}
LABELS = ("RTP cipher", "RTP authentication", "RTP salt", "RTCP cipher", "RTCP authentication", "RTCP salt")


def session_keys(suite, inline):
    """{what: key} of RFC 3711 §4.3, made from what stands behind inline:."""
    key_len, salt_len = SHAPES[suite]
    both = base64.b64decode(inline)
    out = {}
    for label, what in enumerate(LABELS):
        if "authentication" in what and "AEAD" in suite:
            continue
        iv = bytearray(both[key_len:].ljust(16, b"\0"))
        iv[7] ^= label
        n = 20 if "authentication" in what else salt_len if "salt" in what else key_len
        out[f"{suite} {what}"] = Cipher(algorithms.AES(both[:key_len]), modes.CTR(bytes(iv))).encryptor().update(bytes(n))
    return out


def session_keys_leave_the_memory(context, engine):
    with secure(context, srtp__engine=engine) as r:
        theirs, ours, peers = {}, {}, []
        for i, (suite, lengths) in enumerate(SHAPES.items()):
            inline = base64.b64encode(random.randbytes(sum(lengths))).decode()
            peers.append(Peer(r, f"memory-{i}", 20000 + i, (f"a=crypto:1 {suite} inline:{inline}",), "RTP/SAVP"))
            theirs |= session_keys(suite, inline)
            ours |= session_keys(suite, peers[-1].attributes["crypto"].split("inline:")[1].split("|")[0])
        if not context.sanitized:	# there the map of the memory has no end
            check(r.memory_holds(dict(itertools.islice(theirs.items(), 3))), "no key is found in the memory of live calls: the search is wrong")
        for peer in peers:
            peer.end()
        r.wait_sealed(len(peers))
        if not context.sanitized:
            left = sorted(r.memory_holds(theirs | ours))
            check(not left, f"keys in memory after their calls: {left}")


def test_session_keys_leave_the_memory(context):
    session_keys_leave_the_memory(context, "ipsec-mb")


def test_session_keys_leave_the_memory_with_the_engine_on_libsrtp2(context):
    session_keys_leave_the_memory(context, "libsrtp2")


# ---- a sender that is not ours ----

# Its AES_CM_128_HMAC_SHA1_32 has an SRTCP tag of 32 bits too; RFC 4568 §6.2.2 and everybody else leave that at 80, which it
# does under the DTLS profile's name.
FFMPEG_NAMES = {"AES_CM_128_HMAC_SHA1_32": "SRTP_AES128_CM_HMAC_SHA1_32"}


def ffmpeg(context, suite):
    key = base64.b64encode(bytes(random.Random(suite).choices(range(256), k=30))).decode()
    coded = noise(100)
    with secure(context) as r:
        source = os.path.join(r.folder, "noise.ul")
        with open(source, "wb") as f:
            f.write(coded)
        with open(os.devnull) as nothing:
            port = 20000 + os.getpid() % 1000 * 2
            peer = Peer(r, f"ffmpeg-{suite}", port, (f"a=crypto:1 {suite} inline:{key}",), "RTP/SAVP")
            check(key not in peer.answer.body.decode(), "our key came back")
            done = subprocess.run(
                ["ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-f", "mulaw", "-ar", "8000", "-ac", "1", "-i", source,
                 "-c:a", "copy", "-f", "rtp", "-srtp_out_suite", FFMPEG_NAMES.get(suite, suite), "-srtp_out_params", key,
                 f"srtp://{peer.address}:{peer.port}?localaddr={r.host}&localrtpport={port}&pkt_size=182"],
                stdin=nothing, capture_output=True, text=True, timeout=60)
            check(done.returncode == 0, f"ffmpeg ended with {done.returncode}: {done.stderr[-300:]}")
        r.settle()
        peer.end()
        row = r.wait_sealed(1)[0]
        packets = exported(r, row)
        said = b"".join(payload for _, _, payload in packets)	# it does not always send whole frames of 20 ms
        check(said == coded, f"{len(said)} bytes came back of {len(coded)}, not the same")
        heard(packets, coded)
        m = r.check_conservation()
        check(m["rx_drop_auth"] + m["rx_drop_auth_rtcp"] == 0, f"rx_drop_auth {m['rx_drop_auth']}, _rtcp {m['rx_drop_auth_rtcp']}")
        check(m["rx_recorded_rtcp"] > 0, "no sender report of ffmpeg's was recorded")


def test_ffmpeg_srtp_comes_back_bit_exact(context):
    ffmpeg(context, "AES_CM_128_HMAC_SHA1_80")


def test_ffmpeg_srtp_with_a_short_tag_comes_back_bit_exact(context):
    ffmpeg(context, "AES_CM_128_HMAC_SHA1_32")
