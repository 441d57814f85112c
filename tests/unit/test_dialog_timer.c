/* Session timers (RFC 4028) over real loopback sockets, with a Min-SE of a second instead of 90. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call_fixture.h"
#include "controlplane/sip/dialog_timer.h"

#define ALLOW_UPDATE "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n"

/* The lines of a request, as they are read. */
static struct timer_ask
ask_of(const char *lines)
{
	struct timer_ask a;
	struct message m;
	char text[1024];

	snprintf(text, sizeof(text), "UPDATE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
	         "To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 UPDATE\r\n%s\r\n", lines);
	assert_int_equal(message_parse(&m, span_of_text(text), true), SRS_OK);
	timer_ask_read(&a, &m);
	message_release(&m);
	return a;
}

static void
headers_are_read_in_every_dress(void **state)
{
	static const struct {
		const char *lines;
		struct timer_ask want;
	} rows[] = {
		{ "", { 0, 0, REFRESHER_OPEN, false } },
		{ "Session-Expires: 1800\r\n", { 1800, 0, REFRESHER_OPEN, false } },
		{ "x: 1800 ; Refresher = UAC\r\nk: 100rel, timer\r\n", { 1800, 0, REFRESHER_UAC, true } },
		{ "Session-Expires: 90;other=1;refresher=uas;x\r\nMin-SE: 90;lr\r\n", { 90, 90, REFRESHER_UAS, false } },
		{ "Session-Expires: 4294967296\r\nRequire: timer\r\n", { INT32_MAX, 0, REFRESHER_OPEN, true } },
		{ "Session-Expires: 99999999999999999999999\r\n", { INT32_MAX, 0, REFRESHER_OPEN, false } },
		{ "Session-Expires: 0\r\nSupported: timer\r\n", { 1, 0, REFRESHER_OPEN, true } },	/* below any Min-SE */
		{ "Session-Expires: soon\r\nMin-SE: -1\r\n", { 0, 0, REFRESHER_OPEN, false } },
		{ "Session-Expires: 90 s;refresher=me\r\n", { 0, 0, REFRESHER_OPEN, false } },
		{ "Session-Expires: 1800;refresher\r\n", { 1800, 0, REFRESHER_OPEN, false } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct timer_ask got = ask_of(rows[i].lines);

		if (got.interval_s != rows[i].want.interval_s || got.min_s != rows[i].want.min_s ||
		    got.refresher != rows[i].want.refresher || got.supported != rows[i].want.supported)
			fail_msg("row %zu: %u %u %d %d", i, got.interval_s, got.min_s, got.refresher, got.supported);
	}
}

/* INVITE, 200, ACK: the 200 stays in c->peer.received's place of the caller */
static void
call_with(struct call *c, const char *lines, char ok[4096])
{
	snprintf(ok, 4096, "%.4095s", ask(c, (struct peer_request){ .method = "INVITE", .branch = "inv", .cseq = 1, .lines = lines }));
	assert_status(ok, 200);
	peer_to_tag(ok, c->to_tag);
	ack(c, 1);
}

/* RFC 4028 §9, table 2, and what we choose where it leaves a choice. */
static void
the_2xx_says_who_refreshes(void **state)
{
	static const struct {
		const char *lines;
		const char *says;	/* NULL: no timer */
	} rows[] = {
		{ "", NULL },
		{ "Supported: timer\r\n", NULL },
		{ "Supported: timer\r\nSession-Expires: 1800\r\n", "Require: timer\r\nSession-Expires: 1800;refresher=uac\r\n" },
		{ "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n", "Require: timer\r\nSession-Expires: 1800;refresher=uac\r\n" },
		{ "Supported: timer\r\nSession-Expires: 1800;refresher=uas\r\n", "Require: timer\r\nSession-Expires: 1800;refresher=uas\r\n" },
		{ "Session-Expires: 1800\r\n", "\r\nSession-Expires: 1800;refresher=uas\r\n" },	/* a proxy's */
		{ "Require: timer\r\nSession-Expires: 1800\r\n", "Require: timer\r\nSession-Expires: 1800;refresher=uac\r\n" },
		{ "Session-Expires: 89\r\n", NULL },	/* nobody to say 422 to */
		{ "Supported: timer\r\nSession-Expires: nonsense\r\n", NULL },
		{ "Supported: timer\r\nSession-Expires: 90\r\nMin-SE: 90\r\n", "Session-Expires: 90;refresher=uac\r\n" },
	};
	struct call *c = *state;

	c->peer.config.session.min_se_s = 90;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char id[16], ok[4096];

		snprintf(id, sizeof(id), "row%zu", i);
		snprintf(ok, sizeof(ok), "%.4095s", ask(c, (struct peer_request){ .method = "INVITE", .branch = id, .call_id = id,
			 .cseq = 1, .lines = rows[i].lines }));
		assert_status(ok, 200);
		assert_says(ok, "Supported: siprec, replaces, timer\r\n");
		if (rows[i].says != NULL)
			assert_says(ok, rows[i].says);
		else if (strstr(ok, "Session-Expires") != NULL || strstr(ok, "Require") != NULL)
			fail_msg("row %zu: %s", i, ok);
		if (rows[i].says != NULL && rows[i].says[0] == '\r' && strstr(ok, "Require") != NULL)
			fail_msg("row %zu requires what the peer does not know: %s", i, ok);
		while (peer_receive(&c->peer, c->fd, 0)[0] != '\0')
			;
	}
}

static void
too_small_an_interval_gets_422_with_min_se(void **state)
{
	struct call *c = *state;
	char ok[4096];
	const char *text;

	c->peer.config.session.min_se_s = 90;
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "i0", .cseq = 1, .call_id = "other",
		   .lines = "Supported: timer\r\nSession-Expires: 89\r\n" });
	assert_status(text, 422);
	assert_says(text, "Min-SE: 90\r\n");
	assert_says(text, "Warning: 399 ");
	assert_int_equal(c->peer.n_invites, 0);
	while (peer_receive(&c->peer, c->fd, 0)[0] != '\0')
		;
	peer_request(&(struct peer_request){ .method = "ACK", .fd = c->fd, .branch = "i0", .cseq = 1, .call_id = "other",
		     .to_tag = peer_to_tag(text, c->to_tag) });
	call_with(c, "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n", ok);
	text = ask(c, (struct peer_request){ .method = "UPDATE", .branch = "u", .cseq = 2, .to_tag = c->to_tag,
		   .lines = "Supported: timer\r\nSession-Expires: 30\r\n" });
	assert_status(text, 422);
	assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "u0", .cseq = 3, .to_tag = c->to_tag,
		      .lines = "Supported: timer\r\nSession-Expires: 00\r\n" }), 422);
	assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "u2", .cseq = 3, .to_tag = c->to_tag,
		      .lines = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n" }), 200);
}

static void
where_it_is_configured_the_interval_is_asked_for(void **state)
{
	struct call *c = *state;
	char ok[4096];

	c->peer.config.session.min_se_s = 90;
	c->peer.config.session.expires_s = 600;
	call_with(c, "Supported: timer\r\nMin-SE: 900\r\n", ok);
	assert_says(ok, "Require: timer\r\nSession-Expires: 900;refresher=uac\r\n");	/* never below their Min-SE */
}

static void
a_client_that_does_not_refresh_gets_bye_before_the_end(void **state)
{
	struct call *c = *state;
	uint64_t since = reactor_mono_ns();
	char ok[4096];
	const char *text;

	call_with(c, "Supported: timer\r\nSession-Expires: 3;refresher=uac\r\n", ok);
	peer_turn(&c->peer, 1500);
	assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "u", .cseq = 2, .to_tag = c->to_tag,
		      .lines = "Supported: timer\r\nSession-Expires: 3;refresher=uac\r\n" }), 200);
	assert_says(c->peer.received, "Session-Expires: 3;refresher=uac\r\n");
	text = peer_receive(&c->peer, c->fd, 3000);
	assert_memory_equal(text, "BYE ", 4);
	assert_says(text, "Reason: SIP;cause=408;text=\"no session refresh came in time\"\r\n");
	assert_in_range((reactor_mono_ns() - since) / 1000000, 3400, 4400);	/* 1.5 s, and 3 s less a third */
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_EXPIRED);
	assert_string_equal(dialog_end_name(c->peer.how), "session_expired");
}

static void
any_later_request_that_names_none_keeps_the_timer(void **state)
{
	struct call *c = *state;
	char ok[4096];

	c->peer.config.session.min_se_s = 90;
	call_with(c, "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n", ok);
	assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "u1", .cseq = 2, .to_tag = c->to_tag,
		      .lines = "Supported: timer\r\n" }), 200);
	assert_says(c->peer.received, "Session-Expires: 1800;refresher=uac\r\n");
	assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "u2", .cseq = 3, .to_tag = c->to_tag }), 200);
	assert_null(strstr(c->peer.received, "Session-Expires"));	/* it does not know timers any more */
}

static void
we_refresh_by_update_at_half_time(void **state)
{
	struct call *c = *state;
	char ok[4096];
	const char *text;

	call_with(c, ALLOW_UPDATE "Supported: timer\r\nSession-Expires: 2;refresher=uas\r\n", ok);
	assert_string_equal(peer_receive(&c->peer, c->fd, 900), "");
	text = peer_receive(&c->peer, c->fd, 300);
	assert_memory_equal(text, "UPDATE ", 7);
	assert_says(text, "Session-Expires: 2;refresher=uac\r\n");	/* who is what in this transaction */
	assert_says(text, "Supported: siprec, replaces, timer\r\n");
	assert_says(text, "Content-Length: 0\r\n");
	answer_request_with(c, text, "200 OK", "Require: timer\r\nSession-Expires: 2;refresher=uac\r\n", "");
	assert_string_equal(peer_receive(&c->peer, c->fd, 900), "");
	text = peer_receive(&c->peer, c->fd, 300);
	assert_memory_equal(text, "UPDATE ", 7);
	/* and now the peer takes over */
	answer_request_with(c, text, "200 OK", "Session-Expires: 2;refresher=uas\r\n", "");
	text = peer_receive(&c->peer, c->fd, 2400);
	assert_memory_equal(text, "BYE ", 4);
	assert_int_equal(c->peer.n_answers, 0);
}

static void
without_update_we_refresh_by_an_unchanged_reinvite(void **state)
{
	struct call *c = *state;
	char ok[4096];
	const char *text;

	call_with(c, "Session-Expires: 2\r\n", ok);
	text = peer_receive(&c->peer, c->fd, 1300);
	assert_memory_equal(text, "INVITE ", 7);
	assert_says(text, "Session-Expires: 2;refresher=uac\r\n");
	assert_says(text, "\r\n\r\n" PEER_SDP);
	assert_int_equal(c->peer.n_described, 1);
	answer_request_with(c, text, "200 OK", SDP_LINES, "v=0\r\n");
	assert_memory_equal(peer_receive(&c->peer, c->fd, 100), "ACK ", 4);
	assert_int_equal(c->peer.n_answers, 1);
	/* its 2xx names no interval: there is no expiry any more (RFC 4028 §7.2) */
	assert_string_equal(peer_receive(&c->peer, c->fd, 2500), "");
	assert_int_equal(c->peer.n_ended, 0);
}

static void
our_refresh_takes_the_interval_that_422_asks_for(void **state)
{
	struct call *c = *state;
	char ok[4096];
	const char *text;

	call_with(c, ALLOW_UPDATE "Supported: timer\r\nSession-Expires: 2;refresher=uas\r\n", ok);
	text = peer_receive(&c->peer, c->fd, 1300);
	assert_memory_equal(text, "UPDATE ", 7);
	answer_request_with(c, text, "422 Session Interval Too Small", "Min-SE: 4\r\n", "");
	text = peer_receive(&c->peer, c->fd, 300);
	assert_says(text, "Session-Expires: 4;refresher=uac\r\nMin-SE: 4\r\n");
}

static void
a_refused_refresh_never_ends_a_call_that_answers(void **state)
{
	struct call *c = *state;
	char ok[4096];
	const char *text;

	call_with(c, ALLOW_UPDATE "Supported: timer\r\nSession-Expires: 3;refresher=uas\r\n", ok);
	text = peer_receive(&c->peer, c->fd, 1800);
	assert_memory_equal(text, "UPDATE ", 7);
	answer_request(c, text, "488 Not Acceptable Here");
	assert_string_equal(peer_receive(&c->peer, c->fd, 3500), "");
	assert_int_equal(c->peer.n_ended, 0);
	assert_int_equal(c->peer.n_answers, 0);
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o", .cseq = 2, .to_tag = c->to_tag }), 200);
}

static void
an_unanswered_refresh_ends_the_call(void **state)
{
	struct call *c = *state;
	char ok[4096];

	call_with(c, ALLOW_UPDATE "Supported: timer\r\nSession-Expires: 2;refresher=uas\r\n", ok);
	peer_turn(&c->peer, 1000 + 80 * PEER_T1_MS);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_GONE);
}

static void
an_offer_that_meets_a_refresh_waits_for_it(void **state)
{
	struct call *c = *state;
	char ok[4096], refresh[4096];
	const char *text;

	call_with(c, ALLOW_UPDATE "Supported: timer\r\nSession-Expires: 2;refresher=uas\r\n", ok);
	snprintf(refresh, sizeof(refresh), "%.4095s", peer_receive(&c->peer, c->fd, 1300));
	assert_memory_equal(refresh, "UPDATE ", 7);
	assert_int_equal(dialog_send(c->peer.dialog, &(struct dialog_message){ .sdp = PEER_SDP }), SRS_OK);
	answer_request_with(c, refresh, "200 OK", "Session-Expires: 1800;refresher=uac\r\n", "");
	do	/* the refresh may have been repeated meanwhile */
		text = peer_receive(&c->peer, c->fd, 300);
	while (strstr(text, "CSeq: 1 UPDATE") != NULL);
	assert_says(text, "CSeq: 2 UPDATE\r\n");
	assert_says(text, "Session-Expires: 1800;refresher=uac\r\n");	/* it refreshes too */
	assert_says(text, PEER_SDP);
}

static void
a_profile_that_takes_no_refresh_is_not_refreshed(void **state)
{
	struct call *c = *state;
	char ok[4096];

	c->peer.src.refresh = CONFIG_ASK_NEVER;
	call_with(c, "Supported: timer\r\nSession-Expires: 1800;refresher=uas\r\n", ok);
	assert_null(strstr(ok, "Session-Expires"));
}

/* Three refusals in a row, of whichever calls, and no timer that we would have to refresh is agreed on any more. */
static void
who_refuses_three_refreshes_is_not_refreshed_any_more(void **state)
{
	static const char lines[] = SDP_LINES ALLOW_UPDATE "Supported: timer\r\nSession-Expires: 2;refresher=uas\r\n";
	struct call *c = *state;
	char id[16];
	const char *text;

	for (unsigned int i = 0; i < OBSERVATORY_STRIKES; i++) {
		snprintf(id, sizeof(id), "refused%u", i);
		establish_as(c, id, lines + strlen(SDP_LINES));
	}
	for (unsigned int n = 0; n < OBSERVATORY_STRIKES; n++) {
		text = peer_receive(&c->peer, c->fd, 1500);
		assert_memory_equal(text, "UPDATE ", 7);
		answer_request(c, text, "488 Not Acceptable Here");
	}
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "after", .call_id = "after", .cseq = 1, .lines = lines,
		       .body = "v=0\r\n" });
	assert_status(text, 200);
	assert_null(strstr(text, "Session-Expires"));
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "own", .call_id = "own", .cseq = 1, .body = "v=0\r\n",
		       .lines = SDP_LINES "Supported: timer\r\nSession-Expires: 2;refresher=uac\r\n" });
	assert_says(text, "Session-Expires: 2;refresher=uac");	/* what it does itself is its own business */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_read_in_every_dress),
		TEST(the_2xx_says_who_refreshes),
		TEST(too_small_an_interval_gets_422_with_min_se),
		TEST(where_it_is_configured_the_interval_is_asked_for),
		TEST(a_client_that_does_not_refresh_gets_bye_before_the_end),
		TEST(any_later_request_that_names_none_keeps_the_timer),
		TEST(we_refresh_by_update_at_half_time),
		TEST(without_update_we_refresh_by_an_unchanged_reinvite),
		TEST(our_refresh_takes_the_interval_that_422_asks_for),
		TEST(a_refused_refresh_never_ends_a_call_that_answers),
		TEST(an_unanswered_refresh_ends_the_call),
		TEST(an_offer_that_meets_a_refresh_waits_for_it),
		TEST(a_profile_that_takes_no_refresh_is_not_refreshed),
		TEST(who_refuses_three_refreshes_is_not_refreshed_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
