/* Where SIP messages come from and go to: UDP sockets, TCP and TLS listeners and connections, all on the control loop.
 * A reply leaves from the address that the request came to. Everything is bounded: connections, bytes of a message,
 * bytes waiting to be written, and the time a peer may take for a message. @thread control
 * @rfc 3261 §18, 5626 §4.4.1 */
#ifndef CONN_H
#define CONN_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>

#include "controlplane/sip/message.h"
#include "controlplane/reactor.h"
#include "lib/config.h"
#include "lib/span.h"
#include "lib/srs_err.h"

#define CONN_MESSAGE_MS_MAX   32000u	/* a message begun, or the first one awaited, must be whole by then */
#define CONN_HANDSHAKE_MS_MAX 5000u	/* a TLS connection that came: its handshake must be done by then */
#define CONN_CONNECT_TLS_MS_MAX 10000u /* one that we open: TCP and the handshake */
#define CONN_WRITE_BYTES_MAX  (1u << 20) /* waiting for a peer that does not read */
#define CONN_OUTGOING_IDLE_MS 120000u	/* a connection that we opened and nobody uses */
#define CONN_PEER_NAME_MAX    64	/* host names in URIs that we follow over TLS */
#define CONN_ADDRESS_TEXT_MAX (INET6_ADDRSTRLEN + 10) /* "[address]:port" */

struct conn_set;

/* One way a message travels: from where it came, and how its answer goes back. */
struct conn_path {
	enum config_transport transport;
	uint32_t listener_i;		/* UDP: which socket sends */
	uint64_t connection;		/* streams: 0 is none yet; ids are never used twice */
	struct sockaddr_storage remote;
	struct sockaddr_storage local;	/* the very address, also behind a listener on 0.0.0.0 */
	bool sips;			/* the peer's URIs are sips: ours, too (RFC 3261 §12.1.1); set by who reads messages */
	char peer_name[CONN_PEER_NAME_MAX];	/* TLS that we open: the host of the URI, when it is no address, which the
						 * peer's certificate must have (RFC 5922 §4); "": see tls_peer_is() */
};

struct conn_handlers {
	/** One message. Framing other than WHOLE: `bytes` is a header block whose body cannot be had, or
	 * nothing when that is too large itself; a response may be sent, then the connection closes. */
	void (*on_message)(void *ctx, const struct conn_path *from, struct span bytes, enum message_framing how);
	/** A connection is gone. Never called from within conn_send(). */
	void (*on_closed)(void *ctx, uint64_t connection);
};

/* Where to count: single-writer cells of the caller. */
struct conn_counters {
	_Atomic uint64_t *accepted, *refused, *late;
	_Atomic uint64_t *tls_done, *tls_resumed, *tls_failed, *tls_evicted;
};

SRS_MUST_CHECK enum srs_err conn_set_create(struct conn_set **out, struct reactor *r, const struct config *c,
                                            const struct conn_handlers *handlers, void *ctx,
                                            const struct conn_counters *counters, char *why, size_t why_len);
/** Read certificates again; connections stay. A bad file is logged, and the old ones go on. */
void conn_reload(struct conn_set *s);
void conn_set_destroy(struct conn_set *s);	/* accepts NULL; tries once to write what waits */

/** Send. A stream path whose connection is gone, or has none, goes by one that we opened to `remote` before, or opens one,
 * and remembers it.
 * @return IO, LIMIT (connections_max, or the peer does not read), NOMEM */
SRS_MUST_CHECK enum srs_err conn_send(struct conn_set *s, struct conn_path *path, struct span bytes);

/** A path to `remote` for a request of ours, from an address of ours that reaches it; `like` is how the peer last
 * came to us. @return STATE when no listener of that transport and address family exists */
SRS_MUST_CHECK enum srs_err conn_path_to(const struct conn_set *s, enum config_transport transport,
                                         const struct sockaddr_storage *remote, const struct conn_path *like,
                                         struct conn_path *out);

/** Names that the peer's certificate proves on this connection, borrowed until it closes: hosts of sip: URIs in the
 * subjectAltName, else its DNS names (RFC 5922 §7.1). `names` holds CONN_IDENTITIES_MAX. @return how many; 0 without TLS,
 * without a certificate, or when the connection is gone */
#define CONN_IDENTITIES_MAX 100
unsigned int conn_identities(const struct conn_set *s, const struct conn_path *path, const char **names);
/** The first of them; "": none. */
const char *conn_identity(const struct conn_set *s, const struct conn_path *path);

unsigned int conn_n_listeners(const struct conn_set *s);
/** The address that listener `i` is bound to (port 0 in the config: what the system chose). */
const struct sockaddr_storage *conn_listener_address(const struct conn_set *s, unsigned int i);
unsigned int conn_n_open(const struct conn_set *s);
/** Does the connection by which this came still stand? UDP: always. */
bool conn_is_open(const struct conn_set *s, const struct conn_path *path);

/* ---- addresses, as SIP writes them ---- */
/** "UDP", "TCP", "TLS": as in Via. */
const char *conn_transport_name(enum config_transport t);
/** Numeric IPv4 or IPv6, brackets allowed. @return INVALID for anything else, host names included */
SRS_MUST_CHECK enum srs_err conn_address_read(struct sockaddr_storage *out, const char *host, uint16_t port);
uint16_t conn_port(const struct sockaddr_storage *address);
void conn_port_set(struct sockaddr_storage *address, uint16_t port);
/** "192.0.2.1:5060", "[2001:db8::1]:5060". `out` holds CONN_ADDRESS_TEXT_MAX. @return out */
const char *conn_address_text(const struct sockaddr_storage *address, char *out);
/** The bare host, without brackets. @return out */
const char *conn_host_text(const struct sockaddr_storage *address, char *out);
bool conn_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

#endif
