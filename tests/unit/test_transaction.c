/* The four machines: every cell of every table, and what goes over the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controlplane/sip/transaction.h"
#include "sip_peer.h"

/* ---- the tables, read off the figures a second time: rows are states, columns events ---- */

static const char *const state_letters = "CTPAcfX";	/* in the order of enum transaction_state */
static const struct {
	enum transaction_kind kind;
	enum transaction_state from;
	/* REQUEST ACK S1XX S2XX SREF R1XX R2XX RREF RETRANSMIT DEADLINE BROKEN; '.' is refused */
	const char *to;
} expected[] = {
	{ TRANSACTION_INVITE_SERVER, TRANSACTION_CALLING,    "..........." },
	{ TRANSACTION_INVITE_SERVER, TRANSACTION_TRYING,     "..........." },
	{ TRANSACTION_INVITE_SERVER, TRANSACTION_PROCEEDING, "P.PAc.....X" },
	{ TRANSACTION_INVITE_SERVER, TRANSACTION_ACCEPTED,   "A..A.....XA" },
	{ TRANSACTION_INVITE_SERVER, TRANSACTION_COMPLETED,  "cf......cXX" },
	{ TRANSACTION_INVITE_SERVER, TRANSACTION_CONFIRMED,  "ff.......X." },
	{ TRANSACTION_INVITE_SERVER, TRANSACTION_TERMINATED, "..........." },
	{ TRANSACTION_SERVER,        TRANSACTION_CALLING,    "..........." },
	{ TRANSACTION_SERVER,        TRANSACTION_TRYING,     "T.Pcc.....X" },
	{ TRANSACTION_SERVER,        TRANSACTION_PROCEEDING, "P.Pcc.....X" },
	{ TRANSACTION_SERVER,        TRANSACTION_ACCEPTED,   "..........." },
	{ TRANSACTION_SERVER,        TRANSACTION_COMPLETED,  "c........XX" },
	{ TRANSACTION_SERVER,        TRANSACTION_CONFIRMED,  "..........." },
	{ TRANSACTION_SERVER,        TRANSACTION_TERMINATED, "..........." },
	{ TRANSACTION_INVITE_CLIENT, TRANSACTION_CALLING,    ".....PAcCXX" },
	{ TRANSACTION_INVITE_CLIENT, TRANSACTION_TRYING,     "..........." },
	{ TRANSACTION_INVITE_CLIENT, TRANSACTION_PROCEEDING, ".....PAc.XX" },
	{ TRANSACTION_INVITE_CLIENT, TRANSACTION_ACCEPTED,   "......A..X." },
	{ TRANSACTION_INVITE_CLIENT, TRANSACTION_COMPLETED,  ".......c.XX" },
	{ TRANSACTION_INVITE_CLIENT, TRANSACTION_CONFIRMED,  "..........." },
	{ TRANSACTION_INVITE_CLIENT, TRANSACTION_TERMINATED, "..........." },
	{ TRANSACTION_CLIENT,        TRANSACTION_CALLING,    "..........." },
	{ TRANSACTION_CLIENT,        TRANSACTION_TRYING,     ".....PccTXX" },
	{ TRANSACTION_CLIENT,        TRANSACTION_PROCEEDING, ".....PccPXX" },
	{ TRANSACTION_CLIENT,        TRANSACTION_ACCEPTED,   "..........." },
	{ TRANSACTION_CLIENT,        TRANSACTION_COMPLETED,  ".....ccc.X." },
	{ TRANSACTION_CLIENT,        TRANSACTION_CONFIRMED,  "..........." },
	{ TRANSACTION_CLIENT,        TRANSACTION_TERMINATED, "..........." },
};

static void
every_cell_of_every_machine_is_as_the_figures_draw_it(void **state)
{
	assert_int_equal(sizeof(expected) / sizeof(expected[0]), TRANSACTION_N_KINDS * TRANSACTION_N_STATES);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_int_equal(strlen(expected[i].to), TRANSACTION_N_EVENTS);
		for (unsigned int e = 0; e < TRANSACTION_N_EVENTS; e++) {
			enum transaction_state to;
			char got = '.';

			if (transaction_edge(expected[i].kind, expected[i].from, e, &to))
				got = state_letters[to];
			if (got != expected[i].to[e])
				fail_msg("kind %d state %c event %u: %c, not %c", expected[i].kind,
				         state_letters[expected[i].from], e, got, expected[i].to[e]);
		}
	}
}

/* ---- on the wire: a transaction layer alone, with a connected socket as its peer ---- */

struct wire {
	struct peer peer;		/* only its loop and buffers: no stack above */
	struct conn_set *conns;
	struct transactions *ts;
	_Atomic uint64_t accepted, refused;
	struct transaction *t;
	struct conn_path path;		/* back to fd */
	unsigned int n_messages, n_absorbed, n_passed, n_done;
	unsigned int statuses[16], n_statuses;
	int fd;
};

static void
wire_done(void *ctx, struct transaction *t)
{
	struct wire *w = ctx;

	w->n_done++;
	if (w->t == t)
		w->t = NULL;
}

static void
wire_response(void *ctx, struct transaction *t, unsigned int status, const struct message *m)
{
	struct wire *w = ctx;

	assert_true(w->n_statuses < 16);
	w->statuses[w->n_statuses++] = status;
}

static void
wire_message(void *ctx, const struct conn_path *from, struct span bytes, enum message_framing how)
{
	struct wire *w = ctx;
	struct transaction_user user = { .on_done = wire_done, .on_response = wire_response, .ctx = w };
	struct transaction *found;
	struct message m;

	w->n_messages++;
	w->path = *from;
	if (message_parse(&m, bytes, true) == SRS_OK && m.status != 0) {
		transaction_on_response(w->ts, &m);
	} else if (m.via != NULL) {
		found = transaction_find(w->ts, &m);
		if (found != NULL && transaction_absorb(found, &m))
			w->n_absorbed++;
		else if (strcmp(m.method, "ACK") == 0)
			w->n_passed++;
		else if (transaction_accept(&w->t, w->ts, &m, from, strdup("X-Head: 1\r\n")) == SRS_OK)
			transaction_user_set(w->t, &user);
	}
	message_release(&m);
}

static void
wire_closed(void *ctx, uint64_t connection)
{
	struct wire *w = ctx;

	transactions_on_closed(w->ts, connection);
}

static int
wire_setup(void **state)
{
	static const struct conn_handlers handlers = { .on_message = wire_message, .on_closed = wire_closed };
	static char loopback[] = "127.0.0.1";
	struct wire *w = calloc(1, sizeof(*w));
	struct conn_counters counters = { .accepted = &w->accepted, .refused = &w->refused };
	char why[256];

	if (w == NULL || parser_init() != OSIP_SUCCESS || reactor_create(&w->peer.reactor) != SRS_OK)
		return -1;
	w->peer.listen[0] = (struct config_listen){ CONFIG_UDP, loopback, 0 };
	w->peer.listen[1] = (struct config_listen){ CONFIG_TCP, loopback, 0 };
	w->peer.config.sip.listen = w->peer.listen;
	w->peer.config.sip.n_listen = 2;
	w->peer.config.sip.message_bytes_max = 8192;
	w->peer.config.sip.connections_max = 4;
	if (conn_set_create(&w->conns, w->peer.reactor, &w->peer.config, &handlers, w, &counters, why, sizeof(why)) != SRS_OK ||
	    transactions_create(&w->ts, w->peer.reactor, w->conns, 4, PEER_T1_MS) != SRS_OK)
		return -1;
	w->fd = peer_socket(conn_listener_address(w->conns, 0), SOCK_DGRAM);
	*state = w;
	return 0;
}

static int
wire_teardown(void **state)
{
	struct wire *w = *state;

	close(w->fd);
	transactions_destroy(w->ts);
	conn_set_destroy(w->conns);
	reactor_destroy(w->peer.reactor);
	free(w);
	return 0;
}

static void
ask(struct wire *w, const char *method, const char *branch)
{
	peer_request(&(struct peer_request){ .method = method, .fd = w->fd, .branch = branch, .cseq = 1 });
	peer_turn(&w->peer, 2);
}

static void
respond(struct wire *w, unsigned int status, const char *text)
{
	transaction_respond(w->t, status, strdup(text), strlen(text));
	peer_turn(&w->peer, 2);
}

static void
drain(struct wire *w)
{
	while (peer_receive(&w->peer, w->fd, 0)[0] != '\0')
		;
}

static void
non_invite_server_repeats_its_answer_until_timer_j(void **state)
{
	struct wire *w = *state;

	ask(w, "OPTIONS", "a");
	ask(w, "OPTIONS", "a");
	assert_int_equal(w->n_absorbed, 1);
	assert_string_equal(peer_receive(&w->peer, w->fd, 5), "");	/* nothing to repeat yet */
	respond(w, 200, "two hundred");
	assert_string_equal(peer_receive(&w->peer, w->fd, 50), "two hundred");
	respond(w, 500, "too late");	/* one final answer is all there is */
	ask(w, "OPTIONS", "a");
	assert_string_equal(peer_receive(&w->peer, w->fd, 50), "two hundred");
	assert_int_equal(w->n_done, 0);
	peer_turn(&w->peer, 66 * PEER_T1_MS);
	assert_int_equal(w->n_done, 1);
	assert_int_equal(transactions_n(w->ts), 0);
}

static void
refused_invite_is_repeated_by_timer_g_until_its_ack(void **state)
{
	struct wire *w = *state;

	ask(w, "INVITE", "a");
	assert_memory_equal(peer_receive(&w->peer, w->fd, 50), "SIP/2.0 100 Trying\r\nX-Head: 1\r\n", 31);
	respond(w, 486, "busy");
	for (int i = 0; i < 3; i++)
		assert_string_equal(peer_receive(&w->peer, w->fd, 10 * PEER_T1_MS), "busy");
	ask(w, "ACK", "a");
	assert_int_equal(transaction_state(w->t), TRANSACTION_CONFIRMED);
	drain(w);
	ask(w, "ACK", "a");
	ask(w, "INVITE", "a");
	assert_string_equal(peer_receive(&w->peer, w->fd, 3 * PEER_T1_MS), "");
	peer_turn(&w->peer, 11 * PEER_T1_MS);	/* I */
	assert_int_equal(w->n_done, 1);
}

static void
refused_invite_without_ack_ends_by_timer_h(void **state)
{
	struct wire *w = *state;

	ask(w, "INVITE", "a");
	respond(w, 486, "busy");
	peer_turn(&w->peer, 66 * PEER_T1_MS);
	assert_int_equal(w->n_done, 1);
	assert_int_equal(w->statuses[0], 408);
}

static void
accepted_invite_absorbs_retransmissions_and_passes_acks_up(void **state)
{
	struct wire *w = *state;

	ask(w, "INVITE", "a");
	drain(w);
	respond(w, 200, "ok");
	assert_string_equal(peer_receive(&w->peer, w->fd, 50), "ok");
	ask(w, "INVITE", "a");
	assert_string_equal(peer_receive(&w->peer, w->fd, 10), "");
	respond(w, 200, "ok again");
	assert_string_equal(peer_receive(&w->peer, w->fd, 50), "ok again");
	ask(w, "ACK", "a");
	assert_int_equal(w->n_passed, 1);
	peer_turn(&w->peer, 66 * PEER_T1_MS);	/* L */
	assert_int_equal(w->n_done, 1);
}

static void
branch_without_the_cookie_is_matched_as_rfc_2543_says(void **state)
{
	static const char text[] = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=1\r\nFrom: <sip:a@b>;tag=1\r\n"
	                           "To: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 5 INVITE\r\n\r\n";
	static const char ack[] = "ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=1\r\nFrom: <sip:a@b>;tag=1\r\n"
	                          "To: <sip:b@c>;tag=ours\r\nCall-ID: x\r\nCSeq: 5 ACK\r\n\r\n";
	static const char other[] = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=1\r\nFrom: <sip:a@b>;tag=1\r\n"
	                            "To: <sip:b@c>\r\nCall-ID: y\r\nCSeq: 5 INVITE\r\n\r\n";
	struct wire *w = *state;

	peer_send(w->fd, text);
	peer_send(w->fd, text);
	peer_turn(&w->peer, 2);
	assert_int_equal(w->n_absorbed, 1);
	respond(w, 486, "busy");
	peer_send(w->fd, ack);
	peer_turn(&w->peer, 2);
	assert_int_equal(w->n_absorbed, 2);
	assert_int_equal(transaction_state(w->t), TRANSACTION_CONFIRMED);
	peer_send(w->fd, other);
	peer_turn(&w->peer, 2);
	assert_int_equal(transactions_n(w->ts), 2);
}

static void
full_pool_refuses(void **state)
{
	struct wire *w = *state;
	struct transaction *last;

	for (int i = 0; i < 6; i++) {
		char branch[8];

		snprintf(branch, sizeof(branch), "p%d", i);
		ask(w, "OPTIONS", branch);
	}
	last = w->t;
	assert_non_null(last);
	assert_int_equal(transactions_n(w->ts), 4);
}

static void
send_request(struct wire *w, const char *method)
{
	struct transaction_user user = { .on_done = wire_done, .on_response = wire_response, .ctx = w };
	char text[512];

	if (w->path.remote.ss_family == 0)	/* learn the way back to fd */
		ask(w, "ACK", "hello");
	snprintf(text, sizeof(text), "%s sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKq\r\nRoute: <sip:r;lr>\r\n"
	         "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 9 %s\r\n\r\n", method, method);
	assert_int_equal(transaction_request(&w->t, w->ts, &w->path, "z9hG4bKq", method, strdup(text), strlen(text), &user), SRS_OK);
}

static void
reply(struct wire *w, unsigned int status, const char *method)
{
	char text[512];

	snprintf(text, sizeof(text), "SIP/2.0 %u X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKq\r\nFrom: <sip:a@b>;tag=1\r\n"
	         "To: <sip:b@c>;tag=theirs\r\nCall-ID: x\r\nCSeq: 9 %s\r\nContent-Length: 0\r\n\r\n", status, method);
	peer_send(w->fd, text);
	peer_turn(&w->peer, 2);
}

static void
non_invite_client_repeats_until_answered_and_ends_by_timer_k(void **state)
{
	struct wire *w = *state;

	send_request(w, "BYE");
	for (int i = 0; i < 3; i++)
		assert_memory_equal(peer_receive(&w->peer, w->fd, 6 * PEER_T1_MS), "BYE ", 4);
	reply(w, 100, "BYE");
	drain(w);
	assert_memory_equal(peer_receive(&w->peer, w->fd, 20 * PEER_T1_MS), "BYE ", 4);
	reply(w, 200, "BYE");
	reply(w, 200, "BYE");
	assert_int_equal(w->n_statuses, 2);
	assert_int_equal(w->statuses[0], 100);
	assert_int_equal(w->statuses[1], 200);
	peer_turn(&w->peer, 12 * PEER_T1_MS);
	assert_int_equal(w->n_done, 1);
}

static void
unanswered_client_is_told_408_by_timer_f(void **state)
{
	struct wire *w = *state;

	send_request(w, "OPTIONS");
	peer_turn(&w->peer, 66 * PEER_T1_MS);
	assert_int_equal(w->statuses[0], 408);
	assert_int_equal(w->n_done, 1);
}

static void
invite_client_acknowledges_a_refusal_each_time(void **state)
{
	struct wire *w = *state;

	send_request(w, "INVITE");
	assert_memory_equal(peer_receive(&w->peer, w->fd, 50), "INVITE ", 7);
	for (int i = 0; i < 2; i++) {
		drain(w);
		reply(w, 491, "INVITE");
		assert_memory_equal(peer_receive(&w->peer, w->fd, 50), "ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKq\r\n"
		                    "Route: <sip:r;lr>\r\nFrom: <sip:a@b>;tag=1\r\nCall-ID: x\r\nTo: <sip:b@c>;tag=theirs\r\n"
		                    "CSeq: 9 ACK\r\n", 139);
	}
	assert_int_equal(w->n_statuses, 1);
	assert_int_equal(w->statuses[0], 491);
	assert_int_equal(transaction_state(w->t), TRANSACTION_COMPLETED);
}

static void
invite_client_accepted_hands_every_2xx_up_until_timer_m(void **state)
{
	struct wire *w = *state;

	send_request(w, "INVITE");
	reply(w, 180, "INVITE");
	reply(w, 200, "INVITE");
	reply(w, 200, "INVITE");
	reply(w, 486, "INVITE");	/* no way back */
	assert_int_equal(w->n_statuses, 3);
	assert_int_equal(transaction_state(w->t), TRANSACTION_ACCEPTED);
	peer_turn(&w->peer, 66 * PEER_T1_MS);
	assert_int_equal(w->n_done, 1);
}

static void
closed_connection_fails_the_request_that_waits_on_it(void **state)
{
	struct wire *w = *state;
	struct transaction_user user = { .on_done = wire_done, .on_response = wire_response, .ctx = w };
	struct conn_path to = { .transport = CONFIG_TCP, .listener_i = 1 };
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);	/* bound, not listening: refuses */
	socklen_t len = sizeof(any);

	assert_int_equal(bind(silent, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(getsockname(silent, (struct sockaddr *)&any, &len), 0);
	memcpy(&to.remote, &any, sizeof(any));
	assert_int_equal(transaction_request(&w->t, w->ts, &to, "z9hG4bKq", "BYE", strdup("BYE x"), 5, &user), SRS_OK);
	peer_turn(&w->peer, 20);
	assert_int_equal(w->n_statuses, 1);
	assert_int_equal(w->statuses[0], 503);
	assert_int_equal(w->n_done, 1);
	close(silent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, wire_setup, wire_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_of_every_machine_is_as_the_figures_draw_it),
		TEST(non_invite_server_repeats_its_answer_until_timer_j),
		TEST(refused_invite_is_repeated_by_timer_g_until_its_ack),
		TEST(refused_invite_without_ack_ends_by_timer_h),
		TEST(accepted_invite_absorbs_retransmissions_and_passes_acks_up),
		TEST(branch_without_the_cookie_is_matched_as_rfc_2543_says),
		TEST(full_pool_refuses),
		TEST(non_invite_client_repeats_until_answered_and_ends_by_timer_k),
		TEST(unanswered_client_is_told_408_by_timer_f),
		TEST(invite_client_acknowledges_a_refusal_each_time),
		TEST(invite_client_accepted_hands_every_2xx_up_until_timer_m),
		TEST(closed_connection_fails_the_request_that_waits_on_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
