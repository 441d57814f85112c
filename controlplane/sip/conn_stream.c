/* TCP and TLS connections: framing, deadlines, bounds. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/sip/conn_state.h"
#include "controlplane/sip/tls.h"
#include "crypto/secret.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define STREAM_READ_BYTES    65536u	/* libevent's input per turn */
#define STREAM_BUFFER_START  4096u
#define STREAM_KEEP_BYTES    16384u	/* an idle connection holds no more */
#define LINGER_MS            2000u	/* for a peer to read our last response before the reset */
#define TLS_WRITE_BYTES      16384u

struct stream *
stream_find(const struct conn_set *s, uint64_t id)
{
	uint32_t slot = (uint32_t)id;

	if (slot == 0 || slot > s->n_slots || s->slots[slot - 1] == NULL || s->slots[slot - 1]->id != id)
		return NULL;
	return s->slots[slot - 1];
}

static void
outgoing_enter(struct stream *c)
{
	struct conn_set *s = c->set;

	c->outgoing = true;
	c->next_outgoing = s->first_outgoing;
	if (s->first_outgoing != NULL)
		s->first_outgoing->previous_outgoing = c;
	s->first_outgoing = c;
}

static void
outgoing_leave(struct stream *c)
{
	*(c->previous_outgoing != NULL ? &c->previous_outgoing->next_outgoing : &c->set->first_outgoing) = c->next_outgoing;
	if (c->next_outgoing != NULL)
		c->next_outgoing->previous_outgoing = c->previous_outgoing;
}

/* A connection that we opened to this very peer, so that a thousand dialogs of a client that went away do not open a
 * thousand of them (RFC 3261 §18). */
static struct stream *
outgoing_find(const struct conn_set *s, const struct conn_path *to)
{
	struct stream *c = s->first_outgoing;

	while (c != NULL && (c->path.transport != to->transport || !conn_same_host(&c->path.remote, &to->remote) ||
	                     conn_port(&c->path.remote) != conn_port(&to->remote) ||
	                     strcmp(c->path.peer_name, to->peer_name) != 0 || c->state == STREAM_LINGERING))
		c = c->next_outgoing;
	return c;
}

void
stream_kill(struct stream *c)
{
	struct conn_set *s = c->set;
	uint32_t slot = (uint32_t)c->id - 1;

	if (c->state == STREAM_DEAD)
		return;
	c->state = STREAM_DEAD;
	handshake_leave(c);
	if (c->outgoing)
		outgoing_leave(c);
	if (c->bev != NULL) {
		bufferevent_disable(c->bev, EV_READ | EV_WRITE);
		bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
	}
	timer_disarm(&c->deadline);
	conn_source_give(s->sources, c->source);
	c->source = NULL;
	s->slots[slot] = NULL;
	s->free_slots[s->n_free++] = slot;
	c->next_dead = s->dead;
	s->dead = c;
	if (timer_arm(s->reactor, &s->reaper, 0))
		log_error("conn", "timer_failed", "what=reaper");	/* the next kill tries again */
}

/* What libevent read, moved out and wiped: SDP may hold keys (RFC 4568), and libevent frees its memory as it is.
 * @param out  NULL: dropped. @return octets moved, at most `max` */
static size_t
input_take(struct evbuffer *input, uint8_t *out, size_t max)
{
	struct evbuffer_iovec v;
	size_t taken = 0;

	while (taken < max && evbuffer_peek(input, -1, NULL, &v, 1) > 0) {
		size_t n = v.iov_len < max - taken ? v.iov_len : max - taken;

		if (out != NULL)
			memcpy(out + taken, v.iov_base, n);
		secret_wipe(v.iov_base, n);
		if (n == 0 || evbuffer_drain(input, n) != 0)
			break;
		taken += n;
	}
	return taken;
}

void
stream_free(struct stream *c)
{
	timer_release(&c->deadline);
	if (c->bev != NULL) {
		(void)input_take(bufferevent_get_input(c->bev), NULL, SIZE_MAX);
		bufferevent_free(c->bev);	/* closes; with TLS it says so first */
	} else {
		SSL_free(c->ssl);
		close(c->fd);
	}
	for (unsigned int i = 0; i < c->n_names; i++)
		free(c->names[i]);
	if (c->in != NULL)
		secret_wipe(c->in, c->in_len);
	free(c->in);
	free(c);
}

void
streams_reap(void *ctx)
{
	struct conn_set *s = ctx;

	while (s->dead != NULL) {
		struct stream *c = s->dead;

		s->dead = c->next_dead;
		s->handlers.on_closed(s->ctx, c->id);
		stream_free(c);
	}
}

void
stream_deadline_set(struct stream *c, uint64_t after_ms)
{
	if (timer_arm(c->set->reactor, &c->deadline, after_ms))
		stream_kill(c);		/* a connection without a deadline would have no bound */
}

/* We say no more: our close_notify, where it is TLS, then the end. */
static void
stream_close_ours(struct stream *c)
{
	if (c->ssl != NULL) {
		ERR_clear_error();
		(void)SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	shutdown(bufferevent_getfd(c->bev), SHUT_WR);
}

/* No more from this peer: let it read what we wrote, then close. Closing with unread octets would send a reset,
 * and the reset would overtake the response. */
static void
stream_linger(struct stream *c)
{
	if (c->state != STREAM_OPEN)
		return;
	c->state = STREAM_LINGERING;
	stream_deadline_set(c, LINGER_MS);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		stream_close_ours(c);
}

static void
stream_wrote(struct bufferevent *bev, void *ctx)
{
	struct stream *c = ctx;

	(void)bev;
	if (c->state == STREAM_LINGERING)
		stream_close_ours(c);
}

/* CRLF between messages: two are a ping, answered by one (RFC 5626 §4.4.1). Pings that came together get one answer
 * together: with TLS each is a record of its own, and a flood of pings would cost us more than who sends it.
 * @return octets used */
static size_t
crlf_skip(struct stream *c)
{
	bool pinged = false;
	size_t at = 0;

	while (at < c->in_len) {
		if (c->in[at] == '\n') {
			at++;
		} else if (at + 1 < c->in_len && c->in[at] == '\r' && c->in[at + 1] == '\n') {
			at += 2;
			if (++c->n_crlf == 2) {
				c->n_crlf = 0;
				pinged = true;
			}
		} else {
			break;
		}
	}
	if (pinged && conn_send(c->set, &c->path, span_of_text("\r\n")) != SRS_OK)
		log_debug("conn", "pong_lost", "connection=%llu", (unsigned long long)c->id);	/* and it is dead */
	return at;
}

static void
input_drop(struct stream *c, size_t len)
{
	memmove(c->in, c->in + len, c->in_len - len);
	c->in_len -= len;
	secret_wipe(c->in + c->in_len, len);
	c->framer = (struct message_framer){ 0 };
	if (c->in_len == 0 && c->in_cap > STREAM_KEEP_BYTES) {
		free(c->in);
		c->in = NULL;
		c->in_cap = 0;
	}
}

/* Hand on every whole message that is there. */
static void
stream_deliver(struct stream *c)
{
	struct conn_set *s = c->set;

	while (c->state == STREAM_OPEN && c->in_len != 0) {
		enum message_framing how;
		size_t skipped = c->framer.scanned == 0 ? crlf_skip(c) : 0;

		if (skipped != 0) {
			input_drop(c, skipped);
			continue;
		}
		how = message_frame(&c->framer, span_of(c->in, c->in_len), s->message_bytes_max);
		if (how == MESSAGE_PARTIAL)
			break;
		c->n_crlf = 0;
		if (how != MESSAGE_WHOLE) {
			s->handlers.on_message(s->ctx, &c->path, span_of(c->in, c->framer.head_len), how);
			stream_linger(c);
			return;
		}
		c->has_spoken = true;
		s->handlers.on_message(s->ctx, &c->path, span_of(c->in, c->framer.len), how);
		input_drop(c, c->framer.len);
	}
}

static void
stream_deadline_review(struct stream *c)
{
	if (c->state != STREAM_OPEN)
		return;
	if (c->in_len != 0 || (!c->has_spoken && !c->outgoing)) {
		if (!timer_is_armed(&c->deadline))
			stream_deadline_set(c, CONN_MESSAGE_MS_MAX);
	} else if (c->outgoing) {
		stream_deadline_set(c, CONN_OUTGOING_IDLE_MS);
	} else {
		timer_disarm(&c->deadline);
	}
}

/* Room for what libevent holds, never more than one message and a read. */
static bool
input_grow(struct stream *c, size_t want)
{
	size_t cap = c->in_cap == 0 ? STREAM_BUFFER_START : c->in_cap;
	size_t cap_max = c->set->message_bytes_max + STREAM_READ_BYTES;
	uint8_t *grown;

	while (cap < c->in_len + want && cap < cap_max)
		cap *= 2;
	if (cap > cap_max)
		cap = cap_max;
	if (cap == c->in_cap)
		return true;
	grown = malloc(cap);	/* not realloc: it would leave a copy behind */
	if (grown == NULL)
		return false;
	if (c->in != NULL) {
		memcpy(grown, c->in, c->in_len);
		secret_wipe(c->in, c->in_len);
		free(c->in);
	}
	c->in = grown;
	c->in_cap = cap;
	return true;
}

static void
stream_readable(struct bufferevent *bev, void *ctx)
{
	struct stream *c = ctx;
	struct evbuffer *input = bufferevent_get_input(bev);
	bool was_idle = c->in_len == 0;

	while (c->state == STREAM_OPEN && evbuffer_get_length(input) != 0) {
		size_t n;

		if (!input_grow(c, evbuffer_get_length(input)) || c->in_len == c->in_cap) {
			stream_kill(c);
			return;
		}
		n = input_take(input, c->in + c->in_len, c->in_cap - c->in_len);
		if (n == 0)
			break;
		c->in_len += n;
		stream_deliver(c);
	}
	if (c->state == STREAM_LINGERING)
		(void)input_take(input, NULL, SIZE_MAX);
	if (was_idle && c->outgoing)
		timer_disarm(&c->deadline);	/* the idle bound gives way to the message's */
	stream_deadline_review(c);
}

/* Of a connection that we open. libevent took the reason out of OpenSSL's queue. */
static void
stream_tls_failed(struct stream *c)
{
	char what[TLS_WHY_MAX], address[CONN_ADDRESS_TEXT_MAX];
	unsigned long error = bufferevent_get_openssl_error(c->bev);
	const char *remedy;

	if (ERR_GET_LIB(error) <= ERR_LIB_SYS)
		return;		/* TCP itself failed (a number of libevent's, or of the system), or the peer just closed */
	ERR_put_error(ERR_GET_LIB(error), 0, ERR_GET_REASON(error), __FILE__, __LINE__);
	(void)tls_failure(c->ssl, what, sizeof(what), &remedy);
	conn_count(c->set->counters.tls_failed);
	log_warn("conn", "tls_handshake_failed", "to=%s what=\"%s\" remedy=\"%s\"",
	         conn_address_text(&c->path.remote, address), what, remedy);
}

/* The handshake of a connection that we opened is done. @return false: with somebody else, and it is dead */
static bool
stream_reached_its_peer(struct stream *c)
{
	const X509 *x = SSL_get0_peer_certificate(c->ssl);
	char address[CONN_ADDRESS_TEXT_MAX];

	if (!tls_peer_is(c->set->tls, c->ssl, &c->path)) {
		conn_count(c->set->counters.tls_failed);
		log_warn("conn", "tls_wrong_peer", "to=%s remedy=\"its certificate has neither that address nor a name in src: "
		         "name it there in identities\"", conn_address_text(&c->path.remote, address));
		stream_kill(c);
		return false;
	}
	if (x != NULL && SSL_get_verify_result(c->ssl) == X509_V_OK && *c->set->config->tls.client_ca != '\0')
		c->n_names = certificate_names(x, c->names);
	conn_count(c->set->counters.tls_done);
	return true;
}

static void
stream_event(struct bufferevent *bev, short what, void *ctx)
{
	struct stream *c = ctx;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		if (c->ssl != NULL && !stream_reached_its_peer(c))
			return;
		c->state = STREAM_OPEN;
		timer_disarm(&c->deadline);
		stream_deadline_review(c);
	} else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
		if (c->ssl != NULL && c->state == STREAM_CONNECTING)
			stream_tls_failed(c);
		stream_kill(c);
	}
}

static void
stream_late(void *ctx)
{
	struct stream *c = ctx;
	char address[CONN_ADDRESS_TEXT_MAX];

	if (c->state == STREAM_HANDSHAKE || (c->state == STREAM_OPEN && !c->outgoing)) {
		conn_count(c->set->counters.late);
		log_warn("conn", "peer_too_slow", "peer=%s waited_for=%s", conn_address_text(&c->path.remote, address),
		         c->state == STREAM_HANDSHAKE ? "handshake" : c->in_len != 0 ? "rest_of_a_message" : "first_message");
	}
	stream_kill(c);
}

/* A slot, and no way for bytes yet. */
static struct stream *
stream_create(struct conn_set *s, enum config_transport transport)
{
	struct stream *c = s->n_free == 0 ? NULL : calloc(1, sizeof(*c));
	uint32_t slot;

	if (c == NULL)
		return NULL;
	slot = s->free_slots[--s->n_free];
	c->set = s;
	c->fd = -1;
	c->id = (uint64_t)++s->generation << 32 | (slot + 1);
	s->slots[slot] = c;
	c->path = (struct conn_path){ .transport = transport, .connection = c->id };
	timer_init(&c->deadline, stream_late, c);
	return c;
}

static void
stream_use(struct stream *c, struct bufferevent *bev)
{
	c->bev = bev;
	c->fd = -1;
	bufferevent_setcb(bev, stream_readable, stream_wrote, stream_event, c);
	if (c->ssl == NULL)
		bufferevent_setwatermark(bev, EV_READ, 0, STREAM_READ_BYTES);
	else	/* libevent would forget what OpenSSL holds of a record; a wake reads one record or so anyway */
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
}

void
stream_begin(struct stream *c, struct bufferevent *bev)
{
	stream_use(c, bev);
	c->state = STREAM_OPEN;
	timer_disarm(&c->deadline);	/* the handshake's */
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	stream_deadline_review(c);
}

static void
refuse_connection(struct conn_set *s, int fd, const struct sockaddr_storage *remote, const char *why)
{
	char address[CONN_ADDRESS_TEXT_MAX];

	close(fd);
	conn_count(s->counters.refused);
	log_warn("conn", "connection_refused", "peer=%s open=%u limit=%s", conn_address_text(remote, address),
	         conn_n_open(s), why);
}

void
stream_accepted(struct evconnlistener *accepting, int fd, struct sockaddr *remote, int len, void *ctx)
{
	struct listener *l = ctx;
	struct conn_set *s = l->set;
	struct sockaddr_storage from = { 0 };
	struct conn_source *source;
	struct bufferevent *bev;
	struct stream *c;
	socklen_t local_len;
	int on = 1;

	(void)accepting;
	memcpy(&from, remote, (size_t)len < sizeof(from) ? (size_t)len : sizeof(from));
	source = conn_source_take(s->sources, &from);
	c = source == NULL || source->n_open > s->config->sip.connections_per_source_max ? NULL :
	    stream_create(s, l->transport);
	if (c == NULL) {
		refuse_connection(s, fd, &from, source != NULL && s->n_free != 0 ? "sip.connections_per_source_max" :
		                  "sip.connections_max");
		conn_source_give(s->sources, source);
		return;
	}
	c->fd = fd;
	c->source = source;
	c->path.listener_i = l->index;
	c->path.remote = from;
	local_len = sizeof(c->path.local);
	if (getsockname(fd, (struct sockaddr *)&c->path.local, &local_len) != 0)
		c->path.local = l->address;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	conn_count(s->counters.accepted);
	if (l->transport == CONFIG_TLS) {
		handshake_begin(c);
		return;
	}
	bev = bufferevent_socket_new(reactor_base(s->reactor), fd, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		stream_kill(c);
	else
		stream_begin(c, bev);
}

static bool
stream_connect_prepare(struct stream *c, const struct conn_path *path)
{
	struct event_base *base = reactor_base(c->set->reactor);
	struct bufferevent *bev;

	if (path->transport == CONFIG_TCP) {
		bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	} else {
		c->ssl = c->set->tls == NULL ? NULL : tls_client_side(c->set->tls, path->peer_name);
		bev = c->ssl == NULL ? NULL : bufferevent_openssl_socket_new(base, -1, c->ssl, BUFFEREVENT_SSL_CONNECTING,
		                                                             BEV_OPT_CLOSE_ON_FREE);
	}
	if (bev == NULL)
		return false;
	stream_use(c, bev);
	return true;
}

static struct stream *
stream_connect(struct conn_set *s, const struct conn_path *path)
{
	struct sockaddr_storage remote = path->remote;
	struct stream *c = stream_create(s, path->transport);

	if (c == NULL)
		return NULL;
	c->state = STREAM_CONNECTING;
	outgoing_enter(c);
	c->path = *path;
	c->path.connection = c->id;
	if (!stream_connect_prepare(c, path)) {
		stream_kill(c);
		return NULL;
	}
	stream_deadline_set(c, path->transport == CONFIG_TLS ? CONN_CONNECT_TLS_MS_MAX : CONN_MESSAGE_MS_MAX);
	if (c->state == STREAM_DEAD)
		return NULL;
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(c->bev, (struct sockaddr *)&remote, (int)conn_address_len(&remote)) != 0) {
		stream_kill(c);
		return NULL;
	}
	return c->state == STREAM_DEAD ? NULL : c;
}

static void
output_done(const void *bytes, size_t len, void *copy)
{
	secret_wipe(copy, len);
	free(copy);
}

/* A copy that libevent gives back when it is written: an answer may hold our key. */
static enum srs_err
output_add(struct stream *c, struct span bytes)
{
	uint8_t *copy = malloc(bytes.len + 1);

	if (copy == NULL)
		return SRS_ERR_NOMEM;
	memcpy(copy, bytes.bytes, bytes.len);
	if (evbuffer_add_reference(bufferevent_get_output(c->bev), copy, bytes.len, output_done, copy) == 0)
		return SRS_OK;
	output_done(NULL, bytes.len, copy);
	return SRS_ERR_NOMEM;
}

enum srs_err
stream_send(struct conn_set *s, struct conn_path *path, struct span bytes)
{
	struct stream *c = stream_find(s, path->connection);

	if (c == NULL)
		c = outgoing_find(s, path);
	if (c == NULL) {
		if (s->n_free == 0)
			return SRS_ERR_LIMIT;
		c = stream_connect(s, path);
		if (c == NULL)
			return SRS_ERR_IO;
	}
	path->connection = c->id;
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) + bytes.len > CONN_WRITE_BYTES_MAX) {
		stream_kill(c);
		return SRS_ERR_LIMIT;
	}
	return output_add(c, bytes);
}


void
stream_flush(struct stream *c)
{
	struct evbuffer *output;
	struct evbuffer_iovec v;

	if (c->state != STREAM_OPEN)
		return;
	output = bufferevent_get_output(c->bev);
	if (c->ssl == NULL) {
		evbuffer_write(output, bufferevent_getfd(c->bev));
		return;
	}
	while (evbuffer_peek(output, -1, NULL, &v, 1) > 0 && v.iov_len != 0) {
		int n;

		ERR_clear_error();
		n = SSL_write(c->ssl, v.iov_base, v.iov_len < TLS_WRITE_BYTES ? (int)v.iov_len : (int)TLS_WRITE_BYTES);
		if (n <= 0 || evbuffer_drain(output, (size_t)n) != 0)
			break;
	}
	ERR_clear_error();
}
