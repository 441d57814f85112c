"""Changes in mid-call, as capstan-src makes them and checks their answers: re-INVITE, UPDATE, streams that come and go,
session timers, a second dialog that replaces the first; over TLS and mutual TLS too."""

from certificates import temporary as authority
from recorder import check


def recorded(recorder, rows):
    return sum(s["recorded"] for row in rows for s in recorder.tool("recordings", "show", row["id"], "--json")["streams"])


def accounted(recorder, rows):
    """Packets recorded, and those that a change of streams met too early: they are counted, by reason."""
    m = recorder.metrics()
    return recorded(recorder, rows) + m.get("rx_drop_no_stream", 0) + m.get("rx_drop_paused", 0)


def test_streams_come_and_go_by_reinvite_and_by_update(context):
    with context.recorder() as r:
        said = 0
        for n, how in enumerate(((), ("--update",)), 1):
            sent = r.simulate("--duration", "3", "--add-at", "0.8", "--reinvite-at", "1.4", "--remove-at", "2", "--no-rtcp", *how)
            counted = (sent["reinvites"], sent["updates"])
            check(counted == ((0, 3) if how else (3, 0)), f"re-INVITEs and UPDATEs: {counted}")
            said += sent["packets_sent"]
            rows = r.wait_sealed(n)
            check(len(rows) == n, f"{len(rows)} recordings for {n} calls")
        check(accounted(r, rows) == said, f"{accounted(r, rows)} packets accounted for of {said}")
        check(recorded(r, rows) > 0.9 * said, f"{recorded(r, rows)} packets recorded of {said}")


def test_partial_metadata_is_applied(context):
    with context.recorder() as r:
        r.simulate("--duration", "2", "--metadata-at", "1", "--update", "--no-rtcp")
        row = r.wait_sealed(1)[0]
        shown = r.tool("recordings", "show", row["id"], "--json")
        names = [p.get("name") for p in shown["participants"]]
        check("Alice Renamed" in names, f"participants: {shown['participants']}")


def test_a_client_that_refreshes_keeps_its_call(context):
    with context.recorder(session__min_se_s=90) as r:
        sent = r.simulate("--duration", "2", "--session-expires", "90:uac")
        check(sent["ended_by_server"] == 0, "the recorder ended a call that was not expired")
        sent = r.simulate("--duration", "2", "--session-expires", "30:uas", "--min-se", "30")
        check(sent["ok"], sent["failure"])


def test_a_dialog_that_replaces_another_goes_on_with_its_recording(context):
    with context.recorder() as r:
        sent = r.simulate("--duration", "4", "--replace-at", "2", "--no-rtcp")
        check(sent["replaced"] == 1, f"replaced: {sent['replaced']}")
        check(sent["answered"] == 2, f"answered: {sent['answered']}")
        rows = r.wait_sealed(1)
        check(len({row["id"] for row in rows}) == 1, f"{len(rows)} recordings for one communication session")
        check(recorded(r, rows[:1]) == sent["packets_sent"], f"{recorded(r, rows[:1])} packets of {sent['packets_sent']}")


def test_a_dialog_that_nobody_has_cannot_be_replaced(context):
    with context.recorder() as r:
        r.simulate("--duration", "1", "--replaces", "none@example.com;to-tag=1;from-tag=2", "--expect", "481")


def test_a_seed_may_come_again_at_once(context):
    with context.recorder() as r:
        for n in (1, 2):
            r.simulate("--duration", "0.5", "--no-rtcp", "--seed", "11")
            r.wait_sealed(n)


def test_changes_with_keys_over_mutual_tls(context):
    with authority() as ca, context.recorder(**ca.settings(verify="require")) as r:
        own = ca.issue("src", "DNS:src.example.com")
        tls = ("--transport", "tls", "--ca", ca.certificate, "--server-name", "srs.example.com")
        sent = r.simulate("--duration", "3", "--srtp", "AEAD_AES_256_GCM", "--add-at", "0.6", "--rekey-at", "1.2", "--hold", "1.8:0.4",
                          "--update", "--no-rtcp", *tls, "--cert", own[0], "--key", own[1], port=r.tls_port)
        check(sent["tls"].startswith("TLSv1."), f"agreed on: {sent['tls']}")
        check(sent["updates"] == 4 and sent["rekeys"] == 3, f"{sent['updates']} UPDATEs, {sent['rekeys']} new keys")
        rows = r.wait_sealed(1)
        check(accounted(r, rows) == sent["packets_sent"], f"{accounted(r, rows)} packets accounted for of {sent['packets_sent']}")
        check(recorded(r, rows) > 0.8 * sent["packets_sent"], f"{recorded(r, rows)} packets recorded of {sent['packets_sent']}")


def test_a_server_with_another_name_is_not_called(context):
    with authority() as ca, context.recorder(**ca.settings()) as r:
        tls = ("--transport", "tls", "--ca", ca.certificate, "--duration", "0.5", "--no-rtcp")
        r.simulate(*tls, "--server-name", "other.example.com", expect=1, port=r.tls_port)
        r.simulate(*tls, port=r.tls_port)	# its address stands in the certificate
        check(len(r.wait_sealed(1)) == 1, "not one recording")
