"""What the operator sees of recording clients and of refusals, by the tool and over REST."""

import sip_client as sip
from recorder import check

BROKEN = b"""<?xml version="1.0"?><recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>"""


def row_of(r, name):
    return r.tool("srcs", "show", name, "--json")["srcs"][0]


def test_refusals_are_told_with_client_call_and_reason(context):
    with context.recorder(sip__accept="strict") as r:
        with sip.Client(r.port) as stranger, sip.Client(r.port, "tcp") as other:
            offer = sip.sdp(r.host, [(20000, "1")])
            for n in range(3):
                answer = stranger.ask(sip.invite(stranger, f"no-recording-{n}", offer, lines=["User-Agent: Phone/1"]))
                check(answer.status == 403, f"got {answer.status}")
                stranger.send(sip.ack_for(sip.invite(stranger, f"no-recording-{n}", offer), answer))
            check(other.ask(sip.request(other, "BYE", "stray", 1, to_tag="nobody")).status == 481, "a stray BYE")
        rows = r.tool("refusals", "ls", "--json")["refusals"]
        check([row["call_id"] for row in rows] == ["stray"] + [f"no-recording-{n}" for n in (2, 1, 0)], rows)
        check(rows[1]["status"] == 403 and "siprec" in rows[1]["rule"], rows[1])
        check(rows[1]["src"].endswith(" Phone/1") and rows[1]["address"].startswith(stranger.address), rows[1])
        check(rows[1]["time"][:2] == "20" and rows[1]["method"] == "INVITE", rows[1])
        # by client and by status, over REST as well, page by page
        check(len(r.tool("refusals", "ls", "--src", rows[1]["src"], "--limit", "2", "--json")["refusals"]) == 2, "--src")
        check([x["call_id"] for x in r.tool("refusals", "ls", "--status", "481", "--json")["refusals"]] == ["stray"], "--status")
        status, page = r.get("/api/v1/refusals?limit=2&status=403")
        check(status == 200 and [x["call_id"] for x in page["refusals"]] == ["no-recording-2", "no-recording-1"], page)
        status, page = r.get(f"/api/v1/refusals?limit=2&status=403&before={page['next_before']}")
        check([x["call_id"] for x in page["refusals"]] == ["no-recording-0"] and page["next_before"] == 0, page)
        check(r.get("/api/v1/refusals?status=200")[0] == 400, "a wrong filter")
        done = r.tool("refusals", "ls", expect=None)
        check(done[0] == 0 and "no-recording-1" in done[1] and "WHY" in done[1], done)
        check(r.tool("refusals", "ls", "--status", "ten", expect=None)[0] == 2, "--status ten")


def test_what_clients_do_is_counted_by_rule(context):
    yaml = """
src:
  - {name: branch, addresses: ["127.0.0.0/8"], refresh: never}
"""
    with context.recorder(yaml=yaml) as r:
        call = sip.Call(r, "good")
        check(call.status == 200 and call.bye() == 200, "a call")
        bad = sip.Call(r, "bad", labels=("1",), names=None, lines=["Require: siprec"], transport="tcp", metadata=BROKEN)
        check(bad.status == 200, f"media never waits for metadata: {bad.status}")
        row = row_of(r, "branch")
        check(row["known_by"] == "profile" and row["calls"] == 2 and row["refused"] == 0, row)
        facts = row["facts"]
        check((facts["over_udp"], facts["over_tcp"]) == (2, 1), facts)
        check(facts["without_require_siprec"] == 0 and facts["documents"] == 2 and facts["documents_failed"] == 1, facts)
        check(any("cannot be read" in x["rule"] and x["count"] == 1 for x in row["rules"]), row["rules"])
        check([d["dialect"] for d in row["dialects"]] == ["rfc7865"], row["dialects"])
        refresh = row["switches"]["refresh"]
        check((refresh["now"], refresh["decided_by"]) == ("never", "profile"), refresh)
        check(row["switches"]["snapshot"]["now"] == "auto", row["switches"])
        text = r.tool("srcs", "ls", expect=None)[1]
        check("branch" in text and "no refresh (profile)" in text, text)
        check("cannot be read" in r.tool("srcs", "show", "bran", expect=None)[1], "srcs show, by a beginning")
        check(r.tool("srcs", "show", "nobody", expect=None)[0] == 3, "an unknown client")
        check(r.get("/api/v1/srcs")[1]["count"] == 1, "one client")
        bad.bye()
