#include "controlplane/dtls/dtls_association.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "controlplane/dtls/dtls_profile.h"
#include "controlplane/dtls/dtls_record.h"
#include "crypto/secret.h"
#include "lib/srs_assert.h"

/* after srtp_suite.h, see dtls_identity.c */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#define TIMER_FIRST_US  400000u		/* speech is lost meanwhile: less than the second of RFC 6347 §4.2.4.1 */
#define TIMER_MAX_US    4000000u
#define RETRY_MS        1000		/* a client whose handshake was cut off begins again */
#define NS_PER_MS       UINT64_C(1000000)
#define NS_PER_US       UINT64_C(1000)
#define COOKIE_SIZE     32
#define COOKIE_KEY_SIZE 32
#define EXPORT_LABEL    "EXTRACTOR-dtls_srtp"
#define EXPORT_MAX      (2 * (SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX))
#define MASTER_SIZE     48		/* TLS 1.2 master secret */

/* A handshake with one source, and later what is left of it: the association. */
struct attempt {
	struct attempt *next;		/* pending */
	struct attempt *older, *newer;	/* live, in the order of completion */
	struct dtls_association *of;
	SSL *ssl;
	struct media_address from;
	struct span in;			/* the datagram that OpenSSL has not taken yet */
	uint8_t random[DTLS_RANDOM_SIZE];
	bool awaited;			/* the signalled peer's, with an association that waits */
	bool verified, mismatched;	/* the certificate */
	const char *alert;		/* the peer's last one, static text */
	char shown[DTLS_FINGERPRINT_TEXT_MAX];	/* of a certificate that is not the awaited one */
	uint64_t deadline_mono_ns;
};

struct dtls_floor {
	SSL_CTX *context;
	BIO_METHOD *wire;
	struct attempt *spare;		/* reads ClientHellos that have no cookie yet */
	uint8_t cookie_key[COOKIE_KEY_SIZE];
	uint64_t serial;		/* of the last association */
	unsigned int others_max;
	unsigned int n_awaited, n_others;	/* handshakes under way */
	struct attempt *oldest, *newest;	/* live */
	unsigned int n_live, live_max;
	_Atomic uint64_t counters[DTLS_N_COUNTERS];
};

struct dtls_association {
	struct dtls_floor *floor;
	struct dtls_spec spec;
	dtls_on_event *on_event;
	void *ctx;
	uint64_t serial;
	struct attempt *pending;	/* newest first */
	unsigned int n_pending;
	struct attempt *live;
	bool waiting;			/* for the first keys */
	bool keyed;
	unsigned int reported;		/* bit for each enum dtls_reason */
	uint64_t give_up_mono_ns;
	uint64_t retry_mono_ns;		/* ACTIVE; 0: no */
};

const char *
dtls_reason_name(enum dtls_reason reason)
{
	static const char *const names[DTLS_REASONS] = {
		"fingerprint", "profile", "alert", "protocol", "timeout", "memory",
	};

	return names[reason];
}

void
dtls_floor_count(struct dtls_floor *f, enum dtls_counter which)
{
	/* one writer: no read-modify-write needed */
	uint64_t n = atomic_load_explicit(&f->counters[which], memory_order_relaxed);

	atomic_store_explicit(&f->counters[which], n + 1, memory_order_relaxed);
}

uint64_t
dtls_floor_counter(const struct dtls_floor *f, enum dtls_counter which)
{
	return atomic_load_explicit(&f->counters[which], memory_order_relaxed);
}

unsigned int
dtls_floor_handshakes(const struct dtls_floor *f)
{
	return f->n_awaited + f->n_others;
}

/* ---- the wire: one datagram in, datagrams out ---- */

static int
wire_read(BIO *b, char *out, int len)
{
	struct attempt *at = BIO_get_data(b);
	size_t n = at->in.len;

	BIO_clear_retry_flags(b);
	if (n == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	if (n > (size_t)len)
		n = (size_t)len;	/* the rest of a datagram is lost, as with a socket */
	memcpy(out, at->in.bytes, n);
	at->in = (struct span){ 0 };
	return (int)n;
}

static int
wire_write(BIO *b, const char *bytes, int len)
{
	struct attempt *at = BIO_get_data(b);
	struct dtls_association *a = at->of;
	const struct dtls_event e = {
		.kind = DTLS_EVENT_SEND,
		.peer = at->from,
		.u.datagram = span_of(bytes, (size_t)len),
	};

	BIO_clear_retry_flags(b);
	a->on_event(a->ctx, &e);
	return len;
}

static long
wire_ctrl(BIO *b, int what, long n, void *p)
{
	return what == BIO_CTRL_FLUSH;	/* nothing is buffered here, and no MTU is known */
}

/* ---- what OpenSSL asks ---- */

/* The only judgement on a certificate: its fingerprint. Chain, names and dates prove nothing here (RFC 5763 §5). */
static int
on_certificate(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct attempt *at = SSL_get_app_data(ssl);
	const struct dtls_spec *spec = &at->of->spec;

	at->verified = dtls_fingerprint_matches(spec->prints, spec->n_prints, X509_STORE_CTX_get0_cert(store));
	at->mismatched = !at->verified;
	if (at->mismatched && !dtls_fingerprint_text(X509_STORE_CTX_get0_cert(store), at->shown))
		at->shown[0] = '\0';
	X509_STORE_CTX_set_error(store, at->verified ? X509_V_OK : X509_V_ERR_CERT_REJECTED);	/* bad_certificate */
	return at->verified;
}

static void
on_info(const SSL *ssl, int where, int value)
{
	struct attempt *at = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		at->alert = SSL_alert_desc_string_long(value);
}

/* A cookie is good for one association and one source. */
static bool
cookie_compute(const struct attempt *at, uint8_t cookie[COOKIE_SIZE])
{
	const struct dtls_floor *f = at->of->floor;
	uint8_t message[8 + 1 + sizeof(at->from.ip) + 2];
	struct filler w = filler_of(message, sizeof(message));
	unsigned int len = COOKIE_SIZE;

	write_u64be(&w, at->of->serial);
	write_u8(&w, at->from.ip_version);
	write_bytes(&w, at->from.ip, sizeof(at->from.ip));
	write_u16be(&w, at->from.udp_port);
	return HMAC(EVP_sha256(), f->cookie_key, sizeof(f->cookie_key), message, filler_used(&w), cookie, &len) != NULL;
}

static int
on_cookie_make(SSL *ssl, unsigned char *cookie, unsigned int *len)
{
	const struct attempt *at = SSL_get_app_data(ssl);

	if (!cookie_compute(at, cookie))
		return 0;
	*len = COOKIE_SIZE;
	dtls_floor_count(at->of->floor, DTLS_VERIFIES);
	return 1;
}

static int
on_cookie_check(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
	uint8_t ours[COOKIE_SIZE];

	return len == COOKIE_SIZE && cookie_compute(SSL_get_app_data(ssl), ours) && secret_equal(ours, cookie, len);
}

static unsigned int
on_timer(SSL *ssl, unsigned int before_us)
{
	if (before_us == 0)
		return TIMER_FIRST_US;
	return before_us * 2 < TIMER_MAX_US ? before_us * 2 : TIMER_MAX_US;
}

/* ---- handshakes ---- */

static void
attempt_free(struct attempt *at)
{
	if (at == NULL)
		return;
	SSL_free(at->ssl);	/* and its BIO; OpenSSL wipes its own keys */
	free(at);
}

static struct attempt *
attempt_new(struct dtls_floor *f)
{
	struct attempt *at = calloc(1, sizeof(*at));
	BIO *wire = BIO_new(f->wire);

	if (at != NULL)
		at->ssl = SSL_new(f->context);
	if (at == NULL || wire == NULL || at->ssl == NULL) {
		BIO_free(wire);
		attempt_free(at);
		ERR_clear_error();
		return NULL;
	}
	BIO_set_data(wire, at);
	BIO_set_init(wire, 1);
	SSL_set_bio(at->ssl, wire, wire);
	SSL_set_app_data(at->ssl, at);
	SSL_set_mtu(at->ssl, DTLS_DATAGRAM_MAX);
	DTLS_set_timer_cb(at->ssl, on_timer);
	return at;
}

static bool
address_equal(const struct media_address *a, const struct media_address *b)
{
	return a->ip_version == b->ip_version && a->udp_port == b->udp_port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static struct attempt *
pending_from(const struct dtls_association *a, const struct media_address *from)
{
	struct attempt *at = a->pending;

	while (at != NULL && !address_equal(&at->from, from))
		at = at->next;
	return at;
}

static void
attempt_link(struct attempt *at, uint64_t now_mono_ns)
{
	struct dtls_association *a = at->of;

	at->awaited = a->waiting && address_equal(&at->from, &a->spec.peer);
	at->deadline_mono_ns = now_mono_ns + DTLS_HANDSHAKE_MS_MAX * NS_PER_MS;
	at->next = a->pending;
	a->pending = at;
	a->n_pending++;
	if (at->awaited)
		a->floor->n_awaited++;
	else
		a->floor->n_others++;
	dtls_floor_count(a->floor, DTLS_STARTED);
}

static void
attempt_unlink(struct attempt *at)
{
	struct dtls_association *a = at->of;
	struct attempt **p = &a->pending;

	while (*p != at)
		p = &(*p)->next;
	*p = at->next;
	at->next = NULL;
	a->n_pending--;
	if (at->awaited)
		a->floor->n_awaited--;
	else
		a->floor->n_others--;
}

static void
report_failed(struct dtls_association *a, const struct media_address *peer, enum dtls_reason reason,
              const char *detail, bool final)
{
	const struct dtls_event e = {
		.kind = DTLS_EVENT_FAILED,
		.peer = *peer,
		.u.failed = { .reason = reason, .detail = detail, .live = a->keyed, .final = final },
	};

	if ((a->reported & 1u << reason) != 0 && !final)
		return;
	a->reported |= 1u << reason;
	a->on_event(a->ctx, &e);
}

/* It ends without a word. */
static void
attempt_drop(struct attempt *at)
{
	dtls_floor_count(at->of->floor, DTLS_FAILED);
	attempt_unlink(at);
	attempt_free(at);
}

static void
attempt_fail(struct attempt *at, enum dtls_reason reason, const char *detail)
{
	struct dtls_association *a = at->of;

	if (reason == DTLS_FAILED_FINGERPRINT)
		dtls_floor_count(a->floor, DTLS_MISMATCHED);
	report_failed(a, &at->from, reason, detail, false);
	attempt_drop(at);
}

static const char *
error_text(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return text != NULL ? text : "unknown";
}

/* OpenSSL has ended it: why? */
static void
attempt_broken(struct attempt *at, uint64_t now_mono_ns)
{
	struct dtls_association *a = at->of;
	bool no_certificate = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
	const char *text = error_text();

	if (a->spec.role == DTLS_ACTIVE && a->waiting && !at->mismatched)
		a->retry_mono_ns = now_mono_ns + RETRY_MS * NS_PER_MS;
	if (at->mismatched || no_certificate)
		attempt_fail(at, DTLS_FAILED_FINGERPRINT, at->shown[0] != '\0' ? at->shown : text);
	else if (at->alert != NULL)
		attempt_fail(at, DTLS_FAILED_ALERT, at->alert);
	else
		attempt_fail(at, DTLS_FAILED_PROTOCOL, text);
}

/* RFC 5764 §4.2: client key, server key, client salt, server salt. */
static bool
keys_export(const struct attempt *at, enum srtp_suite suite, struct stream_keys *keys)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(suite);
	size_t key_len = shape->key_len, salt_len = shape->salt_len;
	struct srtp_master *client = &keys->theirs[0], *server = &keys->ours;
	uint8_t material[EXPORT_MAX];
	bool ok = SSL_export_keying_material(at->ssl, material, 2 * (key_len + salt_len), EXPORT_LABEL,
	                                     strlen(EXPORT_LABEL), NULL, 0, 0) == 1;

	memset(keys, 0, sizeof(*keys));
	keys->n_theirs = 1;
	if (at->of->spec.role == DTLS_ACTIVE) {
		client = &keys->ours;
		server = &keys->theirs[0];
	}
	if (ok) {
		client->suite = server->suite = (uint8_t)suite;
		memcpy(client->key, material, key_len);
		memcpy(server->key, material + key_len, key_len);
		memcpy(client->salt, material + 2 * key_len, salt_len);
		memcpy(server->salt, material + 2 * key_len + salt_len, salt_len);
	}
	secret_wipe(material, sizeof(material));
	return ok;
}

/* Whoever reads this memory later finds no secret that the SRTP keys can be made from again. */
static void
attempt_forget_master(struct attempt *at)
{
	static const uint8_t nothing[MASTER_SIZE];
	SSL_SESSION *session = SSL_get_session(at->ssl);

	if (session != NULL)
		(void)SSL_SESSION_set1_master_key(session, nothing, sizeof(nothing));
}

static void
live_drop(struct dtls_association *a)
{
	struct dtls_floor *f = a->floor;
	struct attempt *at = a->live;

	if (at == NULL)
		return;
	*(at->older != NULL ? &at->older->newer : &f->oldest) = at->newer;
	*(at->newer != NULL ? &at->newer->older : &f->newest) = at->older;
	f->n_live--;
	a->live = NULL;
	attempt_free(at);
}

/* The oldest one makes room: its last flight has long arrived, its keys go on, only its end is not heard. */
static void
live_add(struct dtls_association *a, struct attempt *at)
{
	struct dtls_floor *f = a->floor;

	if (f->n_live == f->live_max)
		live_drop(f->oldest->of);
	at->older = f->newest;
	at->newer = NULL;
	*(at->older != NULL ? &at->older->newer : &f->oldest) = at;
	f->newest = at;
	f->n_live++;
	a->live = at;
}

static void
association_adopt(struct dtls_association *a, struct attempt *at)
{
	attempt_unlink(at);
	live_drop(a);
	live_add(a, at);
	a->waiting = false;
	a->keyed = true;
	a->retry_mono_ns = 0;
	(void)SSL_free_buffers(at->ssl);	/* 33 KiB of 74: OpenSSL makes them again when it reads */
}

static void
attempt_complete(struct attempt *at)
{
	const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(at->ssl);
	enum srtp_suite suite = profile != NULL ? dtls_profile_suite((uint16_t)profile->id) : SRTP_SUITE_NONE;
	struct dtls_association *a = at->of;
	struct stream_keys keys;
	const struct dtls_event e = { .kind = DTLS_EVENT_KEYS, .peer = at->from, .u.keys = &keys };

	if (!at->verified) {	/* OpenSSL would have to skip the certificate */
		attempt_fail(at, DTLS_FAILED_FINGERPRINT, "no certificate");
		return;
	}
	if (suite == SRTP_SUITE_NONE) {
		(void)SSL_shutdown(at->ssl);
		attempt_fail(at, DTLS_FAILED_PROFILE, "no use_srtp profile in common");
		return;
	}
	if (keys_export(at, suite, &keys)) {
		attempt_forget_master(at);
		association_adopt(a, at);
		dtls_floor_count(a->floor, DTLS_DONE);
		a->on_event(a->ctx, &e);
	} else {
		attempt_fail(at, DTLS_FAILED_PROTOCOL, error_text());
	}
	secret_wipe(&keys, sizeof(keys));
}

static void
attempt_step(struct attempt *at, uint64_t now_mono_ns)
{
	int result, error;

	ERR_clear_error();
	result = SSL_do_handshake(at->ssl);
	error = SSL_get_error(at->ssl, result);
	at->in = (struct span){ 0 };
	if (result == 1)
		attempt_complete(at);
	else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		attempt_broken(at, now_mono_ns);
}

/* Alerts, and the peer's last flight again when ours was lost. Data has no business here and is dropped. */
static void
live_read(struct dtls_association *a, struct span datagram)
{
	struct attempt *at = a->live;
	struct dtls_event e = { .kind = DTLS_EVENT_ENDED, .peer = at->from, .u.ended = "error" };
	uint8_t dropped[512];
	int result, error;

	at->in = datagram;
	at->alert = NULL;
	ERR_clear_error();
	do {
		result = SSL_read(at->ssl, dropped, sizeof(dropped));
	} while (result > 0);
	error = SSL_get_error(at->ssl, result);
	ERR_clear_error();
	at->in = (struct span){ 0 };
	secret_wipe(dropped, sizeof(dropped));
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		(void)SSL_free_buffers(at->ssl);
		return;
	}
	if (at->alert != NULL)
		e.u.ended = at->alert;	/* "close notify" */
	live_drop(a);
	dtls_floor_count(a->floor, DTLS_ENDED);
	a->on_event(a->ctx, &e);
}

/* ---- a ClientHello ---- */

/* Is there a place for one more handshake? The awaited one takes it from another. */
static bool
place_make(struct dtls_association *a, const struct media_address *from)
{
	bool awaited = a->waiting && address_equal(from, &a->spec.peer);
	struct attempt *oldest = NULL;

	if (!awaited && a->floor->n_others >= a->floor->others_max)
		return false;
	if (a->n_pending < DTLS_ATTEMPTS_MAX)
		return true;
	for (struct attempt *at = a->pending; at != NULL; at = at->next) {
		if (!at->awaited)
			oldest = at;
	}
	if (!awaited || oldest == NULL)
		return false;
	attempt_drop(oldest);
	return true;
}

/* Answer with a cookie and forget it, or, when it has ours, begin. RFC 6347 §4.2.1 */
static void
hello_take(struct dtls_association *a, const struct media_address *from, struct span datagram,
           const uint8_t random[DTLS_RANDOM_SIZE], uint64_t now_mono_ns)
{
	struct dtls_floor *f = a->floor;
	BIO_ADDR *unused = BIO_ADDR_new();	/* asked for by the call; our wire knows no socket addresses */
	struct attempt *at, *before;
	int result = -1;

	if (f->spare == NULL)
		f->spare = attempt_new(f);
	at = f->spare;
	if (at != NULL && unused != NULL) {
		at->of = a;
		at->from = *from;
		at->in = datagram;
		result = DTLSv1_listen(at->ssl, unused);
		at->in = (struct span){ 0 };
		at->of = NULL;
	}
	BIO_ADDR_free(unused);
	ERR_clear_error();
	if (result == 0)
		return;
	f->spare = NULL;
	before = pending_from(a, from);
	if (result > 0 && before != NULL)	/* the same source begins anew, and has proved that it is the same */
		attempt_drop(before);
	if (result < 0 || !place_make(a, from)) {
		dtls_floor_count(f, DTLS_IGNORED);
		attempt_free(at);
		return;
	}
	at->of = a;
	memcpy(at->random, random, sizeof(at->random));
	attempt_link(at, now_mono_ns);
	attempt_step(at, now_mono_ns);
}

static bool
is_random_of(const struct attempt *at, const struct media_address *from, const uint8_t random[DTLS_RANDOM_SIZE])
{
	return at != NULL && address_equal(&at->from, from) && memcmp(at->random, random, DTLS_RANDOM_SIZE) == 0;
}

void
dtls_association_take(struct dtls_association *a, const struct media_address *from, struct span datagram,
                      uint64_t now_mono_ns)
{
	uint8_t random[DTLS_RANDOM_SIZE];
	struct attempt *at = pending_from(a, from);
	bool live = a->live != NULL && address_equal(&a->live->from, from);
	bool hello = dtls_record_hello(datagram, random);

	if (!dtls_record_is_sound(datagram)) {
		dtls_floor_count(a->floor, DTLS_IGNORED);
		return;
	}
	if (hello && !is_random_of(at, from, random)) {
		/* one that comes again after its handshake begins nothing; a server has nothing to do with any */
		if (a->spec.role == DTLS_ACTIVE || is_random_of(a->live, from, random))
			dtls_floor_count(a->floor, DTLS_IGNORED);
		else
			hello_take(a, from, datagram, random, now_mono_ns);
		return;
	}
	/* While a peer begins anew, what it still sends to the association before is read by that one. Neither minds
	 * the other's records: they do not authenticate, or are of another epoch. */
	if (live)
		live_read(a, datagram);
	if (at != NULL) {
		at->in = datagram;
		attempt_step(at, now_mono_ns);
	}
	if (!live && at == NULL)
		dtls_floor_count(a->floor, DTLS_IGNORED);
}

/* ---- the client's side ---- */

static enum srs_err
active_begin(struct dtls_association *a, uint64_t now_mono_ns)
{
	struct attempt *at = attempt_new(a->floor);

	if (at == NULL)
		return SRS_ERR_NOMEM;
	SSL_set_connect_state(at->ssl);
	at->of = a;
	at->from = a->spec.peer;
	attempt_link(at, now_mono_ns);
	attempt_step(at, now_mono_ns);
	return SRS_OK;
}

/* ---- time ---- */

static uint64_t
attempt_due(const struct attempt *at, uint64_t now_mono_ns)
{
	uint64_t due = at->deadline_mono_ns;
	struct timeval left;

	if (DTLSv1_get_timeout(at->ssl, &left) == 1) {
		uint64_t at_ns = now_mono_ns +
		                 ((uint64_t)left.tv_sec * 1000000 + (uint64_t)left.tv_usec) * NS_PER_US;

		due = at_ns < due ? at_ns : due;
	}
	return due;
}

uint64_t
dtls_association_due(const struct dtls_association *a, uint64_t now_mono_ns)
{
	uint64_t due = a->waiting ? a->give_up_mono_ns : UINT64_MAX;

	if (a->retry_mono_ns != 0 && a->retry_mono_ns < due)
		due = a->retry_mono_ns;
	for (const struct attempt *at = a->pending; at != NULL; at = at->next) {
		uint64_t one = attempt_due(at, now_mono_ns);

		due = one < due ? one : due;
	}
	return due;
}

static void
attempt_on_time(struct attempt *at, uint64_t now_mono_ns)
{
	if (now_mono_ns >= at->deadline_mono_ns) {
		attempt_fail(at, DTLS_FAILED_TIMEOUT, "the handshake did not end");
		return;
	}
	ERR_clear_error();
	if (DTLSv1_handle_timeout(at->ssl) < 0)
		attempt_broken(at, now_mono_ns);
}

void
dtls_association_on_time(struct dtls_association *a, uint64_t now_mono_ns)
{
	struct attempt *next;

	for (struct attempt *at = a->pending; at != NULL; at = next) {
		next = at->next;
		attempt_on_time(at, now_mono_ns);
	}
	if (a->waiting && now_mono_ns >= a->give_up_mono_ns) {
		a->waiting = false;
		a->retry_mono_ns = 0;
		report_failed(a, &a->spec.peer, DTLS_FAILED_TIMEOUT, "the peer did not come", true);
	}
	if (a->retry_mono_ns != 0 && now_mono_ns >= a->retry_mono_ns) {
		a->retry_mono_ns = 0;
		if (active_begin(a, now_mono_ns))
			a->retry_mono_ns = now_mono_ns + RETRY_MS * NS_PER_MS;
	}
}

/* ---- life ---- */

enum srs_err
dtls_association_create(struct dtls_association **out, struct dtls_floor *f, const struct dtls_spec *spec,
                        dtls_on_event *on_event, void *ctx, uint64_t now_mono_ns)
{
	struct dtls_association *a;
	enum srs_err err;

	*out = NULL;
	if (spec->n_prints == 0 || spec->n_prints > DTLS_FINGERPRINTS_MAX ||
	    (spec->role == DTLS_ACTIVE && spec->peer.ip_version == 0))
		return SRS_ERR_INVALID;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return SRS_ERR_NOMEM;
	a->floor = f;
	a->spec = *spec;
	a->on_event = on_event;
	a->ctx = ctx;
	a->serial = ++f->serial;
	a->waiting = true;
	a->give_up_mono_ns = now_mono_ns + DTLS_HANDSHAKE_MS_MAX * NS_PER_MS;
	err = spec->role == DTLS_ACTIVE ? active_begin(a, now_mono_ns) : SRS_OK;
	if (err) {
		dtls_association_destroy(a);
		return err;
	}
	*out = a;
	return SRS_OK;
}

void
dtls_association_destroy(struct dtls_association *a)
{
	if (a == NULL)
		return;
	while (a->pending != NULL)
		attempt_drop(a->pending);
	live_drop(a);
	free(a);
}

static BIO_METHOD *
wire_make(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "datagram");

	if (m != NULL && BIO_meth_set_read(m, wire_read) == 1 && BIO_meth_set_write(m, wire_write) == 1 &&
	    BIO_meth_set_ctrl(m, wire_ctrl) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}

enum srs_err
dtls_floor_create(struct dtls_floor **out, struct dtls_identity *identity, unsigned int handshakes_max,
                  unsigned int live_max)
{
	struct dtls_floor *f = calloc(1, sizeof(*f));
	enum srs_err err = SRS_ERR_NOMEM;

	*out = NULL;
	if (f == NULL)
		return err;
	f->others_max = handshakes_max;
	f->live_max = live_max;
	f->context = dtls_identity_context(identity);
	f->wire = wire_make();
	if (f->wire != NULL)
		err = secret_random(f->cookie_key, sizeof(f->cookie_key));
	if (err) {
		dtls_floor_destroy(f);
		return err;
	}
	SSL_CTX_set_verify(f->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(f->context, on_certificate, NULL);
	SSL_CTX_set_cookie_generate_cb(f->context, on_cookie_make);
	SSL_CTX_set_cookie_verify_cb(f->context, on_cookie_check);
	SSL_CTX_set_info_callback(f->context, on_info);
	*out = f;
	return SRS_OK;
}

void
dtls_floor_destroy(struct dtls_floor *f)
{
	if (f == NULL)
		return;
	attempt_free(f->spare);
	BIO_meth_free(f->wire);
	secret_wipe(f->cookie_key, sizeof(f->cookie_key));
	free(f);
}
