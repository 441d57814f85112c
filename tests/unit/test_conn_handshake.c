/* TLS handshakes as hostile peers do them, or do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controlplane/sip/conn.h"
#include "tls_peer.h"

static int
prepare(void **state)
{
	struct tls_peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -1;
	tls_peer_prepare(p);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	tls_peer_stop(*state);
	free(*state);
	return 0;
}

static uint64_t
counter(struct tls_peer *p, enum sip_counter which)
{
	return sip_counter_read(p->peer.sip, which);
}

/* Is the TCP connection closed by the other side within `ms`? */
static bool
is_cut(struct tls_peer *p, int fd, unsigned int ms)
{
	uint64_t until = reactor_mono_ns() + ms * 1000000ull;
	char bytes[4096];

	do {
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		peer_turn(&p->peer, 1);
	} while (reactor_mono_ns() < until);
	return false;
}

static bool
honest_call_works(struct tls_peer *p)
{
	SSL *ssl = tls_peer_dial(p, &p->tls);
	bool works;

	if (ssl == NULL)
		return false;
	works = tls_peer_write(p, ssl, "\r\n\r\n", 4) && strcmp(tls_peer_receive(p, ssl, 1000, NULL), "\r\n") == 0;
	tls_peer_hang_up(ssl);
	return works;
}

/* A ClientHello as OpenSSL makes it. @return its length */
static size_t
hello_make(struct tls_peer *p, char *out, size_t out_len)
{
	SSL *ssl = SSL_new(p->context);
	BIO *in = BIO_new(BIO_s_mem()), *written = BIO_new(BIO_s_mem());
	int n;

	SSL_set_bio(ssl, in, written);
	SSL_set_connect_state(ssl);
	(void)SSL_do_handshake(ssl);
	n = BIO_read(written, out, (int)out_len);
	assert_in_range(n, 100, out_len);
	SSL_free(ssl);
	ERR_clear_error();
	return (size_t)n;
}

static void
what_is_no_tls_is_cut_at_once(void **state)
{
	struct tls_peer *p = *state;
	static const char *const rows[] = {
		"OPTIONS sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\r\n\r\n\r\n\r\n",
		"\x16\x03\x01\xff\xff\x01\x00\x00\x00",		/* a record that is too long */
		"\x15\x03\x03\x00\x02\x02\x28",			/* an alert first */
		"\x17\x03\x03\x00\x05hello",			/* data first */
		"\x16\x03\x03\x00\x05\x0b\xff\xff\xff\xff",	/* a certificate first */
	};
	static const size_t lens[] = { 0, 0, 0, 9, 7, 10, 10 };

	tls_peer_open(p);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = tls_peer_connect(&p->tls);
		size_t len = lens[i] != 0 ? lens[i] : strlen(rows[i]);

		assert_int_equal(send(fd, rows[i], len, MSG_NOSIGNAL), len);
		if (!is_cut(p, fd, 1000))
			fail_msg("row %zu is not cut", i);
		close(fd);
	}
	assert_int_equal(counter(p, SIP_TLS_FAILED), sizeof(rows) / sizeof(rows[0]));
	assert_int_equal(counter(p, SIP_REQUESTS), 0);
	assert_true(honest_call_works(p));
}

static void
mutated_hellos_neither_crash_nor_stay(void **state)
{
	struct tls_peer *p = *state;
	char hello[2048], bytes[2048];
	unsigned int seed = 20261125;
	size_t len;

	tls_peer_open(p);
	len = hello_make(p, hello, sizeof(hello));
	for (unsigned int i = 0; i < 300; i++) {
		int fd = tls_peer_connect(&p->tls);
		size_t n = len;

		memcpy(bytes, hello, len);
		for (unsigned int k = 0; k <= i % 4; k++)
			bytes[rand_r(&seed) % len] ^= (char)(1 << rand_r(&seed) % 8);
		if (i % 3 == 0)
			n = 1 + rand_r(&seed) % len;
		(void)send(fd, bytes, n, MSG_NOSIGNAL);
		peer_turn(&p->peer, 1);
		close(fd);
	}
	peer_turn(&p->peer, 100);
	assert_int_equal(counter(p, SIP_CONNECTIONS), 300);
	assert_true(honest_call_works(p));
	assert_int_equal(counter(p, SIP_REQUESTS), 0);
}

/* Silent ones, half a hello, and a byte now and then: five seconds, then they are gone. */
static void
handshake_that_is_not_done_in_time_is_cut(void **state)
{
	struct tls_peer *p = *state;
	int silent, half, slow;
	char hello[2048];
	size_t len, at = 0;
	uint64_t begun;

	tls_peer_open(p);
	len = hello_make(p, hello, sizeof(hello));
	silent = tls_peer_connect(&p->tls);
	half = tls_peer_connect(&p->tls);
	slow = tls_peer_connect(&p->tls);
	begun = reactor_mono_ns();
	assert_int_equal(send(half, hello, len / 2, MSG_NOSIGNAL), len / 2);
	while (reactor_mono_ns() - begun < 4500 * 1000000ull) {
		assert_int_equal(send(slow, hello + at++, 1, MSG_NOSIGNAL), 1);
		peer_turn(&p->peer, 50);
	}
	assert_int_equal(counter(p, SIP_CONN_LATE), 0);
	assert_true(honest_call_works(p));	/* beside them */
	assert_true(is_cut(p, silent, 1500));
	assert_true(is_cut(p, half, 500));
	assert_true(is_cut(p, slow, 500));
	assert_in_range((reactor_mono_ns() - begun) / 1000000, CONN_HANDSHAKE_MS_MAX, CONN_HANDSHAKE_MS_MAX + 1500);
	assert_int_equal(counter(p, SIP_CONN_LATE), 3);
	close(silent);
	close(half);
	close(slow);
}

/* More half-open ones than may be under way: the oldest go, an honest one is done long before it is the oldest. */
static void
oldest_handshake_makes_room(void **state)
{
	struct tls_peer *p = *state;
	enum { N = 100 };
	int fds[N];

	p->peer.config.tls.handshakes_max = 16;
	tls_peer_open(p);
	for (unsigned int i = 0; i < N; i++) {
		fds[i] = tls_peer_connect(&p->tls);
		peer_turn(&p->peer, 1);
	}
	assert_int_equal(counter(p, SIP_TLS_EVICTED), N - 8);	/* of one source: half of them */
	assert_true(is_cut(p, fds[0], 500));
	assert_true(is_cut(p, fds[N - 9], 500));
	assert_false(is_cut(p, fds[N - 1], 20));
	assert_true(honest_call_works(p));
	for (unsigned int i = 0; i < N; i++)
		close(fds[i]);
}

static void
one_source_cannot_take_every_connection(void **state)
{
	struct tls_peer *p = *state;
	int fds[6];
	SSL *other;

	p->peer.config.sip.connections_max = 8;
	p->peer.config.sip.connections_per_source_max = 4;
	tls_peer_open(p);
	for (unsigned int i = 0; i < 6; i++) {
		fds[i] = tls_peer_connect(&p->tls);
		peer_turn(&p->peer, 5);
	}
	assert_int_equal(counter(p, SIP_CONN_REFUSED), 2);
	assert_true(is_cut(p, fds[5], 500));
	other = tls_peer_dial(p, &p->tls6);	/* from ::1 */
	assert_non_null(other);
	tls_peer_hang_up(other);
	close(fds[0]);
	peer_turn(&p->peer, 20);
	assert_true(honest_call_works(p));	/* a place came back */
	for (unsigned int i = 1; i < 6; i++)
		close(fds[i]);
}

/* RFC 9325 §3.5: not in TLS 1.2, and there is none in 1.3. The connection goes on, or is closed; no second handshake. */
static void
renegotiation_is_refused(void **state)
{
	struct tls_peer *p = *state;
	bool closed = false;
	SSL *ssl;

	SSL_CTX_set_max_proto_version(p->context, TLS1_2_VERSION);
	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	assert_non_null(ssl);
	for (unsigned int i = 0; i < 50 && !closed; i++) {
		(void)SSL_renegotiate(ssl);
		(void)SSL_do_handshake(ssl);
		(void)tls_peer_receive(p, ssl, 5, &closed);
	}
	assert_int_equal(counter(p, SIP_TLS_DONE), 1);
	assert_int_equal(counter(p, SIP_TLS_RESUMED), 0);
	tls_peer_hang_up(ssl);
	assert_true(honest_call_works(p));
}

/* Turns of the loop between handshakes: a signature costs most of a millisecond with RSA, so two hundred at once are
 * work for a while. A datagram that comes with them is answered long before they are all done. */
static void
datagrams_are_answered_between_handshakes(void **state)
{
	struct tls_peer *p = *state;
	enum { N = 200 };
	int udp, fds[N];
	char hello[2048];
	size_t len;
	uint64_t begun;

	p->peer.config.tls.handshakes_max = 2 * N;
	EVP_PKEY_free(p->server.key);
	X509_free(p->server.x);
	p->server.key = EVP_RSA_gen(4096);
	p->server.x = X509_new();
	assert_int_equal(X509_set_version(p->server.x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(p->server.x), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(p->server.x), -60));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(p->server.x), TLS_PEER_DAY));
	assert_int_equal(X509_set_pubkey(p->server.x, p->server.key), 1);
	assert_true(X509_sign(p->server.x, p->server.key, EVP_sha256()) > 0);
	pair_write(&p->server, p->certificate, p->private_key);
	tls_peer_open(p);
	udp = peer_socket(&p->peer.udp, SOCK_DGRAM);
	len = hello_make(p, hello, sizeof(hello));
	for (unsigned int i = 0; i < N; i++)
		fds[i] = tls_peer_connect(&p->tls);
	peer_turn(&p->peer, 20);	/* all are accepted */
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(send(fds[i], hello, len, MSG_NOSIGNAL), len);
	begun = reactor_mono_ns();
	peer_request(&(struct peer_request){ .method = "OPTIONS", .fd = udp, .branch = "o", .call_id = "o", .cseq = 1 });
	while (recv(udp, p->received, sizeof(p->received), MSG_DONTWAIT) < 0)
		event_base_loop(reactor_base(p->peer.reactor), EVLOOP_ONCE);
	assert_true(reactor_mono_ns() - begun < 100 * 1000000ull);	/* of about a second */
	for (unsigned int i = 0; i < N; i++)
		close(fds[i]);
	close(udp);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, prepare, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(what_is_no_tls_is_cut_at_once),
		WITH(mutated_hellos_neither_crash_nor_stay),
		WITH(handshake_that_is_not_done_in_time_is_cut),
		WITH(oldest_handshake_makes_room),
		WITH(one_source_cannot_take_every_connection),
		WITH(renegotiation_is_refused),
		WITH(datagrams_are_answered_between_handshakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
