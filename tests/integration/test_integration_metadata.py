"""Metadata through time: every version is kept whole, with its number and time, and both readers give it back."""

import hashlib
import json
import time
from xml.etree import ElementTree

from metadata import Talk, document, group, in_session, participant, sends, session, stream
from recorder import check
from sip_client import RECORDING_LINES

ANN_AND_BOB = document(group("g"), session("cs", group="g", start="2026-01-01T10:00:00Z"), participant("Ann"), participant("Bob"),
                       stream("s1", "cs", "1"), stream("s2", "cs", "2"), in_session("Ann", "cs"), in_session("Bob", "cs"),
                       sends("Ann", "s1"), sends("Bob", "s2"))


def histories(recorder):
    """{recording: versions} as the tool and as reel.py tell them."""
    status, out = recorder.reel_py("metadata", "--keys", recorder.settings["keys.path"])
    check(status == 0, f"reel.py metadata: {out[-400:]}")
    theirs = json.loads(out)
    ours = {row["id"]: recorder.tool("recordings", "show", row["id"], "--metadata-history", "--json")["metadata"]
            for row in recorder.recordings()}
    check(set(ours) == set(theirs), f"{set(ours)} and {set(theirs)}")
    for recording, versions in ours.items():
        for a, b in zip(versions, theirs[recording], strict=True):
            for name in ("version", "received_wall_ns", "bytes", "datamode", "applied", "reason", "document"):
                check(a.get(name) == b[name], f"{name}: {a.get(name)!r} and {b[name]!r}")
    return ours


def test_every_version_of_metadata_is_kept_with_its_time(context):
    sent = [ANN_AND_BOB,
            document(participant("Bob").replace("<name>Bob<", "<name>Robert<"), datamode="partial"),
            document(sends("Nobody", "s9"), datamode="partial"),
            b"<recording xmlns='urn:ietf:params:xml:ns:recording:1'><broken",
            document(session("cs", stop="2026-01-01T10:05:00Z"), datamode="partial")]
    with context.recorder() as r:
        call = Talk(r, "history", sent[0])
        check(call.status == 200, f"INVITE got {call.status}")
        begun = time.time_ns()
        check(call.update(sent[1]) == 200, "UPDATE")
        check(call.info(sent[2]) == 200, "INFO")
        check(call.reinvite(sent[3]).status == 200, "re-INVITE")
        check(call.update(sent[4]) == 200, "UPDATE")
        ended = time.time_ns()
        check(call.bye() == 200, "BYE")
        row = r.wait_sealed(1)[0]
        versions = histories(r)[row["id"]]
        check([v["version"] for v in versions] == [1, 2, 3, 4, 5], f"versions: {versions}")
        check([v["document"].encode() for v in versions] == sent, "the documents are not what was sent")
        check([v["applied"] for v in versions] == [True, True, False, False, True], f"applied: {versions}")
        check([v["datamode"] for v in versions] == ["complete", "partial", "partial", "", "partial"], f"modes: {versions}")
        times = [v["received_wall_ns"] for v in versions]
        check(times == sorted(times) and begun <= times[1] and times[4] <= ended, f"times: {times}")
        check("complete" in versions[2]["reason"] and versions[3]["reason"], f"reasons: {versions}")
        names = [p["name"] for p in r.tool("recordings", "show", row["id"], "--json")["participants"]]
        check(names == ["Ann", "Robert"], f"participants: {names}")
        call.close()


def test_documents_of_more_than_64_kib_are_kept_whole(context):
    def grown(n):	# comments, so that no item is counted
        return ANN_AND_BOB + b"<!--" + hashlib.sha256(b"x").hexdigest().encode() * (n // 64) + b"-->"
    sent = [grown(70_000), grown(200_000), grown(260_000)]
    with context.recorder() as r:
        call = Talk(r, "large", sent[0], transport="tcp")
        check(call.status == 200, f"INVITE got {call.status}")
        for d in sent[1:]:
            status = call.update(d)
            check(status == 200, f"UPDATE of {len(d)} bytes got {status}")
        check(call.bye() == 200, "BYE")
        row = r.wait_sealed(1)[0]
        versions = histories(r)[row["id"]]
        check([v["document"].encode() for v in versions] == sent, f"kept: {[len(v['document']) for v in versions]}")
        check(all(v["applied"] for v in versions), f"applied: {[v['reason'] for v in versions]}")
        check(r.metrics()["session_notes_lost"] == 0, "documents were lost")
        call.close()


TAKES_REQUESTS = (*RECORDING_LINES, "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE",
                  "Accept: application/sdp, application/rs-metadata, application/rs-metadata-request")


def renamed(name):
    return document(participant("Bob").replace("<name>Bob<", f"<name>{name}<"), datamode="partial")


def test_a_partial_that_does_not_fit_makes_the_recorder_ask(context):
    with context.recorder() as r:
        call = Talk(r, "snapshot", ANN_AND_BOB, lines=TAKES_REQUESTS)
        check(call.update(document(sends("Nobody", "s9"), datamode="partial")) == 200, "UPDATE")
        asked = call.asked()
        check(asked is not None and asked.method == "UPDATE", f"asked: {asked and asked.start}")
        check(asked.header("Content-Type") == "application/rs-metadata-request", asked.header("Content-Type"))
        check(asked.header("Content-Disposition") == "recording-session", asked.header("Content-Disposition"))
        check("+sip.srs" in asked.header("Contact"), asked.header("Contact"))
        root = ElementTree.fromstring(asked.body)
        check(root.tag == "{urn:ietf:params:xml:ns:recording:1}requestsnapshot" and
              root[0].tag == "{urn:ietf:params:xml:ns:recording:1}requestreason" and root[0].text, f"body: {asked.body}")
        check(call.update(renamed("Early")) == 200, "a partial before the snapshot")
        check(call.update(ANN_AND_BOB) == 200, "the snapshot")
        check(call.update(renamed("Robert")) == 200, "a partial after it")
        check(call.bye() == 200, "BYE")
        call.close()
        row = r.wait_sealed(1)[0]
        versions = histories(r)[row["id"]]
        check([v["applied"] for v in versions] == [True, False, False, True, True], f"applied: {versions}")
        check("awaited" in versions[2]["reason"], versions[2]["reason"])
        check([p["name"] for p in row["participants"]] == ["Ann", "Robert"], f"participants: {row['participants']}")
        m = r.metrics()
        check((m["session_snapshots_asked"], m["session_snapshots_came"], m["session_metadata_held"]) == (1, 1, 1), "counters")


def test_who_refuses_a_request_for_metadata_is_not_asked_again(context):
    with context.recorder() as r:
        call = Talk(r, "refuses", ANN_AND_BOB, lines=TAKES_REQUESTS)
        check(call.update(document(sends("Nobody", "s9"), datamode="partial")) == 200, "UPDATE")
        check(call.asked("415 Unsupported Media Type") is not None, "not asked")
        r.wait_log("snapshot_missing")
        check(call.update(renamed("Robert")) == 200, "UPDATE")
        check(call.update(document(sends("Nobody", "s9"), datamode="partial")) == 200, "UPDATE")
        check(call.asked(wait_s=1) is None, "asked again")
        check(call.bye() == 200, "BYE")
        call.close()
        row = r.wait_sealed(1)[0]
        check([p["name"] for p in row["participants"]] == ["Ann", "Robert"], f"participants: {row['participants']}")


def test_who_does_not_list_the_request_is_not_asked(context):
    with context.recorder() as r:
        call = Talk(r, "silent", ANN_AND_BOB, lines=(*RECORDING_LINES, "Allow: INVITE, ACK, BYE, UPDATE", "Accept: application/sdp"))
        check(call.update(b"<recording") == 200, "UPDATE")
        check(call.asked(wait_s=1) is None, "asked")
        check(call.bye() == 200, "BYE")
        call.close()
        r.wait_sealed(1)


def test_a_profile_says_that_a_client_is_not_asked(context):
    quiet = "src:\n  - name: quiet\n    addresses: [127.0.0.0/8]\n    snapshot: never\n"
    with context.recorder(yaml=quiet) as r:
        call = Talk(r, "quiet", ANN_AND_BOB, lines=TAKES_REQUESTS)
        check(call.status == 200, f"INVITE got {call.status}")
        check(call.update(b"<recording") == 200, "UPDATE")
        check(call.asked(wait_s=1) is None, "asked")
        check(call.bye() == 200, "BYE")
        call.close()


def test_the_last_document_may_come_with_bye(context):
    last = document(session("cs", stop="2026-01-01T10:05:00Z"), participant("Bob").replace("<name>Bob<", "<name>Robert<"),
                    datamode="partial")
    with context.recorder() as r:
        call = Talk(r, "bye", ANN_AND_BOB)
        check(call.bye_with(last) == 200, "BYE")
        call.close()
        row = r.wait_sealed(1)[0]
        versions = histories(r)[row["id"]]
        check(len(versions) == 2 and versions[1]["applied"] and versions[1]["document"].encode() == last, f"{versions}")
        check([p["name"] for p in row["participants"]] == ["Ann", "Robert"] and row["reason"] == "bye", f"{row}")


def test_who_spoke_when_follows_the_clients_own_times(context):
    def ago(seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))
    with context.recorder() as r:
        began = ago(3600)	# the call is older than its recording
        call = Talk(r, "who", document(session("cs"), participant("Ann"), participant("Bob"), stream("s1", "cs", "1"),
                                       stream("s2", "cs", "2"), sends("Ann", "s1", associated=began),
                                       sends("Bob", "s2", associated="1970-01-01T00:00:00Z")))
        time.sleep(2.2)
        left = ago(1)
        check(call.update(document(sends("Bob", "s2", disassociated=left), datamode="partial")) == 200, "UPDATE")
        check(call.bye() == 200, "BYE")
        call.close()
        row = r.wait_sealed(1)[0]
        shown = r.tool("recordings", "show", row["id"], "--json")
        who = {w["name"]: w for w in shown["who"]}
        check(set(who) == {"Ann", "Bob"}, f"who: {shown['who']}")
        check(who["Ann"]["from_wall_ns"] == row["started_wall_ns"] and who["Ann"]["from_by"] == "src", f"Ann: {who['Ann']}")
        check(who["Bob"]["from_by"] == "recorder", f"Bob: {who['Bob']}")
        check(who["Bob"]["to_by"] == "src" and who["Bob"]["to"][:19].replace(" ", "T") + "Z" == left, f"Bob: {who['Bob']}, {left}")
        status, text, _ = r.tool("recordings", "show", row["id"], expect=None)
        check(status == 0 and "Who spoke when" in text, text)
