"""Calls that belong together: transfers, one call seen by two clients, many calls in one recording session."""

import struct
import time

from metadata import Talk, document, group, in_session, participant, sends, session, stream, uid
from recorder import check
from sip_client import rtp

A = "ab30317f1a784dc48ff824d0d3715d86"
B = "47755a9de7794ba387653f2099600ef2"


def two(cs, first, second, *, group_name="", ids=(), extra=()):
    """A complete document of a call between two people."""
    return document(*([group(group_name)] if group_name else []), session(cs, group=group_name, ids=ids), participant(first),
                    participant(second), stream("s1", cs, "1"), stream("s2", cs, "2"), in_session(first, cs),
                    in_session(second, cs), sends(first, "s1"), sends(second, "s2"), *extra)


def speak(call, n, stream_i=0, ssrc=0x1234, first=0):
    for i in range(first, first + n):
        call.send(stream_i, rtp(i, 160 * i, ssrc + stream_i, b"\xd5" * 160))
        time.sleep(0.002)


def wait_open(recorder, cs, wait_s=5):
    """Until the recording of this communication session is open, and a moment more: its streams move to it."""
    end = time.monotonic() + wait_s
    while not [row for row in recorder.recordings() if row["cs_id"] == uid(cs)]:
        check(time.monotonic() < end, f"no recording of {cs}")
    time.sleep(0.3)


def names_of(row):
    return sorted(p["name"] for p in row["participants"])


def test_a_transfer_by_bye_and_invite_is_linked_by_its_group(context):
    with context.recorder() as r:
        first = Talk(r, "before", two("cs-1", "Ann", "Bob", group_name="g"))
        check(first.bye() == 200, "BYE")
        second = Talk(r, "after", two("cs-2", "Ann", "Carol", group_name="g"))
        check(second.bye() == 200, "BYE")
        other = Talk(r, "another", two("cs-3", "Dan", "Eve", group_name="h"))
        check(other.bye() == 200, "BYE")
        rows = {row["call_id"]: row for row in r.wait_sealed(3)}
        chain = r.tool("recordings", "ls", "--group", uid("g"), "--json")["recordings"]
        check({c["call_id"] for c in chain} == {"before", "after"}, f"chain: {[c['call_id'] for c in chain]}")
        shown = r.tool("recordings", "show", rows["after"]["id"], "--json")
        check([c["id"] for c in shown["related"]] == [rows["before"]["id"]], f"related: {shown['related']}")
        check(shown["group_id"] == uid("g"), shown["group_id"])
        status, page = r.get(f"/api/v1/recordings/{rows['before']['id']}")
        check(status == 200 and [c["call_id"] for c in page["related"]] == ["after"], f"REST: {page.get('related')}")
        status, page = r.get("/api/v1/recordings?group=" + uid("g").replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"))
        check(status == 200 and len(page["recordings"]) == 2, f"REST list: {page}")
        for call in (first, second, other):
            call.close()


def test_one_call_from_two_clients_is_found_by_its_session_id(context):
    with context.recorder() as r:
        calls = [Talk(r, "west", two("cs-w", "Ann", "Bob", ids=[f"{A};remote={B}"])),
                 Talk(r, "east", two("cs-e", "Ann", "Bob", ids=[f"{B};remote={A}"])),
                 Talk(r, "else", two("cs-x", "Ann", "Bob", ids=["1" * 32 + ";remote=" + "0" * 32])),
                 Talk(r, "none", two("cs-n", "Ann", "Bob"))]
        for call in calls:
            check(call.bye() == 200, "BYE")
            call.close()
        rows = {row["call_id"]: row for row in r.wait_sealed(4)}
        check(rows["west"]["session_ids"] == f"{A};remote={B}", rows["west"]["session_ids"])
        for text in (A, B.upper(), f"{B};remote={A}"):
            found = r.tool("recordings", "ls", "--session-id", text, "--json")["recordings"]
            check({f["call_id"] for f in found} == {"west", "east"}, f"{text}: {[f['call_id'] for f in found]}")
        related = r.tool("recordings", "show", rows["west"]["id"], "--json")["related"]
        check([c["call_id"] for c in related] == ["east"], f"related: {related}")
        status, page = r.get(f"/api/v1/recordings?session_id={A}")
        check(status == 200 and len(page["recordings"]) == 2, f"REST list: {page}")
        for name in ("else", "none"):
            related = r.tool("recordings", "show", rows[name]["id"], "--json")["related"]
            check(related == [], f"{name} is related to {related}")


def test_a_rebuild_gives_the_same_rows(context):
    with context.recorder() as r:
        call = Talk(r, "rebuilt", two("cs-1", "Ann", "Bob", group_name="g", ids=[f"{A};remote={B}"]))
        speak(call, 50)
        check(call.update(document(sends("Nobody", "s9"), datamode="partial")) == 200, "UPDATE")	# a deviation
        check(call.update(document(session("cs-2", group="g"), stream("s2", "cs-2", "2"), in_session("Bob", "cs-2"),
                                   datamode="partial")) == 200, "UPDATE")
        speak(call, 50, 1)
        check(call.bye() == 200, "BYE")
        call.close()
        before = sorted(r.wait_sealed(2), key=lambda row: row["id"])
        related = r.tool("recordings", "show", before[0]["id"], "--json")["related"]
        check(len(related) == 1, f"related: {related}")
        r.stop()
        r.tool("fsck", "--rebuild", "--json")
        after = sorted(r.recordings(), key=lambda row: row["id"])
        for a, b in zip(before, after, strict=True):
            differs = {name: (a[name], b[name]) for name in a if a[name] != b[name]}
            check(not differs, f"{differs}")
        check(r.tool("recordings", "show", before[0]["id"], "--json")["related"] == related, "links are lost")
        found = r.tool("recordings", "ls", "--session-id", A, "--json")["recordings"]
        check([f["cs_id"] for f in found] == [uid("cs-1")], f"by Session-ID: {found}")


def test_a_transfer_within_the_recording_session_changes_who_is_in_it(context):
    """CF-03: by re-INVITE with the same session, then by one with a new session of the group (after a REFER)."""
    with context.recorder() as r:
        call = Talk(r, "transfer", two("cs-1", "Ann", "Bob", group_name="g"))
        speak(call, 20)
        # Bob leaves, Carol comes, on the same streams
        answer = call.reinvite(document(participant("Carol"), in_session("Carol", "cs-1"),
                                        in_session("Bob", "cs-1", disassociated="2026-01-01T10:00:00Z"),
                                        sends("Bob", "s2", disassociated="2026-01-01T10:00:00Z"), sends("Carol", "s2"),
                                        datamode="partial"), offer=call.offer)
        check(answer.status == 200, f"re-INVITE got {answer.status}")
        speak(call, 20, 1)
        # the attended part of the transfer is a session of its own
        answer = call.reinvite(two("cs-2", "Ann", "Dan", group_name="g"), offer=call.offer)
        check(answer.status == 200, f"re-INVITE got {answer.status}")
        speak(call, 20, 1, first=20)
        rows = r.wait_sealed(1)	# the first is over: it is sealed while the dialog goes on
        check(rows[0]["cs_id"] == uid("cs-1") and rows[0]["reason"] == "cs_ended", f"sealed: {rows}")
        check(call.bye() == 200, "BYE")
        call.close()
        rows = {row["cs_id"]: row for row in r.wait_sealed(2)}
        check(set(names_of(rows[uid("cs-1")])) >= {"Ann", "Carol"}, f"in cs-1: {names_of(rows[uid('cs-1')])}")
        check(names_of(rows[uid("cs-2")]) == ["Ann", "Dan"], f"in cs-2: {names_of(rows[uid('cs-2')])}")
        check(len({row["rs_id"] for row in rows.values()}) == 1, "one recording session")
        chain = r.tool("recordings", "ls", "--group", uid("g"), "--json")["recordings"]
        check(len(chain) == 2, f"chain: {chain}")
        shown = r.tool("recordings", "show", rows[uid("cs-1")]["id"], "--json")
        check({p["name"] for p in shown["participants"]} >= {"Ann", "Carol"}, f"in cs-1: {shown['participants']}")
        who = [(w["name"], w["label"]) for w in shown["who"]]
        check(who == [("Ann", "1"), ("Bob", "2"), ("Carol", "2")], f"who in cs-1: {who}")
        said = {cs: sum(s["recorded"] for s in r.tool("recordings", "show", row["id"], "--json")["streams"])
                for cs, row in rows.items()}
        check(sum(said.values()) == 60 and said[uid("cs-2")] >= 19, f"packets: {said}")


def test_final_metadata_then_bye(context):
    """CF-04: the document that ends the call, then BYE at once: one recording, sealed with what it says."""
    with context.recorder() as r:
        call = Talk(r, "final", two("cs-1", "Ann", "Bob"))
        speak(call, 20)
        check(call.update(document(session("cs-1", stop="2026-01-01T10:05:00Z", reason="Call completed"),
                                   sends("Ann", "s1", disassociated="2026-01-01T10:05:00Z"),
                                   sends("Bob", "s2", disassociated="2026-01-01T10:05:00Z"), datamode="partial")) == 200,
              "UPDATE")
        check(call.bye() == 200, "BYE")
        call.close()
        rows = r.wait_sealed(1)
        check(len(r.recordings()) == 1 and rows[0]["reason"] == "bye", f"{r.recordings()}")
        check(names_of(rows[0]) == ["Ann", "Bob"], f"participants: {names_of(rows[0])}")
        versions = r.tool("recordings", "show", rows[0]["id"], "--metadata-history", "--json")["metadata"]
        check([v["applied"] for v in versions] == [True, True] and "Call completed" in versions[1]["document"], f"{versions}")


def test_participants_come_and_go_at_a_conference_focus(context):
    """CF-05, CF-06: one mixed stream, whose senders join and leave."""
    with context.recorder() as r:
        call = Talk(r, "focus", document(session("cs"), participant("Ann"), participant("Bob"), stream("mix", "cs", "1"),
                                         in_session("Ann", "cs"), in_session("Bob", "cs"), sends("Ann", "mix"),
                                         sends("Bob", "mix")), labels=("1",))
        speak(call, 10)
        check(call.update(document(participant("Carol"), in_session("Carol", "cs"), sends("Carol", "mix"),
                                   datamode="partial")) == 200, "Carol joins")
        speak(call, 10, first=10)
        check(call.info(document(in_session("Bob", "cs", disassociated="2026-01-01T10:00:00Z"),
                                 sends("Bob", "mix", disassociated="2026-01-01T10:00:00Z"), datamode="partial")) == 200,
              "Bob leaves")
        speak(call, 10, first=20)
        check(call.bye() == 200, "BYE")
        call.close()
        row = r.wait_sealed(1)[0]
        check(names_of(row) == ["Ann", "Bob", "Carol"], f"participants: {names_of(row)}")
        shown = r.tool("recordings", "show", row["id"], "--json")
        check(sum(s["recorded"] for s in shown["streams"]) == 30, f"streams: {shown['streams']}")
        who = {w["name"]: w for w in shown["who"]}
        check(set(who) == {"Ann", "Bob", "Carol"} and len(shown["who"]) == 3, f"who: {shown['who']}")
        heard = {name: w["packets"] for name, w in who.items()}	# a packet at a change may count on either side
        check(heard["Ann"] == 30 and abs(heard["Bob"] - 20) <= 1 and abs(heard["Carol"] - 20) <= 1, f"heard: {heard}")
        check(who["Bob"]["from_wall_ns"] < who["Carol"]["from_wall_ns"] < who["Bob"]["to_wall_ns"], f"who: {who}")
        check((who["Ann"]["to_by"], who["Bob"]["to_by"]) == ("end", "recorder"), f"who: {who}")
        check(all(w["label"] == "1" and w["ssrc"] == "00001234" for w in who.values()), f"who: {who}")


def test_calls_come_and_go_in_a_persistent_recording_session(context):
    """CF-07: a turret with two handsets. Each call has a recording of its own, sealed when it is over."""
    with context.recorder(session__linger_s="1") as r:
        def calls(*now):	# (cs, handset, who)
            return document(*[x for cs, handset, who in now for x in
                              (session(cs), participant(who), stream(f"s{handset}", cs, str(handset)), in_session(who, cs),
                               sends(who, f"s{handset}"))])
        call = Talk(r, "turret", calls(("cs-1", 1, "Ann"), ("cs-2", 2, "Bob")))
        speak(call, 20)
        speak(call, 30, 1)
        # the first handset hangs up
        check(call.update(document(session("cs-1", stop="2026-01-01T10:00:00Z"), datamode="partial")) == 200, "UPDATE")
        rows = r.wait_sealed(1)
        check([row["cs_id"] for row in rows] == [uid("cs-1")], f"sealed: {rows}")
        speak(call, 5, first=20)	# nobody's
        speak(call, 30, 1, first=30)
        # it takes another call, then the second hangs up, and at last the first
        check(call.update(document(session("cs-3"), participant("Carol"), stream("s1", "cs-3", "1"), in_session("Carol", "cs-3"),
                                   sends("Carol", "s1"), datamode="partial")) == 200, "UPDATE")
        wait_open(r, "cs-3")
        speak(call, 40, first=25)
        check(call.update(document(session("cs-2", stop="2026-01-01T10:00:00Z"), datamode="partial")) == 200, "UPDATE")
        check(call.update(document(session("cs-3", stop="2026-01-01T10:00:00Z"), datamode="partial")) == 200, "UPDATE")
        r.wait_sealed(3)		# the dialog is idle, and nothing is left unsealed
        check(r.get("/health/ready")[0] == 200, "ready")
        speak(call, 5, first=65)	# nobody's again
        check(call.update(document(session("cs-4"), participant("Dan"), stream("s2", "cs-4", "2"), in_session("Dan", "cs-4"),
                                   sends("Dan", "s2"), datamode="partial")) == 200, "UPDATE")
        wait_open(r, "cs-4")
        speak(call, 10, 1, first=60)
        check(call.bye() == 200, "BYE")
        call.close()
        rows = r.wait_sealed(5)
        by_cs = {row["cs_id"]: row for row in rows if row["cs_id"]}
        check(set(by_cs) == {uid(f"cs-{n}") for n in range(1, 5)}, f"sessions: {set(by_cs)}")
        check(len({row["rs_id"] for row in rows}) == 1, "one recording session")
        said = {cs: sum(s["recorded"] for s in r.tool("recordings", "show", row["id"], "--json")["streams"])
                for cs, row in by_cs.items()}
        check(said[uid("cs-1")] == 20, f"cs-1: {said}")
        check(said[uid("cs-2")] == 60, f"cs-2: {said}")
        # what came between two calls is nobody's, or begins the recording that the next one took over
        check(40 <= said[uid("cs-3")] <= 45 and said[uid("cs-4")] >= 10, f"cs-3, cs-4: {said}")
        total = sum(s["recorded"] for row in rows for s in r.tool("recordings", "show", row["id"], "--json")["streams"])
        check(total == 20 + 30 + 5 + 30 + 40 + 5 + 10, f"{total} packets")
        check(names_of(by_cs[uid("cs-3")]) == ["Carol"], f"cs-3: {names_of(by_cs[uid('cs-3')])}")


def test_a_mixer_names_those_whose_media_it_mixed(context):
    """RFC 7866 §8.1.4, §8.1.5.1: CSRC lists, and CNAMEs that lead to addresses of the metadata."""
    def mixed(n, *sources):
        return bytes([0x80 | len(sources), 0]) + struct.pack(">HII", n, 160 * n, 9) + struct.pack(f">{len(sources)}I", *sources) + \
            b"\xd5" * 160

    def named(source, cname):
        chunk = struct.pack(">IBB", source, 1, len(cname)) + cname.encode() + b"\0"
        chunk += bytes(-len(chunk) % 4)
        return struct.pack(">BBHI", 0x80, 201, 1, 9) + struct.pack(">BBH", 0x81, 202, len(chunk) // 4) + chunk
    with context.recorder() as r:
        call = Talk(r, "mixer", document(session("cs"), participant("Ann"), participant("Bob"), stream("mix", "cs", "1"),
                                         sends("Ann", "mix"), sends("Bob", "mix")), labels=("1",), extra=("a=rtcp-mux",))
        check(call.status == 200, f"INVITE got {call.status}")
        for n in range(30):
            call.send(0, mixed(n, 1) if n < 10 else mixed(n, 1, 2) if n < 20 else mixed(n))
            time.sleep(0.002)
        call.send(0, named(1, "ann@example.com"))
        call.send(0, named(2, "bob@example.com"))
        time.sleep(0.3)
        check(call.bye() == 200, "BYE")
        call.close()
        row = r.wait_sealed(1)[0]
        sources = {s["source"]: s for s in r.tool("recordings", "show", row["id"], "--json")["sources"]}
        got = {i: (s["as"], s["name"], s["packets"]) for i, s in sources.items()}
        check(got == {"00000009": ("ssrc", "", 30), "00000001": ("csrc", "Ann", 20), "00000002": ("csrc", "Bob", 10)}, f"{got}")
        status, text, _ = r.tool("recordings", "show", row["id"], expect=None)
        check(status == 0 and "Mixed from" in text, text)
