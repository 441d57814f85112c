/* The dtls thread: rings both ways, many associations at once, closing, wiping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "dtls_peer.h"

#include "controlplane/dtls/dtls.h"
#include "crypto/secret.h"

#define HANDSHAKES_MAX 32
#define SEATS_MAX      64
#define WAIT_MS_MAX    20000

static const struct media_address signalled = { .ip_version = 6, .ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 },
	                                        .udp_port = 4000 };

struct call {
	struct peer peer;
	struct peer_queue to_us;
	uint32_t association;
	unsigned int n_keys, n_failed, n_ended, n_sent;
	enum dtls_reason reason;
	struct stream_keys keys;
	bool deaf;	/* what we send to it is lost */
};

static struct dtls *dtls;
static struct peer_identity peer_id, stranger_id;
static struct call calls[SEATS_MAX];

static int
all_set_up(void **state)
{
	peer_id = peer_identity_make(false);
	stranger_id = peer_identity_make(false);
	return 0;
}

static int
all_torn_down(void **state)
{
	peer_identity_free(&peer_id);
	peer_identity_free(&stranger_id);
	return 0;
}

static int
thread_start(void **state)
{
	static const enum srtp_suite suites[] = { SRTP_AEAD_AES_256_GCM, SRTP_AES_CM_128_HMAC_SHA1_80 };
	const struct dtls_settings settings = {
		.suites = suites, .n_suites = 2, .handshakes_max = HANDSHAKES_MAX, .associations_max = SEATS_MAX,
	};
	char why[200];

	memset(calls, 0, sizeof(calls));
	return dtls_create(&dtls, &settings, why, sizeof(why)) == SRS_OK && dtls_start(dtls, why, sizeof(why)) == SRS_OK ? 0 : -1;
}

static int
thread_stop(void **state)
{
	dtls_stop(dtls);
	dtls = NULL;
	return 0;
}

static struct dtls_spec
spec_of(enum dtls_role role)
{
	return (struct dtls_spec){
		.role = role,
		.peer = signalled,
		.prints = { peer_print(&peer_id, DTLS_SHA256) },
		.n_prints = 1,
	};
}

static void
on_event(void *ctx, uint32_t association, const struct dtls_event *e)
{
	struct call *c = &calls[e->cookie];
	static struct peer_datagram d;

	assert_true(e->cookie < SEATS_MAX);
	assert_int_equal(c->association, association);
	switch (e->kind) {
	case DTLS_EVENT_SEND:
		c->n_sent++;
		d.len = e->u.datagram.len;
		memcpy(d.bytes, e->u.datagram.bytes, d.len);
		if (!c->deaf)
			peer_take(&c->peer, &d, &c->to_us);
		break;
	case DTLS_EVENT_KEYS:
		assert_false(c->peer.done && SSL_is_server(c->peer.ssl) == 0);	/* keys before what lets a client use them */
		c->n_keys++;
		c->keys = *e->u.keys;
		assert_memory_equal(&e->peer, &signalled, sizeof(signalled));
		break;
	case DTLS_EVENT_FAILED:
		c->n_failed++;
		c->reason = e->u.failed.reason;
		break;
	case DTLS_EVENT_ENDED:
		c->n_ended++;
		assert_string_equal(e->u.ended, "close notify");
		break;
	}
}

/* One round: wait a little for events, deliver, hand the peers' answers over. */
static void
turn(unsigned int n_calls)
{
	struct pollfd p = { .fd = dtls_fd(dtls), .events = POLLIN };

	for (unsigned int i = 0; i < n_calls; i++) {
		struct call *c = &calls[i];

		for (unsigned int k = 0; k < c->to_us.n && c->association != DTLS_NONE; k++)
			dtls_datagram(dtls, c->association, &signalled, span_of(c->to_us.d[k].bytes, c->to_us.d[k].len));
		c->to_us.n = 0;
	}
	(void)poll(&p, 1, 20);
	(void)dtls_poll(dtls, on_event, NULL);
}

static void
call_open(unsigned int i, enum dtls_role role, const struct peer_identity *id)
{
	struct dtls_spec spec = spec_of(role);

	peer_open(&calls[i].peer, role == DTLS_ACTIVE, id, PEER_ALL_PROFILES);
	assert_int_equal(dtls_open(dtls, &spec, i, &calls[i].association), SRS_OK);
	if (role == DTLS_PASSIVE)
		peer_step(&calls[i].peer, &calls[i].to_us);
}

static void
call_close(unsigned int i)
{
	peer_close(&calls[i].peer);
	if (calls[i].association != DTLS_NONE)
		dtls_close(dtls, calls[i].association);
	calls[i].association = DTLS_NONE;
}


static void
calls_finish(unsigned int n)
{
	unsigned int done = 0;

	for (int ms = 0; ms < WAIT_MS_MAX && done < n; ms += 20) {
		turn(n);
		done = 0;
		for (unsigned int i = 0; i < n; i++)
			done += calls[i].n_keys + calls[i].n_failed != 0 && calls[i].to_us.n == 0;
	}
	assert_int_equal(done, n);
	for (int i = 0; i < 5; i++)
		turn(n);
}

static void
on_counter(void *ctx, const struct dataplane_counter *c)
{
	struct dataplane_counter *wanted = ctx;

	if (strcmp(c->name, wanted->name) == 0)
		wanted->value = c->value;
}

static uint64_t
counter(const char *name)
{
	struct dataplane_counter c = { .name = name, .value = UINT64_MAX };

	dtls_counters(dtls, on_counter, &c);
	assert_true(c.value != UINT64_MAX);
	return c.value;
}

/* Room and seats come back when the thread has let go. */
static void
everything_is_given_back(void)
{
	for (int ms = 0; ms < WAIT_MS_MAX && dtls_room(dtls) < HANDSHAKES_MAX; ms += 20)
		turn(0);
	assert_int_equal(dtls_room(dtls), HANDSHAKES_MAX);
	assert_int_equal(dtls_waiting(dtls), 0);
}

static void
handshakes_of_both_roles_run_side_by_side(void **state)
{
	for (unsigned int i = 0; i < HANDSHAKES_MAX; i++)
		call_open(i, i % 2 == 0 ? DTLS_PASSIVE : DTLS_ACTIVE, &peer_id);
	assert_int_equal(dtls_waiting(dtls), HANDSHAKES_MAX);
	calls_finish(HANDSHAKES_MAX);
	assert_int_equal(dtls_waiting(dtls), 0);
	for (unsigned int i = 0; i < HANDSHAKES_MAX; i++) {
		struct srtp_master client, server;

		assert_true(calls[i].peer.done);
		assert_int_equal(calls[i].n_keys, 1);
		assert_int_equal(calls[i].n_failed, 0);
		assert_true(peer_masters(&calls[i].peer, SRTP_AEAD_AES_256_GCM, &client, &server));
		assert_memory_equal(calls[i].keys.theirs[0].key, i % 2 == 0 ? client.key : server.key, 32);
		assert_memory_equal(calls[i].keys.ours.key, i % 2 == 0 ? server.key : client.key, 32);
		assert_memory_equal(calls[i].keys.ours.salt, i % 2 == 0 ? server.salt : client.salt, 12);
	}
	assert_int_equal(counter("dtls_handshakes_done"), HANDSHAKES_MAX);
	for (unsigned int i = 0; i < HANDSHAKES_MAX; i++)
		call_close(i);
	everything_is_given_back();
}

static void
waiting_handshakes_are_bounded(void **state)
{
	struct dtls_spec spec = spec_of(DTLS_PASSIVE);
	uint32_t association;

	for (unsigned int i = 0; i < HANDSHAKES_MAX; i++)
		call_open(i, DTLS_PASSIVE, &peer_id);
	assert_int_equal(dtls_room(dtls), 0);
	assert_int_equal(dtls_open(dtls, &spec, 0, &association), SRS_ERR_LIMIT);
	assert_int_equal(association, DTLS_NONE);
	assert_int_equal(counter("dtls_handshakes_refused"), 1);
	calls_finish(HANDSHAKES_MAX);
	assert_int_equal(dtls_room(dtls), HANDSHAKES_MAX);	/* those with keys wait no more */
	for (unsigned int i = HANDSHAKES_MAX; i < SEATS_MAX; i++)
		call_open(i, DTLS_PASSIVE, &peer_id);
	calls_finish(SEATS_MAX);
	assert_int_equal(dtls_room(dtls), 0);			/* no seat is left */
	assert_int_equal(dtls_open(dtls, &spec, 0, &association), SRS_ERR_LIMIT);
	for (unsigned int i = 0; i < SEATS_MAX; i++)
		call_close(i);
	everything_is_given_back();
}

static void
wrong_certificate_is_told_and_waited_on(void **state)
{
	call_open(0, DTLS_PASSIVE, &stranger_id);
	calls_finish(1);
	assert_int_equal(calls[0].n_keys, 0);
	assert_int_equal(calls[0].reason, DTLS_FAILED_FINGERPRINT);
	assert_int_equal(counter("dtls_fingerprint_mismatches"), 1);
	assert_int_equal(dtls_waiting(dtls), 1);	/* the right one may still come */
	call_close(0);
	everything_is_given_back();
}

static void
lost_flights_are_sent_again_by_the_thread(void **state)
{
	call_open(0, DTLS_ACTIVE, &peer_id);
	calls[0].deaf = true;
	for (int ms = 0; ms < WAIT_MS_MAX && calls[0].n_sent < 2; ms += 20)
		turn(1);
	assert_in_range(calls[0].n_sent, 2, 3);
	calls[0].deaf = false;
	calls_finish(1);
	assert_int_equal(calls[0].n_keys, 1);
	call_close(0);
	everything_is_given_back();
}

static void
close_of_the_peer_is_told(void **state)
{
	call_open(0, DTLS_PASSIVE, &peer_id);
	calls_finish(1);
	(void)SSL_shutdown(calls[0].peer.ssl);
	peer_flush(&calls[0].peer, &calls[0].to_us);
	for (int ms = 0; ms < WAIT_MS_MAX && calls[0].n_ended == 0; ms += 20)
		turn(1);
	assert_int_equal(calls[0].n_ended, 1);
	assert_int_equal(counter("dtls_associations_ended"), 1);
	call_close(0);
	everything_is_given_back();
}

/* A call may end at any moment; nothing of it is heard after that, and its seat is used again at once. */
static void
closing_at_any_moment_gives_all_back(void **state)
{
	for (unsigned int turns = 0; turns < 8; turns++) {
		for (unsigned int i = 0; i < HANDSHAKES_MAX; i++)
			call_open(i, i % 2 == 0 ? DTLS_PASSIVE : DTLS_ACTIVE, &peer_id);
		for (unsigned int k = 0; k < turns; k++)
			turn(HANDSHAKES_MAX);
		for (unsigned int i = 0; i < HANDSHAKES_MAX; i++)
			call_close(i);	/* on_event() would find DTLS_NONE */
		everything_is_given_back();
		memset(calls, 0, sizeof(calls));
	}
}

static void
stopping_in_mid_handshake_leaks_nothing(void **state)
{
	for (unsigned int i = 0; i < HANDSHAKES_MAX; i++)
		call_open(i, i % 2 == 0 ? DTLS_PASSIVE : DTLS_ACTIVE, &peer_id);
	turn(HANDSHAKES_MAX);
	for (unsigned int i = 0; i < HANDSHAKES_MAX; i++)
		peer_close(&calls[i].peer);
}

/* Control is away: its pool and the thread's fill up, datagrams are counted as lost, and all goes on afterwards. */
static void
flood_is_counted_and_survived(void **state)
{
	struct dtls_spec spec = spec_of(DTLS_PASSIVE);
	static struct peer_queue q;
	struct peer p;

	q.n = 0;
	peer_open(&p, false, &peer_id, PEER_ALL_PROFILES);
	peer_step(&p, &q);
	peer_close(&p);
	assert_int_equal(dtls_open(dtls, &spec, 0, &calls[0].association), SRS_OK);
	calls[0].deaf = true;
	for (unsigned int i = 0; i < 20000; i++) {
		struct media_address from = signalled;

		from.udp_port = (uint16_t)i;
		dtls_datagram(dtls, calls[0].association, &from, span_of(q.d[0].bytes, q.d[0].len));
	}
	for (int ms = 0; ms < WAIT_MS_MAX; ms += 20) {
		turn(0);
		if (counter("dtls_hello_verify_requests") + counter("dtls_datagrams_lost") == 20000)
			break;
	}
	assert_int_equal(counter("dtls_hello_verify_requests") + counter("dtls_datagrams_lost"), 20000);
	assert_int_equal(counter("dtls_handshakes_started"), 0);
	turn(0);
	assert_int_equal(calls[0].n_sent + counter("dtls_datagrams_unsent"), counter("dtls_hello_verify_requests"));
	dtls_close(dtls, calls[0].association);
	calls[0].association = DTLS_NONE;
	call_open(0, DTLS_PASSIVE, &peer_id);
	calls[0].deaf = false;
	calls_finish(1);
	assert_int_equal(calls[0].n_keys, 1);
	call_close(0);
	everything_is_given_back();
}

#define PATTERN 16

static void
turn_over(uint8_t out[PATTERN], const uint8_t in[PATTERN])
{
	for (unsigned int i = 0; i < PATTERN; i++)
		out[i] = (uint8_t)(0xff - in[i]);
}

static uint8_t window[65536 + PATTERN];	/* what is being searched, and no place to search */

static bool
window_holds(size_t len, uint64_t from, const uint8_t turned[PATTERN])
{
	uint64_t ours = (uint64_t)(uintptr_t)window;

	for (size_t i = 0; i + PATTERN <= len; i++) {
		size_t k = 0;

		while (k < PATTERN && window[i + k] == 0xff - turned[k])
			k++;
		if (k == PATTERN && (from + i + PATTERN <= ours || from + i >= ours + sizeof(window)))
			return true;
	}
	return false;
}

/* Is the pattern, given with each bit turned over, anywhere in what this process can write to? */
static bool
memory_holds(const uint8_t turned[PATTERN])
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY);
	char line[512];
	bool found = false;

	assert_non_null(maps);
	assert_true(mem >= 0);
	while (!found && fgets(line, sizeof(line), maps) != NULL) {
		unsigned long from, to;
		char r, w;

		if (sscanf(line, "%lx-%lx %c%c", &from, &to, &r, &w) != 4 || r != 'r' || w != 'w' ||
		    to - from > 1ul << 30)	/* a sanitizer's shadow */
			continue;
		while (!found && from < to) {
			size_t want = to - from < sizeof(window) ? to - from : sizeof(window);
			ssize_t got = pread(mem, window, want, (off_t)from);

			if (got <= 0)
				break;
			found = window_holds((size_t)got, from, turned);
			from += got > PATTERN && from + (size_t)got < to ? (size_t)got - PATTERN : (size_t)got;
		}
	}
	(void)fclose(maps);
	(void)close(mem);
	return found;
}

/* Once control has taken the keys they are in no other place, and neither is the secret that they come from. */
static void
keys_are_nowhere_else(void **state)
{
	uint8_t theirs[16], ours[16], master[48], turned_master[16];

	call_open(0, DTLS_PASSIVE, &peer_id);
	calls_finish(1);
	assert_int_equal(calls[0].n_keys, 1);
	turn_over(theirs, calls[0].keys.theirs[0].key);
	turn_over(ours, calls[0].keys.ours.key);
	assert_int_equal(SSL_SESSION_get_master_key(SSL_get_session(calls[0].peer.ssl), master, sizeof(master)), 48);
	turn_over(turned_master, master);
	assert_true(memory_holds(theirs));	/* in `calls`: the search does find what is there */
	assert_true(memory_holds(turned_master));
	secret_wipe(&calls[0].keys, sizeof(calls[0].keys));
	secret_wipe(master, sizeof(master));
	peer_close(&calls[0].peer);	/* the peer's copies */
	assert_false(memory_holds(theirs));
	assert_false(memory_holds(ours));
	assert_false(memory_holds(turned_master));
	dtls_close(dtls, calls[0].association);
	everything_is_given_back();
}

static void
what_cannot_work_is_refused(void **state)
{
	struct dtls_spec spec = spec_of(DTLS_PASSIVE);
	uint32_t association;

	spec.n_prints = 0;
	assert_int_equal(dtls_open(dtls, &spec, 0, &association), SRS_ERR_INVALID);
	spec = spec_of(DTLS_ACTIVE);
	spec.peer.ip_version = 0;
	assert_int_equal(dtls_open(dtls, &spec, 0, &association), SRS_ERR_INVALID);
	assert_int_equal(dtls_room(dtls), HANDSHAKES_MAX);
	assert_int_equal(strncmp(dtls_fingerprint(dtls), "sha-256 ", 8), 0);
}

#define WITH_THREAD(test) cmocka_unit_test_setup_teardown(test, thread_start, thread_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_THREAD(handshakes_of_both_roles_run_side_by_side),
		WITH_THREAD(waiting_handshakes_are_bounded),
		WITH_THREAD(wrong_certificate_is_told_and_waited_on),
		WITH_THREAD(lost_flights_are_sent_again_by_the_thread),
		WITH_THREAD(close_of_the_peer_is_told),
		WITH_THREAD(closing_at_any_moment_gives_all_back),
		WITH_THREAD(stopping_in_mid_handshake_leaks_nothing),
		WITH_THREAD(flood_is_counted_and_survived),
		WITH_THREAD(keys_are_nowhere_else),
		WITH_THREAD(what_cannot_work_is_refused),
	};

	return cmocka_run_group_tests(tests, all_set_up, all_torn_down);
}
