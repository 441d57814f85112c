/* How a load test sends and receives: one UDP socket in batches, or a few TCP or TLS connections that stay up. */
#ifndef WIRE_H
#define WIRE_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_transport { WIRE_UDP, WIRE_TCP, WIRE_TLS };

struct wire_spec {
	enum wire_transport transport;
	const char *host, *port;
	unsigned int n_connections;	/* TCP, TLS */
	const char *ca, *certificate, *key;	/* TLS; NULL: none */
	const char *tls_version;	/* 1.2, 1.3; NULL: what both can */
};

struct wire_set;

/** Open them all, TLS handshakes included. @return NULL, with the reason in `why` */
struct wire_set *wire_open(const struct wire_spec *spec, char *why, size_t why_len);
void wire_close(struct wire_set *w);

/** Local address of connection `i`. */
const struct sockaddr_storage *wire_local(const struct wire_set *w, unsigned int i);

/** Send soon: wire_flush() at the latest. */
void wire_send(struct wire_set *w, unsigned int i, const char *bytes, size_t len);
void wire_flush(struct wire_set *w);

/** Wait until something can be read (or written, where bytes wait), at most so long. */
void wire_wait(struct wire_set *w, uint64_t ns_max);

/** Take what came. @return false: a connection is gone */
bool wire_receive(struct wire_set *w, void (*on_message)(void *ctx, const char *message, size_t len), void *ctx);

/** What handshakes and connections agreed on: "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" */
const char *wire_cipher(const struct wire_set *w);

/** A context for TLS as `spec` says. @return NULL, with the reason in `why` */
SSL_CTX *wire_tls_context(const struct wire_spec *spec, char *why, size_t why_len);
/** A stream socket that is connecting. @return -1: errno says why */
int wire_connect(const struct wire_spec *spec, bool wait);

#endif
