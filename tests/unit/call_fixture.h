/* A call between a plain socket that plays the SRC and the whole SIP stack: the fixture of the dialog tests. */
#ifndef CALL_FIXTURE_H
#define CALL_FIXTURE_H

#include "sip_peer.h"

#define SDP_LINES "Content-Type: application/sdp\r\n"

struct call {
	struct peer peer;
	int fd;
	char to_tag[64];
	const char *call_id;	/* NULL: the usual one */
};

static inline int
setup(void **state)
{
	struct call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -1;
	peer_start(&c->peer);
	c->fd = peer_socket(&c->peer.udp, SOCK_DGRAM);
	*state = c;
	return 0;
}

static inline int
teardown(void **state)
{
	struct call *c = *state;

	close(c->fd);
	peer_stop(&c->peer);
	free(c);
	return 0;
}

static inline const char *
ask(struct call *c, struct peer_request r)
{
	r.fd = c->fd;
	peer_request(&r);
	return peer_final(&c->peer, c->fd);
}

static inline void
assert_status(const char *response, unsigned int status)
{
	char want[16];

	snprintf(want, sizeof(want), "SIP/2.0 %u ", status);
	if (response == NULL || strncmp(response, want, strlen(want)) != 0)
		fail_msg("wanted %u, got: %.600s", status, response == NULL ? "nothing" : response);
}

static inline void
assert_says(const char *response, const char *text)
{
	if (response == NULL || strstr(response, text) == NULL)
		fail_msg("\"%s\" is missing in: %.900s", text, response == NULL ? "nothing" : response);
}

static inline void
ack(struct call *c, unsigned int cseq)
{
	struct peer_request r = { .method = "ACK", .fd = c->fd, .branch = "ack", .to_tag = c->to_tag, .cseq = cseq };

	peer_request(&r);
	peer_turn(&c->peer, 5);
}

/* INVITE, 200, ACK */
static inline void
establish_as(struct call *c, const char *call_id, const char *lines)
{
	char all[1024], branch[64];
	unsigned int n = c->peer.n_confirmed;
	struct peer_request a = { .method = "ACK", .fd = c->fd, .to_tag = c->to_tag, .cseq = 1, .call_id = call_id };
	const char *ok;

	snprintf(all, sizeof(all), SDP_LINES "%s", lines);
	snprintf(branch, sizeof(branch), "inv-%s", call_id);
	ok = ask(c, (struct peer_request){ .method = "INVITE", .branch = branch, .cseq = 1, .call_id = call_id,
		    .lines = all, .body = "v=0\r\n" });
	assert_status(ok, 200);
	peer_to_tag(ok, c->to_tag);
	snprintf(branch, sizeof(branch), "ack-%s", call_id);
	a.branch = branch;
	peer_request(&a);
	peer_turn(&c->peer, 5);
	assert_int_equal(c->peer.n_confirmed, n + 1);
}

static inline void
establish(struct call *c, const char *lines)
{
	establish_as(c, "call-1@src", lines);
}

/* A response to a request of the stack's, made from the request's own lines. */
static inline void
answer_request_with(struct call *c, const char *request, const char *status, const char *lines, const char *body)
{
	char text[8192];
	size_t used = (size_t)snprintf(text, sizeof(text), "SIP/2.0 %s\r\n", status);

	for (const char *line = strstr(request, "\r\n") + 2; *line != '\r'; line = strstr(line, "\r\n") + 2)
		if (strncmp(line, "Via", 3) == 0 || strncmp(line, "From", 4) == 0 || strncmp(line, "To", 2) == 0 ||
		    strncmp(line, "Call-ID", 7) == 0 || strncmp(line, "CSeq", 4) == 0)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%.*s\r\n",
			                         (int)strcspn(line, "\r"), line);
	snprintf(text + used, sizeof(text) - used, "%sContent-Length: %zu\r\n\r\n%s", lines, strlen(body), body);
	peer_send(c->fd, text);
	peer_turn(&c->peer, 5);
}

static inline void
answer_request(struct call *c, const char *request, const char *status)
{
	answer_request_with(c, request, status, "", "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
