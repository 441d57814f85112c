/* Inside of the connections, shared by conn.c (sockets, datagrams, paths), conn_stream.c (what a connection carries) and
 * conn_handshake.c (how a TLS connection begins). The page for others is conn.h. @thread control */
#ifndef CONN_STATE_H
#define CONN_STATE_H

#include <assert.h>

#include "controlplane/reactor.h"
#include "controlplane/sip/certificate.h"
#include "controlplane/sip/conn.h"
#include "controlplane/sip/conn_source.h"

struct bufferevent;
struct evconnlistener;
struct event;
struct ssl_st;
struct tls;

struct listener {
	struct conn_set *set;
	uint32_t index;
	enum config_transport transport;
	struct sockaddr_storage address;
	int fd;				/* UDP */
	struct event *readable;		/* UDP */
	struct evconnlistener *accepting; /* TCP, TLS */
};

enum stream_state { STREAM_CONNECTING, STREAM_HANDSHAKE, STREAM_OPEN, STREAM_LINGERING, STREAM_DEAD };

/* A TLS connection on its way in, until its handshake is done. */
struct handshake {
	struct event *event;		/* waits for the peer */
	bool is_waiting;		/* the peer did its part: it stands in the queue for ours */
	struct stream *older, *newer;	/* of those under way */
	struct stream *next_waiting;
};

static_assert(CONN_IDENTITIES_MAX >= CERTIFICATE_NAMES_MAX, "a caller's list holds all that a certificate has");

struct stream {
	struct conn_set *set;
	struct stream *next_dead;
	uint64_t id;			/* generation in the upper half, slot + 1 in the lower */
	enum stream_state state;
	bool outgoing;
	struct stream *next_outgoing, *previous_outgoing;
	bool has_spoken;		/* a whole message came */
	unsigned int n_crlf;		/* of a keep-alive ping */
	struct bufferevent *bev;	/* NULL in STREAM_HANDSHAKE, and after one that failed */
	int fd;				/* then ours to close */
	struct ssl_st *ssl;		/* TLS: the bufferevent's, ours while that is NULL */
	struct handshake handshake;
	char *names[CERTIFICATE_NAMES_MAX];	/* that the peer proves */
	unsigned int n_names;
	struct conn_source *source;	/* NULL: outgoing */
	uint8_t *in;
	size_t in_len, in_cap;
	struct message_framer framer;
	struct timer deadline;
	struct conn_path path;
};

struct conn_set {
	struct reactor *reactor;
	const struct config *config;
	struct conn_handlers handlers;
	void *ctx;
	struct conn_counters counters;
	size_t message_bytes_max;
	struct listener listeners[CONFIG_LISTEN_MAX];
	unsigned int n_listeners;
	struct stream **slots;		/* connections_max of them */
	uint32_t *free_slots;
	uint32_t n_free, n_slots;
	uint32_t generation;
	struct stream *first_outgoing;	/* connections that we opened */
	struct conn_sources *sources;
	struct stream *dead;		/* freed by the reaper, never below a handler */
	struct timer reaper;
	struct timer accept_again;
	uint8_t *datagram;

	struct tls *tls;		/* NULL: no listener has TLS */
	struct stream *oldest, *newest;	/* handshakes under way */
	uint32_t n_handshakes;
	struct stream *first_waiting, *last_waiting;
	struct timer turn;		/* does our part of a few handshakes, then others have theirs */
	unsigned int n_hours;
	struct timer hour;		/* new keys of tickets, and a look at the certificate */
};

static inline void
conn_count(_Atomic uint64_t *cell)
{
	if (cell != NULL)
		atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + 1, memory_order_relaxed);
}

static inline socklen_t
conn_address_len(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* ---- conn_stream.c ---- */
struct stream *stream_find(const struct conn_set *s, uint64_t id);
/** Out of the table at once, so that nobody sends; freed by the reaper, since handlers may be above us. */
void stream_kill(struct stream *c);
void stream_deadline_set(struct stream *c, uint64_t after_ms);
/** Its bytes flow from now on, through `bev`, which it owns. */
void stream_begin(struct stream *c, struct bufferevent *bev);
void stream_free(struct stream *c);
void streams_reap(void *set);	/* a timer's callback */
SRS_MUST_CHECK enum srs_err stream_send(struct conn_set *s, struct conn_path *path, struct span bytes);
/** What libevent calls for a connection that came, with `ctx` the listener. */
void stream_accepted(struct evconnlistener *accepting, int fd, struct sockaddr *remote, int len, void *ctx);
/** Once more what waits to be written, then nothing. */
void stream_flush(struct stream *c);

/* ---- conn_handshake.c ---- */
/** Begin as the server, on c->fd. */
void handshake_begin(struct stream *c);
/** Out of the lists; accepts one that is not in them. */
void handshake_leave(struct stream *c);
void handshakes_turn(void *set);	/* a timer's callback */

#endif
