/* The other side of a DTLS association: OpenSSL's own client or server, with certificate, profiles and faults of the
 * test's choice. Records go in and out by memory; each record that it writes is a datagram of its own. */
#ifndef DTLS_PEER_H
#define DTLS_PEER_H

#include "crypto/srtp_suite.h"
#include "lib/span.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "controlplane/dtls/dtls_identity.h"

#define PEER_ALL_PROFILES "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32"
#define PEER_QUEUE_MAX    64

struct peer_datagram {
	size_t len;
	uint8_t bytes[2048];
};

struct peer_queue {
	struct peer_datagram d[PEER_QUEUE_MAX];
	unsigned int n;
};

struct peer_identity {
	EVP_PKEY *key;
	X509 *certificate;
};

struct peer {
	SSL_CTX *context;
	SSL *ssl;
	BIO *in, *out;
	bool done, failed;
};

static inline void
queue_push(struct peer_queue *q, const void *bytes, size_t len)
{
	if (q->n == PEER_QUEUE_MAX || len > sizeof(q->d[0].bytes))
		abort();
	q->d[q->n].len = len;
	memcpy(q->d[q->n++].bytes, bytes, len);
}

static inline struct peer_identity
peer_identity_make(bool rsa)
{
	struct peer_identity id = {
		.key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"),
		.certificate = X509_new(),
	};
	X509 *x = id.certificate;
	X509_NAME *name = X509_get_subject_name(x);

	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"peer", -1, -1, 0);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)X509_set_issuer_name(x, name);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), 0);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	(void)X509_set_pubkey(x, id.key);
	if (X509_sign(x, id.key, EVP_sha256()) <= 0)
		abort();
	return id;
}

static inline void
peer_identity_free(struct peer_identity *id)
{
	X509_free(id->certificate);
	EVP_PKEY_free(id->key);
}

static inline struct dtls_fingerprint
peer_print(const struct peer_identity *id, enum dtls_hash hash)
{
	const EVP_MD *const of[DTLS_HASHES] = {
		[DTLS_SHA1] = EVP_sha1(), [DTLS_SHA224] = EVP_sha224(), [DTLS_SHA256] = EVP_sha256(), [DTLS_SHA384] = EVP_sha384(),
		[DTLS_SHA512] = EVP_sha512(),
	};
	struct dtls_fingerprint print = { .hash = hash };
	unsigned int len;

	if (X509_digest(id->certificate, of[hash], print.digest, &len) != 1)
		abort();
	return print;
}

static inline int
peer_takes_any(X509_STORE_CTX *store, void *arg)
{
	return 1;
}

static inline int
peer_cookie_make(SSL *ssl, unsigned char *cookie, unsigned int *len)
{
	memset(cookie, 7, 16);
	*len = 16;
	return 1;
}

static inline int
peer_cookie_check(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
	return len == 16 && cookie[0] == 7;
}

static inline unsigned int
peer_timer(SSL *ssl, unsigned int before_us)
{
	return before_us == 0 ? 100000 : before_us;
}

/* id NULL: no certificate. profiles NULL: no use_srtp. */
static inline void
peer_open(struct peer *p, bool server, const struct peer_identity *id, const char *profiles)
{
	memset(p, 0, sizeof(*p));
	p->context = SSL_CTX_new(DTLS_method());
	if (id != NULL && (SSL_CTX_use_certificate(p->context, id->certificate) != 1 ||
	                   SSL_CTX_use_PrivateKey(p->context, id->key) != 1))
		abort();
	if (profiles != NULL && SSL_CTX_set_tlsext_use_srtp(p->context, profiles) != 0)
		abort();
	SSL_CTX_set_verify(p->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(p->context, peer_takes_any, NULL);
	SSL_CTX_set_cookie_generate_cb(p->context, peer_cookie_make);
	SSL_CTX_set_cookie_verify_cb(p->context, peer_cookie_check);
	p->ssl = SSL_new(p->context);
	SSL_set_options(p->ssl, SSL_OP_NO_QUERY_MTU);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	(void)BIO_set_mem_eof_return(p->in, -1);
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_mtu(p->ssl, 1200);
	DTLS_set_timer_cb(p->ssl, peer_timer);
	if (server)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
}

static inline void
peer_close(struct peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->context);
	memset(p, 0, sizeof(*p));
}

/* What it wrote, one record a datagram. */
static inline void
peer_flush(struct peer *p, struct peer_queue *out)
{
	uint8_t *bytes;
	long len = BIO_get_mem_data(p->out, &bytes);
	size_t at = 0;

	while (at + 13 <= (size_t)len) {
		size_t record = 13 + ((size_t)bytes[at + 11] << 8 | bytes[at + 12]);

		queue_push(out, bytes + at, record);
		at += record;
	}
	(void)BIO_reset(p->out);
}

static inline void
peer_step(struct peer *p, struct peer_queue *out)
{
	int result;

	ERR_clear_error();
	if (p->done) {
		uint8_t bytes[256];

		do {
			result = SSL_read(p->ssl, bytes, sizeof(bytes));
		} while (result > 0);
	} else {
		result = SSL_do_handshake(p->ssl);
		p->done = result == 1;
	}
	if (result <= 0 && SSL_get_error(p->ssl, result) != SSL_ERROR_WANT_READ)
		p->failed = true;
	ERR_clear_error();
	peer_flush(p, out);
}

static inline void
peer_take(struct peer *p, const struct peer_datagram *d, struct peer_queue *out)
{
	(void)BIO_write(p->in, d->bytes, (int)d->len);
	peer_step(p, out);
}

/* Its timer: what was lost is sent again. */
static inline void
peer_on_time(struct peer *p, struct peer_queue *out)
{
	(void)DTLSv1_handle_timeout(p->ssl);
	ERR_clear_error();
	peer_flush(p, out);
}

/* The masters as the peer derives them. */
static inline bool
peer_masters(const struct peer *p, enum srtp_suite suite, struct srtp_master *client, struct srtp_master *server)
{
	size_t k = srtp_suite_shape(suite)->key_len, s = srtp_suite_shape(suite)->salt_len;
	uint8_t m[2 * (SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX)];

	if (SSL_export_keying_material(p->ssl, m, 2 * (k + s), "EXTRACTOR-dtls_srtp", 19, NULL, 0, 0) != 1)
		return false;
	memset(client, 0, sizeof(*client));
	memset(server, 0, sizeof(*server));
	client->suite = server->suite = (uint8_t)suite;
	memcpy(client->key, m, k);
	memcpy(server->key, m + k, k);
	memcpy(client->salt, m + 2 * k, s);
	memcpy(server->salt, m + 2 * k + s, s);
	return true;
}

#endif
