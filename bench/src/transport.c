#include "transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BYTES (4 << 20)
#define SHAKE_S      10

struct transport {
	enum call_transport kind;
	int fd;
	SSL_CTX *context;
	SSL *tls;
	char agreed[96];
	/* streams: bytes that did not go out yet, and those that are no whole message yet */
	char *out;
	size_t out_len, out_room;
	char in[2 * CALL_MESSAGE_MAX + 1];
	size_t in_len;
};

/* ---- opening ---- */

static bool
bind_local(int fd, int type, const char *ip)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = type }, *found;
	bool ok;

	if (getaddrinfo(ip, "0", &hints, &found) != 0)
		return false;
	ok = bind(fd, found->ai_addr, found->ai_addrlen) == 0;
	freeaddrinfo(found);
	return ok;
}

static void
note_addresses(int fd, const struct addrinfo *to, struct call_plan *plan)
{
	socklen_t len = sizeof(plan->local);

	memcpy(&plan->peer, to->ai_addr, to->ai_addrlen);
	getsockname(fd, (struct sockaddr *)&plan->local, &len);
	if (plan->local.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&plan->local)->sin6_addr, plan->local_ip, sizeof(plan->local_ip));
		plan->local_port = ntohs(((struct sockaddr_in6 *)&plan->local)->sin6_port);
	} else {
		inet_ntop(AF_INET, &((struct sockaddr_in *)&plan->local)->sin_addr, plan->local_ip, sizeof(plan->local_ip));
		plan->local_port = ntohs(((struct sockaddr_in *)&plan->local)->sin_port);
	}
}

static bool
connect_socket(struct transport *t, const struct transport_spec *spec, struct call_plan *plan, char *why, size_t why_len)
{
	struct addrinfo hints = { .ai_socktype = spec->kind == CALL_UDP ? SOCK_DGRAM : SOCK_STREAM }, *to;
	struct timeval patience = { .tv_sec = SHAKE_S };
	int one = 1, size = SOCKET_BYTES;
	bool ok = false;

	if (getaddrinfo(spec->host, spec->port, &hints, &to) != 0) {
		snprintf(why, why_len, "the host is not known; give HOST or HOST:PORT, IPv6 as [::1]:5060");
		return false;
	}
	t->fd = socket(to->ai_family, to->ai_socktype, 0);
	if (spec->local_ip != NULL && !bind_local(t->fd, hints.ai_socktype, spec->local_ip)) {
		snprintf(why, why_len, "--local: no such address on this host");
	} else if (setsockopt(t->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)),
	           connect(t->fd, to->ai_addr, to->ai_addrlen) != 0) {
		snprintf(why, why_len, "cannot reach %s port %s: %s; is the recorder running?", spec->host, spec->port,
		         strerror(errno));
	} else {
		ok = true;
		note_addresses(t->fd, to, plan);
		if (spec->kind != CALL_UDP) {
			setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)); /* of the handshake */
		}
	}
	freeaddrinfo(to);
	return ok;
}

static const char *
tls_reason(const struct transport *t)
{
	long verdict = t->tls != NULL ? SSL_get_verify_result(t->tls) : X509_V_OK;
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	if (verdict != X509_V_OK)
		return X509_verify_cert_error_string(verdict);
	return reason != NULL ? reason : "the server closed the connection";
}

static bool
tls_prepare(struct transport *t, const struct transport_spec *spec)
{
	int version = spec->tls_version == NULL ? 0 : strcmp(spec->tls_version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	const char *name = spec->server_name != NULL ? spec->server_name : spec->host;
	unsigned char address[16];
	bool numeric = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;

	t->context = SSL_CTX_new(TLS_client_method());
	if (t->context == NULL)
		return false;
	if (version != 0 && (SSL_CTX_set_min_proto_version(t->context, version) != 1 ||
	                     SSL_CTX_set_max_proto_version(t->context, version) != 1))
		return false;
	if (spec->ca != NULL) {
		SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
		if (SSL_CTX_load_verify_locations(t->context, spec->ca, NULL) != 1)
			return false;
	}
	if (spec->certificate != NULL && (SSL_CTX_use_certificate_chain_file(t->context, spec->certificate) != 1 ||
	                                  SSL_CTX_use_PrivateKey_file(t->context, spec->key, SSL_FILETYPE_PEM) != 1))
		return false;
	t->tls = SSL_new(t->context);
	if (t->tls == NULL || SSL_set_fd(t->tls, t->fd) != 1)
		return false;
	if (numeric)	/* an address is no name to ask for (RFC 6066 §3) */
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->tls), name) == 1;
	/* what SSL_set_tlsext_host_name() is; its cast takes the const away, which clang does not let pass */
	return SSL_ctrl(t->tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)name) == 1 &&
	       SSL_set1_host(t->tls, name) == 1;
}

static bool
tls_shake(struct transport *t, const struct transport_spec *spec, char *why, size_t why_len)
{
	if (!tls_prepare(t, spec) || SSL_connect(t->tls) != 1) {
		snprintf(why, why_len, "TLS: %s", tls_reason(t));
		return false;
	}
	SSL_set_mode(t->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	snprintf(t->agreed, sizeof(t->agreed), "%s %s", SSL_get_version(t->tls), SSL_get_cipher_name(t->tls));
	return true;
}

struct transport *
transport_open(const struct transport_spec *spec, struct call_plan *plan, char *why, size_t why_len)
{
	struct transport *t = calloc(1, sizeof(*t));

	snprintf(why, why_len, "no memory");
	if (t == NULL)
		return NULL;
	t->kind = spec->kind;
	t->fd = -1;
	if (!connect_socket(t, spec, plan, why, why_len) || (spec->kind == CALL_TLS && !tls_shake(t, spec, why, why_len))) {
		transport_close(t);
		return NULL;
	}
	fcntl(t->fd, F_SETFL, O_NONBLOCK);
	return t;
}

void
transport_close(struct transport *t)
{
	if (t == NULL)
		return;
	if (t->tls != NULL && SSL_is_init_finished(t->tls))
		SSL_shutdown(t->tls);
	SSL_free(t->tls);
	SSL_CTX_free(t->context);
	if (t->fd >= 0)
		close(t->fd);
	free(t->out);
	free(t);
}

int
transport_fd(const struct transport *t)
{
	return t->fd;
}

bool
transport_has_more(const struct transport *t)
{
	return t->out_len != 0;
}

const char *
transport_agreed(const struct transport *t)
{
	return t->agreed;
}

/* ---- sending ---- */

/* @return octets taken, 0: none now, -1: the connection is gone */
static ssize_t
stream_write(struct transport *t, const char *bytes, size_t len)
{
	ssize_t n;
	int e;

	if (t->tls == NULL) {
		n = send(t->fd, bytes, len, MSG_NOSIGNAL);
		return n < 0 && errno == EAGAIN ? 0 : n;
	}
	n = SSL_write(t->tls, bytes, (int)len);
	e = SSL_get_error(t->tls, (int)n);
	return n > 0 ? n : e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ ? 0 : -1;
}

bool
transport_flush(struct transport *t)
{
	while (t->out_len > 0) {
		ssize_t n = stream_write(t, t->out, t->out_len);

		if (n <= 0)
			return n == 0;
		memmove(t->out, t->out + n, t->out_len - (size_t)n);
		t->out_len -= (size_t)n;
	}
	return true;
}

bool
transport_send(struct transport *t, const char *message, size_t len)
{
	if (t->kind == CALL_UDP)
		return send(t->fd, message, len, 0) == (ssize_t)len;
	if (t->out_len + len > t->out_room) {
		size_t room = (t->out_len + len) * 2;
		char *bytes = realloc(t->out, room);

		if (bytes == NULL)
			return false;
		t->out = bytes;
		t->out_room = room;
	}
	memcpy(t->out + t->out_len, message, len);
	t->out_len += len;
	return transport_flush(t);
}

/* ---- receiving ---- */

static void
receive_datagrams(struct transport *t, void (*on_message)(void *, const char *), void *ctx)
{
	ssize_t n;

	while ((n = recv(t->fd, t->in, CALL_MESSAGE_MAX, 0)) > 0) {
		t->in[n] = '\0';
		on_message(ctx, t->in);
	}
}

static void
take_messages(struct transport *t, void (*on_message)(void *, const char *), void *ctx)
{
	char *end;

	while ((end = strstr(t->in, "\r\n\r\n")) != NULL) {
		char length[32] = "0", saved;
		size_t whole;

		call_header(t->in, "Content-Length", "l", length, sizeof(length));
		whole = (size_t)(end - t->in) + 4 + strtoul(length, NULL, 10);
		if (whole > t->in_len)
			return;
		saved = t->in[whole];
		t->in[whole] = '\0';
		on_message(ctx, t->in);
		t->in[whole] = saved;
		memmove(t->in, t->in + whole, t->in_len - whole + 1);
		t->in_len -= whole;
	}
}

/* @return octets read, 0: none now, -1: the connection is gone */
static ssize_t
stream_read(struct transport *t, char *into, size_t room)
{
	ssize_t n;
	int e;

	if (t->tls == NULL) {
		n = recv(t->fd, into, room, 0);
		return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
	}
	n = SSL_read(t->tls, into, (int)room);
	e = SSL_get_error(t->tls, (int)n);
	return n > 0 ? n : e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

bool
transport_receive(struct transport *t, void (*on_message)(void *ctx, const char *message), void *ctx)
{
	ssize_t n;

	if (t->kind == CALL_UDP) {
		receive_datagrams(t, on_message, ctx);
		return true;
	}
	while ((n = stream_read(t, t->in + t->in_len, sizeof(t->in) - 1 - t->in_len)) > 0) {
		t->in_len += (size_t)n;
		t->in[t->in_len] = '\0';
		take_messages(t, on_message, ctx);
	}
	return n == 0;
}
