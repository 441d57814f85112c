/* What meets a request before it costs anything: room, rate, and who is asked neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call_fixture.h"
#include "controlplane/sip/door.h"
#include "controlplane/sip/sip.h"

static const char *
invite(struct call *c, const char *call_id, const char *lines)
{
	char all[512];

	snprintf(all, sizeof(all), SDP_LINES "%s", lines);
	return ask(c, (struct peer_request){ .method = "INVITE", .branch = call_id, .cseq = 1, .call_id = call_id, .lines = all, .body = "v=0\r\n" });
}

static void
a_full_recorder_refuses_without_transaction_and_dialog(void **state)
{
	struct call *c = *state;
	const char *text;
	char first[64], again[64];

	c->peer.full = true;
	text = invite(c, "full", "");
	assert_status(text, 503);
	assert_says(text, "Retry-After: ");
	assert_says(text, "Warning: 399 test-node \"no room\"");
	peer_to_tag(text, first);
	assert_int_equal(transactions_n(c->peer.sip->transactions), 0);
	assert_int_equal(sip_n_dialogs(c->peer.sip), 0);
	assert_int_equal(c->peer.n_invites, 0);
	assert_int_equal(sip_counter_read(c->peer.sip, SIP_NO_ROOM), 1);
	peer_to_tag(invite(c, "full", ""), again);
	assert_string_equal(first, again);	/* RFC 3261 §8.2.7: a stateless answer is always the same */
	ack(c, 1);
	assert_string_equal(peer_receive(&c->peer, c->fd, 20), "");
	c->peer.full = false;
	assert_status(invite(c, "room", ""), 200);
}

static void
a_full_recorder_serves_its_calls(void **state)
{
	struct call *c = *state;

	establish(c, "");
	c->peer.full = true;
	assert_status(ask(c, (struct peer_request){ .method = "INVITE", .branch = "re", .cseq = 2, .to_tag = c->to_tag,
		      .lines = SDP_LINES, .body = "v=0\r\n" }), 200);
	ack(c, 2);
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o", .cseq = 3, .to_tag = c->to_tag }), 200);
	assert_status(ask(c, (struct peer_request){ .method = "BYE", .branch = "bye", .cseq = 4, .to_tag = c->to_tag }), 200);
}

static void
who_takes_the_place_of_a_call_needs_no_room(void **state)
{
	struct call *c = *state;
	char lines[256];

	establish(c, "");
	snprintf(lines, sizeof(lines), "Replaces: call-1@src;to-tag=%s;from-tag=srctag\r\n", c->to_tag);
	c->peer.full = true;
	assert_status(invite(c, "successor", lines), 200);
	assert_non_null(c->peer.replaced);
}

static void
who_may_not_come_in_hears_that_and_not_that_it_is_full(void **state)
{
	struct call *c = *state;

	c->peer.src.admit = CONFIG_ADMIT_REFUSE;
	c->peer.full = true;
	assert_status(invite(c, "unwelcome", ""), 403);
}

static void
a_source_over_its_rate_gets_503_then_nothing_and_another_is_served(void **state)
{
	struct call *c = *state;
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr = { htonl(0x7f000909) } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), before = c->fd;
	char id[16];

	c->peer.config.sip.rate_per_s = 1;
	c->peer.config.sip.rate_burst_s = 3;
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(id, sizeof(id), "o%u", i);
		assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = id, .cseq = 1, .call_id = id }), 200);
	}
	for (unsigned int i = 0; i < 3; i++) {
		const char *text;

		snprintf(id, sizeof(id), "r%u", i);
		text = invite(c, id, "");
		assert_status(text, 503);
		assert_says(text, "sip.rate_per_s");
		assert_says(text, "Retry-After: ");
	}
	assert_string_equal(invite(c, "dropped", ""), "");
	assert_int_equal(sip_counter_read(c->peer.sip, SIP_RATE_REFUSED), 3);
	assert_int_equal(sip_counter_read(c->peer.sip, SIP_RATE_DROPPED), 1);
	assert_int_equal(c->peer.n_invites, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&c->peer.udp, sizeof(struct sockaddr_in)), 0);
	c->fd = fd;
	assert_status(invite(c, "other", ""), 200);
	c->fd = before;
	close(fd);
}

static void
requests_in_a_call_cost_nothing_of_the_rate(void **state)
{
	struct call *c = *state;
	char branch[16];

	c->peer.config.sip.rate_per_s = 1;
	c->peer.config.sip.rate_burst_s = 1;
	establish(c, "");
	for (unsigned int i = 0; i < 10; i++) {
		snprintf(branch, sizeof(branch), "o%u", i);
		assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = branch, .cseq = 2 + i, .to_tag = c->to_tag }), 200);
	}
}

static void
a_profile_has_a_rate_of_its_own(void **state)
{
	struct call *c = *state;

	c->peer.config.sip.rate_per_s = 1000;
	c->peer.config.sip.rate_burst_s = 1;
	c->peer.src.rate_per_s = 1;
	assert_status(invite(c, "one", ""), 200);
	assert_says(invite(c, "two", ""), "rate_per_s of its profile");
}

/* RFC 7866 §6.3, §11.1: the tag is between user agents of the call; who sends it to us all the same is served. */
static void
record_aware_is_understood_and_never_offered(void **state)
{
	struct call *c = *state;
	const char *ok = invite(c, "aware", "Require: siprec, record-aware\r\nSupported: record-aware\r\n");

	assert_status(ok, 200);
	assert_null(strstr(ok, "record-aware"));
}

/* A CANCEL that means nothing here is a stranger like any other. */
static void
cancels_of_nothing_cost_the_rate_and_those_of_an_invite_do_not(void **state)
{
	struct call *c = *state;
	struct peer_request r = { .method = "INVITE", .fd = c->fd, .branch = "inv", .cseq = 1 };

	c->peer.config.sip.rate_per_s = 1;
	c->peer.config.sip.rate_burst_s = 2;
	c->peer.answer = PEER_LATER;
	peer_request(&r);
	assert_status(peer_receive(&c->peer, c->fd, 200), 100);
	assert_status(ask(c, (struct peer_request){ .method = "CANCEL", .branch = "x", .cseq = 1, .call_id = "x" }), 481);
	assert_status(ask(c, (struct peer_request){ .method = "CANCEL", .branch = "y", .cseq = 1, .call_id = "y" }), 503);
	r.method = "CANCEL";
	peer_request(&r);
	assert_status(peer_final(&c->peer, c->fd), 200);
	assert_status(peer_final(&c->peer, c->fd), 487);
}

static void
answers_to_what_cannot_be_read_are_bounded_too(void **state)
{
	struct call *c = *state;
	char id[16];
	unsigned int n_400 = 0, n_503 = 0, n_none = 0;

	c->peer.config.sip.rate_per_s = 1;
	c->peer.config.sip.rate_burst_s = 2;
	c->peer.full = true;	/* says nothing of what is wrong with them */
	for (unsigned int i = 0; i < 6; i++) {
		const char *text;

		snprintf(id, sizeof(id), "bad%u", i);
		text = ask(c, (struct peer_request){ .method = "INVITE", .branch = id, .cseq = 1, .call_id = id, .lines = "Content-Length: 1000\r\n" });
		n_400 += strncmp(text, "SIP/2.0 400", 11) == 0;
		n_503 += strncmp(text, "SIP/2.0 503", 11) == 0;
		n_none += text[0] == '\0';
	}
	assert_int_equal(n_400, 2);
	assert_int_equal(n_503, 2);
	assert_int_equal(n_none, 2);
}

/* What comes from outside takes seven eighths of the transactions; calls in progress find the rest. */
static void
the_last_transactions_are_for_calls_in_progress(void **state)
{
	struct call *c = *state;
	uint32_t max = c->peer.config.sip.transactions_max;
	char id[32];
	unsigned int n = 0;

	establish(c, "");
	while (transactions_n(c->peer.sip->transactions) < max - max / DOOR_RESERVE) {
		snprintf(id, sizeof(id), "stray%u", n++);
		assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = id, .cseq = 1, .call_id = id }), 200);
	}
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "more", .cseq = 1, .call_id = "more" }), 503);
	assert_says(c->peer.received, "too many transactions");
	assert_status(invite(c, "more", ""), 503);
	assert_int_equal(transactions_n(c->peer.sip->transactions), max - max / DOOR_RESERVE);
	assert_status(ask(c, (struct peer_request){ .method = "INFO", .branch = "in", .cseq = 2, .to_tag = c->to_tag }), 200);
	assert_status(ask(c, (struct peer_request){ .method = "BYE", .branch = "bye", .cseq = 3, .to_tag = c->to_tag }), 200);
}

static char *
refusals(struct call *c, const char *query)
{
	unsigned int status;
	char *json = observatory_refusals_json(sip_observatory(c->peer.sip), query, &status);

	assert_int_equal(status, 200);
	assert_non_null(json);
	return json;
}

static void
a_refusal_is_kept_with_its_call_its_client_and_its_reason(void **state)
{
	struct call *c = *state;
	char *json;

	c->peer.answer = PEER_REFUSE;
	assert_status(invite(c, "unwanted", "User-Agent: SBC/7\r\n"), 403);
	ack(c, 1);
	assert_status(ask(c, (struct peer_request){ .method = "BYE", .branch = "b", .cseq = 1, .call_id = "stray", .to_tag = "no" }), 481);
	c->peer.full = true;
	assert_status(invite(c, "at-the-door", "User-Agent: SBC/7\r\n"), 503);
	json = refusals(c, "src=127.0.0.1 SBC/7\n");
	assert_says(json, "\"method\":\"INVITE\",\"call_id\":\"at-the-door\",\"status\":503,\"rule\":\"no room\"");
	assert_says(json, "\"call_id\":\"unwanted\",\"status\":403,\"rule\":\"no \\\"recording\\\" session\"");
	assert_null(strstr(json, "stray"));
	free(json);
	json = refusals(c, "status=481\n");
	assert_says(json, "\"src\":\"127.0.0.1\"");
	assert_says(json, "\"call_id\":\"stray\"");
	free(json);
}

static void
pings_and_cancelled_calls_are_no_refusals(void **state)
{
	struct call *c = *state;
	char *json;

	c->peer.full = true;
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o", .cseq = 1 }), 503);
	c->peer.full = false;
	c->peer.answer = PEER_LATER;
	peer_request(&(struct peer_request){ .method = "INVITE", .fd = c->fd, .branch = "inv", .cseq = 1 });
	assert_status(peer_receive(&c->peer, c->fd, 200), 100);
	peer_request(&(struct peer_request){ .method = "CANCEL", .fd = c->fd, .branch = "inv", .cseq = 1 });
	assert_status(peer_final(&c->peer, c->fd), 200);
	assert_status(peer_final(&c->peer, c->fd), 487);
	json = refusals(c, "");
	assert_says(json, "\"refusals\":[]");
	free(json);
}

/* Requests in a dialog come without a User-Agent: they are their dialog's client's. */
static void
a_client_keeps_its_row_through_its_call(void **state)
{
	struct call *c = *state;
	unsigned int status;
	char *json;

	establish(c, "User-Agent: SBC/7\r\nAllow: UPDATE\r\n");
	assert_status(ask(c, (struct peer_request){ .method = "OPTIONS", .branch = "o", .cseq = 2, .to_tag = c->to_tag }), 200);
	assert_status(ask(c, (struct peer_request){ .method = "BYE", .branch = "bye", .cseq = 3, .to_tag = c->to_tag }), 200);
	json = observatory_srcs_json(sip_observatory(c->peer.sip), "name=127.0.0.1", reactor_wall_ns(), &status);
	assert_says(json, "\"count\":1}");
	assert_says(json, "\"name\":\"127.0.0.1 SBC/7\"");
	assert_says(json, "\"requests\":3,\"over_udp\":3,");
	assert_says(json, "\"invites\":1,\"calls\":1,\"refused\":0,\"without_require_siprec\":1,\"without_src_parameter\":0,");
	assert_says(json, "\"with_update_allowed\":1");
	free(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_recorder_refuses_without_transaction_and_dialog),
		TEST(a_full_recorder_serves_its_calls),
		TEST(who_takes_the_place_of_a_call_needs_no_room),
		TEST(who_may_not_come_in_hears_that_and_not_that_it_is_full),
		TEST(a_source_over_its_rate_gets_503_then_nothing_and_another_is_served),
		TEST(requests_in_a_call_cost_nothing_of_the_rate),
		TEST(a_profile_has_a_rate_of_its_own),
		TEST(answers_to_what_cannot_be_read_are_bounded_too),
		TEST(record_aware_is_understood_and_never_offered),
		TEST(cancels_of_nothing_cost_the_rate_and_those_of_an_invite_do_not),
		TEST(the_last_transactions_are_for_calls_in_progress),
		TEST(a_refusal_is_kept_with_its_call_its_client_and_its_reason),
		TEST(pings_and_cancelled_calls_are_no_refusals),
		TEST(a_client_keeps_its_row_through_its_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
