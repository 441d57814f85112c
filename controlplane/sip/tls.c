#include "controlplane/sip/tls.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sip/certificate.h"
#include "crypto/secret.h"
#include "lib/srs_log.h"

/* TLS 1.2: AEAD and an ephemeral exchange, nothing else (RFC 9325 §4.2). TLS 1.3 has only such. */
#define SUITES_12 \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES_13      "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define PEER_CHAIN_MAX 32768	/* bytes of certificates that a peer may send */
#define CHAIN_DEPTH    5
#define SECURITY_LEVEL 2	/* 112 bits: RSA of 2048, no SHA-1 in signatures */
#define SESSION_S      3600	/* a ticket is good for so long */
#define TICKET_KEY_MAX 128	/* OpenSSL's is 80 */

struct tls {
	const struct config *config;
	SSL_CTX *server, *client;
	long not_after;		/* wall clock, seconds: of our certificate */
};

/* ---- contexts ---- */

/* The chain holds; that the certificate is meant for a SIP peer is ours to ask, since SIP has no fixed ends of TLS. */
static int
peer_check(int chain_ok, X509_STORE_CTX *ctx)
{
	if (chain_ok != 1 || X509_STORE_CTX_get_error_depth(ctx) != 0)
		return chain_ok;
	if (certificate_is_for_sip(X509_STORE_CTX_get0_cert(ctx)))
		return 1;
	X509_STORE_CTX_set_error(ctx, X509_V_ERR_INVALID_PURPOSE);
	return 0;
}

static bool
context_rule(SSL_CTX *c)
{
	char groups[] = "X25519:P-256:P-384";

	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	                       SSL_OP_PRIORITIZE_CHACHA | SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);	/* tickets hold no memory here */
	SSL_CTX_set_timeout(c, SESSION_S);
	SSL_CTX_set_max_cert_list(c, PEER_CHAIN_MAX);
	SSL_CTX_set_verify_depth(c, CHAIN_DEPTH);
	SSL_CTX_set_security_level(c, SECURITY_LEVEL);
	return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(c, SUITES_12) == 1 &&
	       SSL_CTX_set_ciphersuites(c, SUITES_13) == 1 && SSL_CTX_set1_groups_list(c, groups) == 1 &&
	       SSL_CTX_set_num_tickets(c, 1) == 1;
}

/* @param authorities  NULL: nobody is trusted, so nobody is asked */
static bool
context_trust(SSL_CTX *c, X509_STORE *authorities, int mode)
{
	if (authorities == NULL)
		return true;
	SSL_CTX_set1_cert_store(c, authorities);
	SSL_CTX_set_verify(c, mode, peer_check);
	return X509_VERIFY_PARAM_set_purpose(SSL_CTX_get0_param(c), X509_PURPOSE_ANY) == 1;
}

/* Names of the authorities, so that a client with several certificates knows which one is wanted. */
static bool
context_ask(SSL_CTX *c, X509_STORE *authorities)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(authorities);

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		if (x != NULL && SSL_CTX_add_client_CA(c, x) != 1)
			return false;
	}
	return true;
}

static SSL_CTX *
server_make(const struct config *config, struct certificate *own, X509_STORE *authorities)
{
	static const unsigned char id[] = "capstan";
	int mode = config->tls.client_verify == CONFIG_VERIFY_NONE ? SSL_VERIFY_NONE :
	           config->tls.client_verify == CONFIG_VERIFY_REQUEST ? SSL_VERIFY_PEER :
	           SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	if (c != NULL && context_rule(c) && SSL_CTX_set_session_id_context(c, id, sizeof(id) - 1) == 1 &&
	    SSL_CTX_use_cert_and_key(c, own->leaf, own->key, own->chain, 1) == 1 &&
	    context_trust(c, mode == SSL_VERIFY_NONE ? NULL : authorities, mode) &&
	    (mode == SSL_VERIFY_NONE || context_ask(c, authorities)))
		return c;
	SSL_CTX_free(c);
	return NULL;
}

/* RFC 7866 §12.1: each side shows a certificate, also when we open the connection. */
static SSL_CTX *
client_make(struct certificate *own, X509_STORE *authorities)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	if (c != NULL && context_rule(c) && SSL_CTX_use_cert_and_key(c, own->leaf, own->key, own->chain, 1) == 1 &&
	    context_trust(c, authorities, SSL_VERIFY_PEER))
		return c;
	SSL_CTX_free(c);
	return NULL;
}

static enum srs_err
contexts_make(struct tls *t, char *why, size_t why_len)
{
	const struct config *c = t->config;
	struct certificate own = { 0 };
	X509_STORE *authorities = NULL;
	SSL_CTX *server = NULL, *client = NULL;
	enum srs_err err = certificate_load(&own, c->tls.certificate, c->tls.key, why, why_len);

	if (!err && *c->tls.client_ca != '\0')
		err = certificate_store_load(&authorities, c->tls.client_ca, why, why_len);
	if (err)
		goto out;
	server = server_make(c, &own, authorities);
	client = server == NULL ? NULL : client_make(&own, authorities);
	if (client == NULL) {
		const char *reason = ERR_reason_error_string(ERR_peek_last_error());

		snprintf(why, why_len, "OpenSSL does not take %.200s (%s): give a certificate with an ECDSA key of P-256 or more, "
		         "or an RSA key of 2048 bits or more", c->tls.certificate, reason != NULL ? reason : "no memory");
		SSL_CTX_free(server);
		err = SRS_ERR_INVALID;
		goto out;
	}
	SSL_CTX_free(t->server);
	SSL_CTX_free(t->client);
	t->server = server;
	t->client = client;
	t->not_after = (long)time(NULL) + certificate_seconds_left(own.leaf);
out:
	ERR_clear_error();
	X509_STORE_free(authorities);
	certificate_release(&own);
	return err;
}

enum srs_err
tls_create(struct tls **out, const struct config *c, char *why, size_t why_len)
{
	struct tls *t;
	enum srs_err err;

	secret_heap_make();
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		snprintf(why, why_len, "no memory for TLS");
		return SRS_ERR_NOMEM;
	}
	t->config = c;
	err = contexts_make(t, why, why_len);
	if (err)
		tls_destroy(t);
	else
		*out = t;
	return err;
}

void
tls_destroy(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->server);
	SSL_CTX_free(t->client);
	free(t);
}

enum srs_err
tls_reload(struct tls *t, char *why, size_t why_len)
{
	return contexts_make(t, why, why_len);
}

void
tls_tickets_renew(struct tls *t)
{
	unsigned char key[TICKET_KEY_MAX];
	long len = SSL_CTX_get_tlsext_ticket_keys(t->server, NULL, 0);

	if (len > 0 && len <= TICKET_KEY_MAX && secret_random(key, (size_t)len) == SRS_OK)
		(void)SSL_CTX_set_tlsext_ticket_keys(t->server, key, len);
	secret_wipe(key, sizeof(key));
}

long
tls_seconds_left(const struct tls *t)
{
	return t->not_after - (long)time(NULL);
}

/* ---- connections ---- */

struct ssl_st *
tls_server_side(struct tls *t, int fd)
{
	SSL *ssl = SSL_new(t->server);

	if (ssl != NULL && SSL_set_fd(ssl, fd) == 1) {
		SSL_set_accept_state(ssl);
		return ssl;
	}
	SSL_free(ssl);
	return NULL;
}

struct ssl_st *
tls_client_side(struct tls *t, const char *peer_name)
{
	SSL *ssl = SSL_new(t->client);
	char name[CONN_PEER_NAME_MAX];

	snprintf(name, sizeof(name), "%s", peer_name);
	if (ssl != NULL && (name[0] == '\0' || SSL_set_tlsext_host_name(ssl, name) == 1))
		return ssl;
	SSL_free(ssl);
	return NULL;
}

/* ---- what went wrong ---- */

static const struct {
	int reason;
	const char *what, *remedy;
} failures[] = {
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client shows no certificate",
	  "give it one that tls.client_ca signed, or set tls.client_verify to request" },
	{ SSL_R_WRONG_VERSION_NUMBER, "what came is not TLS",
	  "plain SIP goes to the TCP port; for this port set the client to TLS" },
	{ SSL_R_HTTP_REQUEST, "what came is HTTP", "this port is for SIP over TLS" },
	{ SSL_R_NO_SHARED_CIPHER, "the client offers no suite of TLS 1.2 with AEAD and an ephemeral key",
	  "switch ECDHE with AES-GCM or ChaCha20-Poly1305 on at the client" },
	{ SSL_R_UNSUPPORTED_PROTOCOL, "the client offers neither TLS 1.2 nor 1.3", "switch TLS 1.2 or 1.3 on at the client" },
	{ SSL_R_VERSION_TOO_LOW, "the client offers neither TLS 1.2 nor 1.3", "switch TLS 1.2 or 1.3 on at the client" },
	{ SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not know who signed our certificate",
	  "give it the root of tls.certificate, and put the whole chain into tls.certificate" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the peer does not take our certificate",
	  "look at the peer's log; names and dates: capstan doctor" },
	{ SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the peer does not take our certificate",
	  "look at the peer's log; names and dates: capstan doctor" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "our certificate is over for the peer", "renew tls.certificate, then SIGHUP" },
	{ SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the peer finds nothing in common with us", "look at the peer's log" },
	{ SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "the peer asks for a certificate of ours and got none",
	  "it wants another certificate than tls.certificate" },
};

bool
tls_failure(struct ssl_st *ssl, char *what, size_t what_len, const char **remedy)
{
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_REASON(error);
	const char *text = ERR_reason_error_string(error);

	*remedy = "look at both sides' logs";
	if (error == 0) {
		snprintf(what, what_len, "the peer closed in the middle of the handshake");
		return false;
	}
	snprintf(what, what_len, "%s", text != NULL ? text : "unknown");
	if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		snprintf(what, what_len, "the peer's certificate does not hold: %s",
		         X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
		*remedy = "give the peer a certificate that tls.client_ca signed and that is not over";
	}
	for (size_t i = 0; ERR_GET_LIB(error) == ERR_LIB_SSL && i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (failures[i].reason != reason)
			continue;
		snprintf(what, what_len, "%s", failures[i].what);
		*remedy = failures[i].remedy;
	}
	ERR_clear_error();
	return true;
}

/* ---- whom we reached ---- */

static bool
address_is(const X509 *x, const struct sockaddr_storage *remote)
{
	if (remote->ss_family == AF_INET6)
		return certificate_has_address(x, (const unsigned char *)&((const struct sockaddr_in6 *)remote)->sin6_addr, 16);
	return certificate_has_address(x, (const unsigned char *)&((const struct sockaddr_in *)remote)->sin_addr, 4);
}

/* A name of the certificate stands in a profile. `*named`: some profile has names at all. */
static bool
profile_has(const struct config *c, char *const *names, unsigned int n, bool *named)
{
	static const uint8_t nowhere[16];
	bool found = false;

	*named = false;
	for (unsigned int i = 0; i < c->n_srcs; i++)
		*named |= c->srcs[i].n_identities != 0;
	for (unsigned int i = 0; i < n; i++) {
		const char *name = names[i];
		int which = -1;

		(void)config_src_find(c, &name, 1, 4, nowhere, &which);
		found |= which == 0;
	}
	return found;
}

bool
tls_peer_is(const struct tls *t, const struct ssl_st *ssl, const struct conn_path *to)
{
	const X509 *x = SSL_get0_peer_certificate(ssl);
	char *names[CERTIFICATE_NAMES_MAX];
	unsigned int n;
	bool is, named;

	if (*t->config->tls.client_ca == '\0')
		return true;
	if (x == NULL)
		return false;
	n = certificate_names(x, names);
	is = profile_has(t->config, names, n, &named) || !named || address_is(x, &to->remote);
	if (to->peer_name[0] != '\0') {
		is = false;
		for (unsigned int i = 0; i < n; i++)
			is |= strcasecmp(names[i], to->peer_name) == 0;
	}
	for (unsigned int i = 0; i < n; i++)
		free(names[i]);
	return is;
}
