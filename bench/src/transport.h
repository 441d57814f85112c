/* The SIP transport of a run: one UDP socket, or one TCP or TLS connection, that all calls share. */
#ifndef SRC_TRANSPORT_H
#define SRC_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"

struct transport_spec {
	enum call_transport kind;
	const char *host, *port;
	const char *local_ip;	/* NULL: chosen by the route */
	const char *ca;		/* TLS: who may have signed the server's certificate; NULL: it is not checked */
	const char *certificate, *key;	/* TLS: ours; NULL: none */
	const char *server_name;	/* TLS: asked for and, with `ca`, checked; NULL: the host */
	const char *tls_version;	/* 1.2, 1.3; NULL: any */
};

struct transport;

/** Connect, TLS handshake included.
 * @param plan  gets the addresses of both ends
 * @return NULL, with the reason in `why` */
struct transport *transport_open(const struct transport_spec *spec, struct call_plan *plan, char *why, size_t why_len);
void transport_close(struct transport *t);	/* accepts NULL */

int transport_fd(const struct transport *t);
bool transport_has_more(const struct transport *t);	/* to write: wait for POLLOUT too */
const char *transport_agreed(const struct transport *t);	/* "TLSv1.3 TLS_AES_256_GCM_SHA384", "" without TLS */

bool transport_send(struct transport *t, const char *message, size_t len);
bool transport_flush(struct transport *t);
/** Whole messages, NUL-terminated. @return false: the connection is gone */
bool transport_receive(struct transport *t, void (*on_message)(void *ctx, const char *message), void *ctx);

#endif
