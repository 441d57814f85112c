#include "controlplane/stun.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/sip/conn.h"
#include "controlplane/sip/resolver.h"
#include "crypto/secret.h"
#include "lib/srs_log.h"

#define STUN_PORT        3478
#define MAGIC_COOKIE     0x2112a442u
#define BINDING_REQUEST  0x0001
#define BINDING_SUCCESS  0x0101
#define BINDING_ERROR    0x0111
#define ATTRIBUTE_ERROR  0x0009
#define ATTRIBUTE_MAPPED 0x0020	/* XOR-MAPPED-ADDRESS */
#define ATTRIBUTE_PRINT  0x8028	/* FINGERPRINT */
#define HEADER_SIZE      20
#define PRINT_SIZE       8	/* the whole attribute */
#define PRINT_XOR        0x5354554eu

#define RTO_MS           500	/* RFC 8489 §6.2.1, with Rc = 7 and Rm = 16 */
#define REQUESTS_MAX     7
#define LAST_WAIT_MS     (16 * RTO_MS)
#define RESOLVE_MS       200
#define RESOLVE_TRIES    50
#define DATAGRAMS_MAX    16	/* of one turn of the loop */

/* ---- messages ---- */

static void
u16_write(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void
u32_write(uint8_t *at, uint32_t value)
{
	u16_write(at, (uint16_t)(value >> 16));
	u16_write(at + 2, (uint16_t)value);
}

static uint16_t
u16_read(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t
u32_read(const uint8_t *at)
{
	return (uint32_t)u16_read(at) << 16 | u16_read(at + 2);
}

/* CRC-32 of ISO 3309 and zip, not the Castagnoli of our chunks: a few messages a minute (RFC 8489 §14.7). */
static uint32_t
fingerprint_of(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (unsigned int k = 0; k < 8; k++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
	}
	return ~crc ^ PRINT_XOR;
}

void
stun_request_write(const uint8_t id[STUN_ID_SIZE], uint8_t out[STUN_REQUEST_SIZE])
{
	u16_write(out, BINDING_REQUEST);
	u16_write(out + 2, PRINT_SIZE);
	u32_write(out + 4, MAGIC_COOKIE);
	memcpy(out + 8, id, STUN_ID_SIZE);
	u16_write(out + HEADER_SIZE, ATTRIBUTE_PRINT);
	u16_write(out + HEADER_SIZE + 2, 4);
	u32_write(out + HEADER_SIZE + 4, fingerprint_of(out, HEADER_SIZE));
}

/* RFC 8489 §14.2; the mask is the cookie, for IPv6 with the id behind it: bytes 4 to 19 of the message. */
static bool
mapped_read(struct stun_response *out, const uint8_t *value, size_t len, const uint8_t *message)
{
	size_t ip_len = len >= 4 && value[1] == 2 ? 16 : 4;

	if (len != 4 + ip_len || (value[1] != 1 && value[1] != 2))
		return false;
	out->address = (struct nat_address){ .ip_version = ip_len == 16 ? 6 : 4 };
	out->port = (uint16_t)(u16_read(value + 2) ^ (MAGIC_COOKIE >> 16));
	for (size_t i = 0; i < ip_len; i++)
		out->address.ip[i] = (uint8_t)(value[4 + i] ^ message[4 + i]);
	return true;
}

static bool
error_read(struct stun_response *out, const uint8_t *value, size_t len)
{
	if (len < 4 || (value[2] & 7) < 3 || (value[2] & 7) > 6 || value[3] > 99)
		return false;
	out->error = (value[2] & 7) * 100u + value[3];
	return true;
}

/* Attributes below 0x8000 must be understood, else the response is dropped (RFC 8489 §6.3.3). These have nothing for us. */
static bool
may_be_passed_over(uint16_t type)
{
	static const uint16_t known[] = { 0x0001 /* MAPPED-ADDRESS */, 0x0004, 0x0005 /* RFC 3489's SOURCE- and CHANGED-ADDRESS */,
		                          0x0006, 0x0008, 0x000a, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == type)
			return true;
	return type >= 0x8000;
}

static bool
attribute_read(struct stun_response *out, struct span m, size_t at, bool *mapped)
{
	uint16_t type = u16_read(m.bytes + at), len = u16_read(m.bytes + at + 2);
	const uint8_t *value = m.bytes + at + 4;

	if (type == ATTRIBUTE_PRINT)	/* the last one */
		return len == 4 && at + PRINT_SIZE == m.len && u32_read(value) == fingerprint_of(m.bytes, at);
	if (type == ATTRIBUTE_MAPPED && !*mapped)	/* the first counts (RFC 8489 §14) */
		return *mapped = mapped_read(out, value, len, m.bytes);
	if (type == ATTRIBUTE_ERROR && out->error == 0)
		return error_read(out, value, len);
	return type == ATTRIBUTE_MAPPED || type == ATTRIBUTE_ERROR || may_be_passed_over(type);
}

enum srs_err
stun_response_read(struct stun_response *out, struct span m, const uint8_t id[STUN_ID_SIZE])
{
	struct stun_response r = { 0 };
	bool mapped = false;
	uint16_t type;

	*out = r;
	if (m.len < HEADER_SIZE || m.len % 4 != 0 || u16_read(m.bytes + 2) != m.len - HEADER_SIZE ||
	    u32_read(m.bytes + 4) != MAGIC_COOKIE || memcmp(m.bytes + 8, id, STUN_ID_SIZE) != 0)
		return SRS_ERR_INVALID;
	type = u16_read(m.bytes);
	if (type != BINDING_SUCCESS && type != BINDING_ERROR)
		return SRS_ERR_INVALID;
	for (size_t at = HEADER_SIZE; at < m.len;) {
		size_t padded = m.len - at < 4 ? SIZE_MAX : ((size_t)u16_read(m.bytes + at + 2) + 3) / 4 * 4;

		if (padded > m.len - at - 4 || !attribute_read(&r, m, at, &mapped))
			return SRS_ERR_INVALID;
		at += 4 + padded;
	}
	if (type == BINDING_SUCCESS ? !mapped : r.error == 0)
		return SRS_ERR_INVALID;
	if (type == BINDING_SUCCESS)
		r.error = 0;
	else
		r.address = (struct nat_address){ 0 };
	*out = r;
	return SRS_OK;
}

/* ---- asking ---- */

struct stun {
	struct reactor *reactor;
	const struct config *config;
	struct resolver *resolver;	/* NULL: the server is numeric */
	char host[RESOLVER_HOST_MAX];
	uint16_t port;
	void (*on_found)(void *ctx, const struct nat_address *a);
	void *ctx;
	struct sockaddr_storage server;
	int fd;				/* -1: not asking */
	struct event *readable;
	struct timer due;
	uint8_t id[STUN_ID_SIZE];
	unsigned int n_sent, n_resolving;
	struct nat_address found;
	uint64_t found_mono_ns;		/* 0: never */
	char error[96];			/* of the last attempt; "" none */
};

static void
arm(struct stun *s, uint64_t after_ms)
{
	if (timer_arm(s->reactor, &s->due, after_ms))
		log_error("stun", "timer_failed", "the external address is no longer asked for");
}

static void
socket_close(struct stun *s)
{
	if (s->readable != NULL)
		event_free(s->readable);
	s->readable = NULL;
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

static void
attempt_end(struct stun *s, const char *error)
{
	if (error[0] != '\0' && strcmp(error, s->error) != 0)
		log_warn("stun", "failed", "server=%s why=\"%s\"", s->config->stun.server, error);
	if (error != s->error)
		(void)snprintf(s->error, sizeof(s->error), "%s", error);
	socket_close(s);
	s->n_sent = s->n_resolving = 0;
	arm(s, s->config->stun.refresh_s * UINT64_C(1000));
}

static void
found(struct stun *s, const struct stun_response *r)
{
	char text[INET6_ADDRSTRLEN] = "";
	bool news = memcmp(&r->address, &s->found, sizeof(s->found)) != 0;

	s->found = r->address;
	s->found_mono_ns = reactor_mono_ns();
	(void)inet_ntop(r->address.ip_version == 6 ? AF_INET6 : AF_INET, r->address.ip, text, sizeof(text));
	if (news)
		log_info("stun", "address", "server=%s address=%s", s->config->stun.server, text);
	attempt_end(s, "");
	s->on_found(s->ctx, &s->found);
}

static void
on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct stun *s = ctx;
	uint8_t bytes[STUN_RESPONSE_MAX];

	for (unsigned int i = 0; i < DATAGRAMS_MAX && s->fd >= 0; i++) {
		ssize_t n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		struct stun_response r;
		char error[64];

		if (n < 0 && errno == ECONNREFUSED)
			continue;	/* ICMP may be forged, and the server may just be starting: the request is repeated */
		if (n < 0)
			return;
		if (stun_response_read(&r, span_of(bytes, (size_t)n), s->id))
			continue;
		if (r.error == 0) {
			found(s, &r);
			return;
		}
		(void)snprintf(error, sizeof(error), "the server answered with error %u", r.error);
		attempt_end(s, error);
	}
}

/* Connected, so that the kernel drops what comes from elsewhere. */
static bool
socket_open(struct stun *s)
{
	socklen_t len = s->server.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	s->fd = socket(s->server.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || connect(s->fd, (const struct sockaddr *)&s->server, len) != 0)
		return false;
	s->readable = event_new(reactor_base(s->reactor), s->fd, EV_READ | EV_PERSIST, on_readable, s);
	return s->readable != NULL && event_add(s->readable, NULL) == 0 && secret_random(s->id, sizeof(s->id)) == SRS_OK;
}

/* @return false: not known yet; asked again soon */
static bool
server_find(struct stun *s)
{
	const struct resolver_question q = { .host = s->host, .port = s->port, .transport_known = true,
		                             .transport = CONFIG_UDP };
	struct resolver_answer a;

	if (s->resolver == NULL)
		return true;
	if (resolver_look(s->resolver, &q, &a)) {
		s->server = a.address;
		return true;
	}
	if (++s->n_resolving < RESOLVE_TRIES)
		arm(s, RESOLVE_MS);
	else
		attempt_end(s, "the server's name has no address in DNS");
	return false;
}

static void
on_due(void *ctx)
{
	struct stun *s = ctx;
	uint8_t request[STUN_REQUEST_SIZE];

	if (s->n_sent == 0) {
		if (!server_find(s))
			return;
		if (!socket_open(s)) {
			char error[96];

			(void)snprintf(error, sizeof(error), "no socket to the server: %s", strerror(errno));
			attempt_end(s, error);
			return;
		}
	}
	if (s->n_sent == REQUESTS_MAX) {
		attempt_end(s, "the server does not answer");
		return;
	}
	stun_request_write(s->id, request);
	/* what is not sent is repeated like what is lost */
	if (send(s->fd, request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("stun", "not_sent", "errno=%d", errno);
	s->n_sent++;
	arm(s, s->n_sent == REQUESTS_MAX ? LAST_WAIT_MS : (uint64_t)RTO_MS << (s->n_sent - 1));
}

/* host, host:port, [v6]:port, v6 */
static bool
server_read(struct stun *s, const char *text)
{
	const char *open = text[0] == '[' ? text + 1 : text;
	const char *end = text[0] == '[' ? strchr(text, ']') : strrchr(text, ':');
	const char *colon = text[0] == '[' ? (end != NULL && end[1] == ':' ? end + 1 : NULL) : end;
	unsigned long port = STUN_PORT;
	size_t len;

	if (text[0] == '[' ? end == NULL || (colon == NULL && end[1] != '\0') : end != NULL && strchr(text, ':') != end)
		colon = end = NULL;	/* a bare IPv6 address, or nothing */
	if (text[0] == '[' && end == NULL)
		return false;
	len = end != NULL ? (size_t)(end - open) : strlen(open);
	if (len == 0 || len >= sizeof(s->host))
		return false;
	memcpy(s->host, open, len);
	s->host[len] = '\0';
	if (colon != NULL) {
		char *rest;

		port = strtoul(colon + 1, &rest, 10);
		if (colon[1] < '0' || colon[1] > '9' || *rest != '\0')
			return false;
	}
	s->port = (uint16_t)port;
	return port != 0 && port <= UINT16_MAX && s->host[strcspn(s->host, " \t/@")] == '\0';
}

enum srs_err
stun_create(struct stun **out, struct reactor *r, const struct config *c,
            void (*on_found)(void *ctx, const struct nat_address *a), void *ctx, char *why, size_t why_len)
{
	struct stun *s = calloc(1, sizeof(*s));
	enum srs_err err = SRS_OK;

	*out = NULL;
	(void)snprintf(why, why_len, "no memory for STUN");
	if (s == NULL)
		return SRS_ERR_NOMEM;
	s->reactor = r;
	s->config = c;
	s->on_found = on_found;
	s->ctx = ctx;
	s->fd = -1;
	timer_init(&s->due, on_due, s);
	if (!server_read(s, c->stun.server)) {
		(void)snprintf(why, why_len, "stun.server: '%.100s' is not host, host:port or [address]:port", c->stun.server);
		err = SRS_ERR_INVALID;
	} else if (conn_address_read(&s->server, s->host, s->port)) {
		err = resolver_create(&s->resolver, r, c->sip.dns_servers, why, why_len);
	}
	if (err == SRS_OK)
		err = timer_arm(r, &s->due, 0);
	if (err)
		stun_destroy(s);
	else
		*out = s;
	return err;
}

void
stun_destroy(struct stun *s)
{
	if (s == NULL)
		return;
	socket_close(s);
	timer_release(&s->due);
	resolver_destroy(s->resolver);
	free(s);
}

static const char *
state_of(const struct stun *s)
{
	bool failed = s->error[0] != '\0';

	if (s->found_mono_ns != 0)
		return failed ? "stale" : "known";
	return failed ? "failed" : "asking";
}

char *
stun_json(const struct stun *s, const char *why_not)
{
	cJSON *json = cJSON_CreateObject();
	char address[INET6_ADDRSTRLEN] = "", *text;
	bool known = s != NULL && s->found_mono_ns != 0;

	if (known)
		(void)inet_ntop(s->found.ip_version == 6 ? AF_INET6 : AF_INET, s->found.ip, address, sizeof(address));
	cJSON_AddBoolToObject(json, "enabled", s != NULL);
	cJSON_AddStringToObject(json, "server", s != NULL ? s->config->stun.server : "");
	cJSON_AddStringToObject(json, "state", s == NULL ? "off" : state_of(s));
	cJSON_AddStringToObject(json, "address", address);
	if (known)
		cJSON_AddNumberToObject(json, "age_s", (double)((reactor_mono_ns() - s->found_mono_ns) / 1000000000));
	else
		cJSON_AddNullToObject(json, "age_s");
	cJSON_AddStringToObject(json, "error", s != NULL ? s->error : why_not);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}
