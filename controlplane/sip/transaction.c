#include "controlplane/sip/transaction.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sip/response.h"
#include "controlplane/sip/textmap.h"
#include "crypto/secret.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define COOKIE      "z9hG4bK"	/* RFC 3261 §8.1.1.7 */
#define T2_OF_T1    8		/* 4 s */
#define T4_OF_T1    10		/* 5 s */
#define LIFE_OF_T1  64		/* timers B, F, H, J, L, M */
#define TIMER_D_MS  32000u	/* RFC 3261 §17.1.1.2: at least 32 s */

struct transaction {
	struct transactions *owner;
	struct transaction *next;	/* free list, or list of clients */
	struct transaction *previous;	/* of clients */
	struct textmap_node by_key;
	struct textmap_node by_merge;	/* servers: RFC 3261 §8.2.2.2 */
	enum transaction_kind kind;
	enum transaction_state state;
	struct conn_path path;
	char *head;			/* servers: of all responses */
	char *sent;			/* last response, or our request */
	size_t sent_len;
	struct timer retransmit, deadline;
	uint32_t interval_ms;
	bool broken;			/* an action could not send */
	uint32_t src;			/* servers: of the observatory */
	struct transaction_user user;
};

struct transactions {
	struct reactor *reactor;
	struct conn_set *conns;
	uint32_t t1_ms;
	struct textmap servers, clients, merges;
	struct transaction *pool;
	struct transaction *free;
	struct transaction *client_list;	/* few: what waits for answers to our requests */
	uint32_t n, n_max;
};

/* What an event brings along. */
struct input {
	unsigned int status;
	const struct message *message;
};

static void step(struct transaction *t, enum transaction_event event, const struct input *in);

/* ---- actions ---- */

static bool
is_reliable(const struct transaction *t)
{
	return t->path.transport != CONFIG_UDP;
}

static void
arm(struct transaction *t, struct timer *timer, uint64_t after_ms)
{
	if (timer_arm(t->owner->reactor, timer, after_ms))
		t->broken = true;	/* without its timer it would never end */
}

/* A 2xx or an offer may hold a key of ours. */
static void
text_drop(char *text, size_t len)
{
	if (text != NULL)
		secret_wipe(text, len);
	free(text);
}

static void
sent_drop(struct transaction *t)
{
	text_drop(t->sent, t->sent_len);
	t->sent = NULL;
}

static void
resend(struct transaction *t, const struct input *in)
{
	(void)in;
	if (t->sent == NULL)
		return;
	if (conn_send(t->owner->conns, &t->path, span_of(t->sent, t->sent_len)))
		t->broken = true;
}

/* Timers A, E, G: double up to T2, except A, which has no ceiling. */
static void
resend_slower(struct transaction *t, const struct input *in)
{
	uint32_t t2 = T2_OF_T1 * t->owner->t1_ms;

	resend(t, in);
	t->interval_ms *= 2;
	if (t->kind != TRANSACTION_INVITE_CLIENT && t->interval_ms > t2)
		t->interval_ms = t2;
	arm(t, &t->retransmit, t->interval_ms);
}

static void
resend_steadily(struct transaction *t, const struct input *in)
{
	t->interval_ms = T2_OF_T1 * t->owner->t1_ms;
	resend(t, in);
	arm(t, &t->retransmit, t->interval_ms);
}

static void
live_for(struct transaction *t, uint64_t ms)
{
	timer_disarm(&t->retransmit);
	arm(t, &t->deadline, ms);
}

/* Timer L: retransmitted INVITEs are absorbed; the dialog resends the 2xx. */
static void
send_accepting(struct transaction *t, const struct input *in)
{
	resend(t, in);
	live_for(t, (uint64_t)LIFE_OF_T1 * t->owner->t1_ms);
}

/* Timers G and H: until the ACK. */
static void
send_refusing(struct transaction *t, const struct input *in)
{
	resend(t, in);
	live_for(t, (uint64_t)LIFE_OF_T1 * t->owner->t1_ms);
	t->interval_ms = t->owner->t1_ms;
	if (!is_reliable(t))
		arm(t, &t->retransmit, t->interval_ms);
}

/* Timer I: late ACKs. */
static void
confirm(struct transaction *t, const struct input *in)
{
	(void)in;
	live_for(t, is_reliable(t) ? 0 : (uint64_t)T4_OF_T1 * t->owner->t1_ms);
}

/* Timer J: late requests. */
static void
send_completing(struct transaction *t, const struct input *in)
{
	resend(t, in);
	live_for(t, is_reliable(t) ? 0 : (uint64_t)LIFE_OF_T1 * t->owner->t1_ms);
}

static void
tell(struct transaction *t, const struct input *in)
{
	if (t->user.on_response != NULL)
		t->user.on_response(t->user.ctx, t, in->status, in->message);
}

static void
tell_timeout(struct transaction *t, const struct input *in)
{
	(void)in;
	tell(t, &(struct input){ .status = 408 });
}

static void
tell_broken(struct transaction *t, const struct input *in)
{
	(void)in;
	tell(t, &(struct input){ .status = 503 });
}

/* Timer K: late responses. */
static void
tell_completed(struct transaction *t, const struct input *in)
{
	live_for(t, is_reliable(t) ? 0 : (uint64_t)T4_OF_T1 * t->owner->t1_ms);
	tell(t, in);
}

static void
tell_proceeding(struct transaction *t, const struct input *in)
{
	timer_disarm(&t->retransmit);
	timer_disarm(&t->deadline);
	tell(t, in);
}

/* Timer M: more 2xx may come; each needs an ACK from above. */
static void
tell_accepted(struct transaction *t, const struct input *in)
{
	live_for(t, (uint64_t)LIFE_OF_T1 * t->owner->t1_ms);
	tell(t, in);
}

/* A line of our own request text, CRLF included; empty when it has none of this name. */
static struct span
own_line(const char *request, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(request, "\r\n"); at != NULL && at[2] != '\r'; at = strstr(at, "\r\n")) {
		at += 2;
		if (strncmp(at, name, len) == 0 && at[len] == ':')
			return span_of(at, (size_t)(strstr(at, "\r\n") + 2 - at));
	}
	return span_of("", 0);
}

/* A request that goes with our INVITE and has its values, its Via above all (RFC 3261 §9.1, §17.1.1.3).
 * @return malloc'ed; NULL: no memory */
static char *
companion_text(const struct transaction *t, const char *method, const char *to_line, uint32_t cseq, size_t *len)
{
	static const char *const copied[] = { "Via", "Route", "From", "Call-ID", "Max-Forwards" };
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (f == NULL)
		return NULL;
	fprintf(f, "%s%.*s\r\n", method, (int)strcspn(t->sent + strlen("INVITE"), "\r"), t->sent + strlen("INVITE"));
	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		struct span line = own_line(t->sent, copied[i]);

		fwrite(line.bytes, 1, line.len, f);
	}
	fprintf(f, "To: %s\r\nCSeq: %u %s\r\nContent-Length: 0\r\n\r\n", to_line, cseq, method);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* RFC 3261 §17.1.1.3: To as in the response. */
static void
send_ack(struct transaction *t, const struct input *in)
{
	size_t len = 0;
	char *text = in->message == NULL ? NULL : companion_text(t, "ACK", message_value(in->message, "To"),
	                                                         in->message->cseq, &len);

	if (text != NULL && conn_send(t->owner->conns, &t->path, span_of(text, len)))
		t->broken = true;
	free(text);
}

static void
tell_refused(struct transaction *t, const struct input *in)
{
	send_ack(t, in);
	live_for(t, is_reliable(t) ? 0 : TIMER_D_MS);
	tell(t, in);
}

/* ---- the machines ---- */

struct edge {
	enum transaction_state from;
	enum transaction_event event;
	void (*action)(struct transaction *t, const struct input *in);	/* NULL: absorb */
	enum transaction_state to;
};
#define S(state) TRANSACTION_##state

/* RFC 3261 figure 7 with RFC 6026 figure 3 */
static const struct edge invite_server[] = {
	{ S(PROCEEDING), EV_REQUEST,      resend,         S(PROCEEDING) },
	{ S(PROCEEDING), EV_SEND_1XX,     resend,         S(PROCEEDING) },
	{ S(PROCEEDING), EV_SEND_2XX,     send_accepting, S(ACCEPTED) },
	{ S(PROCEEDING), EV_SEND_REFUSAL, send_refusing,  S(COMPLETED) },
	{ S(PROCEEDING), EV_BROKEN,       tell_broken,    S(TERMINATED) },
	{ S(ACCEPTED),   EV_REQUEST,      NULL,           S(ACCEPTED) },
	{ S(ACCEPTED),   EV_SEND_2XX,     resend,         S(ACCEPTED) },
	{ S(ACCEPTED),   EV_BROKEN,       NULL,           S(ACCEPTED) },
	{ S(ACCEPTED),   EV_DEADLINE,     NULL,           S(TERMINATED) },	/* L */
	{ S(COMPLETED),  EV_REQUEST,      resend,         S(COMPLETED) },
	{ S(COMPLETED),  EV_RETRANSMIT,   resend_slower,  S(COMPLETED) },	/* G */
	{ S(COMPLETED),  EV_ACK,          confirm,        S(CONFIRMED) },
	{ S(COMPLETED),  EV_DEADLINE,     tell_timeout,   S(TERMINATED) },	/* H */
	{ S(COMPLETED),  EV_BROKEN,       tell_broken,    S(TERMINATED) },
	{ S(CONFIRMED),  EV_REQUEST,      NULL,           S(CONFIRMED) },
	{ S(CONFIRMED),  EV_ACK,          NULL,           S(CONFIRMED) },
	{ S(CONFIRMED),  EV_DEADLINE,     NULL,           S(TERMINATED) },	/* I */
};

/* RFC 3261 figure 8 */
static const struct edge server[] = {
	{ S(TRYING),     EV_REQUEST,      NULL,            S(TRYING) },
	{ S(TRYING),     EV_SEND_1XX,     resend,          S(PROCEEDING) },
	{ S(TRYING),     EV_SEND_2XX,     send_completing, S(COMPLETED) },
	{ S(TRYING),     EV_SEND_REFUSAL, send_completing, S(COMPLETED) },
	{ S(TRYING),     EV_BROKEN,       tell_broken,     S(TERMINATED) },
	{ S(PROCEEDING), EV_REQUEST,      resend,          S(PROCEEDING) },
	{ S(PROCEEDING), EV_SEND_1XX,     resend,          S(PROCEEDING) },
	{ S(PROCEEDING), EV_SEND_2XX,     send_completing, S(COMPLETED) },
	{ S(PROCEEDING), EV_SEND_REFUSAL, send_completing, S(COMPLETED) },
	{ S(PROCEEDING), EV_BROKEN,       tell_broken,     S(TERMINATED) },
	{ S(COMPLETED),  EV_REQUEST,      resend,          S(COMPLETED) },
	{ S(COMPLETED),  EV_DEADLINE,     NULL,            S(TERMINATED) },	/* J */
	{ S(COMPLETED),  EV_BROKEN,       tell_broken,     S(TERMINATED) },
};

/* RFC 3261 figure 5 with RFC 6026 figure 1 */
static const struct edge invite_client[] = {
	{ S(CALLING),    EV_RETRANSMIT,       resend_slower,   S(CALLING) },	/* A */
	{ S(CALLING),    EV_DEADLINE,         tell_timeout,    S(TERMINATED) },	/* B */
	{ S(CALLING),    EV_BROKEN,           tell_broken,     S(TERMINATED) },
	{ S(CALLING),    EV_RECEIVED_1XX,     tell_proceeding, S(PROCEEDING) },
	{ S(CALLING),    EV_RECEIVED_2XX,     tell_accepted,   S(ACCEPTED) },
	{ S(CALLING),    EV_RECEIVED_REFUSAL, tell_refused,    S(COMPLETED) },
	{ S(PROCEEDING), EV_RECEIVED_1XX,     tell,            S(PROCEEDING) },
	{ S(PROCEEDING), EV_RECEIVED_2XX,     tell_accepted,   S(ACCEPTED) },
	{ S(PROCEEDING), EV_RECEIVED_REFUSAL, tell_refused,    S(COMPLETED) },
	{ S(PROCEEDING), EV_DEADLINE,         tell_timeout,    S(TERMINATED) },	/* cancelled: RFC 3261 §9.1 */
	{ S(PROCEEDING), EV_BROKEN,           tell_broken,     S(TERMINATED) },
	{ S(ACCEPTED),   EV_RECEIVED_2XX,     tell,            S(ACCEPTED) },
	{ S(ACCEPTED),   EV_DEADLINE,         NULL,            S(TERMINATED) },	/* M */
	{ S(COMPLETED),  EV_RECEIVED_REFUSAL, send_ack,        S(COMPLETED) },
	{ S(COMPLETED),  EV_DEADLINE,         NULL,            S(TERMINATED) },	/* D */
	{ S(COMPLETED),  EV_BROKEN,           NULL,            S(TERMINATED) },
};

/* RFC 3261 figure 6 */
static const struct edge client[] = {
	{ S(TRYING),     EV_RETRANSMIT,       resend_slower,   S(TRYING) },	/* E */
	{ S(TRYING),     EV_DEADLINE,         tell_timeout,    S(TERMINATED) },	/* F */
	{ S(TRYING),     EV_BROKEN,           tell_broken,     S(TERMINATED) },
	{ S(TRYING),     EV_RECEIVED_1XX,     tell,            S(PROCEEDING) },
	{ S(TRYING),     EV_RECEIVED_2XX,     tell_completed,  S(COMPLETED) },
	{ S(TRYING),     EV_RECEIVED_REFUSAL, tell_completed,  S(COMPLETED) },
	{ S(PROCEEDING), EV_RETRANSMIT,       resend_steadily, S(PROCEEDING) },	/* E at T2 */
	{ S(PROCEEDING), EV_DEADLINE,         tell_timeout,    S(TERMINATED) },	/* F */
	{ S(PROCEEDING), EV_BROKEN,           tell_broken,     S(TERMINATED) },
	{ S(PROCEEDING), EV_RECEIVED_1XX,     tell,            S(PROCEEDING) },
	{ S(PROCEEDING), EV_RECEIVED_2XX,     tell_completed,  S(COMPLETED) },
	{ S(PROCEEDING), EV_RECEIVED_REFUSAL, tell_completed,  S(COMPLETED) },
	{ S(COMPLETED),  EV_RECEIVED_1XX,     NULL,            S(COMPLETED) },
	{ S(COMPLETED),  EV_RECEIVED_2XX,     NULL,            S(COMPLETED) },
	{ S(COMPLETED),  EV_RECEIVED_REFUSAL, NULL,            S(COMPLETED) },
	{ S(COMPLETED),  EV_DEADLINE,         NULL,            S(TERMINATED) },	/* K */
};
#undef S

#define MACHINE(edges) { edges, sizeof(edges) / sizeof((edges)[0]) }
static const struct {
	const struct edge *edges;
	size_t n;
} machines[TRANSACTION_N_KINDS] = {
	[TRANSACTION_INVITE_SERVER] = MACHINE(invite_server),
	[TRANSACTION_SERVER] = MACHINE(server),
	[TRANSACTION_INVITE_CLIENT] = MACHINE(invite_client),
	[TRANSACTION_CLIENT] = MACHINE(client),
};

static const struct edge *
edge_find(enum transaction_kind kind, enum transaction_state from, enum transaction_event event)
{
	for (size_t i = 0; i < machines[kind].n; i++)
		if (machines[kind].edges[i].from == from && machines[kind].edges[i].event == event)
			return &machines[kind].edges[i];
	return NULL;
}

bool
transaction_edge(enum transaction_kind kind, enum transaction_state from, enum transaction_event event,
                 enum transaction_state *to)
{
	const struct edge *e = edge_find(kind, from, event);

	if (e == NULL)
		return false;
	*to = e->to;
	return true;
}

static void
release(struct transaction *t)
{
	struct transactions *ts = t->owner;
	struct transaction_user user = t->user;

	timer_disarm(&t->retransmit);
	timer_disarm(&t->deadline);
	if (t->kind == TRANSACTION_INVITE_SERVER || t->kind == TRANSACTION_SERVER) {
		textmap_remove(&ts->servers, &t->by_key);
		textmap_remove(&ts->merges, &t->by_merge);
	} else {
		textmap_remove(&ts->clients, &t->by_key);
		if (t->next != NULL)
			t->next->previous = t->previous;
		if (t->previous != NULL)
			t->previous->next = t->next;
		else
			ts->client_list = t->next;
	}
	free(t->head);
	sent_drop(t);
	t->head = NULL;
	t->user = (struct transaction_user){ 0 };
	t->next = ts->free;
	ts->free = t;
	ts->n--;
	if (user.on_done != NULL)
		user.on_done(user.ctx, t);
}

/* The one place where events move a transaction; an edge that is not in the table is refused here. */
static void
step(struct transaction *t, enum transaction_event event, const struct input *in)
{
	static const struct input nothing;
	const struct edge *e = edge_find(t->kind, t->state, event);

	if (e == NULL)
		return;
	t->state = e->to;
	if (e->action != NULL)
		e->action(t, in == NULL ? &nothing : in);
	if (t->state == TRANSACTION_TERMINATED) {
		release(t);
	} else if (t->broken) {
		t->broken = false;
		step(t, EV_BROKEN, NULL);
	}
}

static void
retransmit_due(void *ctx)
{
	step(ctx, EV_RETRANSMIT, NULL);
}

static void
deadline_due(void *ctx)
{
	step(ctx, EV_DEADLINE, NULL);
}

/* ---- keys ---- */

static char *
key_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *
key_printf(const char *format, ...)
{
	va_list args;
	char *key = NULL;

	va_start(args, format);
	if (vasprintf(&key, format, args) < 0)
		key = NULL;
	va_end(args);
	return key;
}

/* RFC 3261 §17.2.3. Fields are parted by line feeds, which no header value holds. A branch without the cookie is
 * RFC 2543's: then the request's own identity and its whole Via are the key. The To tag is left out there, because an
 * ACK carries ours and its INVITE did not; Call-ID, CSeq and Via tell enough. */
static char *
server_key(const struct message *m, const char *method)
{
	char *key;

	if (strncasecmp(m->branch, COOKIE, strlen(COOKIE)) == 0 && m->branch[strlen(COOKIE)] != '\0') {
		key = key_printf("%s\n%s\n%s\n%s", method, m->branch, m->via->port == NULL ? "" : m->via->port,
		                 m->via->host);
		if (key != NULL)	/* host names compare without case */
			for (char *c = strrchr(key, '\n'); *c != '\0'; c++)
				*c = (char)tolower((unsigned char)*c);
		return key;
	}
	return key_printf("%s\n%s\n%s\n%s\n%u\n%s", method, m->uri, m->from_tag, m->call_id, m->cseq,
	                  message_value(m, "Via"));
}

static char *
merge_key(const struct message *m)
{
	return key_printf("%s\n%s\n%u\n%s", m->from_tag, m->call_id, m->cseq, m->cseq_method);
}

static struct transaction *
find_as(const struct transactions *ts, const struct message *m, const char *method)
{
	char *key = server_key(m, method);
	struct transaction *t = key == NULL ? NULL : textmap_find(&ts->servers, key);

	free(key);
	return t;
}

struct transaction *
transaction_find(const struct transactions *ts, const struct message *m)
{
	return find_as(ts, m, strcmp(m->method, "ACK") == 0 ? "INVITE" : m->method);
}

struct transaction *
transaction_find_cancelled(const struct transactions *ts, const struct message *cancel)
{
	return find_as(ts, cancel, "INVITE");
}

bool
transaction_is_merged(const struct transactions *ts, const struct message *m)
{
	char *key = m->to_tag[0] != '\0' ? NULL : merge_key(m);
	bool merged = key != NULL && textmap_find(&ts->merges, key) != NULL;

	free(key);
	return merged;
}

/* ---- life ---- */

enum srs_err
transactions_create(struct transactions **out, struct reactor *r, struct conn_set *conns, uint32_t transactions_max,
                    uint32_t t1_ms)
{
	struct transactions *ts = calloc(1, sizeof(*ts));

	if (ts == NULL)
		return SRS_ERR_NOMEM;
	ts->reactor = r;
	ts->conns = conns;
	ts->t1_ms = t1_ms;
	ts->n_max = transactions_max;
	ts->pool = calloc(transactions_max, sizeof(*ts->pool));
	if (ts->pool == NULL || textmap_init(&ts->servers, transactions_max) ||
	    textmap_init(&ts->clients, transactions_max) || textmap_init(&ts->merges, transactions_max)) {
		transactions_destroy(ts);
		return SRS_ERR_NOMEM;
	}
	for (uint32_t i = transactions_max; i-- > 0;) {
		struct transaction *t = &ts->pool[i];

		t->owner = ts;
		timer_init(&t->retransmit, retransmit_due, t);
		timer_init(&t->deadline, deadline_due, t);
		t->next = ts->free;
		ts->free = t;
	}
	*out = ts;
	return SRS_OK;
}

void
transactions_destroy(struct transactions *ts)
{
	if (ts == NULL)
		return;
	for (uint32_t i = 0; ts->pool != NULL && i < ts->n_max; i++) {
		struct transaction *t = &ts->pool[i];

		if (t->by_key.key != NULL) {
			t->user = (struct transaction_user){ 0 };
			release(t);
		}
		timer_release(&t->retransmit);
		timer_release(&t->deadline);
	}
	if (ts->servers.buckets != NULL)
		textmap_release(&ts->servers);
	if (ts->clients.buckets != NULL)
		textmap_release(&ts->clients);
	if (ts->merges.buckets != NULL)
		textmap_release(&ts->merges);
	free(ts->pool);
	free(ts);
}

uint32_t
transactions_n(const struct transactions *ts)
{
	return ts->n;
}

static struct transaction *
pool_take(struct transactions *ts, enum transaction_kind kind, enum transaction_state state)
{
	struct transaction *t = ts->free;

	if (t == NULL)
		return NULL;
	ts->free = t->next;
	ts->n++;
	t->next = NULL;
	t->previous = NULL;
	t->kind = kind;
	t->state = state;
	t->broken = false;
	t->interval_ms = ts->t1_ms;
	t->sent = NULL;
	t->sent_len = 0;
	t->src = 0;
	t->user = (struct transaction_user){ 0 };
	return t;
}

/* Give back what never got its key. */
static void
pool_return(struct transaction *t)
{
	t->next = t->owner->free;
	t->owner->free = t;
	t->owner->n--;
}

enum srs_err
transaction_accept(struct transaction **out, struct transactions *ts, const struct message *m,
                   const struct conn_path *from, char *head)
{
	bool invite = strcmp(m->method, "INVITE") == 0;
	struct transaction *t = head == NULL ? NULL :
	                                pool_take(ts, invite ? TRANSACTION_INVITE_SERVER : TRANSACTION_SERVER,
	                                          invite ? TRANSACTION_PROCEEDING : TRANSACTION_TRYING);
	enum srs_err err;

	if (t == NULL) {
		err = head == NULL ? SRS_ERR_NOMEM : SRS_ERR_LIMIT;
		free(head);
		return err;
	}
	err = textmap_add(&ts->servers, &t->by_key, server_key(m, m->method), t);
	if (err) {
		pool_return(t);
		free(head);
		return err;
	}
	t->head = head;
	response_path(m, from, &t->path);
	if (m->to_tag[0] == '\0' && !transaction_is_merged(ts, m) &&
	    textmap_add(&ts->merges, &t->by_merge, merge_key(m), t))
		log_warn("transaction", "merge_key_failed", "err=nomem");	/* a merged request would pass: harmless */
	*out = t;
	if (invite) {
		size_t len = 0;

		t->sent = response_text(head, &(struct response){ .status = 100 }, &len);
		t->sent_len = len;
		resend(t, NULL);
		t->broken = false;	/* the answer proper will find out, with somebody above to hear of it */
	}
	return SRS_OK;
}

bool
transaction_absorb(struct transaction *t, const struct message *m)
{
	bool ack = strcmp(m->method, "ACK") == 0;

	if (ack && t->state == TRANSACTION_ACCEPTED)
		return false;	/* RFC 2543's branch, or a careless peer's: it acknowledges our 2xx */
	step(t, ack ? EV_ACK : EV_REQUEST, NULL);
	return true;
}

static enum transaction_event
event_of(unsigned int status, enum transaction_event first)
{
	return first + (status < 200 ? 0u : status < 300 ? 1u : 2u);
}

void
transaction_respond(struct transaction *t, unsigned int status, char *text, size_t len)
{
	enum transaction_event event = event_of(status, EV_SEND_1XX);

	if (text == NULL || edge_find(t->kind, t->state, event) == NULL) {
		text_drop(text, len);
		return;
	}
	sent_drop(t);
	t->sent = text;
	t->sent_len = len;
	step(t, event, NULL);
}

void
transaction_src_set(struct transaction *t, uint32_t src)
{
	t->src = src;
}

uint32_t
transaction_src(const struct transaction *t)
{
	return t->src;
}

const char *
transaction_head(const struct transaction *t)
{
	return t->head;
}

bool
transaction_is_answered(const struct transaction *t)
{
	return t->state != TRANSACTION_PROCEEDING && t->state != TRANSACTION_TRYING;
}

enum srs_err
transaction_request(struct transaction **out, struct transactions *ts, const struct conn_path *to, const char *branch,
                    const char *method, char *text, size_t len, const struct transaction_user *user)
{
	bool invite = strcmp(method, "INVITE") == 0;
	struct transaction *t = pool_take(ts, invite ? TRANSACTION_INVITE_CLIENT : TRANSACTION_CLIENT,
	                                  invite ? TRANSACTION_CALLING : TRANSACTION_TRYING);
	enum srs_err err;

	if (t == NULL) {
		text_drop(text, len);
		return SRS_ERR_LIMIT;
	}
	err = textmap_add(&ts->clients, &t->by_key, key_printf("%s\n%s", method, branch), t);
	if (err) {
		pool_return(t);
		text_drop(text, len);
		return err;
	}
	t->path = *to;
	t->sent = text;
	t->sent_len = len;
	t->next = ts->client_list;
	if (t->next != NULL)
		t->next->previous = t;
	ts->client_list = t;
	live_for(t, (uint64_t)LIFE_OF_T1 * ts->t1_ms);
	if (!is_reliable(t))
		arm(t, &t->retransmit, t->interval_ms);
	resend(t, NULL);
	if (t->broken) {	/* nobody above us knows it yet: fail by return, not by callback */
		release(t);
		return SRS_ERR_IO;
	}
	t->user = *user;
	*out = t;
	return SRS_OK;
}

/* Text of a header line of our own, between the name and the line's end. malloc'ed; NULL: none, or no memory. */
static char *
own_value(const char *request, const char *name)
{
	struct span line = own_line(request, name);
	struct span value = line.len == 0 ? line : span_trimmed(span_of(line.bytes + strlen(name) + 1,
	                                                                line.len - strlen(name) - 1));

	return value.len == 0 ? NULL : strndup((const char *)value.bytes, value.len);
}

void
transaction_cancel(struct transaction *t)
{
	static const struct transaction_user nobody;
	struct transaction *cancel;
	char *to, *cseq, *via, *text = NULL;
	size_t len = 0;

	if (t->kind != TRANSACTION_INVITE_CLIENT || t->state != TRANSACTION_PROCEEDING)
		return;
	live_for(t, (uint64_t)LIFE_OF_T1 * t->owner->t1_ms);
	to = own_value(t->sent, "To");
	cseq = own_value(t->sent, "CSeq");
	via = own_value(t->sent, "Via");
	if (to != NULL && cseq != NULL && via != NULL && strstr(via, ";branch=") != NULL)
		text = companion_text(t, "CANCEL", to, (uint32_t)strtoul(cseq, NULL, 10), &len);
	if (text != NULL) {
		char *branch = strstr(via, ";branch=") + strlen(";branch=");

		branch[strcspn(branch, ";")] = '\0';
		if (transaction_request(&cancel, t->owner, &t->path, branch, "CANCEL", text, len, &nobody))
			log_warn("transaction", "cancel_lost", "branch=%s", branch);	/* its deadline ends it all the same */
	}
	free(via);
	free(cseq);
	free(to);
}

bool
transaction_on_response(struct transactions *ts, const struct message *m)
{
	char *key = key_printf("%s\n%s", m->cseq_method, m->branch);
	struct transaction *t = key == NULL ? NULL : textmap_find(&ts->clients, key);

	free(key);
	if (t == NULL)
		return false;
	step(t, event_of(m->status, EV_RECEIVED_1XX), &(struct input){ .status = m->status, .message = m });
	return true;
}

void
transactions_on_closed(struct transactions *ts, uint64_t connection)
{
	struct transaction *t = ts->client_list;

	while (t != NULL) {
		struct transaction *next = t->next;

		/* Callbacks of this step may start requests (put in front), but never end another one. */
		if (t->path.connection == connection && t->path.transport != CONFIG_UDP)
			step(t, EV_BROKEN, NULL);
		t = next;
	}
}

enum transaction_state
transaction_state(const struct transaction *t)
{
	return t->state;
}

void
transaction_user_set(struct transaction *t, const struct transaction_user *user)
{
	t->user = user == NULL ? (struct transaction_user){ 0 } : *user;
}

void *
transaction_user_ctx(const struct transaction *t)
{
	return t->user.ctx;
}
