/* The simulator's DTLS, both ends of it over a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/src/dtls.h"

struct pair {
	struct dtls_identity *id[2];
	struct dtls *end[2];
	int fds[2];
	enum dtls_state state[2];
};

static void
open_pair(struct pair *p, const char *client_profiles, const char *server_profiles)
{
	memset(p, 0, sizeof(*p));
	p->id[0] = dtls_identity_create(client_profiles);
	p->id[1] = dtls_identity_create(server_profiles);
	assert_non_null(p->id[0]);
	assert_non_null(p->id[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, p->fds), 0);
}

static void
close_pair(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		dtls_destroy(p->end[i]);
		dtls_identity_destroy(p->id[i]);
		close(p->fds[i]);
	}
}

/* Carry datagrams until nothing moves; the first `lost` of the client are dropped. */
static void
carry(struct pair *p, unsigned int lost)
{
	for (int idle = 0, turn = 0; idle < 4 && turn < 4000; turn++) {
		uint8_t datagram[2048];
		ssize_t n = recv(p->fds[turn % 2], datagram, sizeof(datagram), MSG_DONTWAIT);

		if (n > 0) {
			idle = 0;
			assert_in_range(datagram[0], 20, 63);
			assert_true(n <= 1300);
			if (turn % 2 == 1 && lost > 0)
				lost--;
			else
				p->state[turn % 2] = dtls_receive(p->end[turn % 2], datagram, (size_t)n);
		} else {
			idle++;
		}
	}
}

static void
shake(struct pair *p, const char *client_expects, const char *server_expects)
{
	p->end[0] = dtls_create(p->id[0], p->fds[0], true, client_expects);
	p->end[1] = dtls_create(p->id[1], p->fds[1], false, server_expects);
	carry(p, 0);
}

static void
both_ends_export_the_same_keys_for_every_profile(void **state)
{
	static const struct { const char *profile; enum protect_suite suite; } rows[] = {
		{ "SRTP_AES128_CM_SHA1_80", PROTECT_AES_CM_128_HMAC_SHA1_80 },
		{ "SRTP_AES128_CM_SHA1_32", PROTECT_AES_CM_128_HMAC_SHA1_32 },
		{ "SRTP_AEAD_AES_128_GCM", PROTECT_AEAD_AES_128_GCM },
		{ "SRTP_AEAD_AES_256_GCM", PROTECT_AEAD_AES_256_GCM },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct protect_keys client_out, client_in, server_out, server_in;
		struct pair p;

		open_pair(&p, "SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32:SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM",
		          rows[i].profile);
		shake(&p, dtls_identity_fingerprint(p.id[1]), dtls_identity_fingerprint(p.id[0]));
		assert_int_equal(p.state[0], DTLS_DONE);
		assert_int_equal(p.state[1], DTLS_DONE);
		assert_true(dtls_keys(p.end[0], &client_out, &client_in));
		assert_true(dtls_keys(p.end[1], &server_out, &server_in));
		assert_int_equal(client_out.suite, rows[i].suite);
		assert_memory_equal(&client_out, &server_in, sizeof(client_out));
		assert_memory_equal(&client_in, &server_out, sizeof(client_in));
		assert_memory_not_equal(client_out.key, client_in.key, 16);
		close_pair(&p);
	}
}

static void
a_certificate_without_its_fingerprint_fails(void **state)
{
	struct pair p;

	open_pair(&p, "SRTP_AES128_CM_SHA1_80", "SRTP_AES128_CM_SHA1_80");
	shake(&p, dtls_identity_fingerprint(p.id[0]), dtls_identity_fingerprint(p.id[0]));
	assert_int_equal(p.state[0], DTLS_FAILED);
	assert_non_null(strstr(dtls_failure(p.end[0]), "fingerprint"));
	assert_int_equal(p.state[1], DTLS_DONE);
	close_pair(&p);
}

static void
no_common_profile_fails(void **state)
{
	struct pair p;

	open_pair(&p, "SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80");
	shake(&p, dtls_identity_fingerprint(p.id[1]), dtls_identity_fingerprint(p.id[0]));
	assert_int_not_equal(p.state[0], DTLS_DONE);
	close_pair(&p);
}

static void
a_lost_hello_is_sent_again(void **state)
{
	struct pair p;

	open_pair(&p, "SRTP_AES128_CM_SHA1_80", "SRTP_AES128_CM_SHA1_80");
	p.end[0] = dtls_create(p.id[0], p.fds[0], true, dtls_identity_fingerprint(p.id[1]));
	p.end[1] = dtls_create(p.id[1], p.fds[1], false, dtls_identity_fingerprint(p.id[0]));
	carry(&p, 1);
	assert_int_equal(p.state[0], DTLS_SHAKING);
	usleep(1100000); /* the timer of RFC 6347 §4.2.4 starts at 1 s */
	assert_int_equal(dtls_tick(p.end[0]), DTLS_SHAKING);
	carry(&p, 0);
	assert_int_equal(p.state[0], DTLS_DONE);
	assert_int_equal(p.state[1], DTLS_DONE);
	close_pair(&p);
}

static void
a_hello_is_one_record_that_begins_a_handshake(void **state)
{
	struct dtls_identity *id = dtls_identity_create("SRTP_AES128_CM_SHA1_80");
	uint8_t hello[512], other[512];
	size_t len = dtls_hello(id, hello, sizeof(hello));

	assert_in_range(len, DTLS_HELLO_RANDOM + 32, sizeof(hello));
	assert_int_equal(hello[0], 22); /* handshake */
	assert_int_equal(13 + (hello[11] << 8 | hello[12]), len);
	assert_int_equal(hello[13], 1); /* ClientHello */
	assert_int_equal(dtls_hello(id, other, sizeof(other)), len);
	assert_memory_equal(hello, other, DTLS_HELLO_RANDOM);
	assert_memory_not_equal(hello + DTLS_HELLO_RANDOM, other + DTLS_HELLO_RANDOM, 32);
	assert_memory_equal(hello + DTLS_HELLO_RANDOM + 32, other + DTLS_HELLO_RANDOM + 32, len - DTLS_HELLO_RANDOM - 32);
	assert_int_equal(dtls_hello(id, hello, 20), 0);
	dtls_identity_destroy(id);
}

static void
unknown_profiles_make_no_identity(void **state)
{
	assert_null(dtls_identity_create("SRTP_NO_SUCH_PROFILE"));
	dtls_identity_destroy(NULL);
	dtls_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_export_the_same_keys_for_every_profile),
		cmocka_unit_test(a_certificate_without_its_fingerprint_fails),
		cmocka_unit_test(no_common_profile_fails),
		cmocka_unit_test(a_lost_hello_is_sent_again),
		cmocka_unit_test(a_hello_is_one_record_that_begins_a_handshake),
		cmocka_unit_test(unknown_profiles_make_no_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
