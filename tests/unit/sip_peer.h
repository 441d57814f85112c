/* A SIP peer for tests: a stack on ephemeral loopback ports, a recording "session layer" that notes what it is told,
 * and plain sockets that play the SRC. One thread: the loop turns while a peer waits. */
#ifndef SIP_PEER_H
#define SIP_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/sip/dialog.h"

#define PEER_SDP "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0\r\na=recvonly\r\n"
#define PEER_T1_MS 20u

enum peer_answer { PEER_ACCEPT, PEER_REFUSE, PEER_LATER };

struct peer {
	struct reactor *reactor;
	struct sip *sip;
	struct config config;
	struct config_listen listen[3];
	struct config_src src;		/* of everybody */
	struct sockaddr_storage udp, tcp, udp6;
	enum peer_answer answer;
	unsigned int body_status;
	bool full;			/* no call is taken */
	unsigned int n_knocks;

	struct dialog *dialog;		/* of the last INVITE */
	struct dialog *replaced;
	unsigned int n_invites, n_reinvites, n_bodies, n_confirmed, n_ended, n_answers, n_described, n_probed;
	unsigned int n_refused;		/* first INVITEs */
	unsigned int n_how[DIALOG_END_EXPIRED + 1];	/* of n_ended */
	unsigned int answer_status;	/* of the last on_answer() */
	enum dialog_end how;
	bool sip_src, bare_src, require_siprec;
	char body[512];
	size_t body_len;
	char content_type[128], session_id[128], from_uri[128];
	char identity[256];
	const struct config_src *src_found;
	struct sockaddr_storage source, local;
	char received[65536];		/* by peer_receive() */
};

static inline void
peer_note(struct peer *p, struct dialog *d, const struct sip_request *req)
{
	p->dialog = d;
	p->replaced = req->replaced;
	p->sip_src = req->contact_sip_src;
	p->bare_src = req->contact_bare_src;
	p->require_siprec = req->require_siprec;
	p->body_len = req->body.len;
	memcpy(p->body, req->body.bytes, req->body.len < sizeof(p->body) ? req->body.len : sizeof(p->body));
	snprintf(p->content_type, sizeof(p->content_type), "%s", req->content_type);
	snprintf(p->session_id, sizeof(p->session_id), "%s", req->session_id);
	snprintf(p->from_uri, sizeof(p->from_uri), "%s", req->from_uri);
	snprintf(p->identity, sizeof(p->identity), "%s", req->identity);
	p->src_found = req->src;
	p->source = req->source;
	p->local = req->local;
}

static inline void
peer_answer_now(struct peer *p, struct dialog *d, bool initial)
{
	if (p->answer == PEER_ACCEPT)
		dialog_accept(d, PEER_SDP);
	if (p->answer != PEER_REFUSE)
		return;
	p->n_refused += initial;
	if (initial)
		p->dialog = NULL;
	dialog_refuse(d, &(struct sip_refusal){ .status = 403, .warning = "no \"recording\" session" });
}

static inline void
peer_on_invite(void *ctx, struct dialog *d, const struct sip_request *req)
{
	struct peer *p = ctx;

	p->n_invites++;
	peer_note(p, d, req);
	dialog_user_set(d, p);
	peer_answer_now(p, d, true);
}

static inline void
peer_on_reinvite(void *ctx, struct dialog *d, const struct sip_request *req)
{
	struct peer *p = ctx;

	p->n_reinvites++;
	peer_note(p, d, req);
	peer_answer_now(p, d, false);
}

static inline unsigned int
peer_on_body(void *ctx, struct dialog *d, const struct sip_request *req, const char **warning)
{
	struct peer *p = ctx;

	p->n_bodies++;
	peer_note(p, d, req);
	if (p->body_status != 200 || strcmp(req->method, "UPDATE") != 0 || strstr(req->content_type, "sdp") == NULL)
		return p->body_status;
	peer_answer_now(p, d, false);
	return 0;
}

static inline void
peer_on_confirmed(void *ctx, struct dialog *d, struct span body)
{
	struct peer *p = ctx;

	p->n_confirmed++;
	p->body_len = body.len;
}

static inline void
peer_on_answer(void *ctx, struct dialog *d, unsigned int status, struct span sdp)
{
	struct peer *p = ctx;

	(void)d;
	p->n_answers++;
	p->answer_status = status;
	p->body_len = sdp.len;
	memcpy(p->body, sdp.bytes, sdp.len < sizeof(p->body) ? sdp.len : sizeof(p->body));
}

static inline void
peer_on_probed(void *ctx, struct dialog *d)
{
	struct peer *p = ctx;

	(void)d;
	p->n_probed++;
}

static inline char *
peer_on_describe(void *ctx, struct dialog *d)
{
	struct peer *p = ctx;

	(void)d;
	p->n_described++;
	return strdup(PEER_SDP);
}

static inline void
peer_on_ended(void *ctx, struct dialog *d, enum dialog_end how)
{
	struct peer *p = ctx;

	p->n_ended++;
	p->n_how[how]++;
	p->how = how;
	if (p->dialog == d)
		p->dialog = NULL;
}

static inline bool
peer_on_door(void *ctx, const struct config_src *src, struct sip_refusal *why)
{
	struct peer *p = ctx;

	(void)src;
	p->n_knocks++;
	*why = (struct sip_refusal){ .status = 503, .warning = "no room" };
	return !p->full;
}

/* The configuration; a test may change it before peer_open(). */
static inline void
peer_prepare(struct peer *p)
{
	static char any4[] = "127.0.0.1", any6[] = "::1", name[] = "test node";

	memset(p, 0, sizeof(*p));
	p->listen[0] = (struct config_listen){ CONFIG_UDP, any4, 0 };
	p->listen[1] = (struct config_listen){ CONFIG_TCP, any4, 0 };
	p->listen[2] = (struct config_listen){ CONFIG_UDP, any6, 0 };
	p->src = (struct config_src){ .name = name };
	p->config.src_default = &p->src;
	p->config.node.name = name;
	p->config.sip.listen = p->listen;
	p->config.sip.n_listen = 3;
	p->config.sip.body_bytes_max = 8192;
	p->config.sip.message_bytes_max = 16384;
	p->config.sip.connections_max = 4;
	p->config.sip.connections_per_source_max = 4;
	p->config.sip.transactions_max = 64;
	p->config.sip.t1_ms = PEER_T1_MS;
	p->config.sip.retry_after_s = 10;
	p->config.limits.sessions_max = 4;
	p->body_status = 200;
}

static inline void
peer_open(struct peer *p)
{
	static const struct dialog_handlers handlers = {
		.on_invite = peer_on_invite, .on_reinvite = peer_on_reinvite, .on_body = peer_on_body,
		.on_confirmed = peer_on_confirmed, .on_ended = peer_on_ended, .on_door = peer_on_door,
		.on_answer = peer_on_answer, .on_describe = peer_on_describe, .on_probed = peer_on_probed,
	};
	char why[512] = "";

	if (reactor_create(&p->reactor) != SRS_OK ||
	    sip_create(&p->sip, p->reactor, &p->config, &handlers, p, why, sizeof(why)) != SRS_OK) {
		fprintf(stderr, "peer_start: %s\n", why);
		abort();
	}
	p->udp = *sip_listener_address(p->sip, 0);
	p->tcp = *sip_listener_address(p->sip, 1);
	p->udp6 = *sip_listener_address(p->sip, 2);
}

static inline void
peer_start(struct peer *p)
{
	peer_prepare(p);
	peer_open(p);
}

static inline void
peer_stop(struct peer *p)
{
	sip_destroy(p->sip);
	reactor_destroy(p->reactor);
}

static inline void
peer_turn(struct peer *p, unsigned int ms)
{
	uint64_t until = reactor_mono_ns() + ms * 1000000ull;

	do {
		struct timeval pause = { .tv_usec = 1000 };

		event_base_loopexit(reactor_base(p->reactor), &pause);
		event_base_loop(reactor_base(p->reactor), EVLOOP_NO_EXIT_ON_EMPTY);
	} while (reactor_mono_ns() < until);
}

/* A socket that is connected to one of the stack's listeners. */
static inline int
peer_socket(const struct sockaddr_storage *to, int type)
{
	int fd = socket(to->ss_family, type | SOCK_CLOEXEC, 0);
	socklen_t len = to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, len) != 0)
		abort();
	return fd;
}

static inline uint16_t
peer_port(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	getsockname(fd, (struct sockaddr *)&a, &len);
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port :
	                                       ((struct sockaddr_in *)&a)->sin_port);
}

static inline void
peer_send(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		abort();
}

/* What comes within `ms`, as text: a datagram, or what the stream has. "" when nothing came. */
static inline const char *
peer_receive(struct peer *p, int fd, unsigned int ms)
{
	uint64_t until = reactor_mono_ns() + ms * 1000000ull;

	p->received[0] = '\0';
	do {
		ssize_t n;

		peer_turn(p, 1);
		n = recv(fd, p->received, sizeof(p->received) - 1, MSG_DONTWAIT);
		if (n >= 0) {
			p->received[n] = '\0';
			return p->received;
		}
	} while (reactor_mono_ns() < until);
	return p->received;
}

/* Like peer_receive(), but passes over 100 Trying. */
static inline const char *
peer_final(struct peer *p, int fd)
{
	for (;;) {
		const char *text = peer_receive(p, fd, 500);
		const char *next;

		if (strncmp(text, "SIP/2.0 100", 11) != 0)
			return text;
		next = strstr(text + 11, "SIP/2.0 ");	/* a stream brings both at once */
		if (next != NULL)
			return next;
	}
}

/* The To tag of a response. */
static inline const char *
peer_to_tag(const char *response, char out[64])
{
	const char *to = strstr(response, "\r\nTo:");
	const char *tag = to == NULL ? NULL : strstr(to, ";tag=");

	snprintf(out, 64, "%.*s", tag == NULL ? 0 : (int)strcspn(tag + 5, "\r;"), tag == NULL ? "" : tag + 5);
	return out;
}

struct peer_request {
	const char *method;
	int fd;
	bool tcp;
	const char *branch;
	const char *to_tag;	/* "" none */
	unsigned int cseq;
	const char *lines;	/* more, with CRLF */
	const char *body;	/* "" none */
	const char *call_id, *from_tag, *uri;
};

static inline const char *
peer_request_text(const struct peer_request *r, char *out, size_t out_len)
{
	const char *lines = r->lines == NULL ? "" : r->lines;
	const char *body = r->body == NULL ? "" : r->body;
	const char *to_tag = r->to_tag == NULL ? "" : r->to_tag;
	uint16_t port = peer_port(r->fd);

	snprintf(out, out_len,
	         "%s %s SIP/2.0\r\nVia: SIP/2.0/%s 127.0.0.1:%u;branch=z9hG4bK%s;rport\r\n"
	         "From: \"SRC\" <sip:src@example.com>;tag=%s\r\nTo: <sip:srs@example.com>%s%s\r\n"
	         "Call-ID: %s\r\nCSeq: %u %s\r\nMax-Forwards: 70\r\n"
	         "Contact: <sip:src@127.0.0.1:%u%s>;+sip.src\r\n%sContent-Length: %zu\r\n\r\n%s",
	         r->method, r->uri == NULL ? "sip:srs@127.0.0.1" : r->uri, r->tcp ? "TCP" : "UDP", port, r->branch,
	         r->from_tag == NULL ? "srctag" : r->from_tag, to_tag[0] == '\0' ? "" : ";tag=", to_tag,
	         r->call_id == NULL ? "call-1@src" : r->call_id, r->cseq,
	         strncmp(r->method, "ACK", 3) == 0 ? "ACK" : r->method, port, r->tcp ? ";transport=tcp" : "", lines,
	         strlen(body), body);
	return out;
}

static inline void
peer_request(const struct peer_request *r)
{
	char text[32768];

	peer_send(r->fd, peer_request_text(r, text, sizeof(text)));
}

#endif
