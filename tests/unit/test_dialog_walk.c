/* A peer that does anything at any time: random requests, answers, losses and repetitions on both sides of a dialog, from
 * a printed seed. Whatever happens, each dialog that was offered ends once, nobody is told of it afterwards, and
 * nothing is left. Sanitizers look for the rest. CAPSTAN_SEED repeats a walk, CAPSTAN_WALKS makes more of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call_fixture.h"

#define WALKS        8
#define STEPS        150
#define T1_MS        4u
#define REQUESTS_MAX 8

struct walk {
	struct call call;
	uint64_t dice;
	unsigned int cseq;
	char asked[REQUESTS_MAX][4096];	/* requests of the stack's, the newest over the oldest */
	unsigned int n_asked;
	char call_id[48];
	unsigned int n_calls;
};

/* What all walks together have seen: a walk that never gets anywhere shows nothing. */
static unsigned int n_answers, n_probed, n_confirmed, n_bodies, n_reinvites, n_how[DIALOG_END_EXPIRED + 1];

static uint32_t
roll(struct walk *w, uint32_t n)
{
	w->dice ^= w->dice << 13;	/* xorshift64 */
	w->dice ^= w->dice >> 7;
	w->dice ^= w->dice << 17;
	return (uint32_t)(w->dice >> 32) % n;
}

/* What came: the stack's requests are kept, to be answered some time or never. */
static void
look(struct walk *w)
{
	struct call *c = &w->call;

	while (peer_receive(&c->peer, c->fd, 0)[0] != '\0') {
		const char *text = c->peer.received;

		if (strncmp(text, "SIP/2.0 ", 8) != 0 && strncmp(text, "ACK ", 4) != 0)
			snprintf(w->asked[w->n_asked++ % REQUESTS_MAX], sizeof(w->asked[0]), "%.4095s", text);
		else if (c->to_tag[0] == '\0' && strstr(text, w->call_id) != NULL)
			peer_to_tag(text, c->to_tag);
		if (strncmp(text, "SIP/2.0 200", 11) == 0 && strstr(text, " INVITE\r\n") != NULL && roll(w, 3) != 0)
			peer_request(&(struct peer_request){ .method = "ACK", .fd = c->fd, .branch = "walk-ack",
				     .cseq = w->cseq, .call_id = w->call_id, .to_tag = c->to_tag,
				     .lines = roll(w, 2) == 0 ? SDP_LINES : "", .body = "v=0\r\n" });
	}
}

static void
they_ask(struct walk *w)
{
	static const char *const methods[] = { "INVITE", "INVITE", "UPDATE", "UPDATE", "OPTIONS", "INFO", "ACK", "ACK", "CANCEL", "BYE" };
	static const char *const lines[] = {
		"", SDP_LINES, SDP_LINES "Supported: timer\r\nSession-Expires: 1;refresher=uac\r\n",
		SDP_LINES "Supported: timer\r\nSession-Expires: 1;refresher=uas\r\n", "Allow: INVITE, ACK, BYE, UPDATE\r\n",
		"Allow: INVITE, ACK, BYE\r\n", "Supported: timer\r\nSession-Expires: 1\r\nContact: <sip:x@127.0.0.1:9>\r\n",
		SDP_LINES "Require: nonsense\r\n" };
	uint32_t m = roll(w, roll(w, 12) == 0 ? 10 : 9), l = roll(w, sizeof(lines) / sizeof(lines[0]));
	bool repeats = roll(w, 4) == 0 || m >= 6;
	char branch[32];

	if (w->call.peer.dialog == NULL && roll(w, 2) == 0) {
		snprintf(w->call_id, sizeof(w->call_id), "walk-%u", ++w->n_calls);
		w->call.to_tag[0] = '\0';
		repeats = false;
		m = 0;
	}
	if (!repeats || w->cseq == 0)
		w->cseq++;
	snprintf(branch, sizeof(branch), "w%u%s", w->cseq, strcmp(methods[m], "ACK") == 0 && roll(w, 2) == 0 ? "a" : "");
	peer_request(&(struct peer_request){ .method = methods[m], .fd = w->call.fd, .branch = branch, .cseq = w->cseq,
		     .call_id = w->call_id, .to_tag = w->call.to_tag, .lines = lines[l],
		     .body = strncmp(lines[l], "Content-Type", 12) == 0 ? "v=0\r\n" : "" });
}

static void
they_answer(struct walk *w)
{
	static const char *const statuses[] = { "100 Trying", "200 OK", "200 OK", "200 OK", "491 Request Pending", "481 Gone",
		                                "408 Request Timeout", "422 Session Interval Too Small", "405 Not Allowed",
		                                "500 Server Internal Error", "603 Decline" };
	static const char *const lines[] = { "", SDP_LINES, "Session-Expires: 1;refresher=uac\r\n", "Min-SE: 2\r\n",
		                             "Contact: <sip:y@127.0.0.1:9>\r\nAllow: UPDATE\r\n", "Retry-After: 1\r\n" };
	uint32_t n = w->n_asked < REQUESTS_MAX ? w->n_asked : REQUESTS_MAX;

	if (n != 0)
		answer_request_with(&w->call, w->asked[roll(w, n)], statuses[roll(w, sizeof(statuses) / sizeof(statuses[0]))],
		                    lines[roll(w, sizeof(lines) / sizeof(lines[0]))], roll(w, 2) == 0 ? "" : "v=0\r\n");
}

static void
we_act(struct walk *w)
{
	static const struct dialog_message messages[] = {
		{ .sdp = PEER_SDP },
		{ .content_type = "application/rs-metadata-request", .body = { (const uint8_t *)"<x/>", 4 } } };
	struct peer *p = &w->call.peer;
	struct dialog *d = p->dialog;
	enum srs_err err;

	p->answer = (enum peer_answer)roll(w, 3);
	if (d == NULL)
		return;
	switch (roll(w, 12)) {
	case 0: case 1: case 2: case 3: case 4:
		err = dialog_send(d, &messages[roll(w, 2)]);
		if (err != SRS_OK && err != SRS_ERR_STATE && err != SRS_ERR_UNSUPPORTED && err != SRS_ERR_IO)
			fail_msg("dialog_send: %s", srs_err_name(err));
		break;
	case 5: case 6:
		dialog_probe(d);
		break;
	case 7: case 8: case 9:
		dialog_accept(d, PEER_SDP);
		break;
	case 10:
		if (roll(w, 4) == 0)
			dialog_end(d, 200, "walk");
		break;
	default:
		break;
	}
}

static void
walk(uint64_t seed)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct peer *p = &w->call.peer;

	if (w == NULL)
		abort();
	w->dice = seed * 0x9e3779b97f4a7c15ull | 1;
	snprintf(w->call_id, sizeof(w->call_id), "walk-0");
	peer_prepare(p);
	p->config.sip.t1_ms = T1_MS;
	peer_open(p);
	w->call.fd = peer_socket(&p->udp, SOCK_DGRAM);
	for (unsigned int i = 0; i < STEPS; i++) {
		uint32_t what = roll(w, 10);

		if (what < 4)
			they_ask(w);
		else if (what < 7)
			they_answer(w);
		else
			we_act(w);
		peer_turn(p, roll(w, 8) == 0 ? 5 * T1_MS : 1);
		look(w);
		if (p->n_refused + p->n_ended > p->n_invites)
			fail_msg("seed %llu, step %u: %u invites, %u refused, %u ended", (unsigned long long)seed, i,
			         p->n_invites, p->n_refused, p->n_ended);
	}
	if (roll(w, 3) == 0) {	/* some leave in the middle */
		sip_destroy(p->sip);
		p->sip = NULL;
	} else {
		sip_end_all(p->sip, 200, "the walk is over");
		for (unsigned int i = 0; i < 200 && sip_n_dialogs(p->sip) != 0; i++)
			peer_turn(p, 4 * T1_MS);
		assert_int_equal(sip_n_dialogs(p->sip), 0);
		if (p->n_refused + p->n_ended != p->n_invites)
			fail_msg("seed %llu: %u invites, %u refused, %u ended", (unsigned long long)seed, p->n_invites,
			         p->n_refused, p->n_ended);
	}
	n_answers += p->n_answers;
	n_probed += p->n_probed;
	n_confirmed += p->n_confirmed;
	n_bodies += p->n_bodies;
	n_reinvites += p->n_reinvites;
	for (unsigned int i = 0; i < sizeof(n_how) / sizeof(n_how[0]); i++)
		n_how[i] += p->n_how[i];
	close(w->call.fd);
	peer_stop(p);
	free(w);
}

static void
every_dialog_ends_once_whatever_the_peer_does(void **state)
{
	const char *given = getenv("CAPSTAN_SEED");
	const char *many = getenv("CAPSTAN_WALKS");
	unsigned int n = many != NULL ? (unsigned int)strtoul(many, NULL, 10) : WALKS;
	uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : reactor_wall_ns();

	(void)state;
	if (given != NULL) {
		walk(seed);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		fprintf(stderr, "seed %llu\n", (unsigned long long)seed + i);
		walk(seed + i);
	}
	fprintf(stderr, "answers %u, probed %u, confirmed %u, bodies %u, reinvites %u", n_answers, n_probed, n_confirmed,
	        n_bodies, n_reinvites);
	for (unsigned int i = 0; i < sizeof(n_how) / sizeof(n_how[0]); i++)
		fprintf(stderr, ", %s %u", dialog_end_name((enum dialog_end)i), n_how[i]);
	fprintf(stderr, "\n");
	assert_true(n_answers > 0 && n_probed > 0 && n_confirmed > n && n_bodies > 0 && n_reinvites > 0);
	assert_true(n_how[DIALOG_END_GONE] > 0 && n_how[DIALOG_END_BYE] > 0 && n_how[DIALOG_END_LOCAL] > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_dialog_ends_once_whatever_the_peer_does) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
