/* For tests of SIP over TLS: authorities and certificates made on the spot, and a client that speaks TLS to the stack
 * below test, on the same thread: its sockets do not block, and the loop has a turn between two tries. */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/stat.h>

#include "sip_peer.h"

#define TLS_PEER_DAY (24 * 3600L)

struct pair {
	X509 *x;
	EVP_PKEY *key;
};

struct pair_spec {
	const struct pair *issuer;	/* NULL: itself */
	const char *cn;
	const char *san;		/* "URI:sip:sbc.example.com,DNS:..."; NULL: none */
	const char *usage;		/* extendedKeyUsage; NULL: none */
	bool is_ca;
	long begins_s, ends_s;		/* from now */
};

static inline bool
pair_extend(X509 *x, const struct pair *issuer, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	bool ok;

	if (value == NULL)
		return true;
	X509V3_set_ctx(&ctx, issuer != NULL ? issuer->x : x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static inline struct pair
pair_make(const struct pair_spec *s)
{
	static long serial;
	struct pair p = { .x = X509_new(), .key = EVP_EC_gen("P-256") };
	X509_NAME *name = X509_get_subject_name(p.x);

	if (p.key == NULL || X509_set_version(p.x, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(p.x), ++serial) != 1 ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)s->cn, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(p.x, s->issuer != NULL ? X509_get_subject_name(s->issuer->x) : name) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(p.x), s->begins_s - 60) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(p.x), s->ends_s != 0 ? s->ends_s : 365 * TLS_PEER_DAY) == NULL ||
	    X509_set_pubkey(p.x, p.key) != 1 ||
	    !pair_extend(p.x, s->issuer, NID_basic_constraints, s->is_ca ? "critical,CA:TRUE" : "CA:FALSE") ||
	    !pair_extend(p.x, s->issuer, NID_subject_alt_name, s->san) ||
	    !pair_extend(p.x, s->issuer, NID_ext_key_usage, s->usage) ||
	    X509_sign(p.x, s->issuer != NULL ? s->issuer->key : p.key, EVP_sha256()) <= 0)
		abort();
	return p;
}

static inline void
pair_free(struct pair *p)
{
	X509_free(p->x);
	EVP_PKEY_free(p->key);
}

static inline void
pair_write(const struct pair *p, const char *certificate, const char *key)
{
	FILE *f = fopen(certificate, "we");

	if (f == NULL || PEM_write_X509(f, p->x) != 1)
		abort();
	fclose(f);
	if (key == NULL)
		return;
	f = fopen(key, "we");
	if (f == NULL || PEM_write_PrivateKey(f, p->key, NULL, NULL, 0, NULL, NULL) != 1 || chmod(key, 0600) != 0)
		abort();
	fclose(f);
}

/* The stack with a listener of TLS beside those of sip_peer.h, and files in a folder of its own. */
struct tls_peer {
	struct peer peer;	/* first: sip_peer.h's functions take it */
	struct config_listen listen[5];
	struct sockaddr_storage tls, tls6;
	char folder[64], certificate[96], private_key[96], client_ca[96];
	struct pair authority, stranger, server, client;
	SSL_CTX *context;	/* of our client */
	char received[262144];
};

static inline void
tls_peer_prepare(struct tls_peer *p)
{
	static char any4[] = "127.0.0.1", any6[] = "::1", none[] = "";

	memset(p, 0, sizeof(*p));
	peer_prepare(&p->peer);
	signal(SIGPIPE, SIG_IGN);	/* as the recorder does: OpenSSL writes to sockets that are gone */
	snprintf(p->folder, sizeof(p->folder), "/tmp/capstan-tls-XXXXXX");
	if (mkdtemp(p->folder) == NULL)
		abort();
	snprintf(p->certificate, sizeof(p->certificate), "%s/cert.pem", p->folder);
	snprintf(p->private_key, sizeof(p->private_key), "%s/key.pem", p->folder);
	snprintf(p->client_ca, sizeof(p->client_ca), "%s/ca.pem", p->folder);
	p->authority = pair_make(&(struct pair_spec){ .cn = "authority", .is_ca = true });
	p->stranger = pair_make(&(struct pair_spec){ .cn = "stranger", .is_ca = true });
	p->server = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "recorder", .san = "DNS:srs.example.com" });
	p->client = pair_make(&(struct pair_spec){ .issuer = &p->authority, .cn = "client",
	                                           .san = "URI:sip:sbc.example.com,DNS:other.example.com" });
	pair_write(&p->server, p->certificate, p->private_key);
	pair_write(&p->authority, p->client_ca, NULL);
	memcpy(p->listen, p->peer.listen, 3 * sizeof(p->listen[0]));
	p->listen[3] = (struct config_listen){ CONFIG_TLS, any4, 0 };
	p->listen[4] = (struct config_listen){ CONFIG_TLS, any6, 0 };
	p->peer.config.sip.listen = p->listen;
	p->peer.config.sip.n_listen = 5;
	p->peer.config.sip.connections_max = p->peer.config.sip.connections_per_source_max = 1000;
	p->peer.config.tls.on = true;
	p->peer.config.tls.certificate = p->certificate;
	p->peer.config.tls.key = p->private_key;
	p->peer.config.tls.client_ca = none;
	p->peer.config.tls.handshakes_max = 64;
	p->context = SSL_CTX_new(TLS_client_method());
	if (p->context == NULL)
		abort();
}

static inline void
tls_peer_open(struct tls_peer *p)
{
	peer_open(&p->peer);
	p->tls = *sip_listener_address(p->peer.sip, 3);
	p->tls6 = *sip_listener_address(p->peer.sip, 4);
}

static inline void
tls_peer_stop(struct tls_peer *p)
{
	if (p->peer.sip != NULL)
		peer_stop(&p->peer);
	SSL_CTX_free(p->context);
	pair_free(&p->authority);
	pair_free(&p->stranger);
	pair_free(&p->server);
	pair_free(&p->client);
	unlink(p->certificate);
	unlink(p->private_key);
	unlink(p->client_ca);
	rmdir(p->folder);
}

/* Our client shows this certificate from now on. */
static inline void
tls_peer_show(struct tls_peer *p, const struct pair *own)
{
	if (SSL_CTX_use_certificate(p->context, own->x) != 1 || SSL_CTX_use_PrivateKey(p->context, own->key) != 1)
		abort();
}

/* A TCP connection to one of the TLS listeners that does not block any more. */
static inline int
tls_peer_connect(const struct sockaddr_storage *to)
{
	int fd = peer_socket(to, SOCK_STREAM);

	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		abort();
	return fd;
}

static inline SSL *
tls_peer_ssl(struct tls_peer *p, int fd)
{
	SSL *ssl = SSL_new(p->context);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		abort();
	SSL_set_connect_state(ssl);
	return ssl;
}

/* @return done within a second; false: refused, or still under way */
static inline bool
tls_peer_handshake(struct tls_peer *p, SSL *ssl)
{
	for (int i = 0; i < 1000; i++) {
		int n, error;

		ERR_clear_error();
		n = SSL_do_handshake(ssl);
		error = SSL_get_error(ssl, n);
		if (n == 1)
			return true;
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			return false;
		peer_turn(&p->peer, 1);
	}
	return false;
}

static inline bool
tls_peer_write(struct tls_peer *p, SSL *ssl, const char *bytes, size_t len)
{
	while (len != 0) {
		int n, error;

		ERR_clear_error();
		n = SSL_write(ssl, bytes, (int)len);
		error = SSL_get_error(ssl, n);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
			peer_turn(&p->peer, 1);
		} else {
			return false;
		}
	}
	return true;
}

/* What comes within `ms`, as text; "" when nothing does. `*closed` (may be NULL): the other side is gone. */
static inline const char *
tls_peer_receive(struct tls_peer *p, SSL *ssl, unsigned int ms, bool *closed)
{
	uint64_t until = reactor_mono_ns() + ms * 1000000ull;
	size_t len = 0;
	bool gone = false;

	do {
		int n, error;

		ERR_clear_error();
		n = SSL_read(ssl, p->received + len, (int)(sizeof(p->received) - 1 - len));
		error = SSL_get_error(ssl, n);
		if (n > 0) {
			len += (size_t)n;
			continue;
		}
		gone = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
		if (len != 0 || gone)
			break;
		peer_turn(&p->peer, 1);
	} while (reactor_mono_ns() < until);
	p->received[len] = '\0';
	if (closed != NULL)
		*closed = gone;
	return p->received;
}

/* Is the other side gone within `ms`? */
static inline bool
tls_peer_is_closed(struct tls_peer *p, SSL *ssl, unsigned int ms)
{
	bool closed = false;

	for (unsigned int i = 0; i < ms / 10 && !closed; i++)
		(void)tls_peer_receive(p, ssl, 10, &closed);
	return closed;
}

/* An open connection, or NULL when the handshake fails. */
static inline SSL *
tls_peer_dial(struct tls_peer *p, const struct sockaddr_storage *to)
{
	SSL *ssl = tls_peer_ssl(p, tls_peer_connect(to));

	if (tls_peer_handshake(p, ssl))
		return ssl;
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
	return NULL;
}

static inline void
tls_peer_hang_up(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	ERR_clear_error();
	(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
}

static inline const char *
tls_peer_text(const struct peer_request *r, char *out, size_t out_len)
{
	char plain[16384];
	const char *port_end;
	unsigned int port = peer_port(r->fd);
	char via[64], contact[64];

	/* as over UDP, with TLS where that stands */
	peer_request_text(r, plain, sizeof(plain));
	snprintf(via, sizeof(via), "SIP/2.0/UDP 127.0.0.1:%u", port);
	snprintf(contact, sizeof(contact), "<sip:src@127.0.0.1:%u>", port);
	port_end = strstr(plain, via);
	if (port_end == NULL || strstr(plain, contact) == NULL)
		abort();
	snprintf(out, out_len, "%.*sSIP/2.0/TLS 127.0.0.1:%u%.*s<sip:src@127.0.0.1:%u;transport=tls>%s",
	         (int)(port_end - plain), plain, port,
	         (int)(strstr(plain, contact) - port_end - (long)strlen(via)), port_end + strlen(via), port,
	         strstr(plain, contact) + strlen(contact));
	return out;
}

static inline bool
tls_peer_request(struct tls_peer *p, SSL *ssl, struct peer_request r)
{
	char text[20000];

	r.fd = SSL_get_fd(ssl);
	tls_peer_text(&r, text, sizeof(text));
	return tls_peer_write(p, ssl, text, strlen(text));
}

#endif
