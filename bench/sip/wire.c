#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH        64u
#define DATAGRAM_MAX 8192u
#define IN_ROOM      (1u << 20)
#define SOCKET_BYTES (8 << 20)
#define CONNECTIONS_MAX 4096u

struct connection {
	int fd;
	SSL *tls;
	struct sockaddr_storage local;
	char *out;
	size_t out_len, out_room;
	char *in;
	size_t in_len;
};

struct wire_set {
	struct wire_spec spec;
	struct connection *connections;
	unsigned int n;
	int poll_fd;
	SSL_CTX *tls;
	char cipher[96];
	/* UDP: datagrams that wait to be sent, and room for those that come */
	char (*out)[DATAGRAM_MAX];
	char (*in)[DATAGRAM_MAX];
	size_t out_len[BATCH];
	unsigned int n_out;
};

static struct addrinfo *
resolve(const struct wire_spec *spec)
{
	struct addrinfo hints = { .ai_socktype = spec->transport == WIRE_UDP ? SOCK_DGRAM : SOCK_STREAM }, *found = NULL;

	return getaddrinfo(spec->host, spec->port, &hints, &found) == 0 ? found : NULL;
}

int
wire_connect(const struct wire_spec *spec, bool wait)
{
	struct addrinfo *to = resolve(spec);
	int size = SOCKET_BYTES, one = 1, fd = -1;

	errno = EADDRNOTAVAIL;
	if (to != NULL)
		fd = socket(to->ai_family, to->ai_socktype | (wait ? 0 : SOCK_NONBLOCK), 0);
	if (fd >= 0) {
		if (spec->transport != WIRE_UDP)
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		else if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
			setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && (wait || errno != EINPROGRESS)) {
			int saved = errno;

			close(fd);
			errno = saved;
			fd = -1;
		}
	}
	if (to != NULL)
		freeaddrinfo(to);
	return fd;
}

SSL_CTX *
wire_tls_context(const struct wire_spec *spec, char *why, size_t why_len)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	int version = spec->tls_version == NULL ? 0 : strcmp(spec->tls_version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;

	if (c == NULL)
		return NULL;
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	if (version != 0) {
		SSL_CTX_set_min_proto_version(c, version);
		SSL_CTX_set_max_proto_version(c, version);
	}
	if (spec->ca != NULL)
		SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	if ((spec->ca != NULL && SSL_CTX_load_verify_locations(c, spec->ca, NULL) != 1) ||
	    (spec->certificate != NULL && (SSL_CTX_use_certificate_chain_file(c, spec->certificate) != 1 ||
	                                   SSL_CTX_use_PrivateKey_file(c, spec->key, SSL_FILETYPE_PEM) != 1))) {
		snprintf(why, why_len, "certificate or key: %s", ERR_reason_error_string(ERR_get_error()));
		SSL_CTX_free(c);
		return NULL;
	}
	return c;
}

static bool
shake(struct wire_set *w, struct connection *c, char *why, size_t why_len)
{
	c->tls = SSL_new(w->tls);
	if (c->tls == NULL || SSL_set_fd(c->tls, c->fd) != 1 || SSL_connect(c->tls) != 1) {
		const char *reason = ERR_reason_error_string(ERR_get_error());

		snprintf(why, why_len, "TLS handshake: %s", reason != NULL ? reason : "the connection was closed");
		return false;
	}
	snprintf(w->cipher, sizeof(w->cipher), "%s %s", SSL_get_version(c->tls), SSL_get_cipher_name(c->tls));
	return true;
}

static bool
open_one(struct wire_set *w, struct connection *c, char *why, size_t why_len)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	socklen_t len = sizeof(c->local);

	c->fd = wire_connect(&w->spec, true);
	if (c->fd < 0) {
		snprintf(why, why_len, "cannot reach %s port %s: %s", w->spec.host, w->spec.port, strerror(errno));
		return false;
	}
	if (w->spec.transport == WIRE_TLS && !shake(w, c, why, why_len))
		return false;
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	getsockname(c->fd, (struct sockaddr *)&c->local, &len);
	c->in = w->spec.transport == WIRE_UDP ? NULL : malloc(IN_ROOM);
	snprintf(why, why_len, "no memory, or no epoll");
	return (w->spec.transport == WIRE_UDP || c->in != NULL) && epoll_ctl(w->poll_fd, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

struct wire_set *
wire_open(const struct wire_spec *spec, char *why, size_t why_len)
{
	struct wire_set *w = calloc(1, sizeof(*w));

	snprintf(why, why_len, "no memory");
	if (w == NULL)
		return NULL;
	w->spec = *spec;
	w->n = spec->transport == WIRE_UDP ? 1 : spec->n_connections;
	w->poll_fd = epoll_create1(0);
	w->connections = calloc(w->n, sizeof(*w->connections));
	w->out = calloc(BATCH, sizeof(*w->out));
	w->in = calloc(BATCH, sizeof(*w->in));
	if (spec->transport == WIRE_TLS)
		w->tls = wire_tls_context(spec, why, why_len);
	if (w->connections == NULL || w->out == NULL || w->in == NULL || w->poll_fd < 0 || w->n > CONNECTIONS_MAX ||
	    (spec->transport == WIRE_TLS && w->tls == NULL)) {
		wire_close(w);
		return NULL;
	}
	for (unsigned int i = 0; i < w->n; i++)
		w->connections[i].fd = -1;
	for (unsigned int i = 0; i < w->n; i++) {
		if (!open_one(w, &w->connections[i], why, why_len)) {
			wire_close(w);
			return NULL;
		}
	}
	return w;
}

void
wire_close(struct wire_set *w)
{
	for (unsigned int i = 0; w->connections != NULL && i < w->n; i++) {
		struct connection *c = &w->connections[i];

		if (c->tls != NULL) {
			SSL_shutdown(c->tls);
			SSL_free(c->tls);
		}
		if (c->fd >= 0)
			close(c->fd);
		free(c->out);
		free(c->in);
	}
	SSL_CTX_free(w->tls);
	if (w->poll_fd >= 0)
		close(w->poll_fd);
	free(w->connections);
	free(w->out);
	free(w->in);
	free(w);
}

const struct sockaddr_storage *
wire_local(const struct wire_set *w, unsigned int i)
{
	return &w->connections[i].local;
}

const char *
wire_cipher(const struct wire_set *w)
{
	return w->cipher;
}

/* ---- sending ---- */

static void
flush_datagrams(struct wire_set *w)
{
	struct mmsghdr messages[BATCH];
	struct iovec rows[BATCH];
	unsigned int sent = 0;

	memset(messages, 0, sizeof(messages));
	for (unsigned int i = 0; i < w->n_out; i++) {
		rows[i] = (struct iovec){ .iov_base = w->out[i], .iov_len = w->out_len[i] };
		messages[i].msg_hdr.msg_iov = &rows[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (sent < w->n_out) { /* what the kernel refuses is a lost datagram: sent again when its time has come */
		int n = sendmmsg(w->connections[0].fd, messages + sent, w->n_out - sent, 0);

		sent += n > 0 ? (unsigned int)n : 1;
	}
	w->n_out = 0;
}

static void
flush_stream(struct connection *c)
{
	size_t done = 0;

	while (done < c->out_len) {
		ssize_t n = c->tls != NULL ? SSL_write(c->tls, c->out + done, (int)(c->out_len - done))
		                           : send(c->fd, c->out + done, c->out_len - done, MSG_NOSIGNAL);

		if (n <= 0)
			break; /* full, or gone: then reading says so */
		done += (size_t)n;
	}
	memmove(c->out, c->out + done, c->out_len - done);
	c->out_len -= done;
}

void
wire_flush(struct wire_set *w)
{
	if (w->spec.transport == WIRE_UDP) {
		flush_datagrams(w);
		return;
	}
	for (unsigned int i = 0; i < w->n; i++)
		if (w->connections[i].out_len != 0)
			flush_stream(&w->connections[i]);
}

void
wire_send(struct wire_set *w, unsigned int i, const char *bytes, size_t len)
{
	struct connection *c = &w->connections[i % w->n];

	if (w->spec.transport == WIRE_UDP) {
		if (len > DATAGRAM_MAX)
			return;
		memcpy(w->out[w->n_out], bytes, len);
		w->out_len[w->n_out++] = len;
		if (w->n_out == BATCH)
			flush_datagrams(w);
		return;
	}
	if (c->out_len + len > c->out_room) {
		size_t room = 2 * (c->out_len + len);
		char *grown = realloc(c->out, room);

		if (grown == NULL)
			return;
		c->out = grown;
		c->out_room = room;
	}
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += len;
}

/* ---- receiving ---- */

void
wire_wait(struct wire_set *w, uint64_t ns_max)
{
	struct timespec most = { .tv_sec = (time_t)(ns_max / 1000000000u), .tv_nsec = (long)(ns_max % 1000000000u) };
	struct pollfd p = { .fd = w->poll_fd, .events = POLLIN };

	for (unsigned int i = 0; i < w->n; i++) {
		if (w->connections[i].out_len != 0 && ns_max > 1000000)
			most = (struct timespec){ .tv_nsec = 1000000 }; /* a full socket: look again soon */
	}
	ppoll(&p, 1, &most, NULL);
}

static void
receive_datagrams(struct wire_set *w, void (*on_message)(void *, const char *, size_t), void *ctx)
{
	struct mmsghdr messages[BATCH];
	struct iovec rows[BATCH];
	int n;

	do {
		memset(messages, 0, sizeof(messages));
		for (unsigned int i = 0; i < BATCH; i++) {
			rows[i] = (struct iovec){ .iov_base = w->in[i], .iov_len = DATAGRAM_MAX };
			messages[i].msg_hdr.msg_iov = &rows[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		n = recvmmsg(w->connections[0].fd, messages, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			on_message(ctx, w->in[i], messages[i].msg_len);
	} while (n == (int)BATCH);
}

/* The length of the message that `bytes` begin with. 0: not all of it is there */
static size_t
message_len(const char *bytes, size_t len)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);
	const char *length;
	size_t whole;

	if (end == NULL)
		return 0;
	length = memmem(bytes, (size_t)(end - bytes) + 2, "\r\nContent-Length:", 17);
	whole = (size_t)(end - bytes) + 4 + (length != NULL ? strtoul(length + 17, NULL, 10) : 0);
	return whole <= len ? whole : 0;
}

static bool
receive_stream(struct connection *c, void (*on_message)(void *, const char *, size_t), void *ctx)
{
	for (;;) {
		size_t room = IN_ROOM - 1 - c->in_len, at = 0, whole;
		ssize_t n = c->tls != NULL ? SSL_read(c->tls, c->in + c->in_len, (int)room) : recv(c->fd, c->in + c->in_len, room, 0);

		if (n <= 0) {
			int e = c->tls != NULL ? SSL_get_error(c->tls, (int)n) : 0;

			return c->tls != NULL ? e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE : n < 0 && errno == EAGAIN;
		}
		c->in_len += (size_t)n;
		c->in[c->in_len] = '\0';
		while ((whole = message_len(c->in + at, c->in_len - at)) != 0) {
			on_message(ctx, c->in + at, whole);
			at += whole;
		}
		memmove(c->in, c->in + at, c->in_len - at);
		c->in_len -= at;
	}
}

bool
wire_receive(struct wire_set *w, void (*on_message)(void *ctx, const char *message, size_t len), void *ctx)
{
	struct epoll_event events[BATCH];
	int n;

	if (w->spec.transport == WIRE_UDP) {
		receive_datagrams(w, on_message, ctx);
		return true;
	}
	n = epoll_wait(w->poll_fd, events, BATCH, 0);
	for (int i = 0; i < n; i++)
		if (!receive_stream(events[i].data.ptr, on_message, ctx))
			return false;
	return true;
}
