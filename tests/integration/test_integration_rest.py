"""REST, the catalog, secrets, and a machine with one processor."""

import base64
import json
import os
import subprocess
import time

import sip_client as sip
from recorder import check

SDES = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"		# the key of an a=crypto line
SDES_RAW = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


def test_rest_during_and_after_a_call(context):
    with context.recorder() as r:
        check(r.get("/health")[0] == 200, "/health")
        check(r.get("/health/live")[0] == 200, "/health/live")
        check(r.get("/health/ready")[0] == 200, "/health/ready")
        check(r.get("/no/such/page")[0] == 404, "an unknown page is no 404")
        call = sip.Call(r, "rest@call")
        check(call.status == 200, f"INVITE got {call.status}")
        for i in range(50):
            call.send(0, sip.rtp(i, i * 160, 1, bytes([i]) * 160))
            call.send(1, sip.rtp(i, i * 160, 2, bytes([i]) * 160))
            time.sleep(0.01)
        status, document = r.get("/api/v1/sessions")
        check(status == 200 and len(document["sessions"]) == 1, f"sessions: {document}")
        check("rest@call" in json.dumps(document), f"the session does not name its Call-ID: {document}")
        status, stats = r.get("/api/sessions/stats")
        check(status == 200, f"/api/sessions/stats: {status} {stats}")
        check(call.bye() == 200, "BYE")
        call.close()
        row = r.wait_sealed(1)[0]
        check(r.get("/api/v1/sessions")[1]["sessions"] == [], "the session is still there")
        status, document = r.get("/api/v1/recordings")
        check(status == 200 and [x["id"] for x in document["recordings"]] == [row["id"]], f"recordings: {document}")
        seen = document["recordings"][0]
        check(seen["state"] == "sealed" and len(seen["participants"]) == 2, f"{seen}")
        status, one = r.get(f"/api/v1/recordings/{row['id']}")
        check(status == 200 and one["id"] == row["id"], f"one recording: {status} {one}")
        metrics = r.check_conservation()
        check(metrics["rx_recorded"] == 100, f"rx_recorded {metrics['rx_recorded']}")
        check(r.tool("sessions", "ls", "--json").get("sessions") == [], "capstan sessions ls")


def catalog_rows(recorder):
    """What the catalog says of each recording, without what only the live catalog knows."""
    out = {}
    for row in recorder.recordings():
        out[row["id"]] = {k: row[k] for k in ("state", "n_frames", "call_id", "cs_id", "n_streams", "missing", "lost_upstream")}
        out[row["id"]]["participants"] = sorted(p.get("aor", "") for p in row["participants"])
    return out


def test_stop_keeps_all_and_fsck_makes_the_catalog_anew(context):
    with context.recorder() as r:
        r.simulate("--calls", "4", "--rate", "20", "--duration", "1", "--no-rtcp")
        r.wait_sealed(4)
        before = catalog_rows(r)
        status, seconds = r.stop()
        check(status == 0, f"exit status {status}: {r.log_tail()}")
        check(catalog_rows(r) == before, "a clean stop changed the catalog")
        check(r.tool("fsck", "--json")["ok"], "fsck finds something in a sound vault")
        r.tool("fsck", "--rebuild", "--json")
        after = catalog_rows(r)
        for one in before:
            check(after.get(one) == before[one], f"rebuilt: {after.get(one)}, was: {before[one]}")
        check(len(after) == len(before), f"{len(after)} rows rebuilt of {len(before)}")
        # and without any catalog at all
        for name in os.listdir(os.path.join(r.settings["storage.devices"])):
            if name.startswith("catalog"):
                os.unlink(os.path.join(r.settings["storage.devices"], name))
        r.tool("fsck", "--rebuild", "--json")
        check(catalog_rows(r) == before, "the catalog made from nothing differs")
        status, text = r.reel_py("verify", "--keys", r.settings["keys.path"])
        check(status == 0, f"reel.py: {text[-400:]}")
        r.process = None
        with r:
            check(len(r.get("/api/v1/recordings")[1]["recordings"]) == 4, "the restarted recorder lost recordings")
            r.simulate("--duration", "0.5")
            r.wait_sealed(5)


def test_keys_of_the_offer_are_nowhere(context):
    """SDES keys, ICE passwords and credentials in bodies: struck out of recordings, never in the log."""
    secrets = [SDES, SDES_RAW, "asd88fgpdd777uzjYhagZg"]
    extra = (f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{SDES}|2^20|1:4", "a=ice-ufrag:8hhY", f"a=ice-pwd:{secrets[2]}",
             f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{SDES_RAW}")
    with context.recorder(node__log_level="debug") as r:
        call = sip.Call(r, "secret@call", extra=extra)
        check(call.status == 200, f"INVITE got {call.status}")
        call.send(0, sip.rtp(1, 160, 1, b"the sound of a word that can be found again"))
        time.sleep(0.2)
        check(call.bye() == 200, "BYE")
        call.close()
        # a refused offer is logged, not shown
        with sip.Client(r.port) as c:
            data = sip.invite(c, "refused@call", sip.sdp(r.host, [(20000, "1")], extra=extra).replace(b"RTP/AVP", b"RTP/SAVP"),
                              sip.rs_metadata(["Alice"], ["1"]))
            answer = c.ask(data)
            c.send(sip.ack_for(data, answer))
            for secret in secrets:
                check(secret not in answer.data.decode("latin-1"), "a key came back in an answer")
            if answer.status == 200:
                c.ask(sip.request(c, "BYE", "refused@call", 2, to_tag=answer.tag("To", "t"), contact=""))
        r.wait_sealed(1)
        needles = {s[:8]: s.encode() for s in secrets}
        needles |= {f"{s[:8]} decoded": base64.b64decode(s)[:16] for s in (SDES, SDES_RAW)}
        if not context.sanitized:	# there the map of its memory has no end
            check(r.memory_holds({"name": b"test-node"}) == {"name"}, "the search finds nothing at all")
            left = r.memory_holds(needles)
            check(not left, f"in the memory of the recorder: {sorted(left)}")
        r.stop()
        for needle, wanted in [(s, False) for s in secrets] + [("a=crypto:", True), ("that can be found again", True)]:
            status, text = r.reel_py("grep", "--keys", r.settings["keys.path"], first=needle.encode().hex())
            check(status == 0, f"reel.py grep: {text[-300:]}")
            found = not text.rstrip().endswith("\n0 found") and text.strip() != "0 found"
            check(found == wanted, f"{needle[:12]}... {'is' if found else 'is not'} in the opened recordings: {status} {text[-200:]}")
        for secret in secrets:
            check(secret not in r.log_text(), "a key is in the log")
        for folder, _, names in os.walk(r.settings["storage.devices"]):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    data = f.read()
                check(not any(s.encode() in data for s in secrets), f"a key is in {name}")


def test_without_large_pages_it_runs_and_says_what_gives_them(context):
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        context.skip("no mount namespace can be made here, as in a plain chroot")
    hide = """set -e
zero=$(mktemp) && echo 0 > "$zero"
for f in /sys/kernel/mm/hugepages/*/free_hugepages; do mount --bind "$zero" "$f"; done
rm "$zero"
exec "$@\""""
    with context.recorder(prefix=["unshare", "--mount", "sh", "-c", hide, "sh"], media__no_huge="false") as r:
        r.simulate("--duration", "1")
        r.wait_sealed(1)
        check("4 KiB pages" in r.log_text() and "; no large pages are free: sysctl vm.nr_hugepages=" in r.log_text(),
              f"the screen does not say it: {r.log_text()[:1200]}")
        check(r.stop()[0] == 0, "not a clean stop")


def test_one_processor_is_enough(context):
    cpu = str(min(os.sched_getaffinity(0)))
    with context.recorder(prefix=["taskset", "-c", cpu]) as r:
        sent = r.simulate("--duration", "2", "--no-rtcp")
        row = r.wait_sealed(1)[0]
        shown = r.tool("recordings", "show", row["id"], "--json")
        check(sum(s["recorded"] for s in shown["streams"]) == sent["packets_sent"], f"{shown['streams']} of {sent}")
        with open(f"/proc/{r.process.pid}/status") as f:
            allowed = [line.split()[1] for line in f if line.startswith("Cpus_allowed_list")]
        check(allowed == [cpu], f"it runs on {allowed}")
        status, seconds = r.stop()
        check(status == 0, f"exit status {status}")
