/* Our own requests in a dialog: how each is written and sent (RFC 3261 §12.2.1), and those without an offer: ACK, BYE
 * and OPTIONS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sip/sip.h"
#include "lib/srs_log.h"

#define BRANCH_SIZE  (7 + SIP_TAG_SIZE)
#define FORWARDS_MAX 70

char *
dialog_uri_of(const char *value)
{
	const char *at = value;
	const char *start, *open = NULL;
	struct span first;
	bool quoted = false;
	size_t len;

	if (!message_element_next(&at, &first))
		return NULL;
	start = (const char *)first.bytes;
	len = first.len;
	for (const char *p = start; p < start + len && open == NULL; p++) {
		if (quoted && *p == '\\')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && *p == '<')
			open = p + 1;
	}
	if (open != NULL) {
		len -= (size_t)(open - start);
		start = open;
		len = strcspn(start, ">") < len ? strcspn(start, ">") : len;	/* some SRCs forget the bracket */
	} else {
		len = strcspn(start, ";") < len ? strcspn(start, ";") : len;
	}
	for (size_t i = 0; i < len; i++) {
		if (start[i] == '?')
			len = i;	/* headers have no place in a Request-URI (RFC 3261 §19.1.1) */
		else if (strchr(" \"<>", start[i]) != NULL)
			return NULL;	/* would end the URI too early in a line of ours */
	}
	if (len == 0)
		return NULL;
	if (memchr(start, ':', len) == NULL)
		return NULL;	/* no scheme, no URI: "*" above all, which is REGISTER's alone (RFC 3261 §10.2.2) */
	return strndup(start, len);
}

/* Where to send, and what the request line and the Route headers say (RFC 3261 §12.2.1.1). */
struct route {
	char *uri;		/* Request-URI */
	char *routes;		/* Route value, or "" */
	char *next_hop;		/* URI */
};

static void
route_release(struct route *r)
{
	free(r->uri);
	free(r->routes);
	free(r->next_hop);
}

static bool
is_loose(const char *uri)
{
	for (const char *p = strchr(uri, ';'); p != NULL; p = strchr(p + 1, ';'))
		if (strncasecmp(p + 1, "lr", 2) == 0 && (p[3] == '\0' || p[3] == ';' || p[3] == '='))
			return true;
	return false;
}

static bool
route_make(struct route *r, const struct dialog *d)
{
	char *first = d->record_route[0] == '\0' ? NULL : dialog_uri_of(d->record_route);

	*r = (struct route){ 0 };
	if (first == NULL) {
		r->uri = strdup(d->remote_target);
		r->routes = strdup("");
		r->next_hop = strdup(d->remote_target);
	} else if (is_loose(first)) {
		r->uri = strdup(d->remote_target);
		r->routes = strdup(d->record_route);
		r->next_hop = strdup(first);
	} else {	/* a strict router: it wants to be the Request-URI, the target goes last */
		const char *at = d->record_route;
		struct span element;

		message_element_next(&at, &element);
		at += strspn(at, ", ");
		r->uri = strdup(first);
		if (asprintf(&r->routes, "%s%s<%s>", at, *at == '\0' ? "" : ", ", d->remote_target) < 0)
			r->routes = NULL;
		r->next_hop = strdup(first);
	}
	free(first);
	return r->uri != NULL && r->routes != NULL && r->next_hop != NULL;
}

/* What one request differs in from the next. */
struct request {
	const char *method;
	uint32_t cseq;
	const char *lines;
	struct span body;
	char branch[BRANCH_SIZE];
};

static void
branch_make(char branch[BRANCH_SIZE])
{
	char tag[SIP_TAG_SIZE];

	sip_tag_make(tag);
	snprintf(branch, BRANCH_SIZE, "z9hG4bK%s", tag);
}

/* The body may hold a key: it is copied once, into memory that whoever sends the text wipes. */
static char *
body_append(char *head, size_t head_len, struct span body, size_t *len)
{
	char *text = malloc(head_len + body.len + 1);

	if (text != NULL) {
		memcpy(text, head, head_len);
		if (body.len != 0)
			memcpy(text + head_len, body.bytes, body.len);
		*len = head_len + body.len;
		text[*len] = '\0';
	}
	free(head);
	return text;
}

static char *
request_text(const struct dialog *d, const struct request *q, const struct route *r, const struct conn_path *to, size_t *len)
{
	char address[CONN_ADDRESS_TEXT_MAX], contact[SIP_CONTACT_MAX];
	bool ends = strcmp(q->method, "BYE") == 0 || strcmp(q->method, "ACK") == 0;
	char *head = NULL;
	size_t head_len;
	FILE *f = open_memstream(&head, &head_len);

	if (f == NULL)
		return NULL;
	fprintf(f, "%s %s SIP/2.0\r\n", q->method, r->uri);
	fprintf(f, "Via: SIP/2.0/%s %s;branch=%s;rport\r\n", conn_transport_name(to->transport),
	        conn_address_text(&to->local, address), q->branch);
	fprintf(f, "Max-Forwards: %d\r\n", FORWARDS_MAX);
	if (r->routes[0] != '\0')
		fprintf(f, "Route: %s\r\n", r->routes);
	fprintf(f, "From: %s\r\nTo: %s\r\n", d->local_party, d->remote_party);
	fprintf(f, "Call-ID: %s\r\nCSeq: %u %s\r\n", d->call_id, q->cseq, q->method);
	if (!ends)
		fputs(sip_contact_line(d->sip, to, contact), f);
	fprintf(f, "User-Agent: Capstan/" SRS_VERSION "\r\n%sContent-Length: %zu\r\n\r\n", q->lines, q->body.len);
	if (fclose(f) == 0)
		return body_append(head, head_len, q->body, len);
	free(head);
	return NULL;
}

/* @return malloc'ed text, and where it goes; NULL: no memory */
static char *
request_make(struct dialog *d, const struct request *q, struct conn_path *to, size_t *len)
{
	struct route r;
	char *text = NULL;

	if (route_make(&r, d)) {
		dialog_path_make(d, r.next_hop, to);
		text = request_text(d, q, &r, to, len);
	}
	route_release(&r);
	return text;
}

struct transaction *
dialog_request_send(struct dialog *d, const char *method, const char *lines, struct span body,
                    const struct transaction_user *user)
{
	struct request q = { .method = method, .cseq = d->local_cseq + 1, .lines = lines, .body = body };
	struct transaction *t = NULL;
	struct conn_path to;
	size_t len = 0;
	char *text;

	branch_make(q.branch);
	text = request_make(d, &q, &to, &len);
	if (text == NULL)
		return NULL;
	d->local_cseq = q.cseq;
	if (transaction_request(&t, d->sip->transactions, &to, q.branch, method, text, len, user)) {
		log_warn("dialog", "request_lost", "method=%s call_id=%s", method, d->call_id);
		return NULL;
	}
	return t;
}

/* ---- ACK ---- */

/* A request of its own, with a branch of its own, along the route set of the dialog; no transaction waits for it. */
void
dialog_ack_send(struct dialog *d, const struct message *ok)
{
	struct request q = { .method = "ACK", .cseq = ok->cseq, .lines = "", .body = span_of("", 0) };
	struct conn_path to;
	size_t len = 0;
	char *text;

	branch_make(q.branch);
	text = request_make(d, &q, &to, &len);
	if (text == NULL || conn_send(d->sip->conns, &to, span_of(text, len)))
		log_warn("dialog", "request_lost", "method=ACK call_id=%s", d->call_id);	/* the 2xx comes again */
	free(text);
}

/* ---- BYE ---- */

/* Any final answer will do: the dialog is over either way (RFC 3261 §15.1.1). */
static void
bye_answered(void *ctx, struct transaction *t, unsigned int status, const struct message *m)
{
	struct dialog *d = ctx;

	(void)m;
	if (status < 200)
		return;
	transaction_user_set(t, NULL);
	d->bye = NULL;
	dialog_settle(d);
}

static void
bye_done(void *ctx, struct transaction *t)
{
	struct dialog *d = ctx;

	(void)t;
	d->bye = NULL;
	dialog_settle(d);
}

void
dialog_bye_send(struct dialog *d)
{
	struct transaction_user user = { .on_response = bye_answered, .on_done = bye_done, .ctx = d };
	char text[128], lines[192];
	size_t n = 0;

	for (const char *c = d->reason_text == NULL ? "the recorder is stopping" : d->reason_text;
	     *c != '\0' && n + 1 < sizeof(text); c++)
		if (*c >= ' ' && *c != '"' && *c != '\\')
			text[n++] = *c;
	text[n] = '\0';
	snprintf(lines, sizeof(lines), "Reason: SIP;cause=%u;text=\"%s\"\r\n",
	         d->reason_cause == 0 ? 200 : d->reason_cause, text);
	d->bye = dialog_request_send(d, "BYE", lines, span_of("", 0), &user);
}

/* ---- OPTIONS ---- */

/* Any answer but 481 and 408 shows that the dialog is known; also a refusal of the method (RFC 5057 §5.1). */
static void
probe_answered(void *ctx, struct transaction *t, unsigned int status, const struct message *m)
{
	struct dialog *d = ctx;
	struct sip *s = d->sip;
	bool gone = status == 481 || status == 408 || (m == NULL && status == 503);

	if (status < 200)
		return;
	transaction_user_set(t, NULL);
	d->probe = NULL;
	if (gone)
		dialog_end_as(d, DIALOG_END_GONE, status, status == 481 ? "the recording client does not know the dialog"
		                                                        : "the recording client does not answer");
	else if (d->state != DIALOG_ENDING && s->handlers.on_probed != NULL)
		s->handlers.on_probed(s->ctx, d);
}

static void
probe_done(void *ctx, struct transaction *t)
{
	struct dialog *d = ctx;

	(void)t;
	d->probe = NULL;
}

void
dialog_probe(struct dialog *d)
{
	struct transaction_user user = { .on_response = probe_answered, .on_done = probe_done, .ctx = d };

	if (d->state != DIALOG_CONFIRMED || d->probe != NULL)
		return;
	d->probe = dialog_request_send(d, "OPTIONS", SIP_ACCEPT_LINE, span_of("", 0), &user);
}
