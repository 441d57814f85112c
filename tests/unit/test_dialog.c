/* Dialogs over real loopback sockets: calls, their ends, and every refusal of this layer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call_fixture.h"

static void
call_is_accepted_confirmed_and_ended_by_the_client(void **state)
{
	struct call *c = *state;
	const char *ok;

	ok = ask(c, (struct peer_request){ .method = "INVITE", .branch = "inv", .cseq = 1, .body = "v=0\r\n",
		    .lines = SDP_LINES "Require: siprec\r\nSession-ID: ab12;remote=0\r\nRecord-Route: <sip:p1;lr>\r\n"
		             "Record-Route: <sip:p2;lr>, <sip:p3;lr>\r\n" });
	assert_status(ok, 200);
	assert_says(ok, ";+sip.srs\r\n");
	assert_says(ok, "Supported: siprec, replaces, timer\r\n");
	assert_says(ok, "Allow: INVITE, ACK,");
	assert_says(ok, "Record-Route: <sip:p1;lr>, <sip:p2;lr>, <sip:p3;lr>\r\n");
	assert_says(ok, "Content-Type: application/sdp\r\n");
	assert_says(ok, "Server: Capstan/");
	assert_says(ok, ";received=127.0.0.1");
	assert_says(ok, PEER_SDP);
	assert_true(c->peer.sip_src);
	assert_false(c->peer.bare_src);
	assert_true(c->peer.require_siprec);
	assert_string_equal(c->peer.session_id, "ab12;remote=0");
	assert_string_equal(c->peer.from_uri, "sip:src@example.com");
	assert_memory_equal(c->peer.body, "v=0\r\n", 5);
	assert_string_equal(dialog_call_id(c->peer.dialog), "call-1@src");
	assert_string_equal(dialog_remote_tag(c->peer.dialog), "srctag");
	peer_to_tag(ok, c->to_tag);
	assert_string_equal(dialog_local_tag(c->peer.dialog), c->to_tag);
	ack(c, 1);
	assert_int_equal(c->peer.n_confirmed, 1);
	ack(c, 1);
	assert_int_equal(c->peer.n_confirmed, 1);	/* a second ACK is no news */
	ok = ask(c, (struct peer_request){ .method = "BYE", .branch = "bye", .cseq = 2, .to_tag = c->to_tag });
	assert_status(ok, 200);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_BYE);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
}

static void
trying_comes_at_once_and_retransmissions_are_absorbed(void **state)
{
	struct call *c = *state;
	struct peer_request r = { .method = "INVITE", .fd = c->fd, .branch = "inv", .cseq = 1 };

	c->peer.answer = PEER_LATER;
	peer_request(&r);
	assert_status(peer_receive(&c->peer, c->fd, 200), 100);
	peer_request(&r);
	assert_status(peer_receive(&c->peer, c->fd, 200), 100);
	assert_int_equal(c->peer.n_invites, 1);
	assert_int_equal(sip_counter_read(c->peer.sip, SIP_RETRANSMITTED), 1);
	dialog_accept(c->peer.dialog, PEER_SDP);
	assert_status(peer_final(&c->peer, c->fd), 200);
}

static void
ok_is_repeated_until_the_ack_comes(void **state)
{
	struct call *c = *state;
	const char *ok = ask(c, (struct peer_request){ .method = "INVITE", .branch = "inv", .cseq = 1 });

	assert_status(ok, 200);
	peer_to_tag(ok, c->to_tag);
	assert_status(peer_receive(&c->peer, c->fd, 200), 200);
	assert_status(peer_receive(&c->peer, c->fd, 200), 200);
	ack(c, 1);
	while (peer_receive(&c->peer, c->fd, 0)[0] != '\0')
		;
	assert_string_equal(peer_receive(&c->peer, c->fd, 3 * 8 * PEER_T1_MS), "");
}

static void
missing_ack_ends_the_call_with_bye(void **state)
{
	struct call *c = *state;
	const char *text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "inv", .cseq = 1 });

	assert_status(text, 200);
	while (strncmp(text, "SIP/2.0 200", 11) == 0)
		text = peer_receive(&c->peer, c->fd, 70 * PEER_T1_MS);
	assert_memory_equal(text, "BYE sip:src@127.0.0.1:", 22);
	assert_says(text, "Reason: SIP;cause=408;text=\"no ACK came\"");
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_NO_ACK);
	assert_int_equal(sip_counter_read(c->peer.sip, SIP_NO_ACK), 1);
}

static void
our_bye_follows_the_route_set_and_waits_for_its_answer(void **state)
{
	struct call *c = *state;
	char routes[256], want[256];
	const char *bye;

	snprintf(routes, sizeof(routes), "Record-Route: <sip:127.0.0.1:%u;lr>, <sip:far.example;lr>\r\n",
	         peer_port(c->fd));
	establish(c, routes);
	dialog_end(c->peer.dialog, 200, "operator");
	assert_int_equal(c->peer.n_ended, 0);	/* never from within */
	bye = peer_receive(&c->peer, c->fd, 200);
	assert_memory_equal(bye, "BYE sip:src@127.0.0.1:", 22);
	snprintf(want, sizeof(want), "Route: <sip:127.0.0.1:%u;lr>, <sip:far.example;lr>\r\n", peer_port(c->fd));
	assert_says(bye, want);
	assert_says(bye, "Reason: SIP;cause=200;text=\"operator\"\r\n");
	assert_says(bye, "To: \"SRC\" <sip:src@example.com>;tag=srctag\r\n");
	snprintf(want, sizeof(want), "From: <sip:srs@example.com>;tag=%s\r\n", c->to_tag);
	assert_says(bye, want);
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_LOCAL);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 1);
	answer_request(c, c->peer.received, "200 OK");
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
	assert_int_equal(sip_counter_read(c->peer.sip, SIP_RESPONSES), 1);
}

static void
strict_router_gets_itself_as_request_uri(void **state)
{
	struct call *c = *state;
	char routes[256];

	snprintf(routes, sizeof(routes), "Record-Route: <sip:127.0.0.1:%u>\r\n", peer_port(c->fd));
	establish(c, routes);
	dialog_end(c->peer.dialog, 200, "operator");
	peer_receive(&c->peer, c->fd, 200);
	snprintf(routes, sizeof(routes), "BYE sip:127.0.0.1:%u SIP/2.0\r\n", peer_port(c->fd));
	assert_says(c->peer.received, routes);
	snprintf(routes, sizeof(routes), "Route: <sip:src@127.0.0.1:%u>\r\n", peer_port(c->fd));
	assert_says(c->peer.received, routes);
}

static void
bye_to_a_host_name_goes_back_the_way_the_invite_came(void **state)
{
	struct call *c = *state;

	establish(c, "Record-Route: <sip:proxy.example.net;lr>\r\n");
	dialog_end(c->peer.dialog, 200, "operator");
	assert_memory_equal(peer_receive(&c->peer, c->fd, 200), "BYE ", 4);
}

/* A port that is none is no port 5060. */
static void
bye_to_a_hop_without_a_sane_port_goes_back_the_way_the_invite_came(void **state)
{
	static const char *const routes[] = { "<sip:127.0.0.1:99999;lr>", "<sip:127.0.0.1:0;lr>", "<sip:127.0.0.1:4294967297;lr>", "<tel:+1234;lr>" };
	struct call *c = *state;

	for (unsigned int i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		char branch[8], call_id[8], lines[80];
		const char *text;

		snprintf(branch, sizeof(branch), "p%u", i);
		snprintf(call_id, sizeof(call_id), "p%u", i);
		snprintf(lines, sizeof(lines), "Record-Route: %s\r\n", routes[i]);
		text = ask(c, (struct peer_request){ .method = "INVITE", .branch = branch, .cseq = 1, .call_id = call_id, .lines = lines });
		assert_status(text, 200);
		peer_request(&(struct peer_request){ .method = "ACK", .fd = c->fd, .branch = "ack", .cseq = 1, .call_id = call_id,
		             .to_tag = peer_to_tag(text, c->to_tag) });
		peer_turn(&c->peer, 5);
		dialog_end(c->peer.dialog, 200, "operator");
		while (strncmp(text = peer_receive(&c->peer, c->fd, 200), "SIP/2.0 200", 11) == 0)
			;
		if (strncmp(text, "BYE ", 4) != 0)
			fail_msg("%s: %s", routes[i], text);
		answer_request(c, text, "200 OK");
	}
}

static void
our_bye_waits_for_the_ack(void **state)
{
	struct call *c = *state;
	const char *text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "inv", .cseq = 1 });

	peer_to_tag(text, c->to_tag);
	dialog_end(c->peer.dialog, 200, "operator");
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_ended, 1);
	do	/* only the 2xx again */
		text = peer_receive(&c->peer, c->fd, 5);
	while (text[0] == 'S');
	assert_string_equal(text, "");
	ack(c, 1);
	while (strncmp(text = peer_receive(&c->peer, c->fd, 100), "SIP/2.0 200", 11) == 0)
		;
	assert_memory_equal(text, "BYE ", 4);
	assert_int_equal(c->peer.n_confirmed, 0);
}

static void
unanswered_bye_is_repeated_and_given_up(void **state)
{
	struct call *c = *state;

	establish(c, "");
	dialog_end(c->peer.dialog, 200, "operator");
	assert_memory_equal(peer_receive(&c->peer, c->fd, 200), "BYE ", 4);
	assert_memory_equal(peer_receive(&c->peer, c->fd, 200), "BYE ", 4);
	peer_turn(&c->peer, 70 * PEER_T1_MS);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
}

static void
ending_an_unanswered_call_refuses_it(void **state)
{
	struct call *c = *state;
	struct peer_request r = { .method = "INVITE", .fd = c->fd, .branch = "inv", .cseq = 1 };
	const char *text;

	c->peer.answer = PEER_LATER;
	peer_request(&r);
	peer_receive(&c->peer, c->fd, 100);
	dialog_end(c->peer.dialog, 200, "draining");
	text = peer_final(&c->peer, c->fd);
	assert_status(text, 503);
	assert_says(text, "Retry-After: ");
	assert_says(text, "Warning: 399 test-node \"draining\"\r\n");
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_LOCAL);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
}

static void
refused_call_is_gone_and_its_ack_is_absorbed(void **state)
{
	struct call *c = *state;
	struct peer_request r = { .method = "ACK", .fd = c->fd, .branch = "inv", .cseq = 1 };
	const char *text;

	c->peer.answer = PEER_REFUSE;
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "inv", .cseq = 1 });
	assert_status(text, 403);
	assert_says(text, "Warning: 399 test-node \"no  recording  session\"\r\n");
	assert_status(peer_receive(&c->peer, c->fd, 200), 403);	/* timer G */
	peer_to_tag(text, c->to_tag);
	r.to_tag = c->to_tag;
	peer_request(&r);
	peer_turn(&c->peer, 5);
	while (peer_receive(&c->peer, c->fd, 0)[0] != '\0')
		;
	assert_string_equal(peer_receive(&c->peer, c->fd, 5 * PEER_T1_MS), "");
	assert_int_equal(c->peer.n_ended, 0);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
	assert_status(ask(c, (struct peer_request){ .method = "BYE", .branch = "b", .cseq = 2, .to_tag = c->to_tag }), 481);
}

static void
cancel_ends_an_unanswered_call(void **state)
{
	struct call *c = *state;
	struct peer_request r = { .method = "INVITE", .fd = c->fd, .branch = "inv", .cseq = 1 };
	const char *first, *second;
	char both[8192];

	c->peer.answer = PEER_LATER;
	peer_request(&r);
	assert_status(peer_receive(&c->peer, c->fd, 100), 100);
	r.method = "CANCEL";
	r.lines = "Require: unheard-of\r\n";	/* never 420 for CANCEL */
	peer_request(&r);
	first = peer_receive(&c->peer, c->fd, 100);
	snprintf(both, sizeof(both), "%.8000s", first);
	second = peer_receive(&c->peer, c->fd, 100);
	assert_status(both, 200);
	assert_says(both, "CSeq: 1 CANCEL\r\n");
	assert_status(second, 487);
	assert_says(second, "CSeq: 1 INVITE\r\n");
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_CANCELLED);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
}

static void
cancel_without_an_invite_gets_481(void **state)
{
	assert_status(ask(*state, (struct peer_request){ .method = "CANCEL", .branch = "none", .cseq = 1 }), 481);
}

static void
reinvite_while_one_is_pending_gets_500_with_retry_after(void **state)
{
	struct call *c = *state;
	const char *text;

	establish(c, "");
	c->peer.answer = PEER_LATER;
	peer_request(&(struct peer_request){ .method = "INVITE", .fd = c->fd, .branch = "re1", .cseq = 2, .to_tag = c->to_tag });
	assert_status(peer_receive(&c->peer, c->fd, 100), 100);
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "re2", .cseq = 3, .to_tag = c->to_tag });
	assert_status(text, 500);
	assert_says(text, "Retry-After: ");
	text = ask(c, (struct peer_request){ .method = "UPDATE", .branch = "up", .cseq = 4, .to_tag = c->to_tag,
		   .lines = SDP_LINES, .body = "v=0\r\n" });
	assert_status(text, 500);
	assert_int_equal(c->peer.n_reinvites, 1);
	dialog_accept(c->peer.dialog, PEER_SDP);
	while (strstr(text = peer_receive(&c->peer, c->fd, 200), "CSeq: 2 INVITE") == NULL)
		assert_true(text[0] != '\0');
	assert_status(text, 200);
}

static void
refused_reinvite_leaves_the_call_running(void **state)
{
	struct call *c = *state;

	establish(c, "");
	c->peer.answer = PEER_REFUSE;
	assert_status(ask(c, (struct peer_request){ .method = "INVITE", .branch = "re1", .cseq = 2, .to_tag = c->to_tag }), 403);
	peer_request(&(struct peer_request){ .method = "ACK", .fd = c->fd, .branch = "re1", .cseq = 2, .to_tag = c->to_tag });
	peer_turn(&c->peer, 5);
	while (peer_receive(&c->peer, c->fd, 0)[0] != '\0')
		;
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o", .cseq = 3, .to_tag = c->to_tag }), 200);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 1);
}

static void
accepted_reinvite_moves_the_remote_target(void **state)
{
	struct call *c = *state;
	int other = peer_socket(&c->peer.udp, SOCK_DGRAM);

	establish(c, "");
	peer_request(&(struct peer_request){ .method = "INVITE", .fd = other, .branch = "re1", .cseq = 2, .to_tag = c->to_tag });
	assert_status(peer_final(&c->peer, other), 200);
	peer_request(&(struct peer_request){ .method = "ACK", .fd = other, .branch = "a2", .cseq = 2, .to_tag = c->to_tag });
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_confirmed, 2);
	dialog_end(c->peer.dialog, 200, "operator");
	assert_memory_equal(peer_receive(&c->peer, other, 200), "BYE ", 4);
	close(other);
}

static void
lower_cseq_gets_500_and_unknown_dialog_481(void **state)
{
	struct call *c = *state;

	establish(c, "");
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o1", .cseq = 9, .to_tag = c->to_tag }), 200);
	assert_status(ask(c, (struct peer_request){ .method = "BYE", .branch = "b1", .cseq = 8, .to_tag = c->to_tag }), 500);
	assert_status(ask(c, (struct peer_request){ .method = "BYE", .branch = "b2", .cseq = 10, .to_tag = "other" }), 481);
	assert_status(ask(c, (struct peer_request){ .method = "INFO", .branch = "i", .cseq = 1 }), 481);
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o2", .cseq = 1, .to_tag = "x" }), 481);
	assert_int_equal(c->peer.n_ended, 0);
}

static void
merged_request_gets_482(void **state)
{
	struct call *c = *state;

	c->peer.answer = PEER_LATER;
	peer_request(&(struct peer_request){ .method = "INVITE", .fd = c->fd, .branch = "path1", .cseq = 1 });
	assert_status(peer_receive(&c->peer, c->fd, 100), 100);
	assert_status(ask(c, (struct peer_request){ .method = "INVITE", .branch = "path2", .cseq = 1 }), 482);
	assert_int_equal(c->peer.n_invites, 1);
}

static void
every_refusal_by_form_has_its_status_and_its_header(void **state)
{
	static const struct {
		struct peer_request r;
		unsigned int status;
		const char *says;
	} rows[] = {
		{ { .method = "INVITE", .lines = "Require: siprec, timer, 100rel\r\n" }, 420, "Unsupported: 100rel\r\n" },
		{ { .method = "REGISTER" }, 405, "Allow: INVITE, ACK" },
		{ { .method = "FROBNICATE" }, 501, "Warning: 399 " },
		{ { .method = "INVITE", .uri = "tel:+123" }, 416, "Warning: 399 " },
		{ { .method = "INVITE", .lines = "Content-Type: text/plain\r\n", .body = "hello" }, 415, "Accept: application/sdp, application/rs-metadata+xml, application/rs-metadata, multipart/mixed\r\n" },
		{ { .method = "INVITE", .lines = SDP_LINES "Content-Encoding: gzip\r\n", .body = "v=0" }, 415, "Accept-Encoding: identity" },
		{ { .method = "INVITE", .body = "v=0" }, 400, "Content-Type" },
		{ { .method = "UPDATE" }, 481, "Warning: 399 " },
	};
	struct call *c = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer_request r = rows[i].r;
		char branch[16];
		const char *text;

		snprintf(branch, sizeof(branch), "row%zu", i);
		r.branch = branch;
		r.call_id = branch;
		r.cseq = 1;
		text = ask(c, r);
		assert_status(text, rows[i].status);
		assert_says(text, rows[i].says);
		assert_says(text, "Warning: 399 test-node \"");
		while (peer_receive(&c->peer, c->fd, 0)[0] != '\0')
			;
		if (strcmp(r.method, "INVITE") == 0) {
			r.method = "ACK";	/* else timer G speaks between the rows */
			r.fd = c->fd;
			r.body = "";
			r.lines = "";
			peer_request(&r);
			peer_turn(&c->peer, 2);
		}
		while (peer_receive(&c->peer, c->fd, 0)[0] != '\0')
			;
	}
	assert_int_equal(c->peer.n_invites, 0);
	assert_int_equal(sip_counter_read(c->peer.sip, SIP_REFUSED), sizeof(rows) / sizeof(rows[0]));
}

static void
body_over_the_limit_gets_413(void **state)
{
	struct call *c = *state;
	char body[9000];

	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	assert_status(ask(c, (struct peer_request){ .method = "INVITE", .branch = "big", .cseq = 1, .lines = SDP_LINES, .body = body }), 413);
}

static void
malformed_requests_get_400_or_505_or_silence(void **state)
{
	static const struct {
		const char *text;
		const char *starts;
	} rows[] = {
		{ "INVITE sip:a@b SIP/3.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n"
		  "Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n", "SIP/2.0 505 " },
		{ "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK2;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n"
		  "Call-ID: x\r\nCSeq: 1 BYE\r\n\r\n", "SIP/2.0 400 " },
		{ "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK3;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n"
		  "Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 99\r\n\r\nshort", "SIP/2.0 400 " },
		{ "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK4;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n"
		  "Call-ID: x\r\nCSeq: 1 INVITE\r\n", "SIP/2.0 400 " },
		{ "INVITE sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n", "" },
		{ "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK5;rport\r\nTo: <sip:b@c>\r\nCSeq: 1 INVITE\r\n\r\n", "SIP/2.0 400 " },
		{ "ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK6;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n"
		  "Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n", "" },
		{ "gibberish", "" },
	};
	struct call *c = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text;

		peer_send(c->fd, rows[i].text);
		text = peer_receive(&c->peer, c->fd, rows[i].starts[0] == '\0' ? 10 : 300);
		if (strncmp(text, rows[i].starts, strlen(rows[i].starts)) != 0 ||
		    (rows[i].starts[0] == '\0' && text[0] != '\0'))
			fail_msg("row %zu: %.300s", i, text);
	}
	assert_int_equal(sip_counter_read(c->peer.sip, SIP_MALFORMED), 3);
	assert_int_equal(c->peer.n_invites, 0);
}

static void
options_tell_health_outside_and_ok_inside_a_dialog(void **state)
{
	struct call *c = *state;
	const char *text = ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o1", .cseq = 1, .call_id = "o1" });

	assert_status(text, 200);
	assert_says(text, "Supported: siprec, replaces, timer\r\n");
	assert_says(text, "Accept: application/sdp, application/rs-metadata+xml, application/rs-metadata, multipart/mixed\r\n");
	assert_says(text, "Allow: ");
	establish(c, "");
	c->peer.full = true;
	text = ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o2", .cseq = 1, .call_id = "o2" });
	assert_status(text, 503);
	assert_says(text, "Retry-After: ");
	assert_says(text, "Supported: siprec, replaces, timer\r\n");
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o3", .cseq = 3, .to_tag = c->to_tag }), 200);
}

static void
update_and_info_bring_bodies(void **state)
{
	struct call *c = *state;
	const char *text;

	establish(c, "");
	text = ask(c, (struct peer_request){ .method = "UPDATE", .branch = "u1", .cseq = 2, .to_tag = c->to_tag,
		   .lines = SDP_LINES, .body = "v=0\r\n" });
	assert_status(text, 200);
	assert_says(text, PEER_SDP);
	assert_says(text, ";+sip.srs");
	assert_status(ask(c, (struct peer_request){ .method = "INFO", .branch = "i1", .cseq = 3, .to_tag = c->to_tag }), 200);
	assert_int_equal(c->peer.n_bodies, 1);
	c->peer.body_status = 415;
	text = ask(c, (struct peer_request){ .method = "INFO", .branch = "i2", .cseq = 4, .to_tag = c->to_tag,
		   .lines = "Content-Type: application/x-thing\r\n", .body = "thing" });
	assert_status(text, 415);
	assert_says(text, "Accept: ");
	assert_int_equal(c->peer.n_bodies, 2);
	text = ask(c, (struct peer_request){ .method = "INFO", .branch = "i3", .cseq = 5, .to_tag = c->to_tag,
		   .lines = "Info-Package: dtmf\r\n" });
	assert_status(text, 469);
	assert_says(text, "\r\nRecv-Info:\r\n");
}

static void
a_bye_may_bring_the_last_body_and_ends_the_call_whatever_it_is(void **state)
{
	struct call *c = *state;

	establish(c, "");
	c->peer.body_status = 415;
	assert_status(ask(c, (struct peer_request){ .method = "BYE", .branch = "b1", .cseq = 2, .to_tag = c->to_tag,
		      .lines = "Content-Type: application/rs-metadata+xml\r\n", .body = "<recording/>" }), 200);
	assert_int_equal(c->peer.n_bodies, 1);
	assert_int_equal(c->peer.n_ended, 1);
}

static void
probe_of_a_silent_client(void **state)
{
	static const char *const alive[] = { "200 OK", "405 Method Not Allowed", "500 Server Internal Error" };
	struct call *c = *state;
	const char *text;

	establish(c, "");
	for (unsigned int i = 0; i < sizeof(alive) / sizeof(alive[0]); i++) {
		dialog_probe(c->peer.dialog);
		dialog_probe(c->peer.dialog);	/* one at a time */
		text = peer_receive(&c->peer, c->fd, 100);
		assert_memory_equal(text, "OPTIONS sip:src@", 16);
		assert_says(text, ";+sip.srs");
		assert_int_equal(c->peer.n_probed, i);
		answer_request(c, text, alive[i]);
		assert_int_equal(c->peer.n_probed, i + 1);
	}
	assert_int_equal(c->peer.n_ended, 0);
	dialog_probe(c->peer.dialog);
	answer_request(c, peer_receive(&c->peer, c->fd, 100), "481 Gone");
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.n_probed, 3);
	assert_int_equal(c->peer.how, DIALOG_END_GONE);
	assert_says(peer_receive(&c->peer, c->fd, 100), "Reason: SIP;cause=481;");
}

static void
probe_that_nobody_answers_ends_the_call(void **state)
{
	struct call *c = *state;

	establish(c, "");
	dialog_probe(c->peer.dialog);
	for (int i = 0; i < 100 && c->peer.n_ended == 0; i++)	/* 64 T1 and, on a busy machine, more */
		peer_turn(&c->peer, 2 * PEER_T1_MS);
	assert_int_equal(c->peer.n_probed, 0);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_GONE);
}

static void
probe_over_a_connection_that_nobody_takes_ends_the_call(void **state)
{
	struct call *c = *state;
	const char *text;

	close(c->fd);
	c->fd = peer_socket(&c->peer.tcp, SOCK_STREAM);
	text = ask(c, (struct peer_request){ .method = "INVITE", .tcp = true, .branch = "inv", .cseq = 1 });
	assert_status(text, 200);
	peer_to_tag(text, c->to_tag);
	ack(c, 1);
	close(c->fd);
	peer_turn(&c->peer, 20);
	dialog_probe(c->peer.dialog);	/* its Contact is a port where nobody listens */
	peer_turn(&c->peer, 200);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_GONE);
	c->fd = peer_socket(&c->peer.udp, SOCK_DGRAM);
}

static void
a_2xx_repeats_the_record_route_of_its_own_invite(void **state)
{
	struct call *c = *state;
	const char *text;

	establish(c, "Record-Route: <sip:127.0.0.1:5;lr>\r\n");
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "re1", .cseq = 2, .to_tag = c->to_tag });
	assert_status(text, 200);
	assert_null(strstr(text, "Record-Route"));
	ack(c, 2);
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "re2", .cseq = 3, .to_tag = c->to_tag,
		   .lines = "Record-Route: <sip:new.example;lr>\r\n" });
	assert_says(text, "Record-Route: <sip:new.example;lr>\r\n");
}

static void
too_many_dialogs_and_transactions_get_503(void **state)
{
	struct call *c = *state;
	const char *text = "";	/* an eighth of 64 transactions is for calls in progress */

	c->peer.answer = PEER_LATER;
	for (unsigned int i = 0; i < 56; i++) {
		char id[16];

		snprintf(id, sizeof(id), "flood%u", i);
		peer_request(&(struct peer_request){ .method = "INVITE", .fd = c->fd, .branch = id, .call_id = id, .cseq = 1 });
		assert_status(peer_receive(&c->peer, c->fd, 100), 100);
	}
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "last", .call_id = "last", .cseq = 1 });
	assert_status(text, 503);
	assert_says(text, "Retry-After: ");
	assert_int_equal(sip_n_dialogs(c->peer.sip), 56);
	sip_end_all(c->peer.sip, 200, "stopping");
	peer_turn(&c->peer, 10);
	assert_int_equal(c->peer.n_ended, 56);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
}

static void
destroying_the_stack_says_bye(void **state)
{
	struct call *c = *state;

	establish(c, "");
	sip_destroy(c->peer.sip);
	c->peer.sip = NULL;
	assert_memory_equal(peer_receive(&c->peer, c->fd, 100), "BYE ", 4);
	assert_int_equal(c->peer.n_ended, 0);
}

static void
call_over_tcp_and_bye_on_the_same_connection(void **state)
{
	struct call *c = *state;
	const char *text;

	close(c->fd);
	c->fd = peer_socket(&c->peer.tcp, SOCK_STREAM);
	text = ask(c, (struct peer_request){ .method = "INVITE", .tcp = true, .branch = "inv", .cseq = 1 });
	assert_status(text, 200);
	assert_says(text, ";transport=tcp>;+sip.srs");
	peer_to_tag(text, c->to_tag);
	ack(c, 1);
	dialog_end(c->peer.dialog, 200, "operator");
	text = peer_receive(&c->peer, c->fd, 200);
	assert_memory_equal(text, "BYE ", 4);
	assert_says(text, "Via: SIP/2.0/TCP 127.0.0.1:");
	answer_request(c, text, "200 OK");
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
}

static void
call_over_ipv6(void **state)
{
	struct call *c = *state;
	const char *text;

	close(c->fd);
	c->fd = peer_socket(&c->peer.udp6, SOCK_DGRAM);
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "inv", .cseq = 1 });
	assert_status(text, 200);
	assert_says(text, ";received=::1");
	assert_says(text, "Contact: <sip:srs@[::1]:");
}

/* As RFC 2543 allowed, and RFC 4475 §3.4.1 sends: no Contact, no tag, no cookie in the branch. */
static void
invite_without_contact_is_taken_and_its_bye_goes_where_it_came_from(void **state)
{
	struct call *c = *state;
	char text[1024], want[64];
	const char *ok;

	snprintf(text, sizeof(text), "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u\r\nFrom: <sip:a@b>\r\nTo: sip:b@c\r\n"
	         "Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n", peer_port(c->fd));
	peer_send(c->fd, text);
	ok = peer_final(&c->peer, c->fd);
	assert_status(ok, 200);
	peer_to_tag(ok, c->to_tag);
	snprintf(text, sizeof(text), "ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u\r\nFrom: <sip:a@b>\r\n"
	         "To: sip:b@c;tag=%s\r\nCall-ID: x\r\nCSeq: 1 ACK\r\n\r\n", peer_port(c->fd), c->to_tag);
	peer_send(c->fd, text);
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_confirmed, 1);
	dialog_end(c->peer.dialog, 200, "operator");
	snprintf(want, sizeof(want), "BYE sip:127.0.0.1:%u SIP/2.0\r\n", peer_port(c->fd));
	assert_memory_equal(peer_receive(&c->peer, c->fd, 200), want, strlen(want));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(call_is_accepted_confirmed_and_ended_by_the_client),
		TEST(trying_comes_at_once_and_retransmissions_are_absorbed),
		TEST(ok_is_repeated_until_the_ack_comes),
		TEST(missing_ack_ends_the_call_with_bye),
		TEST(our_bye_follows_the_route_set_and_waits_for_its_answer),
		TEST(strict_router_gets_itself_as_request_uri),
		TEST(bye_to_a_host_name_goes_back_the_way_the_invite_came),
		TEST(bye_to_a_hop_without_a_sane_port_goes_back_the_way_the_invite_came),
		TEST(our_bye_waits_for_the_ack),
		TEST(unanswered_bye_is_repeated_and_given_up),
		TEST(ending_an_unanswered_call_refuses_it),
		TEST(refused_call_is_gone_and_its_ack_is_absorbed),
		TEST(cancel_ends_an_unanswered_call),
		TEST(cancel_without_an_invite_gets_481),
		TEST(reinvite_while_one_is_pending_gets_500_with_retry_after),
		TEST(refused_reinvite_leaves_the_call_running),
		TEST(accepted_reinvite_moves_the_remote_target),
		TEST(lower_cseq_gets_500_and_unknown_dialog_481),
		TEST(merged_request_gets_482),
		TEST(every_refusal_by_form_has_its_status_and_its_header),
		TEST(body_over_the_limit_gets_413),
		TEST(malformed_requests_get_400_or_505_or_silence),
		TEST(options_tell_health_outside_and_ok_inside_a_dialog),
		TEST(update_and_info_bring_bodies),
		TEST(a_bye_may_bring_the_last_body_and_ends_the_call_whatever_it_is),
		TEST(probe_of_a_silent_client),
		TEST(probe_that_nobody_answers_ends_the_call),
		TEST(probe_over_a_connection_that_nobody_takes_ends_the_call),
		TEST(a_2xx_repeats_the_record_route_of_its_own_invite),
		TEST(too_many_dialogs_and_transactions_get_503),
		TEST(destroying_the_stack_says_bye),
		TEST(call_over_tcp_and_bye_on_the_same_connection),
		TEST(call_over_ipv6),
		TEST(invite_without_contact_is_taken_and_its_bye_goes_where_it_came_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
