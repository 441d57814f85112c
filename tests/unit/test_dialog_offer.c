/* Our own offers in a dialog, over real loopback sockets: UPDATE or re-INVITE, glare, refusals, lost ACKs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call_fixture.h"

#define ALLOW_UPDATE "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n"
#define THEIR_SDP    "v=0\r\no=src 7 8 IN IP4 127.0.0.1\r\n"

static const struct dialog_message offer = { .sdp = PEER_SDP };

/* The next request of the stack's; responses of its own are passed over. */
static const char *
next_request(struct call *c, unsigned int ms)
{
	const char *text = peer_receive(&c->peer, c->fd, ms);

	while (strncmp(text, "SIP/2.0 ", 8) == 0)
		text = peer_receive(&c->peer, c->fd, ms);
	return text;
}

static void
silence(struct call *c)
{
	while (peer_receive(&c->peer, c->fd, 0)[0] != '\0')
		;
}

static void
an_offer_goes_by_update_where_the_peer_allows_it(void **state)
{
	struct call *c = *state;
	const char *text;

	establish(c, ALLOW_UPDATE);
	assert_true(dialog_can_update(c->peer.dialog));
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_ERR_STATE);
	text = next_request(c, 200);
	assert_memory_equal(text, "UPDATE sip:src@127.0.0.1:", 25);
	assert_says(text, "CSeq: 1 UPDATE\r\n");
	assert_says(text, ";+sip.srs\r\n");
	assert_says(text, "Supported: siprec");
	assert_says(text, "Allow: INVITE, ACK,");
	assert_says(text, "Accept: application/sdp, ");
	assert_says(text, "Content-Type: application/sdp\r\n");
	assert_says(text, "\r\n\r\n" PEER_SDP);
	answer_request_with(c, text, "200 OK", SDP_LINES, THEIR_SDP);
	assert_int_equal(c->peer.n_answers, 1);
	assert_int_equal(c->peer.answer_status, 200);
	assert_int_equal(c->peer.body_len, strlen(THEIR_SDP));
	assert_memory_equal(c->peer.body, THEIR_SDP, strlen(THEIR_SDP));
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	assert_says(next_request(c, 200), "CSeq: 2 UPDATE\r\n");
}

static void
without_update_it_is_a_reinvite_and_every_2xx_gets_its_ack(void **state)
{
	struct call *c = *state;
	char invite[4096], contact[128];
	int other = peer_socket(&c->peer.udp, SOCK_DGRAM);
	const char *text;

	establish(c, "Allow: INVITE, ACK, BYE\r\n");
	assert_false(dialog_can_update(c->peer.dialog));
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	snprintf(invite, sizeof(invite), "%s", next_request(c, 200));
	assert_memory_equal(invite, "INVITE sip:src@127.0.0.1:", 25);
	answer_request(c, invite, "100 Trying");
	/* the 2xx moves the remote target: its ACK goes there (RFC 3261 §12.2.1.2) */
	snprintf(contact, sizeof(contact), SDP_LINES "Contact: <sip:new@127.0.0.1:%u>\r\n", peer_port(other));
	answer_request_with(c, invite, "200 OK", contact, THEIR_SDP);
	text = peer_receive(&c->peer, other, 200);
	assert_memory_equal(text, "ACK sip:new@127.0.0.1:", 22);
	assert_says(text, "CSeq: 1 ACK\r\n");
	assert_says(text, ";tag=srctag\r\n");
	assert_int_equal(c->peer.n_answers, 1);
	answer_request_with(c, invite, "200 OK", contact, THEIR_SDP);
	assert_memory_equal(peer_receive(&c->peer, other, 200), "ACK ", 4);
	assert_int_equal(c->peer.n_answers, 1);
	close(other);
}

static void
the_route_set_is_followed_by_reinvite_and_ack(void **state)
{
	struct call *c = *state;
	char routes[256], want[256];
	const char *text;

	snprintf(routes, sizeof(routes), "Record-Route: <sip:127.0.0.1:%u;lr>, <sip:far.example;lr>\r\n", peer_port(c->fd));
	snprintf(want, sizeof(want), "Route: <sip:127.0.0.1:%u;lr>, <sip:far.example;lr>\r\n", peer_port(c->fd));
	establish(c, routes);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	text = next_request(c, 200);
	assert_memory_equal(text, "INVITE sip:src@", 15);
	assert_says(text, want);
	answer_request_with(c, text, "200 OK", SDP_LINES, THEIR_SDP);
	text = next_request(c, 200);
	assert_memory_equal(text, "ACK sip:src@", 12);
	assert_says(text, want);
}

static void
a_refused_offer_leaves_the_call_as_it_was(void **state)
{
	static const char *const statuses[] = { "401 Unauthorized", "403 Forbidden", "488 Not Acceptable Here",
		                                "500 Server Internal Error", "603 Decline" };
	struct call *c = *state;
	const char *text;

	establish(c, "");
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		char invite[4096];

		assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
		snprintf(invite, sizeof(invite), "%s", next_request(c, 200));
		answer_request(c, invite, statuses[i]);
		assert_int_equal(c->peer.n_answers, i + 1);
		assert_int_equal(c->peer.answer_status, atoi(statuses[i]));
		text = next_request(c, 200);
		assert_memory_equal(text, "ACK ", 4);	/* by the transaction, with the INVITE's branch */
		assert_memory_equal(strstr(text, ";branch="), strstr(invite, ";branch="), 24);
	}
	assert_int_equal(c->peer.n_ended, 0);
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o", .cseq = 3, .to_tag = c->to_tag }), 200);
}

static void
unknown_dialog_and_silence_end_the_call(void **state)
{
	struct call *c = *state;

	establish(c, ALLOW_UPDATE);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	answer_request(c, next_request(c, 200), "481 Call/Transaction Does Not Exist");
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_answers, 0);
	assert_int_equal(c->peer.n_ended, 1);
	assert_int_equal(c->peer.how, DIALOG_END_GONE);
	assert_says(next_request(c, 200), "Reason: SIP;cause=481;");

	answer_request(c, c->peer.received, "481 Call/Transaction Does Not Exist");
	establish_as(c, "second", ALLOW_UPDATE);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	peer_turn(&c->peer, 70 * PEER_T1_MS);
	assert_int_equal(c->peer.n_answers, 0);
	assert_int_equal(c->peer.n_ended, 2);
	assert_int_equal(c->peer.how, DIALOG_END_GONE);
}

static void
glare_is_tried_again_within_two_seconds_five_times(void **state)
{
	struct call *c = *state;
	char want[32];

	establish(c, ALLOW_UPDATE);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	for (unsigned int i = 1; i <= 5; i++) {
		const char *text = next_request(c, 2300);

		snprintf(want, sizeof(want), "CSeq: %u UPDATE\r\n", i);	/* a new request each time */
		assert_says(text, want);
		assert_says(text, PEER_SDP);
		assert_int_equal(c->peer.n_answers, 0);
		assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_ERR_STATE);
		answer_request(c, text, "491 Request Pending");
	}
	assert_int_equal(c->peer.n_answers, 1);
	assert_int_equal(c->peer.answer_status, 491);
	assert_int_equal(c->peer.n_ended, 0);
}

static void
a_busy_peer_is_asked_again_when_it_says(void **state)
{
	struct call *c = *state;
	uint64_t since;

	establish(c, ALLOW_UPDATE);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	answer_request_with(c, next_request(c, 200), "500 Server Internal Error", "Retry-After: 1\r\n", "");
	since = reactor_mono_ns();
	assert_says(next_request(c, 1500), "CSeq: 2 UPDATE\r\n");
	assert_in_range((reactor_mono_ns() - since) / 1000000, 900, 1500);
	assert_int_equal(c->peer.n_answers, 0);
	answer_request_with(c, c->peer.received, "500 Server Internal Error", "Retry-After: 3600\r\n", "");
	assert_int_equal(c->peer.n_answers, 1);
	assert_int_equal(c->peer.answer_status, 500);
}

static void
their_offer_while_ours_waits_makes_ours_stale(void **state)
{
	struct call *c = *state;

	establish(c, ALLOW_UPDATE);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	answer_request(c, next_request(c, 200), "491 Request Pending");
	silence(c);
	if (c->peer.n_answers == 0) {	/* a wait of 0 ms may already be over */
		assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "u", .cseq = 2,
			      .to_tag = c->to_tag, .lines = SDP_LINES, .body = "v=0\r\n" }), 200);
		for (unsigned int i = 0; i < 230 && c->peer.n_answers == 0; i++)
			peer_turn(&c->peer, 10);
	}
	assert_int_equal(c->peer.n_answers, 1);
	assert_int_equal(c->peer.answer_status, 491);
	assert_int_equal(c->peer.n_bodies, 1);
}

/* RFC 3311 §5.2: while it waits for its ports, another UPDATE or INVITE gets 500; a BYE answers it with 487. */
static void
an_update_whose_answer_waits_holds_up_the_next(void **state)
{
	struct call *c = *state;
	const char *text;

	establish(c, "");
	c->peer.answer = PEER_LATER;
	peer_request(&(struct peer_request){ .method = "UPDATE", .fd = c->fd, .branch = "u1", .cseq = 2, .to_tag = c->to_tag,
		      .lines = SDP_LINES, .body = "v=0\r\n" });
	peer_turn(&c->peer, 5);
	silence(c);
	assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "u2", .cseq = 3, .to_tag = c->to_tag }), 500);
	text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "i1", .cseq = 4, .to_tag = c->to_tag,
	           .lines = SDP_LINES, .body = "v=0\r\n" });
	assert_status(text, 500);
	assert_non_null(strstr(text, "Retry-After: "));
	peer_request(&(struct peer_request){ .method = "ACK", .fd = c->fd, .branch = "i1", .cseq = 4, .to_tag = c->to_tag });
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_ERR_STATE);
	dialog_accept(c->peer.dialog, PEER_SDP);
	text = peer_receive(&c->peer, c->fd, 200);
	assert_status(text, 200);
	assert_non_null(strstr(text, "CSeq: 2 UPDATE"));
	assert_non_null(strstr(text, "m=audio 16384"));

	peer_request(&(struct peer_request){ .method = "UPDATE", .fd = c->fd, .branch = "u3", .cseq = 5, .to_tag = c->to_tag,
		      .lines = SDP_LINES, .body = "v=0\r\n" });
	peer_turn(&c->peer, 5);
	silence(c);
	assert_status(ask(c, (struct peer_request){ .method = "BYE", .branch = "b", .cseq = 6, .to_tag = c->to_tag }), 200);
	assert_status(peer_receive(&c->peer, c->fd, 200), 487);
}

static void
their_offers_get_491_while_ours_is_open(void **state)
{
	struct call *c = *state;
	char invite[4096];

	establish(c, "");
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	snprintf(invite, sizeof(invite), "%s", next_request(c, 200));
	assert_status(ask(c, (struct peer_request){ .method = "INVITE", .branch = "re", .cseq = 2, .to_tag = c->to_tag,
		      .lines = SDP_LINES, .body = "v=0\r\n" }), 491);
	peer_request(&(struct peer_request){ .method = "ACK", .fd = c->fd, .branch = "re", .cseq = 2, .to_tag = c->to_tag });
	peer_turn(&c->peer, 5);
	silence(c);
	assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "up1", .cseq = 3, .to_tag = c->to_tag,
		      .lines = SDP_LINES, .body = "v=0\r\n" }), 491);
	silence(c);
	assert_int_equal(c->peer.n_reinvites, 0);
	assert_int_equal(c->peer.n_bodies, 0);
	/* without an offer nothing crosses (RFC 3311 §5.2) */
	assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "up2", .cseq = 4, .to_tag = c->to_tag,
		      .lines = "Content-Type: application/rs-metadata+xml\r\n", .body = "<x/>" }), 200);
	assert_int_equal(c->peer.n_bodies, 1);
	answer_request_with(c, invite, "200 OK", SDP_LINES, THEIR_SDP);
	assert_int_equal(c->peer.answer_status, 200);
}

static void
we_do_not_offer_while_theirs_is_open(void **state)
{
	struct call *c = *state;
	const char *text = ask(c, (struct peer_request){ .method = "INVITE", .branch = "inv", .cseq = 1, .lines = ALLOW_UPDATE });

	assert_status(text, 200);
	peer_to_tag(text, c->to_tag);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_ERR_STATE);	/* no ACK yet */
	ack(c, 1);
	c->peer.answer = PEER_LATER;
	peer_request(&(struct peer_request){ .method = "INVITE", .fd = c->fd, .branch = "re", .cseq = 2, .to_tag = c->to_tag });
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_reinvites, 1);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_ERR_STATE);
}

static void
refused_method_falls_back_to_reinvite(void **state)
{
	struct call *c = *state;

	establish(c, ALLOW_UPDATE);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	answer_request(c, next_request(c, 200), "405 Method Not Allowed");
	assert_memory_equal(next_request(c, 200), "INVITE sip:src@", 15);
	assert_int_equal(c->peer.n_answers, 0);
	assert_false(dialog_can_update(c->peer.dialog));
}

static void
a_snapshot_request_goes_by_update_alone(void **state)
{
	static const char body[] = "<requestsnapshot/>";
	const struct dialog_message request = { .content_type = "application/rs-metadata-request",
		.content_disposition = "recording-session", .body = { (const uint8_t *)body, sizeof(body) - 1 }, .accept = "application/rs-metadata+xml" };
	struct call *c = *state;
	const char *text;

	establish(c, "Allow: INVITE, ACK, BYE\r\nAccept: application/sdp, application/rs-metadata-request\r\n");
	assert_string_equal(dialog_snapshot_type(c->peer.dialog), "application/rs-metadata-request");
	assert_int_equal(dialog_send(c->peer.dialog, &request), SRS_ERR_UNSUPPORTED);
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o", .cseq = 2, .to_tag = c->to_tag,
		      .lines = ALLOW_UPDATE "Accept: application/sdp\r\n" }), 200);
	assert_null(dialog_snapshot_type(c->peer.dialog));	/* as last heard */
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o2", .cseq = 3, .to_tag = c->to_tag,
		      .lines = ALLOW_UPDATE "Accept: application/sdp, application/rs-metadata\r\n" }), 200);
	assert_string_equal(dialog_snapshot_type(c->peer.dialog), "application/rs-metadata");	/* RFC 7866, figure 12 */
	assert_int_equal(dialog_send(c->peer.dialog, &request), SRS_OK);
	text = next_request(c, 200);
	assert_memory_equal(text, "UPDATE ", 7);
	assert_says(text, "Content-Type: application/rs-metadata-request\r\nContent-Disposition: recording-session\r\n");
	assert_says(text, "Accept: application/rs-metadata+xml\r\n");
	assert_says(text, "\r\n\r\n<requestsnapshot/>");
	/* it is no offer: theirs is taken meanwhile */
	assert_status(ask(c, (struct peer_request){ .method = "UPDATE", .branch = "up", .cseq = 3, .to_tag = c->to_tag,
		      .lines = SDP_LINES, .body = "v=0\r\n" }), 200);
}

static void
an_invite_that_gets_only_100_is_cancelled(void **state)
{
	struct call *c = *state;
	char invite[4096], cancel[4096];

	establish(c, "");
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	snprintf(invite, sizeof(invite), "%s", next_request(c, 200));
	answer_request(c, invite, "100 Trying");
	silence(c);
	snprintf(cancel, sizeof(cancel), "%s", next_request(c, 80 * PEER_T1_MS));
	assert_memory_equal(cancel, "CANCEL sip:src@", 15);
	assert_says(cancel, "CSeq: 1 CANCEL\r\n");
	assert_memory_equal(strstr(cancel, ";branch="), strstr(invite, ";branch="), 24);
	answer_request(c, cancel, "200 OK");
	answer_request(c, invite, "487 Request Terminated");
	assert_int_equal(c->peer.n_answers, 1);
	assert_int_equal(c->peer.answer_status, 487);
	assert_int_equal(c->peer.n_ended, 0);
}

static void
a_2xx_that_crosses_our_bye_still_gets_its_ack(void **state)
{
	struct call *c = *state;
	char invite[4096], bye[4096];

	establish(c, "");
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
	snprintf(invite, sizeof(invite), "%s", next_request(c, 200));
	dialog_end(c->peer.dialog, 200, "operator");
	snprintf(bye, sizeof(bye), "%s", next_request(c, 200));
	while (strncmp(bye, "BYE ", 4) != 0)	/* timer A may be quicker */
		snprintf(bye, sizeof(bye), "%s", next_request(c, 200));
	answer_request(c, bye, "200 OK");
	assert_int_equal(sip_n_dialogs(c->peer.sip), 1);
	answer_request_with(c, invite, "200 OK", SDP_LINES, THEIR_SDP);
	while (strncmp(c->peer.received, "ACK ", 4) != 0)
		assert_true(next_request(c, 200)[0] != '\0');
	peer_turn(&c->peer, 5);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
	assert_int_equal(c->peer.n_answers, 0);
	assert_int_equal(c->peer.n_ended, 1);
}

/* ---- what a request gets, by whose offer is open (RFC 3261 §14, RFC 3311 §5.2) ---- */

static const struct dialog_message snapshot = { .content_type = "application/rs-metadata-request",
	.body = { (const uint8_t *)"<x/>", 4 } };

static void quiet(struct call *c) { (void)c; }

static void
our_update_is_open(struct call *c)
{
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
}

static void
our_reinvite_is_open(struct call *c)
{
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "dull", .cseq = 2, .to_tag = c->to_tag,
		      .call_id = c->call_id, .lines = "Allow: INVITE, ACK, BYE\r\n" }), 200);
	assert_int_equal(dialog_send(c->peer.dialog, &offer), SRS_OK);
}

static void
our_snapshot_request_is_open(struct call *c)
{
	assert_int_equal(dialog_send(c->peer.dialog, &snapshot), SRS_OK);
}

static void
their_reinvite_is_open(struct call *c)
{
	c->peer.answer = PEER_LATER;
	peer_request(&(struct peer_request){ .method = "INVITE", .fd = c->fd, .branch = "theirs", .cseq = 2,
		     .to_tag = c->to_tag, .call_id = c->call_id, .lines = SDP_LINES, .body = "v=0\r\n" });
	peer_turn(&c->peer, 5);
}

static void
our_offer_in_a_200_is_open(struct call *c)
{
	peer_request(&(struct peer_request){ .method = "INVITE", .fd = c->fd, .branch = "offerless", .cseq = 2,
		     .to_tag = c->to_tag, .call_id = c->call_id });
	peer_turn(&c->peer, 5);
}

/* The response to this CSeq; others are passed over. */
static const char *
response_to(struct call *c, const struct peer_request *r)
{
	char want[64];
	const char *text;

	snprintf(want, sizeof(want), "CSeq: %u %s\r\n", r->cseq, r->method);
	peer_request(r);
	do
		text = peer_receive(&c->peer, c->fd, 300);
	while (text[0] != '\0' && (strncmp(text, "SIP/2.0 ", 8) != 0 || strncmp(text, "SIP/2.0 1", 9) == 0 ||
	                           strstr(text, want) == NULL));
	return text;
}

static void
every_request_gets_what_the_open_offer_allows(void **state)
{
	static const struct {
		const char *method, *lines, *body;
	} requests[] = {
		{ "INVITE", SDP_LINES, "v=0\r\n" }, { "INVITE", "", "" }, { "UPDATE", SDP_LINES, "v=0\r\n" }, { "UPDATE", "", "" },
		{ "UPDATE", "Content-Type: application/rs-metadata+xml\r\n", "<x/>" }, { "OPTIONS", "", "" }, { "INFO", "", "" },
	};
	static const struct {
		const char *name;
		void (*prepare)(struct call *c);
		unsigned int status[sizeof(requests) / sizeof(requests[0])];
	} rows[] = {
		{ "quiet", quiet, { 200, 200, 200, 200, 200, 200, 200 } },
		{ "our UPDATE", our_update_is_open, { 491, 491, 491, 200, 200, 200, 200 } },
		{ "our re-INVITE", our_reinvite_is_open, { 491, 491, 491, 200, 200, 200, 200 } },
		{ "our snapshot request", our_snapshot_request_is_open, { 200, 200, 200, 200, 200, 200, 200 } },
		{ "their re-INVITE", their_reinvite_is_open, { 500, 500, 500, 200, 200, 200, 200 } },
		{ "our offer in a 200", our_offer_in_a_200_is_open, { 491, 491, 491, 200, 200, 200, 200 } },
	};
	struct call *c = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t k = 0; k < sizeof(requests) / sizeof(requests[0]); k++) {
			struct peer_request r = { .method = requests[k].method, .fd = c->fd, .cseq = 9, .to_tag = c->to_tag,
				                  .lines = requests[k].lines, .body = requests[k].body };
			char id[32];
			const char *text;

			snprintf(id, sizeof(id), "cell-%zu-%zu", i, k);
			c->call_id = r.call_id = r.branch = id;
			c->peer.answer = PEER_ACCEPT;
			establish_as(c, id, ALLOW_UPDATE);
			rows[i].prepare(c);
			text = response_to(c, &r);
			if (strtoul(text + strlen("SIP/2.0 "), NULL, 10) != rows[i].status[k])
				fail_msg("%s, request %zu: not %u: %.500s", rows[i].name, k, rows[i].status[k], text);
			if (rows[i].status[k] >= 400)
				assert_says(text, "Warning: 399 ");
			if (rows[i].status[k] == 500)
				assert_says(text, "Retry-After: ");
			peer_stop(&c->peer);	/* timers of a cell are not the next one's */
			close(c->fd);
			peer_start(&c->peer);
			c->fd = peer_socket(&c->peer.udp, SOCK_DGRAM);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_offer_goes_by_update_where_the_peer_allows_it),
		TEST(without_update_it_is_a_reinvite_and_every_2xx_gets_its_ack),
		TEST(the_route_set_is_followed_by_reinvite_and_ack),
		TEST(a_refused_offer_leaves_the_call_as_it_was),
		TEST(unknown_dialog_and_silence_end_the_call),
		TEST(glare_is_tried_again_within_two_seconds_five_times),
		TEST(a_busy_peer_is_asked_again_when_it_says),
		TEST(their_offer_while_ours_waits_makes_ours_stale),
		TEST(their_offers_get_491_while_ours_is_open),
		TEST(an_update_whose_answer_waits_holds_up_the_next),
		TEST(we_do_not_offer_while_theirs_is_open),
		TEST(refused_method_falls_back_to_reinvite),
		TEST(a_snapshot_request_goes_by_update_alone),
		TEST(an_invite_that_gets_only_100_is_cancelled),
		TEST(a_2xx_that_crosses_our_bye_still_gets_its_ack),
		TEST(every_request_gets_what_the_open_offer_allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
