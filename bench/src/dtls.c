#include "dtls.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define DATAGRAM_MAX    1200	/* of ours: fits any path */
#define FLIGHT_MAX      16384
#define RECORD_HEADER   13
#define CERTIFICATE_DAYS 30
#define FINGERPRINT_MAX (10 + 3 * EVP_MAX_MD_SIZE)
#define EXPORTER_LABEL  "EXTRACTOR-dtls_srtp"	/* RFC 5764 §4.2 */

struct dtls_identity {
	SSL_CTX *ctx;
	char fingerprint[FINGERPRINT_MAX];
};

struct dtls {
	SSL *ssl;
	int fd;
	bool client;
	enum dtls_state state;
	char fingerprint[256];	/* the peer's, as signalled */
	char failure[256];
};

/* ---- identity ---- */

/* "sha-256 AB:CD" of a certificate with the hash that `name` says (RFC 8122 §5). @return false: no such hash */
static bool
fingerprint_of(X509 *cert, const char *name, char *out, size_t out_len)
{
	char known[16] = "";
	uint8_t digest[EVP_MAX_MD_SIZE];
	const EVP_MD *md;
	unsigned int n;
	size_t at;

	for (size_t i = 0, k = 0; name[i] != '\0' && k + 1 < sizeof(known); i++)
		if (name[i] != '-') /* OpenSSL knows sha-256 as SHA256 */
			known[k++] = name[i];
	md = EVP_get_digestbyname(known);
	if (md == NULL || X509_digest(cert, md, digest, &n) != 1)
		return false;
	at = (size_t)snprintf(out, out_len, "%s ", name);
	for (unsigned int i = 0; i < n && at + 4 < out_len; i++)
		at += (size_t)snprintf(out + at, out_len - at, "%s%02X", i > 0 ? ":" : "", digest[i]);
	return true;
}

static X509 *
make_certificate(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name;
	uint64_t serial = 1;

	if (cert == NULL)
		return NULL;
	RAND_bytes((uint8_t *)&serial, 7);
	name = X509_get_subject_name(cert);
	if (X509_set_version(cert, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -24L * 3600) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), CERTIFICATE_DAYS * 24L * 3600) == NULL ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"capstan-src", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(cert, name) != 1 || X509_set_pubkey(cert, key) != 1 ||
	    X509_sign(cert, key, EVP_sha256()) == 0) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

/* Certificates are self-signed: the fingerprint decides, once the handshake is over (RFC 5763 §5). */
static int
take_any_certificate(X509_STORE_CTX *store, void *arg)
{
	return 1;
}

struct dtls_identity *
dtls_identity_create(const char *profiles)
{
	struct dtls_identity *id = calloc(1, sizeof(*id));
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key != NULL ? make_certificate(key) : NULL;
	bool ok;

	if (id == NULL) {
		X509_free(cert);
		EVP_PKEY_free(key);
		return NULL;
	}
	id->ctx = SSL_CTX_new(DTLS_method());
	ok = id->ctx != NULL && cert != NULL && SSL_CTX_use_certificate(id->ctx, cert) == 1 &&
	     SSL_CTX_use_PrivateKey(id->ctx, key) == 1 &&
	     SSL_CTX_set_tlsext_use_srtp(id->ctx, profiles) == 0 && /* 0 is success here */
	     fingerprint_of(cert, "sha-256", id->fingerprint, sizeof(id->fingerprint));
	X509_free(cert);
	EVP_PKEY_free(key);
	if (!ok) {
		dtls_identity_destroy(id);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(id->ctx, DTLS1_2_VERSION);
	SSL_CTX_set_verify(id->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(id->ctx, take_any_certificate, NULL);
	SSL_CTX_set_options(id->ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(id->ctx, SSL_SESS_CACHE_OFF);
	return id;
}

void
dtls_identity_destroy(struct dtls_identity *id)
{
	if (id == NULL)
		return;
	SSL_CTX_free(id->ctx);
	free(id);
}

const char *
dtls_identity_fingerprint(const struct dtls_identity *id)
{
	return id->fingerprint;
}

size_t
dtls_hello(const struct dtls_identity *id, uint8_t *out, size_t room)
{
	SSL *ssl = SSL_new(id->ctx);
	BIO *in = BIO_new(BIO_s_mem()), *sent = BIO_new(BIO_s_mem());
	int n = 0;

	if (ssl == NULL || in == NULL || sent == NULL) {
		BIO_free(in);
		BIO_free(sent);
	} else {
		BIO_set_mem_eof_return(in, -1);
		SSL_set_bio(ssl, in, sent);
		SSL_set_mtu(ssl, DATAGRAM_MAX);
		SSL_set_connect_state(ssl);
		SSL_do_handshake(ssl);
		n = (size_t)BIO_pending(sent) <= room ? BIO_read(sent, out, (int)room) : 0;
	}
	SSL_free(ssl);
	return n > DTLS_HELLO_RANDOM + 32 ? (size_t)n : 0;
}

/* ---- handshake ---- */

static void
fail(struct dtls *d, const char *what)
{
	unsigned long code = ERR_get_error();

	d->state = DTLS_FAILED;
	if (code != 0)
		snprintf(d->failure, sizeof(d->failure), "DTLS: %s: %s", what, ERR_reason_error_string(code));
	else
		snprintf(d->failure, sizeof(d->failure), "DTLS: %s", what);
	ERR_clear_error();
}

/* What OpenSSL wrote, as datagrams of whole records: a memory BIO forgets where each ended. */
static void
send_flight(struct dtls *d)
{
	static uint8_t flight[FLIGHT_MAX];
	int n = BIO_read(SSL_get_wbio(d->ssl), flight, sizeof(flight));
	size_t len = n > 0 ? (size_t)n : 0, at = 0;

	while (at < len) {
		size_t end = at;

		while (end + RECORD_HEADER <= len) {
			size_t record = RECORD_HEADER + (size_t)(flight[end + 11] << 8 | flight[end + 12]);

			if (end + record > len || (end > at && end + record - at > DATAGRAM_MAX))
				break;
			end += record;
		}
		if (end == at)
			return; /* no whole record: never seen */
		(void)!send(d->fd, flight + at, end - at, 0); /* a lost one is sent again by the timer */
		at = end;
	}
}

static bool
same_fingerprint(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if (toupper((unsigned char)*a) != toupper((unsigned char)*b))
			return false;
	return *a == *b;
}

/* The certificate that the peer showed against the fingerprint that was signalled, and a profile agreed. */
static void
check_peer(struct dtls *d)
{
	X509 *cert = SSL_get1_peer_certificate(d->ssl);
	char hash[16], shown[FINGERPRINT_MAX];

	snprintf(hash, sizeof(hash), "%.*s", (int)strcspn(d->fingerprint, " "), d->fingerprint);
	if (cert == NULL)
		fail(d, "the peer showed no certificate");
	else if (!fingerprint_of(cert, hash, shown, sizeof(shown)))
		fail(d, "the fingerprint's hash is not known");
	else if (!same_fingerprint(shown, d->fingerprint))
		fail(d, "the peer's certificate does not have the fingerprint of its SDP");
	else if (SSL_get_selected_srtp_profile(d->ssl) == NULL)
		fail(d, "no SRTP profile was agreed");
	else
		d->state = DTLS_DONE;
	X509_free(cert);
}

static void
shake(struct dtls *d)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(d->ssl);
	send_flight(d);
	if (result == 1)
		check_peer(d);
	else if (SSL_get_error(d->ssl, result) != SSL_ERROR_WANT_READ)
		fail(d, "handshake");
}

struct dtls *
dtls_create(const struct dtls_identity *id, int fd, bool client, const char *fingerprint)
{
	struct dtls *d = calloc(1, sizeof(*d));
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	if (d != NULL)
		d->ssl = SSL_new(id->ctx);
	if (d == NULL || d->ssl == NULL || in == NULL || out == NULL) {
		BIO_free(in);
		BIO_free(out);
		dtls_destroy(d);
		return NULL;
	}
	BIO_set_mem_eof_return(in, -1); /* empty means: later */
	SSL_set_bio(d->ssl, in, out);
	SSL_set_mtu(d->ssl, DATAGRAM_MAX);
	d->fd = fd;
	d->client = client;
	snprintf(d->fingerprint, sizeof(d->fingerprint), "%s", fingerprint);
	if (client)
		SSL_set_connect_state(d->ssl);
	else
		SSL_set_accept_state(d->ssl);
	shake(d);
	return d;
}

void
dtls_destroy(struct dtls *d)
{
	if (d == NULL)
		return;
	if (d->state == DTLS_DONE) {
		SSL_shutdown(d->ssl); /* close_notify, so that the peer need not wait */
		send_flight(d);
	}
	SSL_free(d->ssl);
	free(d);
}

enum dtls_state
dtls_receive(struct dtls *d, const uint8_t *datagram, size_t len)
{
	uint8_t nothing[1];

	BIO_write(SSL_get_rbio(d->ssl), datagram, (int)len);
	if (d->state == DTLS_SHAKING) {
		shake(d);
	} else if (d->state == DTLS_DONE) {
		SSL_read(d->ssl, nothing, sizeof(nothing)); /* a flight sent again, an alert: answered inside */
		send_flight(d);
	}
	return d->state;
}

enum dtls_state
dtls_tick(struct dtls *d)
{
	if (d->state == DTLS_SHAKING && DTLSv1_handle_timeout(d->ssl) > 0)
		send_flight(d);
	return d->state;
}

const char *
dtls_failure(const struct dtls *d)
{
	return d->failure;
}

bool
dtls_keys(const struct dtls *d, struct protect_keys *ours, struct protect_keys *theirs)
{
	const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(d->ssl);
	uint8_t material[2 * (PROTECT_KEY_MAX + PROTECT_SALT_MAX)];
	struct protect_keys *client = d->client ? ours : theirs, *server = d->client ? theirs : ours;
	const struct protect_shape *shape = NULL;
	size_t key_len, salt_len;
	int suite;

	for (suite = 0; profile != NULL && suite < PROTECT_SUITES; suite++) {
		shape = protect_shape((enum protect_suite)suite);
		if (shape->profile != NULL && strcmp(shape->profile, profile->name) == 0)
			break;
	}
	if (profile == NULL || suite == PROTECT_SUITES)
		return false;
	key_len = shape->key_len;
	salt_len = shape->salt_len;
	if (SSL_export_keying_material(d->ssl, material, 2 * (key_len + salt_len), EXPORTER_LABEL,
	                               strlen(EXPORTER_LABEL), NULL, 0, 0) != 1)
		return false;
	memset(ours, 0, sizeof(*ours));
	memset(theirs, 0, sizeof(*theirs));
	ours->suite = theirs->suite = (enum protect_suite)suite;
	/* client key, server key, client salt, server salt */
	memcpy(client->key, material, key_len);
	memcpy(server->key, material + key_len, key_len);
	memcpy(client->salt, material + 2 * key_len, salt_len);
	memcpy(server->salt, material + 2 * key_len + salt_len, salt_len);
	OPENSSL_cleanse(material, sizeof(material));
	return true;
}
