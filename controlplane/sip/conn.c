#include "controlplane/sip/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "controlplane/sip/conn_state.h"
#include "controlplane/sip/tls.h"
#include "crypto/secret.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define DATAGRAM_BYTES_MAX   65535u
#define DATAGRAMS_PER_WAKE   64		/* then timers and other sockets have their turn */
#define SOCKET_BUFFER_BYTES  (4 << 20)	/* 1,000 INVITEs of 4 KB at once */
#define ACCEPT_PAUSE_MS      1000u	/* after accept() failed: out of descriptors, mostly */
#define LISTEN_BACKLOG       512
#define HOUR_MS              3600000u
#define DAY_S                86400

/* ---- addresses ---- */

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
	struct msghdr msg = { .msg_name = &remote, .msg_namelen = conn_address_len(&remote),
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
	ok = connect(fd, (const struct sockaddr *)remote, conn_address_len(remote)) == 0 &&
	     getsockname(fd, (struct sockaddr *)out, &len) == 0;
	close(fd);
	return ok;
}

enum srs_err
conn_path_to(const struct conn_set *s, enum config_transport transport, const struct sockaddr_storage *remote,
             const struct conn_path *like, struct conn_path *out)
{
	const struct listener *found = NULL;

	*out = (struct conn_path){ .transport = transport, .remote = *remote, .sips = like->sips };
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

const char *
conn_transport_name(enum config_transport t)
{
	return t == CONFIG_UDP ? "UDP" : t == CONFIG_TCP ? "TCP" : "TLS";
}

static enum srs_err
bind_failed(const struct config_listen *from, int error, char *why, size_t why_len)
{
	const char *remedy = error == EADDRINUSE ? "it is taken: stop what holds it (ss -lunpt), or set sip.listen" :
	                     error == EADDRNOTAVAIL ? "no interface has this address: add it, or set sip.listen" :
	                     error == EACCES ? "ports below 1024 need CAP_NET_BIND_SERVICE" : strerror(error);

	snprintf(why, why_len, "SIP cannot listen on %s %s port %u: %s", conn_transport_name(from->transport), from->address,
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
	if (bind(fd, (struct sockaddr *)address, conn_address_len(address)) == 0 &&
	    getsockname(fd, (struct sockaddr *)address, &len) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
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

static enum srs_err
listener_open(struct conn_set *s, const struct config_listen *from, char *why, size_t why_len)
{
	struct listener *l = &s->listeners[s->n_listeners];
	struct event_base *base = reactor_base(s->reactor);
	int fd;

	*l = (struct listener){ .set = s, .index = s->n_listeners, .transport = from->transport, .fd = -1 };
	srs_assert(from->transport != CONFIG_TLS || s->tls != NULL);	/* config_load() sees to tls.on */
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
	l->accepting = evconnlistener_new(base, stream_accepted, l, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
	                                  LISTEN_BACKLOG, fd);
	if (l->accepting == NULL) {
		int error = errno;

		close(fd);
		return bind_failed(from, error, why, why_len);
	}
	evconnlistener_set_error_cb(l->accepting, accept_failed);
	return SRS_OK;
}

/* ---- TLS ---- */

static void
certificate_review(const struct conn_set *s)
{
	long left = tls_seconds_left(s->tls);

	if (left < 0)
		log_error("conn", "certificate_over", "file=\"%s\" remedy=\"renew it, then SIGHUP: clients refuse to connect\"",
		          s->config->tls.certificate);
	else if (left < CERTIFICATE_WARN_S)
		log_warn("conn", "certificate_ends", "file=\"%s\" days=%ld remedy=\"renew it, then SIGHUP\"",
		         s->config->tls.certificate, left / DAY_S);
}

static void
hour_over(void *ctx)
{
	struct conn_set *s = ctx;

	tls_tickets_renew(s->tls);
	if (++s->n_hours % 24 == 0)
		certificate_review(s);
	if (timer_arm(s->reactor, &s->hour, HOUR_MS))
		log_error("conn", "timer_failed", "what=hour");
}

static enum srs_err
tls_begin(struct conn_set *s, char *why, size_t why_len)
{
	char reason[TLS_WHY_MAX] = "";
	enum srs_err err = tls_create(&s->tls, s->config, reason, sizeof(reason));

	if (err) {
		snprintf(why, why_len, "SIP over TLS: %s; docs/operations.md shows how to make certificates; without TLS set "
		         "ENABLE_TLS=false", reason);
		return err;
	}
	if (certificate_file_is_open(s->config->tls.key))
		log_warn("conn", "key_file_is_open", "file=\"%s\" remedy=\"chmod 0600: every user of this host can read it\"",
		         s->config->tls.key);
	certificate_review(s);
	return timer_arm(s->reactor, &s->hour, HOUR_MS);
}

void
conn_reload(struct conn_set *s)
{
	char why[TLS_WHY_MAX] = "";

	if (s->tls == NULL)
		return;
	if (tls_reload(s->tls, why, sizeof(why))) {
		log_error("conn", "certificates_kept", "what=\"%s\" remedy=\"mend it and send SIGHUP again: the old ones stay in "
		          "use\"", why);
		return;
	}
	log_info("conn", "certificates_reloaded", "file=\"%s\" days=%ld", s->config->tls.certificate,
	         tls_seconds_left(s->tls) / DAY_S);
	certificate_review(s);
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
	s->config = c;
	s->handlers = *handlers;
	s->ctx = ctx;
	s->counters = *counters;
	s->message_bytes_max = c->sip.message_bytes_max;
	s->n_slots = c->sip.connections_max;
	timer_init(&s->reaper, streams_reap, s);
	timer_init(&s->turn, handshakes_turn, s);
	timer_init(&s->hour, hour_over, s);
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
	err = conn_sources_create(&s->sources, s->n_slots);
	if (!err && c->tls.on)
		err = tls_begin(s, why, why_len);
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
		stream_flush(c);
		handshake_leave(c);
		stream_free(c);
	}
	while (s->dead != NULL) {
		struct stream *c = s->dead;

		s->dead = c->next_dead;
		stream_free(c);
	}
	timer_release(&s->reaper);
	timer_release(&s->accept_again);
	timer_release(&s->turn);
	timer_release(&s->hour);
	tls_destroy(s->tls);
	conn_sources_destroy(s->sources);
	free(s->datagram);
	free(s->slots);
	free(s->free_slots);
	free(s);
}

unsigned int
conn_identities(const struct conn_set *s, const struct conn_path *path, const char **names)
{
	const struct stream *c = path->transport == CONFIG_TLS ? stream_find(s, path->connection) : NULL;

	for (unsigned int i = 0; c != NULL && i < c->n_names; i++)
		names[i] = c->names[i];
	return c != NULL ? c->n_names : 0;
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
