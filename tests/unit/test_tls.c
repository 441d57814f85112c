/* SIP over TLS through the whole stack: calls, versions and suites, who the peer is, resumption, reload, and connections
 * that we open. */
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

static void
assert_starts(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("wanted %s, got: %.300s", with, text);
}

static uint64_t
counter(struct tls_peer *p, enum sip_counter which)
{
	return sip_counter_read(p->peer.sip, which);
}

/* The final answer to an INVITE, past 100 Trying. */
static const char *
final_of(struct tls_peer *p, SSL *ssl)
{
	const char *text = tls_peer_receive(p, ssl, 1000, NULL);

	while (strncmp(text, "SIP/2.0 100", 11) == 0) {
		const char *next = strstr(text + 11, "SIP/2.0 ");

		text = next != NULL ? next : tls_peer_receive(p, ssl, 1000, NULL);
	}
	return text;
}

#define INVITE { .method = "INVITE", .branch = "i1", .cseq = 1, .lines = "Content-Type: application/sdp\r\n", .body = PEER_SDP }

static void
call_over_tls_and_bye_on_the_same_connection(void **state)
{
	struct tls_peer *p = *state;
	char tag[64];
	SSL *ssl;

	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	assert_non_null(ssl);
	assert_true(tls_peer_request(p, ssl, (struct peer_request)INVITE));
	assert_starts(final_of(p, ssl), "SIP/2.0 200");
	assert_non_null(strstr(p->received, ";transport=tls>;+sip.srs"));
	assert_non_null(strstr(p->received, "Via: SIP/2.0/TLS"));
	peer_to_tag(p->received, tag);
	assert_string_equal(p->peer.identity, "");
	assert_true(tls_peer_request(p, ssl, (struct peer_request){ .method = "ACK", .branch = "a1", .cseq = 1, .to_tag = tag }));
	peer_turn(&p->peer, 20);
	assert_int_equal(p->peer.n_confirmed, 1);
	dialog_end(p->peer.dialog, 0, "over");
	assert_starts(tls_peer_receive(p, ssl, 1000, NULL), "BYE sip:src@127.0.0.1");
	assert_non_null(strstr(p->received, "Via: SIP/2.0/TLS"));
	assert_int_equal(counter(p, SIP_TLS_DONE), 1);
	assert_int_equal(counter(p, SIP_CONNECTIONS), 1);
	tls_peer_hang_up(ssl);
}

/* RFC 3261 §12.1.1 */
static void
sips_is_answered_by_a_contact_with_sips(void **state)
{
	struct tls_peer *p = *state;
	struct peer_request invite = INVITE;
	SSL *ssl;

	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	invite.uri = "sips:srs@127.0.0.1";
	assert_true(tls_peer_request(p, ssl, invite));
	assert_starts(final_of(p, ssl), "SIP/2.0 200");
	assert_non_null(strstr(p->received, "Contact: <sips:srs@127.0.0.1:"));
	assert_null(strstr(p->received, "transport="));
	tls_peer_hang_up(ssl);
}

/* It does not read: what waits for it is bounded, and then it is cut. */
static void
peer_that_does_not_read_is_cut(void **state)
{
	struct tls_peer *p = *state;
	char text[512];
	bool alive = true;
	SSL *ssl;

	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	for (unsigned int i = 0; i < 200000 && alive && counter(p, SIP_REQUESTS) < 100000; i++) {
		int n, len = snprintf(text, sizeof(text), "OPTIONS sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK%u\r\n"
		                      "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: %u\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
		                      i, i);

		while ((n = SSL_write(ssl, text, len)) <= 0 && alive) {
			int error = SSL_get_error(ssl, n);

			alive = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
			ERR_clear_error();
			peer_turn(&p->peer, 1);
		}
	}
	assert_false(alive);
	assert_true(counter(p, SIP_REQUESTS) < 100000);
	SSL_free(ssl);
}

static void
only_aead_suites_of_tls_1_2_and_tls_1_3_are_spoken(void **state)
{
	struct tls_peer *p = *state;
	static const struct { int version; const char *suites; bool taken; } rows[] = {
		{ TLS1_3_VERSION, NULL, true },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", true },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", true },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", false },	/* CBC */
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", false },
		{ TLS1_2_VERSION, "AES128-GCM-SHA256", false },		/* no ephemeral key */
		{ TLS1_1_VERSION, "ALL:@SECLEVEL=0", false },
		{ TLS1_VERSION, "ALL:@SECLEVEL=0", false },
	};

	tls_peer_open(p);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SSL *ssl = tls_peer_ssl(p, tls_peer_connect(&p->tls));
		bool done;

		SSL_set_min_proto_version(ssl, rows[i].version);
		SSL_set_max_proto_version(ssl, rows[i].version);
		if (rows[i].suites != NULL)
			assert_int_equal(SSL_set_cipher_list(ssl, rows[i].suites), 1);
		done = tls_peer_handshake(p, ssl);
		if (done != rows[i].taken)
			fail_msg("version %x suites %s: %s", (unsigned int)rows[i].version, rows[i].suites, done ? "taken" : "refused");
		tls_peer_hang_up(ssl);
	}
}

/* RFC 5626 §4.4.1 on TLS. */
static void
crlf_ping_is_answered_over_tls(void **state)
{
	struct tls_peer *p = *state;
	SSL *ssl;

	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls6);	/* and IPv6, in passing */
	assert_non_null(ssl);
	assert_true(tls_peer_write(p, ssl, "\r\n\r\n", 4));
	assert_string_equal(tls_peer_receive(p, ssl, 1000, NULL), "\r\n");
	tls_peer_hang_up(ssl);
}

/* Bodies that are larger than records and than what libevent takes at once, in records of odd sizes. */
static void
large_messages_come_whole_over_tls(void **state)
{
	struct tls_peer *p = *state;
	enum { BODY = 200000 };
	char *text, head[1024];
	SSL *ssl;
	size_t len, at = 0, step = 1;

	p->peer.config.sip.body_bytes_max = 262144;
	p->peer.config.sip.message_bytes_max = 327680;
	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	text = malloc(BODY + 2048);
	if (text == NULL)
		abort();
	len = (size_t)snprintf(head, sizeof(head), "OPTIONS sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKbig\r\n"
	                       "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: big\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
	                       "Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n", BODY);
	memcpy(text, head, len);
	memset(text + len, 'x', BODY);
	len += BODY;
	while (at < len) {
		size_t n = step < len - at ? step : len - at;

		assert_true(tls_peer_write(p, ssl, text + at, n));
		at += n;
		step = step * 3 % 40009 + 1;
	}
	assert_starts(tls_peer_receive(p, ssl, 2000, NULL), "SIP/2.0 200");
	free(text);
	tls_peer_hang_up(ssl);
}

/* ---- who the peer is ---- */

static void
require(struct tls_peer *p, enum config_verify how)
{
	p->peer.config.tls.client_ca = p->client_ca;
	p->peer.config.tls.client_verify = how;
}

/* The handshake of TLS 1.3 is over for the client before the server has judged: it learns by an alert. */
static bool
is_let_in(struct tls_peer *p, const struct pair *show, const struct pair *behind)
{
	bool in = false;
	SSL *ssl;

	SSL_CTX_free(p->context);
	p->context = SSL_CTX_new(TLS_client_method());
	if (show != NULL)
		tls_peer_show(p, show);
	if (behind != NULL)
		assert_int_equal(SSL_CTX_add1_chain_cert(p->context, behind->x), 1);
	ssl = tls_peer_dial(p, &p->tls);
	if (ssl == NULL)
		return false;
	if (tls_peer_write(p, ssl, "\r\n\r\n", 4))
		in = strcmp(tls_peer_receive(p, ssl, 500, NULL), "\r\n") == 0;
	tls_peer_hang_up(ssl);
	return in;
}

static void
required_certificate_must_hold(void **state)
{
	struct tls_peer *p = *state;
	struct pair over, alien, code, future;

	over = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "x", .san = "DNS:a", .begins_s = -20 * TLS_PEER_DAY,
	                                      .ends_s = -TLS_PEER_DAY });
	future = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "x", .san = "DNS:a", .begins_s = TLS_PEER_DAY });
	alien = pair_make(&(struct pair_spec){ .issuer = &p->stranger, .cn = "x", .san = "DNS:a" });
	code = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "x", .san = "DNS:a", .usage = "codeSigning" });
	require(p, CONFIG_VERIFY_REQUIRE);
	tls_peer_open(p);
	assert_true(is_let_in(p, &p->client, NULL));
	assert_false(is_let_in(p, NULL, NULL));
	assert_false(is_let_in(p, &over, NULL));
	assert_false(is_let_in(p, &future, NULL));
	assert_false(is_let_in(p, &alien, NULL));
	assert_false(is_let_in(p, &code, NULL));
	assert_int_equal(counter(p, SIP_TLS_FAILED), 5);
	pair_free(&over);
	pair_free(&alien);
	pair_free(&code);
	pair_free(&future);
}

/* SIP has no fixed ends of TLS: public authorities sign servers, and those connect too. But a certificate signs nobody. */
static void
certificate_of_a_server_is_taken_and_signs_nobody(void **state)
{
	struct tls_peer *p = *state;
	struct pair server, middle, below, forged;

	server = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "x", .san = "DNS:a", .usage = "serverAuth" });
	middle = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "middle", .is_ca = true });
	below = pair_make(&(struct pair_spec){ .issuer = &middle, .cn = "x", .san = "DNS:a" });
	forged = pair_make(&(struct pair_spec){ .issuer = &p->client, .cn = "x", .san = "DNS:a" });
	require(p, CONFIG_VERIFY_REQUIRE);
	tls_peer_open(p);
	assert_true(is_let_in(p, &server, NULL));
	assert_true(is_let_in(p, &below, &middle));
	assert_false(is_let_in(p, &below, NULL));	/* the chain has a hole */
	assert_false(is_let_in(p, &forged, &p->client));
	pair_free(&server);
	pair_free(&middle);
	pair_free(&below);
	pair_free(&forged);
}

static void
requested_certificate_may_be_missing_but_not_wrong(void **state)
{
	struct tls_peer *p = *state;
	struct pair alien = pair_make(&(struct pair_spec){ .issuer = &p->stranger, .cn = "x", .san = "DNS:a" });

	require(p, CONFIG_VERIFY_REQUEST);
	tls_peer_open(p);
	assert_true(is_let_in(p, &p->client, NULL));
	assert_true(is_let_in(p, NULL, NULL));
	assert_false(is_let_in(p, &alien, NULL));
	pair_free(&alien);
}

static void
identity_of_the_certificate_finds_the_profile(void **state)
{
	struct tls_peer *p = *state;
	static char name[] = "the sbc", host[] = "SBC.example.com", other[] = "other.example.com";
	char *hosts[] = { host }, *others[] = { other };
	struct config_src srcs[] = {
		{ .name = other, .identities = others, .n_identities = 1 },	/* a DNS name beside a sip: URI does not count */
		{ .name = name, .identities = hosts, .n_identities = 1 },
	};
	SSL *ssl;

	require(p, CONFIG_VERIFY_REQUIRE);
	p->peer.config.srcs = srcs;
	p->peer.config.n_srcs = 2;
	p->peer.src.admit = CONFIG_ADMIT_REFUSE;	/* whoever matches no profile */
	tls_peer_show(p, &p->client);
	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	assert_true(tls_peer_request(p, ssl, (struct peer_request)INVITE));
	assert_starts(final_of(p, ssl), "SIP/2.0 200");
	assert_string_equal(p->peer.identity, "sbc.example.com");
	assert_string_equal(p->peer.src_found->name, "the sbc");
	assert_int_equal(counter(p, SIP_UNWELCOME), 0);
	tls_peer_hang_up(ssl);
}

/* RFC 7866 §12.1: an authenticated client is not yet an authorised one. */
static void
profile_that_refuses_answers_403_and_counts(void **state)
{
	struct tls_peer *p = *state;
	static char name[] = "barred", host[] = "sbc.example.com";
	char *hosts[] = { host };
	struct config_src src = { .name = name, .identities = hosts, .n_identities = 1, .admit = CONFIG_ADMIT_REFUSE };
	SSL *ssl;

	require(p, CONFIG_VERIFY_REQUIRE);
	p->peer.config.srcs = &src;
	p->peer.config.n_srcs = 1;
	tls_peer_show(p, &p->client);
	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	assert_true(tls_peer_request(p, ssl, (struct peer_request)INVITE));
	assert_starts(final_of(p, ssl), "SIP/2.0 403");
	assert_non_null(strstr(p->received, "Warning: 399 test-node \"profile barred refuses the name of this certificate"));
	assert_true(tls_peer_request(p, ssl, (struct peer_request){ .method = "OPTIONS", .branch = "o1", .cseq = 1, .call_id = "o" }));
	(void)tls_peer_receive(p, ssl, 1000, NULL);
	assert_non_null(strstr(p->received, "SIP/2.0 403"));
	assert_int_equal(counter(p, SIP_UNWELCOME), 2);
	assert_int_equal(p->peer.n_invites, 0);
	tls_peer_hang_up(ssl);
}

/* A dialog is its client's: tags that somebody read elsewhere open nothing without the certificate that began it. */
static void
dialog_of_a_certificate_is_closed_to_all_others(void **state)
{
	struct tls_peer *p = *state;
	static const char *const methods[] = { "BYE", "INVITE", "UPDATE", "INFO", "OPTIONS" };
	struct pair other = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "sbc.example.com", .san = "DNS:*.example.com,DNS:sbc.example" });
	SSL *strangers[2], *ssl;
	struct peer_request ack;
	char tag[64];
	int udp;

	require(p, CONFIG_VERIFY_REQUEST);
	tls_peer_open(p);
	strangers[0] = tls_peer_dial(p, &p->tls);	/* shows none */
	tls_peer_show(p, &other);
	strangers[1] = tls_peer_dial(p, &p->tls);
	tls_peer_show(p, &p->client);
	ssl = tls_peer_dial(p, &p->tls);
	udp = peer_socket(&p->peer.udp, SOCK_DGRAM);
	assert_true(tls_peer_request(p, ssl, (struct peer_request)INVITE));
	assert_starts(final_of(p, ssl), "SIP/2.0 200");
	peer_to_tag(p->received, tag);
	ack = (struct peer_request){ .method = "ACK", .branch = "a1", .cseq = 1, .to_tag = tag };
	assert_true(tls_peer_request(p, strangers[0], ack));
	peer_turn(&p->peer, 20);
	assert_int_equal(p->peer.n_confirmed, 0);
	assert_true(tls_peer_request(p, ssl, ack));
	peer_turn(&p->peer, 20);
	assert_int_equal(p->peer.n_confirmed, 1);
	for (unsigned int i = 0; i < 3 * sizeof(methods) / sizeof(methods[0]); i++) {
		struct peer_request r = { .method = methods[i / 3], .cseq = 900 + i, .to_tag = tag,
			.lines = "Content-Type: application/sdp\r\n", .body = PEER_SDP, .fd = udp };
		const char *text;
		char branch[8];

		snprintf(branch, sizeof(branch), "s%u", i);
		r.branch = branch;
		if (i % 3 == 2) {
			peer_request(&r);
			text = peer_final(&p->peer, udp);
		} else {
			assert_true(tls_peer_request(p, strangers[i % 3], r));
			text = final_of(p, strangers[i % 3]);
		}
		assert_starts(text, "SIP/2.0 403");
		assert_non_null(strstr(text, "Warning: 399 test-node \"the dialog began with another certificate"));
		r.method = "ACK";
		if (i / 3 == 1 && i % 3 == 2)
			peer_request(&r);
		else if (i / 3 == 1)
			assert_true(tls_peer_request(p, strangers[i % 3], r));
	}
	assert_int_equal(p->peer.n_ended + p->peer.n_reinvites + p->peer.n_bodies, 0);
	tls_peer_hang_up(ssl);
	ssl = tls_peer_dial(p, &p->tls);	/* another connection will do, and their CSeq did not count */
	assert_true(tls_peer_request(p, ssl, (struct peer_request){ .method = "BYE", .branch = "b1", .cseq = 2, .to_tag = tag }));
	assert_starts(final_of(p, ssl), "SIP/2.0 200");
	assert_int_equal(p->peer.n_ended, 1);
	tls_peer_hang_up(ssl);
	tls_peer_hang_up(strangers[0]);
	tls_peer_hang_up(strangers[1]);
	close(udp);
	pair_free(&other);
}

static void
call_of_a_certificate_is_cancelled_by_no_other(void **state)
{
	struct tls_peer *p = *state;
	struct peer_request cancel = { .method = "CANCEL", .branch = "i1", .cseq = 1 };
	char text[4096];
	SSL *stranger, *ssl;

	require(p, CONFIG_VERIFY_REQUEST);
	p->peer.answer = PEER_LATER;
	tls_peer_open(p);
	stranger = tls_peer_dial(p, &p->tls);
	tls_peer_show(p, &p->client);
	ssl = tls_peer_dial(p, &p->tls);
	assert_true(tls_peer_request(p, ssl, (struct peer_request)INVITE));
	assert_starts(tls_peer_receive(p, ssl, 1000, NULL), "SIP/2.0 100");
	cancel.fd = SSL_get_fd(ssl);	/* the Via of the INVITE */
	tls_peer_text(&cancel, text, sizeof(text));
	assert_true(tls_peer_write(p, stranger, text, strlen(text)));
	assert_starts(tls_peer_receive(p, stranger, 1000, NULL), "SIP/2.0 403");
	assert_int_equal(p->peer.n_ended, 0);
	dialog_accept(p->peer.dialog, PEER_SDP);
	assert_starts(final_of(p, ssl), "SIP/2.0 200");
	tls_peer_hang_up(ssl);
	tls_peer_hang_up(stranger);
}

/* ---- resumption ---- */

static SSL_SESSION *ticket;

static int
ticket_keep(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	SSL_SESSION_free(ticket);
	ticket = s;
	return 1;
}

static SSL *
dial_again(struct tls_peer *p)
{
	SSL *ssl = tls_peer_ssl(p, tls_peer_connect(&p->tls));

	assert_int_equal(SSL_set_session(ssl, ticket), 1);
	assert_true(tls_peer_handshake(p, ssl));
	return ssl;
}

static void
ticket_saves_the_handshake_and_keeps_the_identity(void **state)
{
	struct tls_peer *p = *state;
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	require(p, CONFIG_VERIFY_REQUIRE);
	tls_peer_show(p, &p->client);
	SSL_CTX_set_session_cache_mode(p->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p->context, ticket_keep);
	tls_peer_open(p);
	for (unsigned int i = 0; i < 2; i++) {
		struct peer_request invite = { .method = "INVITE", .branch = i == 0 ? "t1" : "t2", .cseq = 1,
			.call_id = i == 0 ? "t1" : "t2", .lines = "Content-Type: application/sdp\r\n", .body = PEER_SDP };
		SSL *ssl;

		SSL_CTX_set_max_proto_version(p->context, versions[i]);
		SSL_CTX_set_min_proto_version(p->context, versions[i]);
		ssl = tls_peer_dial(p, &p->tls);
		assert_true(tls_peer_write(p, ssl, "\r\n\r\n", 4));
		assert_string_equal(tls_peer_receive(p, ssl, 1000, NULL), "\r\n");
		assert_non_null(ticket);
		tls_peer_hang_up(ssl);

		ssl = dial_again(p);
		assert_true(SSL_session_reused(ssl));
		assert_true(tls_peer_request(p, ssl, invite));
		assert_starts(final_of(p, ssl), "SIP/2.0 200");
		assert_string_equal(p->peer.identity, "sbc.example.com");
		assert_int_equal(counter(p, SIP_TLS_RESUMED), i + 1);
		tls_peer_hang_up(ssl);
	}
	/* who gave it may not be trusted any more after a reload */
	sip_reload(p->peer.sip);
	tls_peer_hang_up(dial_again(p));
	assert_int_equal(counter(p, SIP_TLS_RESUMED), 2);
	SSL_SESSION_free(ticket);
	ticket = NULL;
}

/* ---- reload ---- */

static long
serial_shown(struct tls_peer *p)
{
	SSL *ssl = tls_peer_dial(p, &p->tls);
	long serial;

	assert_non_null(ssl);
	serial = ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(ssl)));
	tls_peer_hang_up(ssl);
	return serial;
}

static void
reload_serves_the_new_certificate_and_drops_no_connection(void **state)
{
	struct tls_peer *p = *state;
	struct pair next = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "recorder", .san = "DNS:srs.example.com" });
	long first, second;
	SSL *ssl;
	FILE *f;

	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	assert_true(tls_peer_write(p, ssl, "\r\n\r\n", 4));
	assert_string_equal(tls_peer_receive(p, ssl, 1000, NULL), "\r\n");
	first = serial_shown(p);
	pair_write(&next, p->certificate, p->private_key);
	assert_int_equal(serial_shown(p), first);	/* until it is asked for */
	sip_reload(p->peer.sip);
	second = serial_shown(p);
	assert_int_not_equal(second, first);

	f = fopen(p->certificate, "we");		/* half a file: a tool that writes in place */
	fputs("-----BEGIN CERTIFICATE-----\nMIIB", f);
	fclose(f);
	sip_reload(p->peer.sip);
	assert_int_equal(serial_shown(p), second);
	pair_write(&p->server, p->certificate, NULL);	/* and a key of another */
	sip_reload(p->peer.sip);
	assert_int_equal(serial_shown(p), second);

	assert_true(tls_peer_write(p, ssl, "\r\n\r\n", 4));
	assert_string_equal(tls_peer_receive(p, ssl, 1000, NULL), "\r\n");
	tls_peer_hang_up(ssl);
	pair_free(&next);
}

/* ---- connections that we open ---- */

/* A TLS server of the test's own, where the SRC's Contact points. */
struct answering {
	int fd;
	SSL_CTX *context;
	uint16_t port;
};

static struct answering
answering_make(const struct pair *own)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct answering a = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
		               .context = SSL_CTX_new(TLS_server_method()) };

	if (bind(a.fd, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(a.fd, 4) != 0)
		abort();
	a.port = peer_port(a.fd);
	SSL_CTX_use_certificate(a.context, own->x);
	SSL_CTX_use_PrivateKey(a.context, own->key);
	SSL_CTX_set_verify(a.context, SSL_VERIFY_PEER, NULL);
	return a;
}

/* The connection that the stack opens; NULL: none, or the handshake came to nothing. */
static SSL *
answering_accept(struct tls_peer *p, struct answering *a, X509_STORE *trust)
{
	int fd = -1;
	SSL *ssl;

	SSL_CTX_set1_cert_store(a->context, trust);
	for (int i = 0; i < 1000 && fd < 0; i++) {
		fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		peer_turn(&p->peer, 1);
	}
	if (fd < 0)
		return NULL;
	ssl = SSL_new(a->context);
	SSL_set_fd(ssl, fd);
	SSL_set_accept_state(ssl);
	if (tls_peer_handshake(p, ssl))
		return ssl;
	close(fd);
	SSL_free(ssl);
	return NULL;
}

/* A call with its Contact at `a`. */
static void
call_with_contact(struct tls_peer *p, SSL *ssl, const char *contact, const struct answering *a, unsigned int n)
{
	char tag[64], text[4096], call[16];

	assert_non_null(ssl);
	snprintf(call, sizeof(call), "lost-%u", n);
	snprintf(text, sizeof(text), "INVITE sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK%s\r\n"
	         "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
	         "Contact: <%s127.0.0.1:%u%s>\r\nContent-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
	         call, call, contact, a->port, strncmp(contact, "sips:", 5) == 0 ? "" : ";transport=tls", strlen(PEER_SDP), PEER_SDP);
	assert_true(tls_peer_write(p, ssl, text, strlen(text)));
	assert_starts(final_of(p, ssl), "SIP/2.0 200");
	peer_to_tag(p->received, tag);
	snprintf(text, sizeof(text), "ACK sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKa%s\r\n"
	         "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=%s\r\nCall-ID: %s\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\n"
	         "Content-Length: 0\r\n\r\n", call, tag, call);
	assert_true(tls_peer_write(p, ssl, text, strlen(text)));
	peer_turn(&p->peer, 20);
	assert_non_null(p->peer.dialog);
}

/* A call whose connection is gone; then we end it. @return the BYE, "" when it does not come */
static const char *
bye_of_a_lost_connection(struct tls_peer *p, const char *contact, struct answering *a, unsigned int n)
{
	X509_STORE *trust = X509_STORE_new();
	const char *bye = "";
	SSL *ssl = tls_peer_dial(p, &p->tls), *back;

	X509_STORE_add_cert(trust, p->authority.x);
	call_with_contact(p, ssl, contact, a, n);
	tls_peer_hang_up(ssl);
	peer_turn(&p->peer, 20);
	dialog_end(p->peer.dialog, 0, "over");
	back = answering_accept(p, a, trust);
	if (back != NULL) {
		bye = tls_peer_receive(p, back, 500, NULL);
		tls_peer_hang_up(back);
	}
	X509_STORE_free(trust);
	return bye;
}

static void
bye_opens_a_tls_connection_when_the_old_one_is_gone(void **state)
{
	struct tls_peer *p = *state;
	struct answering a = answering_make(&p->client);

	tls_peer_open(p);	/* no client_ca: whoever answers there */
	assert_starts(bye_of_a_lost_connection(p, "sip:src@", &a, 1), "BYE sip:src@127.0.0.1");
	assert_starts(bye_of_a_lost_connection(p, "sips:src@", &a, 2), "BYE sips:src@127.0.0.1");
	close(a.fd);
	SSL_CTX_free(a.context);
}

/* The SBC began anew: it has another connection, and a call that it does not know any more. One connection of ours is
 * enough for them. */
static void
requests_to_one_peer_share_the_connection_that_we_open(void **state)
{
	struct tls_peer *p = *state;
	struct answering a = answering_make(&p->client);
	X509_STORE *trust = X509_STORE_new();
	struct dialog *dialogs[3];
	unsigned int n_byes = 0;
	SSL *ssl, *back;

	X509_STORE_add_cert(trust, p->authority.x);
	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	for (unsigned int i = 0; i < 3; i++) {
		call_with_contact(p, ssl, "sip:src@", &a, i);
		dialogs[i] = p->peer.dialog;
	}
	tls_peer_hang_up(ssl);
	peer_turn(&p->peer, 20);
	for (unsigned int i = 0; i < 3; i++)
		dialog_end(dialogs[i], 0, "over");
	back = answering_accept(p, &a, trust);
	assert_non_null(back);
	for (unsigned int tries = 0; tries < 50 && n_byes < 3; tries++)
		for (const char *at = tls_peer_receive(p, back, 20, NULL); (at = strstr(at, "BYE sip:")) != NULL; at++)
			n_byes++;
	assert_true(n_byes >= 3);
	assert_int_equal(accept4(a.fd, NULL, NULL, SOCK_NONBLOCK), -1);
	assert_int_equal(counter(p, SIP_TLS_DONE), 2);
	tls_peer_hang_up(back);
	X509_STORE_free(trust);
	close(a.fd);
	SSL_CTX_free(a.context);
}

/* RFC 5922 §4: the peer that the dialog is with must prove its name again. */
static void
connection_that_we_open_is_dropped_when_somebody_else_answers(void **state)
{
	struct tls_peer *p = *state;
	struct pair alien = pair_make(&(struct pair_spec){ .issuer = &p->stranger, .cn = "x", .san = "URI:sip:sbc.example.com" });
	struct pair namesake = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "sbc.example.com",
	                                                     .san = "DNS:*.example.com,DNS:evil.example" });
	struct answering same = answering_make(&p->client), foreign = answering_make(&alien), wrong = answering_make(&namesake);

	require(p, CONFIG_VERIFY_REQUIRE);
	tls_peer_show(p, &p->client);
	tls_peer_open(p);
	assert_starts(bye_of_a_lost_connection(p, "sip:src@", &same, 1), "BYE sip:src@127.0.0.1");
	assert_string_equal(bye_of_a_lost_connection(p, "sip:src@", &foreign, 2), "");
	assert_string_equal(bye_of_a_lost_connection(p, "sip:src@", &wrong, 3), "");
	close(same.fd);
	close(foreign.fd);
	close(wrong.fd);
	SSL_CTX_free(same.context);
	SSL_CTX_free(foreign.context);
	SSL_CTX_free(wrong.context);
	pair_free(&alien);
	pair_free(&namesake);
}

/* RFC 4568 §8: our offers hold keys, so what came protected goes back protected, whatever a hop asks for. */
static void
dialog_over_tls_never_goes_on_in_clear(void **state)
{
	struct tls_peer *p = *state;
	static const char *const transports[] = { ";transport=udp", ";transport=tcp" };
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	SSL *ssl;

	assert_int_equal(bind(udp, (struct sockaddr *)&any, sizeof(any)), 0);
	any.sin_port = htons(peer_port(udp));
	assert_int_equal(bind(tcp, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(tcp, 4), 0);
	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	for (unsigned int i = 0; i < 2; i++) {
		struct peer_request invite = INVITE;
		char lines[256], call[8], tag[64], branch[8];
		char byte;

		snprintf(call, sizeof(call), "c%u", i);
		snprintf(branch, sizeof(branch), "c%u", i);
		snprintf(lines, sizeof(lines), "Record-Route: <sip:127.0.0.1:%u%s;lr>\r\nContent-Type: application/sdp\r\n", peer_port(udp),
		         transports[i]);
		invite.call_id = call;
		invite.branch = branch;
		invite.lines = lines;
		assert_true(tls_peer_request(p, ssl, invite));
		assert_starts(final_of(p, ssl), "SIP/2.0 200");
		peer_to_tag(p->received, tag);
		assert_true(tls_peer_request(p, ssl, (struct peer_request){ .method = "ACK", .branch = "a", .cseq = 1, .to_tag = tag, .call_id = call }));
		peer_turn(&p->peer, 20);
		assert_int_equal(dialog_send(p->peer.dialog, &(struct dialog_message){ .sdp = PEER_SDP }), SRS_OK);
		assert_starts(tls_peer_receive(p, ssl, 1000, NULL), "INVITE sip:src@127.0.0.1");
		assert_int_equal(recv(udp, &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(accept4(tcp, NULL, NULL, SOCK_NONBLOCK), -1);
	}
	tls_peer_hang_up(ssl);
	close(udp);
	close(tcp);
}

/* Nobody listens where the Contact leads: no fault of TLS, and no handshake that failed. */
static void
connection_that_nobody_takes_is_no_failed_handshake(void **state)
{
	struct tls_peer *p = *state;
	struct answering gone = answering_make(&p->client);
	SSL *ssl;

	close(gone.fd);
	tls_peer_open(p);
	ssl = tls_peer_dial(p, &p->tls);
	call_with_contact(p, ssl, "sip:src@", &gone, 1);
	tls_peer_hang_up(ssl);
	peer_turn(&p->peer, 20);
	dialog_end(p->peer.dialog, 0, "over");
	peer_turn(&p->peer, 50);
	assert_int_equal(p->peer.n_ended, 1);
	assert_int_equal(counter(p, SIP_TLS_FAILED), 0);
	SSL_CTX_free(gone.context);
}

static void
start_without_a_certificate_says_what_to_do(void **state)
{
	struct tls_peer *p = *state;
	static const struct dialog_handlers handlers = { .on_door = peer_on_door };
	struct reactor *r;
	struct sip *s = NULL;
	char why[512] = "";

	unlink(p->certificate);
	assert_int_equal(reactor_create(&r), SRS_OK);
	assert_int_equal(sip_create(&s, r, &p->peer.config, &handlers, p, why, sizeof(why)), SRS_ERR_IO);
	assert_non_null(strstr(why, p->certificate));
	assert_non_null(strstr(why, "ENABLE_TLS=false"));
	reactor_destroy(r);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, prepare, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(call_over_tls_and_bye_on_the_same_connection),
		WITH(only_aead_suites_of_tls_1_2_and_tls_1_3_are_spoken),
		WITH(crlf_ping_is_answered_over_tls),
		WITH(sips_is_answered_by_a_contact_with_sips),
		WITH(peer_that_does_not_read_is_cut),
		WITH(large_messages_come_whole_over_tls),
		WITH(required_certificate_must_hold),
		WITH(certificate_of_a_server_is_taken_and_signs_nobody),
		WITH(requested_certificate_may_be_missing_but_not_wrong),
		WITH(identity_of_the_certificate_finds_the_profile),
		WITH(profile_that_refuses_answers_403_and_counts),
		WITH(dialog_of_a_certificate_is_closed_to_all_others),
		WITH(call_of_a_certificate_is_cancelled_by_no_other),
		WITH(ticket_saves_the_handshake_and_keeps_the_identity),
		WITH(reload_serves_the_new_certificate_and_drops_no_connection),
		WITH(bye_opens_a_tls_connection_when_the_old_one_is_gone),
		WITH(requests_to_one_peer_share_the_connection_that_we_open),
		WITH(connection_that_we_open_is_dropped_when_somebody_else_answers),
		WITH(dialog_over_tls_never_goes_on_in_clear),
		WITH(connection_that_nobody_takes_is_no_failed_handshake),
		WITH(start_without_a_certificate_says_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
