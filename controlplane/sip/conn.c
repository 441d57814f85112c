#include "controlplane/sip/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define DATAGRAM_BYTES_MAX   65535u
#define DATAGRAMS_PER_WAKE   64		/* then timers and other sockets have their turn */
#define SOCKET_BUFFER_BYTES  (4 << 20)	/* 1,000 INVITEs of 4 KB at once */
#define STREAM_READ_BYTES    65536u	/* libevent's input per turn */
#define STREAM_BUFFER_START  4096u
#define STREAM_KEEP_BYTES    16384u	/* an idle connection holds no more */
#define LINGER_MS            2000u	/* for a peer to read our last response before the reset */
#define ACCEPT_PAUSE_MS      1000u	/* after accept() failed: out of descriptors, mostly */
#define LISTEN_BACKLOG       512

struct listener {
	struct conn_set *set;
	uint32_t index;
	enum config_transport transport;
	struct sockaddr_storage address;
	int fd;				/* UDP */
	struct event *readable;		/* UDP */
	struct evconnlistener *accepting; /* TCP */
};

enum stream_state { STREAM_CONNECTING, STREAM_OPEN, STREAM_LINGERING, STREAM_DEAD };

struct stream {
	struct conn_set *set;
	struct stream *next_dead;
	uint64_t id;			/* generation in the upper half, slot + 1 in the lower */
	enum stream_state state;
	bool outgoing;
	bool has_spoken;		/* a whole message came */
	unsigned int n_crlf;		/* of a keep-alive ping */
	struct bufferevent *bev;
	uint8_t *in;
	size_t in_len, in_cap;
	struct message_framer framer;
	struct timer deadline;
	struct conn_path path;
};

struct conn_set {
	struct reactor *reactor;
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
	struct stream *dead;		/* freed by the reaper, never below a handler */
	struct timer reaper;
	struct timer accept_again;
	uint8_t *datagram;
};

/* ---- addresses ---- */

static socklen_t
address_len(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static struct sockaddr_in *
in4(struct sockaddr_storage *a)
{
	return (struct sockaddr_in *)a;
}

static struct sockaddr_in6 *
in6(struct sockaddr_storage *a)
{
	return (struct sockaddr_in6 *)a;
}

static const struct sockaddr_in *
in4_of(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in *)a;
}

static const struct sockaddr_in6 *
in6_of(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in6 *)a;
}

static bool
is_any(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&in6_of(a)->sin6_addr);
	return in4_of(a)->sin_addr.s_addr == htonl(INADDR_ANY);
}

static void
count(_Atomic uint64_t *cell)
{
	atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* ---- UDP ---- */

/* Which of our addresses a datagram came to: the control message knows, behind a wildcard socket nothing else does. */
static void
local_address_read(struct msghdr *msg, struct sockaddr_storage *local)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			in4(local)->sin_addr = info.ipi_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			in6(local)->sin6_addr = info.ipi6_addr;
			if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				in6(local)->sin6_scope_id = info.ipi6_ifindex;
		}
	}
}

/* Keep-alives on UDP are blank lines or zeros: nothing to answer, nothing to count. */
static bool
is_keep_alive(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != '\r' && bytes[i] != '\n' && bytes[i] != 0)
			return false;
	return true;
}

static void
udp_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct listener *l = ctx;
	struct conn_set *s = l->set;

	(void)what;
	for (int i = 0; i < DATAGRAMS_PER_WAKE; i++) {
		struct conn_path from = { .transport = CONFIG_UDP, .listener_i = l->index, .local = l->address };
		char control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct iovec iov = { .iov_base = s->datagram, .iov_len = DATAGRAM_BYTES_MAX };
		struct msghdr msg = { .msg_name = &from.remote, .msg_namelen = sizeof(from.remote),
			              .msg_iov = &iov, .msg_iovlen = 1,
			              .msg_control = control, .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

		if (n < 0)
			return;		/* EAGAIN; an ICMP error of an earlier send is no news either */
		if (is_keep_alive(s->datagram, (size_t)n))
			continue;
		local_address_read(&msg, &from.local);
		s->handlers.on_message(s->ctx, &from, span_of(s->datagram, (size_t)n), MESSAGE_WHOLE);
		secret_wipe(s->datagram, (size_t)n);	/* SDP may hold keys (RFC 4568) */
	}
}

static enum srs_err
udp_send(struct conn_set *s, const struct conn_path *path, struct span bytes)
{
	const struct listener *l = &s->listeners[path->listener_i];
	struct sockaddr_storage remote = path->remote;
	union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_len = bytes.len };
	struct msghdr msg = { .msg_name = &remote, .msg_namelen = address_len(&remote),
		              .msg_iov = &iov, .msg_iovlen = 1,
		              .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	memcpy(&iov.iov_base, &bytes.bytes, sizeof(iov.iov_base)); /* sendmsg only reads; iovec lacks the const */
	if (remote.ss_family == AF_INET6) {
		struct in6_pktinfo info = { .ipi6_addr = in6_of(&path->local)->sin6_addr,
			                    .ipi6_ifindex = in6_of(&path->local)->sin6_scope_id };

		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		msg.msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		struct in_pktinfo info = { .ipi_spec_dst = in4_of(&path->local)->sin_addr };

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		msg.msg_controllen = CMSG_SPACE(sizeof(info));
	}
	if (sendmsg(l->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return SRS_OK;
	/* A full socket buffer is a lost datagram: the retransmission mends it. */
	return errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? SRS_OK : SRS_ERR_IO;
}

/* ---- streams ---- */

static struct stream *
stream_find(const struct conn_set *s, uint64_t id)
{
	uint32_t slot = (uint32_t)id;

	if (slot == 0 || slot > s->n_slots || s->slots[slot - 1] == NULL || s->slots[slot - 1]->id != id)
		return NULL;
	return s->slots[slot - 1];
}

/* Out of the table at once, so that nobody sends; freed by the reaper, since handlers may be above us. */
static void
stream_kill(struct stream *c)
{
	struct conn_set *s = c->set;
	uint32_t slot = (uint32_t)c->id - 1;

	if (c->state == STREAM_DEAD)
		return;
	c->state = STREAM_DEAD;
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
	timer_disarm(&c->deadline);
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

static void
stream_free(struct stream *c)
{
	timer_release(&c->deadline);
	(void)input_take(bufferevent_get_input(c->bev), NULL, SIZE_MAX);
	bufferevent_free(c->bev);
	if (c->in != NULL)
		secret_wipe(c->in, c->in_len);
	free(c->in);
	free(c);
}

static void
reap(void *ctx)
{
	struct conn_set *s = ctx;

	while (s->dead != NULL) {
		struct stream *c = s->dead;

		s->dead = c->next_dead;
		s->handlers.on_closed(s->ctx, c->id);
		stream_free(c);
	}
}

static void
deadline_set(struct stream *c, uint64_t after_ms)
{
	if (timer_arm(c->set->reactor, &c->deadline, after_ms))
		stream_kill(c);		/* a connection without a deadline would have no bound */
}

/* No more from this peer: let it read what we wrote, then close. Closing with unread octets would send a reset,
 * and the reset would overtake the response. */
static void
stream_linger(struct stream *c)
{
	if (c->state != STREAM_OPEN)
		return;
	c->state = STREAM_LINGERING;
	deadline_set(c, LINGER_MS);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		shutdown(bufferevent_getfd(c->bev), SHUT_WR);
}

static void
stream_wrote(struct bufferevent *bev, void *ctx)
{
	struct stream *c = ctx;

	if (c->state == STREAM_LINGERING)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

/* CRLF between messages: two are a ping, answered by one (RFC 5626 §4.4.1). @return octets used */
static size_t
crlf_skip(struct stream *c)
{
	size_t at = 0;

	while (at < c->in_len) {
		if (c->in[at] == '\n') {
			at++;
		} else if (at + 1 < c->in_len && c->in[at] == '\r' && c->in[at + 1] == '\n') {
			at += 2;
			if (++c->n_crlf == 2) {
				c->n_crlf = 0;
				if (conn_send(c->set, &c->path, span_of_text("\r\n")) != SRS_OK)
					break;	/* and it is dead */
			}
		} else {
			break;
		}
	}
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
			deadline_set(c, CONN_MESSAGE_MS_MAX);
	} else if (c->outgoing) {
		deadline_set(c, CONN_OUTGOING_IDLE_MS);
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

static void
stream_event(struct bufferevent *bev, short what, void *ctx)
{
	struct stream *c = ctx;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		c->state = STREAM_OPEN;
		timer_disarm(&c->deadline);
		stream_deadline_review(c);
	} else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
		stream_kill(c);
	}
}

static void
stream_late(void *ctx)
{
	stream_kill(ctx);
}

/* @param fd  accepted, owned from here on; -1: to be connected */
static struct stream *
stream_create(struct conn_set *s, int fd)
{
	struct stream *c = s->n_free == 0 ? NULL : calloc(1, sizeof(*c));
	uint32_t slot;

	if (c == NULL)
		return NULL;
	c->bev = bufferevent_socket_new(reactor_base(s->reactor), fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL) {
		free(c);
		return NULL;
	}
	slot = s->free_slots[--s->n_free];
	c->set = s;
	c->id = (uint64_t)++s->generation << 32 | (slot + 1);
	s->slots[slot] = c;
	c->path = (struct conn_path){ .transport = CONFIG_TCP, .connection = c->id };
	timer_init(&c->deadline, stream_late, c);
	bufferevent_setcb(c->bev, stream_readable, stream_wrote, stream_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, STREAM_READ_BYTES);
	return c;
}

static void
accepted(struct evconnlistener *accepting, evutil_socket_t fd, struct sockaddr *remote, int len, void *ctx)
{
	struct listener *l = ctx;
	struct conn_set *s = l->set;
	struct stream *c = stream_create(s, fd);
	socklen_t local_len;
	int on = 1;

	(void)accepting;
	if (c == NULL) {
		close(fd);
		count(s->counters.refused);
		log_warn("conn", "connection_refused", "open=%u", conn_n_open(s));
		return;
	}
	c->state = STREAM_OPEN;
	c->path.listener_i = l->index;
	memcpy(&c->path.remote, remote, (size_t)len < sizeof(c->path.remote) ? (size_t)len : sizeof(c->path.remote));
	local_len = sizeof(c->path.local);
	if (getsockname(fd, (struct sockaddr *)&c->path.local, &local_len) != 0)
		c->path.local = l->address;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	count(s->counters.accepted);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	stream_deadline_review(c);
}

static void
accept_failed(struct evconnlistener *accepting, void *ctx)
{
	struct listener *l = ctx;

	log_warn("conn", "accept_failed", "errno=%d", errno);
	/* The connection still waits in the kernel, so accepting again at once would spin. */
	if (timer_arm(l->set->reactor, &l->set->accept_again, ACCEPT_PAUSE_MS) == SRS_OK)
		evconnlistener_disable(accepting);
}

static void
accept_again(void *ctx)
{
	struct conn_set *s = ctx;

	for (unsigned int i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].accepting != NULL)
			evconnlistener_enable(s->listeners[i].accepting);
}

static struct stream *
stream_connect(struct conn_set *s, const struct conn_path *path)
{
	struct sockaddr_storage remote = path->remote;
	struct stream *c = stream_create(s, -1);

	if (c == NULL)
		return NULL;
	c->state = STREAM_CONNECTING;
	c->outgoing = true;
	c->path.transport = path->transport;
	c->path.listener_i = path->listener_i;
	c->path.remote = path->remote;
	c->path.local = path->local;
	deadline_set(c, CONN_MESSAGE_MS_MAX);
	if (c->state == STREAM_DEAD)
		return NULL;
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(c->bev, (struct sockaddr *)&remote, (int)address_len(&remote)) != 0) {
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

static enum srs_err
stream_send(struct conn_set *s, struct conn_path *path, struct span bytes)
{
	struct stream *c = stream_find(s, path->connection);

	if (c == NULL) {
		if (s->n_free == 0)
			return SRS_ERR_LIMIT;
		c = stream_connect(s, path);
		if (c == NULL)
			return SRS_ERR_IO;
		path->connection = c->id;
	}
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) + bytes.len > CONN_WRITE_BYTES_MAX) {
		stream_kill(c);
		return SRS_ERR_LIMIT;
	}
	return output_add(c, bytes);
}

enum srs_err
conn_send(struct conn_set *s, struct conn_path *path, struct span bytes)
{
	return path->transport == CONFIG_UDP ? udp_send(s, path, bytes) : stream_send(s, path, bytes);
}

/* ---- our side of a path ---- */

/* Which address of ours routes to `remote`: the kernel says, once a socket is connected. */
static bool
local_towards(const struct sockaddr_storage *remote, struct sockaddr_storage *out)
{
	int fd = socket(remote->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*out);
	bool ok;

	if (fd < 0)
		return false;
	ok = connect(fd, (const struct sockaddr *)remote, address_len(remote)) == 0 &&
	     getsockname(fd, (struct sockaddr *)out, &len) == 0;
	close(fd);
	return ok;
}

enum srs_err
conn_path_to(const struct conn_set *s, enum config_transport transport, const struct sockaddr_storage *remote,
             const struct conn_path *like, struct conn_path *out)
{
	const struct listener *found = NULL;

	*out = (struct conn_path){ .transport = transport, .remote = *remote };
	if (like->transport == transport && like->local.ss_family == remote->ss_family) {
		out->listener_i = like->listener_i;
		out->local = like->local;
		if (transport != CONFIG_UDP && conn_same_host(remote, &like->remote))
			out->connection = like->connection;
		if (transport != CONFIG_UDP)	/* an outgoing connection's own port is nobody's address */
			conn_port_set(&out->local, conn_port(&s->listeners[like->listener_i].address));
		return SRS_OK;
	}
	for (unsigned int i = 0; i < s->n_listeners && found == NULL; i++)
		if (s->listeners[i].transport == transport &&
		    s->listeners[i].address.ss_family == remote->ss_family)
			found = &s->listeners[i];
	if (found == NULL)
		return SRS_ERR_STATE;
	out->listener_i = found->index;
	out->local = found->address;
	if (is_any(&found->address)) {
		if (!local_towards(remote, &out->local))
			return SRS_ERR_IO;
		conn_port_set(&out->local, conn_port(&found->address));
	}
	return SRS_OK;
}

/* ---- the set ---- */

static const char *
transport_name(enum config_transport t)
{
	return t == CONFIG_UDP ? "UDP" : t == CONFIG_TCP ? "TCP" : "TLS";
}

static enum srs_err
bind_failed(const struct config_listen *from, int error, char *why, size_t why_len)
{
	const char *remedy = error == EADDRINUSE ? "it is taken: stop what holds it (ss -lunpt), or set sip.listen" :
	                     error == EADDRNOTAVAIL ? "no interface has this address: add it, or set sip.listen" :
	                     error == EACCES ? "ports below 1024 need CAP_NET_BIND_SERVICE" : strerror(error);

	snprintf(why, why_len, "SIP cannot listen on %s %s port %u: %s", transport_name(from->transport), from->address,
	         from->port, remedy);
	return SRS_ERR_IO;
}

static int
socket_bound(const struct config_listen *from, struct sockaddr_storage *address)
{
	bool udp = from->transport == CONFIG_UDP;
	int fd = socket(address->ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, bytes = SOCKET_BUFFER_BYTES, error;
	socklen_t len = sizeof(*address);

	if (fd < 0)
		return -1;
	if (address->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));	/* 0.0.0.0 is its own listener */
	if (udp) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		if (address->ss_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
		else
			setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	} else {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	}
	if (bind(fd, (struct sockaddr *)address, address_len(address)) == 0 &&
	    getsockname(fd, (struct sockaddr *)address, &len) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static enum srs_err
listener_open(struct conn_set *s, const struct config_listen *from, char *why, size_t why_len)
{
	struct listener *l = &s->listeners[s->n_listeners];
	struct event_base *base = reactor_base(s->reactor);
	int fd;

	*l = (struct listener){ .set = s, .index = s->n_listeners, .transport = from->transport, .fd = -1 };
	if (from->transport == CONFIG_TLS) {
		snprintf(why, why_len, "SIP over TLS (%s port %u) is not part of this version: remove the listener",
		         from->address, from->port);
		return SRS_ERR_UNSUPPORTED;
	}
	if (conn_address_read(&l->address, from->address, from->port)) {
		snprintf(why, why_len, "sip.listen: %s is no numeric IPv4 or IPv6 address", from->address);
		return SRS_ERR_INVALID;
	}
	fd = socket_bound(from, &l->address);
	if (fd < 0)
		return bind_failed(from, errno, why, why_len);
	s->n_listeners++;
	if (from->transport == CONFIG_UDP) {
		l->fd = fd;
		l->readable = event_new(base, fd, EV_READ | EV_PERSIST, udp_readable, l);
		return l->readable != NULL && event_add(l->readable, NULL) == 0 ? SRS_OK : SRS_ERR_NOMEM;
	}
	l->accepting = evconnlistener_new(base, accepted, l, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
	                                  LISTEN_BACKLOG, fd);
	if (l->accepting == NULL) {
		int error = errno;

		close(fd);
		return bind_failed(from, error, why, why_len);
	}
	evconnlistener_set_error_cb(l->accepting, accept_failed);
	return SRS_OK;
}

enum srs_err
conn_set_create(struct conn_set **out, struct reactor *r, const struct config *c, const struct conn_handlers *handlers,
                void *ctx, const struct conn_counters *counters, char *why, size_t why_len)
{
	struct conn_set *s = calloc(1, sizeof(*s));
	enum srs_err err = SRS_ERR_NOMEM;

	snprintf(why, why_len, "no memory for SIP connections");
	if (s == NULL)
		return err;
	s->reactor = r;
	s->handlers = *handlers;
	s->ctx = ctx;
	s->counters = *counters;
	s->message_bytes_max = c->sip.message_bytes_max;
	s->n_slots = c->sip.connections_max;
	timer_init(&s->reaper, reap, s);
	timer_init(&s->accept_again, accept_again, s);
	s->datagram = malloc(DATAGRAM_BYTES_MAX);
	s->slots = calloc(s->n_slots + 1, sizeof(struct stream *));
	s->free_slots = calloc(s->n_slots + 1, sizeof(*s->free_slots));
	if (s->datagram == NULL || s->slots == NULL || s->free_slots == NULL)
		goto out;
	while (s->n_free < s->n_slots) {
		s->free_slots[s->n_free] = s->n_slots - 1 - s->n_free;
		s->n_free++;
	}
	err = SRS_OK;
	for (unsigned int i = 0; i < c->sip.n_listen && i < CONFIG_LISTEN_MAX && err == SRS_OK; i++)
		err = listener_open(s, &c->sip.listen[i], why, why_len);
out:
	if (err)
		conn_set_destroy(s);
	else
		*out = s;
	return err;
}

void
conn_set_destroy(struct conn_set *s)
{
	if (s == NULL)
		return;
	for (unsigned int i = 0; i < s->n_listeners; i++) {
		if (s->listeners[i].readable != NULL)
			event_free(s->listeners[i].readable);
		if (s->listeners[i].fd >= 0)
			close(s->listeners[i].fd);
		if (s->listeners[i].accepting != NULL)
			evconnlistener_free(s->listeners[i].accepting);
	}
	for (uint32_t i = 0; s->slots != NULL && i < s->n_slots; i++) {
		struct stream *c = s->slots[i];

		if (c == NULL)
			continue;
		if (c->state == STREAM_OPEN)
			evbuffer_write(bufferevent_get_output(c->bev), bufferevent_getfd(c->bev));
		stream_free(c);
	}
	while (s->dead != NULL) {
		struct stream *c = s->dead;

		s->dead = c->next_dead;
		stream_free(c);
	}
	timer_release(&s->reaper);
	timer_release(&s->accept_again);
	free(s->datagram);
	free(s->slots);
	free(s->free_slots);
	free(s);
}

unsigned int
conn_identities(const struct conn_set *s, const struct conn_path *path, const char **names)
{
	const struct stream *c = path->transport == CONFIG_TLS ? stream_find(s, path->connection) : NULL;

	(void)c;
	(void)names;
	return 0;
}

const char *
conn_identity(const struct conn_set *s, const struct conn_path *path)
{
	const char *names[CONN_IDENTITIES_MAX];

	return conn_identities(s, path, names) != 0 ? names[0] : "";
}

unsigned int
conn_n_listeners(const struct conn_set *s)
{
	return s->n_listeners;
}

const struct sockaddr_storage *
conn_listener_address(const struct conn_set *s, unsigned int i)
{
	srs_assert(i < s->n_listeners);
	return &s->listeners[i].address;
}

bool
conn_is_open(const struct conn_set *s, const struct conn_path *path)
{
	return path->transport == CONFIG_UDP || stream_find(s, path->connection) != NULL;
}

unsigned int
conn_n_open(const struct conn_set *s)
{
	return s->n_slots - s->n_free;
}
