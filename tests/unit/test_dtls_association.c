/* DTLS associations against OpenSSL's own client and server, without threads and sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "dtls_peer.h"

#include "controlplane/dtls/dtls_association.h"
#include "controlplane/reactor.h"

#define SECOND UINT64_C(1000000000)

static const struct {
	const char *profile;
	enum srtp_suite suite;
} profiles[] = {
	{ "SRTP_AEAD_AES_256_GCM", SRTP_AEAD_AES_256_GCM },
	{ "SRTP_AEAD_AES_128_GCM", SRTP_AEAD_AES_128_GCM },
	{ "SRTP_AES128_CM_SHA1_80", SRTP_AES_CM_128_HMAC_SHA1_80 },
	{ "SRTP_AES128_CM_SHA1_32", SRTP_AES_CM_128_HMAC_SHA1_32 },
};

/* What an association said. */
struct heard {
	struct peer_queue sent;
	struct media_address to[PEER_QUEUE_MAX];
	unsigned int n_keys, n_failed, n_ended;
	struct stream_keys keys;
	struct media_address keyed_by;
	enum dtls_reason reason;
	bool final, live;
	char detail[100];
};

struct scene {
	struct dtls_identity *identity;
	struct dtls_floor *floor;
	struct peer_identity peer_id, stranger_id;
	struct dtls_association *a;
	struct heard heard;
	struct peer peer;
	struct peer_queue to_us;
	uint64_t now;
};

static struct media_address
address_of(uint8_t last, uint16_t port)
{
	return (struct media_address){ .ip_version = 4, .ip = { 192, 0, 2, last }, .udp_port = port };
}

static const struct media_address signalled = { .ip_version = 4, .ip = { 192, 0, 2, 1 }, .udp_port = 4000 };

static void
on_event(void *ctx, const struct dtls_event *e)
{
	struct heard *h = ctx;

	switch (e->kind) {
	case DTLS_EVENT_SEND:
		assert_true(e->u.datagram.len <= DTLS_DATAGRAM_MAX);
		h->to[h->sent.n] = e->peer;
		queue_push(&h->sent, e->u.datagram.bytes, e->u.datagram.len);
		break;
	case DTLS_EVENT_KEYS:
		h->n_keys++;
		h->keys = *e->u.keys;
		h->keyed_by = e->peer;
		break;
	case DTLS_EVENT_FAILED:
		h->n_failed++;
		h->reason = e->u.failed.reason;
		h->final = e->u.failed.final;
		h->live = e->u.failed.live;
		(void)snprintf(h->detail, sizeof(h->detail), "%s", e->u.failed.detail);
		break;
	case DTLS_EVENT_ENDED:
		h->n_ended++;
		(void)snprintf(h->detail, sizeof(h->detail), "%s", e->u.ended);
		break;
	}
}

static struct dtls_spec
spec_of(const struct scene *s, enum dtls_role role)
{
	return (struct dtls_spec){
		.role = role,
		.peer = signalled,
		.prints = { peer_print(&s->peer_id, DTLS_SHA256) },
		.n_prints = 1,
	};
}

static void
scene_open(struct scene *s, enum dtls_role role)
{
	static const enum srtp_suite suites[] = {
		SRTP_AEAD_AES_256_GCM, SRTP_AEAD_AES_128_GCM, SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32,
	};
	struct dtls_spec spec;
	char why[200];

	memset(s, 0, sizeof(*s));
	s->now = reactor_mono_ns();
	s->peer_id = peer_identity_make(false);
	s->stranger_id = peer_identity_make(false);
	assert_int_equal(dtls_identity_create(&s->identity, suites, 4, why, sizeof(why)), SRS_OK);
	assert_int_equal(dtls_floor_create(&s->floor, s->identity, 8, 3), SRS_OK);
	spec = spec_of(s, role);
	assert_int_equal(dtls_association_create(&s->a, s->floor, &spec, on_event, &s->heard, s->now), SRS_OK);
}

static void
scene_close(struct scene *s)
{
	peer_close(&s->peer);
	dtls_association_destroy(s->a);
	assert_int_equal(dtls_floor_handshakes(s->floor), 0);
	dtls_floor_destroy(s->floor);
	dtls_identity_destroy(s->identity);
	peer_identity_free(&s->peer_id);
	peer_identity_free(&s->stranger_id);
}

/* Carry datagrams both ways between the association and this peer at this address until there are none.
 * @param drop  the number of a datagram, counted both ways, that is lost; -1: none. @return datagrams carried */
static int
carry(struct scene *s, struct peer *p, const struct media_address *at, int drop)
{
	int n = 0;

	while (s->to_us.n != 0 || s->heard.sent.n != 0) {
		static struct peer_queue out, in;
		static struct media_address to[PEER_QUEUE_MAX];

		out = s->to_us;
		s->to_us.n = 0;
		for (unsigned int i = 0; i < out.n; i++) {
			if (n++ != drop)
				dtls_association_take(s->a, at, span_of(out.d[i].bytes, out.d[i].len), s->now);
		}
		in = s->heard.sent;
		memcpy(to, s->heard.to, sizeof(to));
		s->heard.sent.n = 0;
		for (unsigned int i = 0; i < in.n; i++) {
			if (memcmp(&to[i], at, sizeof(*at)) == 0 && n++ != drop)
				peer_take(p, &in.d[i], &s->to_us);
		}
	}
	return n;
}

static void
handshake(struct scene *s)
{
	if (s->heard.sent.n == 0)
		peer_step(&s->peer, &s->to_us);
	(void)carry(s, &s->peer, &signalled, -1);
}

static void
masters_equal(const struct srtp_master *a, const struct srtp_master *b)
{
	assert_int_equal(a->suite, b->suite);
	assert_int_equal(a->mki_len, 0);
	assert_memory_equal(a->key, b->key, sizeof(a->key));
	assert_memory_equal(a->salt, b->salt, sizeof(a->salt));
}

static void
keys_equal(const struct scene *s, enum dtls_role role, enum srtp_suite suite)
{
	struct srtp_master client, server;

	assert_int_equal(s->heard.keys.n_theirs, 1);
	assert_true(peer_masters(&s->peer, suite, &client, &server));
	assert_memory_not_equal(client.key, server.key, 16);
	masters_equal(&s->heard.keys.theirs[0], role == DTLS_PASSIVE ? &client : &server);
	masters_equal(&s->heard.keys.ours, role == DTLS_PASSIVE ? &server : &client);
}

static void
each_profile_gives_equal_keys_on_both_sides(void **state)
{
	for (unsigned int i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		for (enum dtls_role role = DTLS_PASSIVE; role <= DTLS_ACTIVE; role++) {
			struct scene s;

			scene_open(&s, role);
			peer_open(&s.peer, role == DTLS_ACTIVE, &s.peer_id, profiles[i].profile);
			handshake(&s);
			assert_true(s.peer.done);
			assert_int_equal(s.heard.n_keys, 1);
			assert_int_equal(s.heard.n_failed, 0);
			assert_memory_equal(&s.heard.keyed_by, &signalled, sizeof(signalled));
			keys_equal(&s, role, profiles[i].suite);
			assert_int_equal(dtls_floor_handshakes(s.floor), 0);
			assert_int_equal(dtls_floor_counter(s.floor, DTLS_DONE), 1);
			assert_int_equal(dtls_floor_counter(s.floor, DTLS_FAILED), 0);
			scene_close(&s);
		}
	}
}

static void
our_order_of_profiles_decides_as_server(void **state)
{
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, &s.peer_id, "SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM");
	handshake(&s);
	keys_equal(&s, DTLS_PASSIVE, SRTP_AEAD_AES_128_GCM);
	scene_close(&s);
}

static void
rsa_certificate_of_a_server_is_taken(void **state)
{
	struct scene s;
	struct dtls_spec spec;

	scene_open(&s, DTLS_PASSIVE);
	dtls_association_destroy(s.a);
	peer_identity_free(&s.peer_id);
	s.peer_id = peer_identity_make(true);
	spec = spec_of(&s, DTLS_ACTIVE);
	assert_int_equal(dtls_association_create(&s.a, s.floor, &spec, on_event, &s.heard, s.now), SRS_OK);
	peer_open(&s.peer, true, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	assert_int_equal(s.heard.n_keys, 1);
	scene_close(&s);
}

static void
wrong_certificate_gives_no_keys_and_the_right_one_may_still_come(void **state)
{
	for (enum dtls_role role = DTLS_PASSIVE; role <= DTLS_ACTIVE; role++) {
		struct scene s;

		scene_open(&s, role);
		peer_open(&s.peer, role == DTLS_ACTIVE, &s.stranger_id, PEER_ALL_PROFILES);
		handshake(&s);
		assert_true(s.peer.failed);	/* bad_certificate */
		assert_int_equal(s.heard.n_keys, 0);
		assert_int_equal(s.heard.n_failed, 1);
		assert_int_equal(s.heard.reason, DTLS_FAILED_FINGERPRINT);
		assert_false(s.heard.final);
		assert_int_equal(dtls_floor_counter(s.floor, DTLS_MISMATCHED), 1);
		assert_int_equal(dtls_floor_handshakes(s.floor), 0);
		if (role == DTLS_PASSIVE) {
			peer_close(&s.peer);
			peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
			handshake(&s);
			assert_int_equal(s.heard.n_keys, 1);
		}
		scene_close(&s);
	}
}

static void
peer_without_a_certificate_gets_no_keys(void **state)
{
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, NULL, PEER_ALL_PROFILES);
	handshake(&s);
	assert_int_equal(s.heard.n_keys, 0);
	assert_int_equal(s.heard.n_failed, 1);
	assert_int_equal(s.heard.reason, DTLS_FAILED_FINGERPRINT);
	scene_close(&s);
}

static void
peer_without_a_common_profile_gets_no_keys(void **state)
{
	for (enum dtls_role role = DTLS_PASSIVE; role <= DTLS_ACTIVE; role++) {
		struct scene s;

		scene_open(&s, role);
		peer_open(&s.peer, role == DTLS_ACTIVE, &s.peer_id, NULL);
		handshake(&s);
		assert_int_equal(s.heard.n_keys, 0);
		assert_int_equal(s.heard.n_failed, 1);
		assert_int_equal(s.heard.reason, DTLS_FAILED_PROFILE);
		scene_close(&s);
	}
}

/* RFC 5246's predecessor: DTLS 1.0 is not spoken. */
static void
dtls_1_0_is_refused(void **state)
{
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	SSL_set_security_level(s.peer.ssl, 0);
	assert_int_equal(SSL_set_min_proto_version(s.peer.ssl, DTLS1_VERSION), 1);
	assert_int_equal(SSL_set_max_proto_version(s.peer.ssl, DTLS1_VERSION), 1);
	handshake(&s);
	assert_false(s.peer.done);
	assert_int_equal(s.heard.n_keys, 0);
	assert_int_equal(s.heard.reason, DTLS_FAILED_PROTOCOL);
	scene_close(&s);
}

static void
pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static bool
is_finished(const struct scene *s)
{
	return s->peer.done && s->heard.n_keys != 0;
}

/* Let the timers of both sides run until the handshakes of all scenes are done. */
static void
finish_by_timers(struct scene s[], int n)
{
	int n_finished = 0;

	for (int rounds = 0; rounds < 200 && n_finished < n; rounds++) {
		pause_ms(50);
		n_finished = 0;
		for (int i = 0; i < n; i++) {
			s[i].now = reactor_mono_ns();
			if (dtls_association_due(s[i].a, s[i].now) <= s[i].now)
				dtls_association_on_time(s[i].a, s[i].now);
			peer_on_time(&s[i].peer, &s[i].to_us);
			(void)carry(&s[i], &s[i].peer, &signalled, -1);
			n_finished += is_finished(&s[i]);
		}
	}
	assert_int_equal(n_finished, n);
}

/* Begin a handshake of which one datagram is lost. @return datagrams carried */
static int
begin_with_loss(struct scene *s, enum dtls_role role, int lost)
{
	scene_open(s, role);
	peer_open(&s->peer, role == DTLS_ACTIVE, &s->peer_id, PEER_ALL_PROFILES);
	if (role == DTLS_PASSIVE)
		peer_step(&s->peer, &s->to_us);
	return carry(s, &s->peer, &signalled, lost);
}

/* Each in turn; timers of the side that waits send its flight again. */
static void
each_lost_datagram_is_sent_again(void **state)
{
	for (enum dtls_role role = DTLS_PASSIVE; role <= DTLS_ACTIVE; role++) {
		struct scene whole, *s;
		int n = begin_with_loss(&whole, role, -1);

		assert_true(is_finished(&whole));
		scene_close(&whole);
		assert_in_range(n, 6, 24);
		s = calloc((size_t)n, sizeof(*s));
		for (int lost = 0; lost < n; lost++)
			(void)begin_with_loss(&s[lost], role, lost);
		finish_by_timers(s, n);
		for (int lost = 0; lost < n; lost++) {
			assert_int_equal(s[lost].heard.n_keys, 1);
			keys_equal(&s[lost], role, SRTP_AEAD_AES_256_GCM);
			scene_close(&s[lost]);
		}
		free(s);
	}
}

static void
duplicates_and_disorder_do_no_harm(void **state)
{
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	peer_step(&s.peer, &s.to_us);
	for (int rounds = 0; rounds < 20 && (s.to_us.n != 0 || s.heard.sent.n != 0); rounds++) {
		static struct peer_queue out, in;

		out = s.to_us;
		s.to_us.n = 0;
		for (unsigned int twice = 0; twice < 2; twice++)
			for (unsigned int i = out.n; i-- != 0;)
				dtls_association_take(s.a, &signalled, span_of(out.d[i].bytes, out.d[i].len), s.now);
		in = s.heard.sent;
		s.heard.sent.n = 0;
		for (unsigned int i = in.n; i-- != 0;)
			peer_take(&s.peer, &in.d[i], &s.to_us);
	}
	finish_by_timers(&s, 1);	/* a ChangeCipherSpec that came too early has to come again */
	assert_int_equal(s.heard.n_keys, 1);
	keys_equal(&s, DTLS_PASSIVE, SRTP_AEAD_AES_256_GCM);
	scene_close(&s);
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Rubbish, and real records with a byte changed, between those of a handshake from the same source. */
static void
garbage_changes_nothing(void **state)
{
	uint32_t seed = 4711;
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	assert_int_equal(s.heard.n_keys, 1);
	for (int i = 0; i < 100000; i++) {
		uint8_t bytes[200];
		size_t len = next_random(&seed) % sizeof(bytes);

		for (size_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)next_random(&seed);
		if (len > 13) {	/* half of them look like records */
			bytes[0] = (uint8_t)(20 + next_random(&seed) % 6);
			bytes[1] = 0xfe;
			bytes[2] = 0xfd;
			bytes[3] = 0;
			bytes[4] = (uint8_t)(next_random(&seed) % 3);
			if (next_random(&seed) % 2) {
				bytes[11] = 0;
				bytes[12] = (uint8_t)(len - 13);
			}
		}
		dtls_association_take(s.a, &signalled, span_of(bytes, len), s.now);
		s.heard.sent.n = 0;
	}
	assert_int_equal(s.heard.n_keys, 1);
	assert_int_equal(s.heard.n_ended, 0);
	/* it is still there: it hears the peer's close_notify */
	(void)SSL_shutdown(s.peer.ssl);
	peer_flush(&s.peer, &s.to_us);
	(void)carry(&s, &s.peer, &signalled, -1);
	assert_int_equal(s.heard.n_ended, 1);
	scene_close(&s);
}

/* Flipped bytes in a handshake's own records: it may fail, but never gives keys that the peer has not. */
static void
changed_records_never_give_wrong_keys(void **state)
{
	uint32_t seed = 99;

	for (int round = 0; round < 60; round++) {
		struct scene s;
		static struct peer_queue out, in;

		scene_open(&s, DTLS_PASSIVE);
		peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
		peer_step(&s.peer, &s.to_us);
		for (int turns = 0; turns < 20 && (s.to_us.n != 0 || s.heard.sent.n != 0); turns++) {
			out = s.to_us;
			s.to_us.n = 0;
			for (unsigned int i = 0; i < out.n; i++) {
				if (next_random(&seed) % 6 == 0)
					out.d[i].bytes[next_random(&seed) % out.d[i].len] ^= 1u << next_random(&seed) % 8;
				dtls_association_take(s.a, &signalled, span_of(out.d[i].bytes, out.d[i].len), s.now);
			}
			in = s.heard.sent;
			s.heard.sent.n = 0;
			for (unsigned int i = 0; i < in.n; i++)
				peer_take(&s.peer, &in.d[i], &s.to_us);
		}
		if (s.heard.n_keys != 0 && s.peer.done)
			keys_equal(&s, DTLS_PASSIVE, SRTP_AEAD_AES_256_GCM);
		scene_close(&s);
	}
}

static struct peer_datagram
hello_make(void)
{
	struct peer p;
	static struct peer_queue out;

	out.n = 0;
	peer_open(&p, false, NULL, PEER_ALL_PROFILES);
	peer_step(&p, &out);
	peer_close(&p);
	return out.d[0];
}

static void
a_thousand_hellos_of_strangers_leave_no_state(void **state)
{
	struct peer_datagram hello = hello_make();
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	for (int i = 0; i < 1000; i++) {
		struct media_address from = address_of((uint8_t)(2 + i % 200), (uint16_t)(1024 + i));

		dtls_association_take(s.a, &from, span_of(hello.bytes, hello.len), s.now);
		assert_int_equal(s.heard.sent.n, 1);	/* a HelloVerifyRequest, no longer than what was asked */
		assert_true(s.heard.sent.d[0].len <= hello.len);
		assert_memory_equal(&s.heard.to[0], &from, sizeof(from));
		s.heard.sent.n = 0;
	}
	assert_int_equal(dtls_floor_handshakes(s.floor), 0);
	assert_int_equal(dtls_floor_counter(s.floor, DTLS_STARTED), 0);
	assert_int_equal(dtls_floor_counter(s.floor, DTLS_VERIFIES), 1000);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	assert_int_equal(s.heard.n_keys, 1);
	for (int i = 0; i < 1000; i++) {
		struct media_address from = address_of((uint8_t)(2 + i % 200), (uint16_t)(1024 + i));

		dtls_association_take(s.a, &from, span_of(hello.bytes, hello.len), s.now);
		s.heard.sent.n = 0;
	}
	assert_int_equal(s.heard.n_keys, 1);
	assert_int_equal(dtls_floor_handshakes(s.floor), 0);
	scene_close(&s);
}

/* A cookie that another source was given, or that another association gave. */
static void
cookies_are_good_for_their_source_only(void **state)
{
	struct media_address other = address_of(77, 4000);
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	peer_step(&s.peer, &s.to_us);
	dtls_association_take(s.a, &signalled, span_of(s.to_us.d[0].bytes, s.to_us.d[0].len), s.now);
	s.to_us.n = 0;
	peer_take(&s.peer, &s.heard.sent.d[0], &s.to_us);	/* now it has the cookie */
	s.heard.sent.n = 0;
	dtls_association_take(s.a, &other, span_of(s.to_us.d[0].bytes, s.to_us.d[0].len), s.now);
	assert_int_equal(dtls_floor_handshakes(s.floor), 0);
	s.heard.sent.n = 0;
	dtls_association_take(s.a, &signalled, span_of(s.to_us.d[0].bytes, s.to_us.d[0].len), s.now);
	assert_int_equal(dtls_floor_handshakes(s.floor), 1);
	s.heard.sent.n = 0;
	scene_close(&s);
}

/* Strangers that prove their address and then stop: each holds a place. The peer that is awaited finds one. */
static void
proved_strangers_are_bounded_and_the_awaited_peer_gets_in(void **state)
{
	struct peer strangers[12];
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	for (unsigned int i = 0; i < 12; i++) {
		struct media_address from = address_of(50, (uint16_t)(5000 + i));
		static struct peer_queue q;

		q.n = 0;
		peer_open(&strangers[i], false, &s.stranger_id, PEER_ALL_PROFILES);
		peer_step(&strangers[i], &q);
		dtls_association_take(s.a, &from, span_of(q.d[0].bytes, q.d[0].len), s.now);
		q.n = 0;
		peer_take(&strangers[i], &s.heard.sent.d[0], &q);
		s.heard.sent.n = 0;
		dtls_association_take(s.a, &from, span_of(q.d[0].bytes, q.d[0].len), s.now);
		s.heard.sent.n = 0;
		assert_true(dtls_floor_handshakes(s.floor) <= DTLS_ATTEMPTS_MAX);
	}
	assert_int_equal(dtls_floor_handshakes(s.floor), DTLS_ATTEMPTS_MAX);
	assert_int_equal(dtls_floor_counter(s.floor, DTLS_IGNORED), 12 - DTLS_ATTEMPTS_MAX);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	assert_int_equal(s.heard.n_keys, 1);
	assert_memory_equal(&s.heard.keyed_by, &signalled, sizeof(signalled));
	for (unsigned int i = 0; i < 12; i++)
		peer_close(&strangers[i]);
	scene_close(&s);
}

static void
stranger_with_a_handshake_of_its_own_leaves_a_live_association_alone(void **state)
{
	struct media_address from = address_of(66, 6666);
	struct stream_keys before;
	struct peer stranger;
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	before = s.heard.keys;
	peer_open(&stranger, false, &s.stranger_id, PEER_ALL_PROFILES);
	peer_step(&stranger, &s.to_us);
	(void)carry(&s, &stranger, &from, -1);
	assert_true(stranger.failed);
	peer_close(&stranger);
	/* and from the peer's own address, as one who forges it and sees the answers would */
	peer_open(&stranger, false, &s.stranger_id, PEER_ALL_PROFILES);
	peer_step(&stranger, &s.to_us);
	(void)carry(&s, &stranger, &signalled, -1);
	assert_true(stranger.failed);
	peer_close(&stranger);
	assert_int_equal(s.heard.n_keys, 1);
	assert_memory_equal(&before, &s.heard.keys, sizeof(before));
	assert_int_equal(s.heard.n_failed, 1);		/* told once */
	assert_true(s.heard.live);
	assert_int_equal(s.heard.n_ended, 0);
	(void)SSL_shutdown(s.peer.ssl);
	peer_flush(&s.peer, &s.to_us);
	(void)carry(&s, &s.peer, &signalled, -1);
	assert_int_equal(s.heard.n_ended, 1);
	assert_string_equal(s.heard.detail, "close notify");
	scene_close(&s);
}

static void
peer_that_begins_anew_gets_new_keys_when_it_is_done(void **state)
{
	struct stream_keys before;
	struct peer first;
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	before = s.heard.keys;
	first = s.peer;
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	peer_step(&s.peer, &s.to_us);
	for (int turns = 0; turns < 2; turns++) {	/* cookie and server's flight: not done yet */
		static struct peer_queue out, in;

		assert_int_equal(s.heard.n_keys, 1);
		out = s.to_us;
		s.to_us.n = 0;
		for (unsigned int i = 0; i < out.n; i++)
			dtls_association_take(s.a, &signalled, span_of(out.d[i].bytes, out.d[i].len), s.now);
		in = s.heard.sent;
		s.heard.sent.n = 0;
		for (unsigned int i = 0; i < in.n; i++)
			peer_take(&s.peer, &in.d[i], &s.to_us);
	}
	assert_int_equal(s.heard.n_keys, 1);
	handshake(&s);
	assert_int_equal(s.heard.n_keys, 2);
	assert_memory_not_equal(before.theirs[0].key, s.heard.keys.theirs[0].key, 16);
	keys_equal(&s, DTLS_PASSIVE, SRTP_AEAD_AES_256_GCM);
	peer_close(&first);
	scene_close(&s);
}

/* It lost its state in the middle and comes again from the same port. */
static void
peer_that_begins_anew_in_mid_handshake_is_served(void **state)
{
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	peer_step(&s.peer, &s.to_us);
	dtls_association_take(s.a, &signalled, span_of(s.to_us.d[0].bytes, s.to_us.d[0].len), s.now);
	s.to_us.n = 0;
	peer_take(&s.peer, &s.heard.sent.d[0], &s.to_us);
	s.heard.sent.n = 0;
	dtls_association_take(s.a, &signalled, span_of(s.to_us.d[0].bytes, s.to_us.d[0].len), s.now);
	s.to_us.n = 0;
	s.heard.sent.n = 0;
	assert_int_equal(dtls_floor_handshakes(s.floor), 1);
	peer_close(&s.peer);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	assert_int_equal(s.heard.n_keys, 1);
	assert_int_equal(s.heard.n_failed, 0);
	scene_close(&s);
}

static void
data_and_renegotiation_are_ignored(void **state)
{
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	assert_int_equal(SSL_write(s.peer.ssl, "data", 4), 4);
	peer_flush(&s.peer, &s.to_us);
	(void)carry(&s, &s.peer, &signalled, -1);
	assert_int_equal(SSL_renegotiate(s.peer.ssl), 1);
	(void)SSL_do_handshake(s.peer.ssl);
	peer_flush(&s.peer, &s.to_us);
	assert_true(s.to_us.n != 0);
	(void)carry(&s, &s.peer, &signalled, -1);
	assert_int_equal(s.heard.n_keys, 1);
	assert_int_equal(s.heard.n_failed, 0);
	scene_close(&s);
}

static void
peer_that_does_not_come_is_given_up(void **state)
{
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	assert_int_equal(dtls_association_due(s.a, s.now), s.now + 30 * SECOND);
	dtls_association_on_time(s.a, s.now + 29 * SECOND);
	assert_int_equal(s.heard.n_failed, 0);
	s.now += 31 * SECOND;
	dtls_association_on_time(s.a, s.now);
	assert_int_equal(s.heard.n_failed, 1);
	assert_int_equal(s.heard.reason, DTLS_FAILED_TIMEOUT);
	assert_true(s.heard.final);
	assert_int_equal(dtls_association_due(s.a, s.now), UINT64_MAX);
	/* late is better than never */
	peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	assert_int_equal(s.heard.n_keys, 1);
	scene_close(&s);
}

static void
handshake_that_stops_half_way_is_given_up(void **state)
{
	for (enum dtls_role role = DTLS_PASSIVE; role <= DTLS_ACTIVE; role++) {
		struct scene s;

		scene_open(&s, role);
		if (role == DTLS_PASSIVE) {
			peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
			peer_step(&s.peer, &s.to_us);
			(void)carry(&s, &s.peer, &signalled, 3);	/* cookie done; a record of the first flight lost */
		}
		assert_int_equal(dtls_floor_handshakes(s.floor), 1);
		s.now += 31 * SECOND;
		dtls_association_on_time(s.a, s.now);
		assert_int_equal(dtls_floor_handshakes(s.floor), 0);
		assert_int_equal(s.heard.n_keys, 0);
		assert_int_equal(s.heard.reason, DTLS_FAILED_TIMEOUT);
		assert_true(s.heard.final);
		assert_int_equal(dtls_association_due(s.a, s.now), UINT64_MAX);
		scene_close(&s);
	}
}

/* Anybody can forge an alert before there are keys. */
static void
client_whose_handshake_was_cut_off_begins_again(void **state)
{
	static const uint8_t alert[] = { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40 };
	struct scene s;

	scene_open(&s, DTLS_ACTIVE);
	s.heard.sent.n = 0;
	dtls_association_take(s.a, &signalled, span_of(alert, sizeof(alert)), s.now);
	assert_int_equal(s.heard.n_failed, 1);
	assert_int_equal(s.heard.reason, DTLS_FAILED_ALERT);
	assert_string_equal(s.heard.detail, "handshake failure");
	assert_int_equal(dtls_floor_handshakes(s.floor), 0);
	s.now += 2 * SECOND;
	dtls_association_on_time(s.a, s.now);
	peer_open(&s.peer, true, &s.peer_id, PEER_ALL_PROFILES);
	handshake(&s);
	assert_int_equal(s.heard.n_keys, 1);
	scene_close(&s);
}

static void
client_hears_its_server_only(void **state)
{
	struct media_address other = address_of(9, 9);
	struct scene s;

	scene_open(&s, DTLS_ACTIVE);
	peer_open(&s.peer, true, &s.peer_id, PEER_ALL_PROFILES);
	peer_take(&s.peer, &s.heard.sent.d[0], &s.to_us);
	s.heard.sent.n = 0;
	dtls_association_take(s.a, &other, span_of(s.to_us.d[0].bytes, s.to_us.d[0].len), s.now);
	assert_int_equal(s.heard.sent.n, 0);
	assert_int_equal(dtls_floor_counter(s.floor, DTLS_IGNORED), 1);
	(void)carry(&s, &s.peer, &signalled, -1);
	assert_int_equal(s.heard.n_keys, 1);
	scene_close(&s);
}

static void
association_may_be_closed_after_each_datagram(void **state)
{
	for (enum dtls_role role = DTLS_PASSIVE; role <= DTLS_ACTIVE; role++) {
		for (int stop = 0; stop < 16; stop++) {
			int n = 0;
			struct scene s;

			scene_open(&s, role);
			peer_open(&s.peer, role == DTLS_ACTIVE, &s.peer_id, PEER_ALL_PROFILES);
			if (role == DTLS_PASSIVE)
				peer_step(&s.peer, &s.to_us);
			while (n < stop && (s.to_us.n != 0 || s.heard.sent.n != 0)) {
				static struct peer_queue out, in;

				out = s.to_us;
				s.to_us.n = 0;
				for (unsigned int i = 0; i < out.n && n++ < stop; i++)
					dtls_association_take(s.a, &signalled, span_of(out.d[i].bytes, out.d[i].len), s.now);
				in = s.heard.sent;
				s.heard.sent.n = 0;
				for (unsigned int i = 0; i < in.n; i++)
					peer_take(&s.peer, &in.d[i], &s.to_us);
			}
			s.heard.sent.n = 0;
			scene_close(&s);	/* checks that no handshake is left */
		}
	}
}

/* Three are listened for here; with the fourth the first is no longer heard, and keeps its keys. */
static void
oldest_live_association_makes_room(void **state)
{
	struct dtls_association *a[4];
	struct peer peers[4];
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	dtls_association_destroy(s.a);
	for (unsigned int i = 0; i < 4; i++) {
		struct dtls_spec spec = spec_of(&s, DTLS_PASSIVE);

		assert_int_equal(dtls_association_create(&s.a, s.floor, &spec, on_event, &s.heard, s.now), SRS_OK);
		peer_open(&s.peer, false, &s.peer_id, PEER_ALL_PROFILES);
		handshake(&s);
		assert_int_equal(s.heard.n_keys, i + 1);
		a[i] = s.a;
		peers[i] = s.peer;
	}
	for (unsigned int i = 0; i < 4; i++) {
		(void)SSL_shutdown(peers[i].ssl);
		peer_flush(&peers[i], &s.to_us);
		s.a = a[i];
		(void)carry(&s, &peers[i], &signalled, -1);
		assert_int_equal(s.heard.n_ended, i);
	}
	for (unsigned int i = 0; i < 3; i++) {
		dtls_association_destroy(a[i]);
		peer_close(&peers[i]);
	}
	s.peer = peers[3];
	scene_close(&s);
}

static void
specs_that_cannot_work_are_refused(void **state)
{
	struct dtls_association *a;
	struct dtls_spec spec;
	struct scene s;

	scene_open(&s, DTLS_PASSIVE);
	spec = spec_of(&s, DTLS_PASSIVE);
	spec.n_prints = 0;
	assert_int_equal(dtls_association_create(&a, s.floor, &spec, on_event, &s.heard, s.now), SRS_ERR_INVALID);
	spec = spec_of(&s, DTLS_ACTIVE);
	spec.peer.ip_version = 0;
	assert_int_equal(dtls_association_create(&a, s.floor, &spec, on_event, &s.heard, s.now), SRS_ERR_INVALID);
	assert_null(a);
	scene_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_profile_gives_equal_keys_on_both_sides),
		cmocka_unit_test(our_order_of_profiles_decides_as_server),
		cmocka_unit_test(rsa_certificate_of_a_server_is_taken),
		cmocka_unit_test(wrong_certificate_gives_no_keys_and_the_right_one_may_still_come),
		cmocka_unit_test(peer_without_a_certificate_gets_no_keys),
		cmocka_unit_test(peer_without_a_common_profile_gets_no_keys),
		cmocka_unit_test(dtls_1_0_is_refused),
		cmocka_unit_test(each_lost_datagram_is_sent_again),
		cmocka_unit_test(duplicates_and_disorder_do_no_harm),
		cmocka_unit_test(garbage_changes_nothing),
		cmocka_unit_test(changed_records_never_give_wrong_keys),
		cmocka_unit_test(a_thousand_hellos_of_strangers_leave_no_state),
		cmocka_unit_test(cookies_are_good_for_their_source_only),
		cmocka_unit_test(proved_strangers_are_bounded_and_the_awaited_peer_gets_in),
		cmocka_unit_test(stranger_with_a_handshake_of_its_own_leaves_a_live_association_alone),
		cmocka_unit_test(peer_that_begins_anew_gets_new_keys_when_it_is_done),
		cmocka_unit_test(peer_that_begins_anew_in_mid_handshake_is_served),
		cmocka_unit_test(data_and_renegotiation_are_ignored),
		cmocka_unit_test(peer_that_does_not_come_is_given_up),
		cmocka_unit_test(handshake_that_stops_half_way_is_given_up),
		cmocka_unit_test(client_whose_handshake_was_cut_off_begins_again),
		cmocka_unit_test(client_hears_its_server_only),
		cmocka_unit_test(association_may_be_closed_after_each_datagram),
		cmocka_unit_test(oldest_live_association_makes_room),
		cmocka_unit_test(specs_that_cannot_work_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
