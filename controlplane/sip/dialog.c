#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sdp/body.h"
#include "controlplane/sip/response.h"
#include "controlplane/sip/sip.h"
#include "crypto/secret.h"
#include "lib/page.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define ANSWER_MS_MAX    30000u	/* the session layer must have answered by then */
#define RETRY_PENDING_S  10	/* RFC 3261 §14.2: 0 to 10 s */

const char *
dialog_end_name(enum dialog_end how)
{
	switch (how) {
	case DIALOG_END_BYE: return "bye";
	case DIALOG_END_CANCELLED: return "cancelled";
	case DIALOG_END_LOCAL: return "local";
	case DIALOG_END_NO_ACK: return "no_ack";
	case DIALOG_END_GONE: return "src_gone";
	case DIALOG_END_EXPIRED: return "session_expired";
	}
	return "unknown";
}

void dialog_user_set(struct dialog *d, void *user) { d->user = user; }
void *dialog_user(const struct dialog *d) { return d->user; }
const char *dialog_call_id(const struct dialog *d) { return d->call_id; }
const char *dialog_local_tag(const struct dialog *d) { return d->local_tag; }
const char *dialog_remote_tag(const struct dialog *d) { return d->remote_tag; }

void
dialog_observe(struct dialog *d, enum observatory_fact fact)
{
	if (d != NULL)
		observatory_count(d->sip->observatory, d->src, fact);
}

void
dialog_observe_rule(struct dialog *d, const char *rule)
{
	if (d != NULL)
		observatory_deviation(d->sip->observatory, d->src, rule);
}

void
dialog_observe_dialect(struct dialog *d, const char *dialect)
{
	if (d != NULL)
		observatory_dialect(d->sip->observatory, d->src, dialect);
}

static void
arm(struct dialog *d, struct timer *t, uint64_t after_ms)
{
	if (timer_arm(d->sip->reactor, t, after_ms))
		log_error("dialog", "timer_failed", "call_id=%s", d->call_id);
}

/* ---- the table ---- */

static char *
key_of(const char *call_id, const char *local_tag, const char *remote_tag)
{
	char *key;

	return asprintf(&key, "%s\n%s\n%s", call_id, local_tag, remote_tag) < 0 ? NULL : key;
}

struct dialog *
dialog_find(const struct sip *s, const struct message *m)
{
	char *key = key_of(m->call_id, m->to_tag, m->from_tag);
	struct dialog *d = key == NULL ? NULL : textmap_find(&s->dialogs, key);

	free(key);
	return d;
}

bool
dialog_is_with(const struct dialog *d, const struct conn_path *from)
{
	const char *names[CONN_IDENTITIES_MAX];
	unsigned int n = conn_identities(d->sip->conns, from, names);
	bool is = d->identity[0] == '\0';

	for (unsigned int i = 0; i < n; i++)
		is |= strcasecmp(names[i], d->identity) == 0;
	return is;
}

/* Our 2xx may hold a key. */
static void
accepted_drop(struct dialog *d)
{
	if (d->accepted != NULL)
		secret_wipe(d->accepted, d->accepted_len);
	free(d->accepted);
	d->accepted = NULL;
}

static void
dialog_free(struct dialog *d)
{
	timer_release(&d->resend);
	timer_release(&d->give_up);
	timer_release(&d->notice);
	free(d->call_id);
	free(d->remote_tag);
	free(d->identity);
	free(d->local_party);
	free(d->remote_party);
	free(d->remote_target);
	free(d->record_route);
	free(d->invite_target);
	free(d->invite_route);
	free(d->update_target);
	accepted_drop(d);
	dialog_offer_release(d);
	dialog_timer_release(d);
	free(d->reason_text);
	free(d);
}

void
dialogs_reap(void *sip)
{
	struct sip *s = sip;

	while (s->dead != NULL) {
		struct dialog *d = s->dead;

		s->dead = d->next_dead;
		dialog_free(d);
	}
}

static void
forget(struct transaction **t)
{
	if (*t != NULL)
		transaction_user_set(*t, NULL);
	*t = NULL;
}

/* Out of every table; the memory goes when no handler can be above us. */
static void
dialog_destroy(struct dialog *d)
{
	struct sip *s = d->sip;

	if (d->state == DIALOG_DEAD)
		return;
	d->state = DIALOG_DEAD;
	forget(&d->invite);
	forget(&d->update);
	forget(&d->bye);
	forget(&d->probe);
	dialog_offer_release(d);
	dialog_timer_release(d);
	timer_disarm(&d->resend);
	timer_disarm(&d->give_up);
	timer_disarm(&d->notice);
	if (d->established)
		replaces_ended_add(&s->ended, d->node.hash);
	textmap_remove(&s->dialogs, &d->node);
	if (d->next != NULL)
		d->next->previous = d->previous;
	if (d->previous != NULL)
		d->previous->next = d->next;
	else
		s->first_dialog = d->next;
	s->n_dialogs--;
	d->next_dead = s->dead;
	s->dead = d;
	arm(d, &s->reaper, 0);
}

/* Nothing left to say or to wait for? */
void
dialog_settle(struct dialog *d)
{
	if (d->state == DIALOG_ENDING && d->told && d->bye == NULL && d->accepted == NULL && d->offer.transaction == NULL)
		dialog_destroy(d);
}

/* ---- the INVITE in hand ---- */

static void
invite_done(void *ctx, struct transaction *t)
{
	struct dialog *d = ctx;

	if (d->invite == t)
		d->invite = NULL;
}

/* A body may be metadata alone, and then it is we who offer. What cannot be read is refused, and offers nothing. */
struct span
dialog_sdp_of(const struct message *m)
{
	struct body b;
	const char *why;

	if (m->body.len == 0 || body_split(&b, message_value(m, "Content-Type"), message_value(m, "Content-Disposition"),
	                                   m->body, &why) != SRS_OK || b.sdp == NULL)
		return span_of("", 0);
	return b.sdp->bytes;
}

static const char *
snapshot_type_of(const struct message *m)
{
	static const char *const types[] = {
		"application/rs-metadata-request", "application/rs-metadata+xml", "application/rs-metadata",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (message_lists(m, "Accept", types[i]))
			return types[i];
	}
	return NULL;
}

void
dialog_heard(struct dialog *d, const struct message *m)
{
	if (message_has(m, "Allow"))
		d->allows_update = message_lists(m, "Allow", "UPDATE");
	if (message_has(m, "Accept"))
		d->snapshot_type = snapshot_type_of(m);
}

void
dialog_target_move(struct dialog *d, const struct message *m)
{
	char *target = message_has(m, "Contact") ? dialog_uri_of(message_value(m, "Contact")) : NULL;

	if (target == NULL)
		return;
	free(d->remote_target);
	d->remote_target = target;
}

/* Its elements as they came, comma-separated; "" none; NULL: no memory. */
static char *
record_route_of(const struct message *m)
{
	const char *separator = "";
	struct page p;

	page_begin(&p, 0);
	for (unsigned int i = 0; i < m->n_headers; i++) {
		if (strcasecmp(m->headers[i].name, "Record-Route") != 0 || m->headers[i].value[0] == '\0')
			continue;
		page_texts(&p, separator, m->headers[i].value, NULL);
		separator = ", ";
	}
	return page_end(&p);
}

static void
invite_take(struct dialog *d, const struct message *m, struct transaction *t)
{
	struct transaction_user user = { .on_done = invite_done, .ctx = d };

	forget(&d->invite);
	transaction_user_set(t, &user);
	d->invite = t;
	d->invite_cseq = m->cseq;
	d->invite_pending = true;
	d->invite_had_offer = dialog_sdp_of(m).len != 0;
	timer_ask_read(&d->invite_asks, m);
	free(d->invite_route);
	d->invite_route = record_route_of(m);
	free(d->invite_target);
	d->invite_target = dialog_uri_of(message_value(m, "Contact"));
	arm(d, &d->give_up, ANSWER_MS_MAX);
}

static void
invite_answer(struct dialog *d, const struct sip_answer *a)
{
	d->invite_pending = false;
	timer_disarm(&d->give_up);
	if (d->invite != NULL)
		sip_answer(d->sip, d->invite, "INVITE", &d->path, a);
}

/* ---- the UPDATE in hand ---- */

static void
update_done(void *ctx, struct transaction *t)
{
	struct dialog *d = ctx;

	if (d->update == t)
		d->update = NULL;
}

/* It waits for its ports: media may come as soon as the answer is there (RFC 3264 §6.1). */
static void
update_take(struct dialog *d, const struct message *m, struct transaction *t)
{
	struct transaction_user user = { .on_done = update_done, .ctx = d };

	transaction_user_set(t, &user);
	d->update = t;
	timer_ask_read(&d->update_asks, m);
	free(d->update_target);
	d->update_target = message_has(m, "Contact") ? dialog_uri_of(message_value(m, "Contact")) : NULL;
}

static void
update_answer(struct dialog *d, const struct sip_answer *a)
{
	struct transaction *t = d->update;

	forget(&d->update);
	sip_answer(d->sip, t, "UPDATE", &d->path, a);
}

static void
update_accept(struct dialog *d, const char *sdp)
{
	char lines[TIMER_LINES_MAX];

	dialog_timer_agree(d, &d->update_asks, lines);
	if (d->update_target != NULL) {
		free(d->remote_target);
		d->remote_target = d->update_target;
		d->update_target = NULL;
	}
	dialog_offer_stale(d);
	update_answer(d, &(struct sip_answer){ .status = 200, .sdp = sdp, .lines = lines });
}

/* ---- over ---- */

static void
tell_ended(void *ctx)
{
	struct dialog *d = ctx;
	struct sip *s = d->sip;

	if (!d->told) {
		d->told = true;
		s->handlers.on_ended(s->ctx, d, d->how);
	}
	dialog_settle(d);
}

/* End from our side, for whatever reason; on_ended() comes from the loop, never from within the caller's call. */
void
dialog_end_as(struct dialog *d, enum dialog_end how, unsigned int cause, const char *text)
{
	enum dialog_state was = d->state;

	if (was == DIALOG_ENDING || was == DIALOG_DEAD)
		return;
	d->state = DIALOG_ENDING;
	dialog_offer_drop(d);
	dialog_timer_release(d);
	d->how = how;
	if (how == DIALOG_END_NO_ACK || how == DIALOG_END_GONE || how == DIALOG_END_EXPIRED)
		dialog_observe(d, how == DIALOG_END_NO_ACK ? OBSERVED_NO_ACK : how == DIALOG_END_GONE ? OBSERVED_GONE :
		               OBSERVED_EXPIRED);
	d->reason_cause = cause;
	d->reason_text = strdup(text);
	arm(d, &d->notice, 0);
	if (d->invite_pending)
		invite_answer(d, &(struct sip_answer){ .status = was == DIALOG_OFFERED ? 503 : 487, .warning = text,
			      .retry_after_s = was == DIALOG_OFFERED ? sip_retry_after(d->sip) : 0 });
	if (d->update != NULL)
		update_answer(d, &(struct sip_answer){ .status = 487, .warning = text });
	/* RFC 3261 §15: no BYE before the ACK, or before we stopped waiting for it */
	if (was == DIALOG_CONFIRMED)
		dialog_bye_send(d);
}

void
dialog_end(struct dialog *d, unsigned int reason_cause, const char *reason_text)
{
	dialog_end_as(d, DIALOG_END_LOCAL, reason_cause, reason_text);
}

void
sip_end_all(struct sip *s, unsigned int reason_cause, const char *reason_text)
{
	s->closing = true;
	for (struct dialog *d = s->first_dialog, *next; d != NULL; d = next) {
		next = d->next;
		dialog_end(d, reason_cause, reason_text);
	}
}

/* ---- accepting, until the ACK ---- */

static void
accepted_forget(struct dialog *d)
{
	accepted_drop(d);
	timer_disarm(&d->resend);
	timer_disarm(&d->give_up);
}

static void
resend_due(void *ctx)
{
	struct dialog *d = ctx;
	uint32_t t2 = SIP_T2_OF_T1 * d->sip->config->sip.t1_ms;

	if (d->accepted == NULL)
		return;
	if (d->invite != NULL)
		transaction_respond(d->invite, 200, strdup(d->accepted), d->accepted_len);
	d->resend_ms = d->resend_ms * 2 > t2 ? t2 : d->resend_ms * 2;
	arm(d, &d->resend, d->resend_ms);
}

/* Nobody answered the INVITE (our side), or nobody acknowledged the answer (theirs). */
static void
give_up_due(void *ctx)
{
	struct dialog *d = ctx;

	if (d->invite_pending && d->state == DIALOG_OFFERED) {
		dialog_end_as(d, DIALOG_END_LOCAL, 500, "the recorder did not answer in time");
	} else if (d->invite_pending) {
		invite_answer(d, &(struct sip_answer){ .status = 500, .warning = "the recorder did not answer in time" });
	} else if (d->accepted != NULL) {
		accepted_forget(d);
		if (d->state == DIALOG_ENDING) {
			dialog_bye_send(d);
			dialog_settle(d);
			return;
		}
		sip_count(d->sip, SIP_NO_ACK);
		d->state = DIALOG_CONFIRMED;	/* RFC 3261 §13.3.1.4: confirmed, and to be ended by BYE */
		dialog_end_as(d, DIALOG_END_NO_ACK, 408, "no ACK came");
	}
}

/* RFC 3261 §12.1.1: the Record-Route of this INVITE; that of a later one changes no route set. */
static char *
accept_lines(struct dialog *d)
{
	const char *route = d->invite_route == NULL ? "" : d->invite_route;
	bool routed = route[0] != '\0';
	char timer[TIMER_LINES_MAX], *lines;

	dialog_timer_agree(d, &d->invite_asks, timer);
	return asprintf(&lines, "%s%s%s%s", routed ? "Record-Route: " : "", route, routed ? "\r\n" : "", timer) < 0 ?
	       NULL : lines;
}

void
dialog_accept(struct dialog *d, const char *sdp)
{
	struct sip_answer a = { .status = 200, .sdp = sdp };
	char *lines, *text = NULL;
	size_t len = 0;

	if (d->update != NULL) {
		update_accept(d, sdp);
		return;
	}
	if (!d->invite_pending || (d->state != DIALOG_OFFERED && d->state != DIALOG_CONFIRMED &&
	                           d->state != DIALOG_ACCEPTED))
		return;
	lines = accept_lines(d);
	a.lines = lines;
	d->invite_pending = false;
	d->state = DIALOG_ACCEPTED;
	dialog_offer_stale(d);
	if (!d->established)
		dialog_observe(d, OBSERVED_CALLS);
	d->established = true;
	if (d->invite_target != NULL) {		/* RFC 6141 §4.7: the target moves with the 2xx */
		free(d->remote_target);
		d->remote_target = d->invite_target;
		d->invite_target = NULL;
	}
	if (d->invite != NULL)
		text = sip_answer_text(d->sip, transaction_head(d->invite), "INVITE", &d->path, &a, &len);
	free(lines);
	accepted_forget(d);
	d->accepted = text == NULL ? strdup("") : strdup(text);	/* also when nothing could be sent: give_up ends it */
	d->accepted_len = len;
	d->resend_ms = d->sip->config->sip.t1_ms;
	if (d->invite != NULL)
		transaction_respond(d->invite, 200, text, len);
	else
		free(text);
	if (len != 0)
		arm(d, &d->resend, d->resend_ms);
	arm(d, &d->give_up, (uint64_t)SIP_LIFE_OF_T1 * d->sip->config->sip.t1_ms);
}

void
dialog_refuse(struct dialog *d, const struct sip_refusal *why)
{
	bool initial = d->state == DIALOG_OFFERED;

	if (d->update != NULL) {
		update_answer(d, &(struct sip_answer){ .status = why->status, .warning = why->warning,
			      .retry_after_s = why->retry_after_s });
		return;
	}
	if (!d->invite_pending || d->state == DIALOG_ENDING || d->state == DIALOG_DEAD)
		return;
	invite_answer(d, &(struct sip_answer){ .status = why->status, .warning = why->warning,
		      .retry_after_s = why->retry_after_s });
	if (!initial)
		return;
	d->told = true;		/* a refused INVITE has no on_ended() */
	dialog_destroy(d);
}

void
dialog_on_ack(struct dialog *d, const struct message *m)
{
	struct sip *s = d->sip;

	if (d->accepted == NULL || m->cseq != d->invite_cseq) {
		sip_count(s, SIP_RETRANSMITTED);
		return;
	}
	accepted_forget(d);
	if (d->state == DIALOG_ENDING) {
		dialog_bye_send(d);
		dialog_settle(d);
		return;
	}
	d->state = DIALOG_CONFIRMED;
	if (m->refusal != 0) {
		dialog_end_as(d, DIALOG_END_LOCAL, 400, "the ACK was malformed");
		return;
	}
	s->handlers.on_confirmed(s->ctx, d, m->body);
}

void
dialog_on_cancel(struct dialog *d, struct transaction *invite)
{
	struct sip *s = d->sip;
	bool initial = d->state == DIALOG_OFFERED;

	if (!d->invite_pending || d->invite != invite)
		return;
	invite_answer(d, &(struct sip_answer){ .status = 487, .warning = "cancelled" });
	if (!initial)
		return;		/* a cancelled re-INVITE leaves the session as it was */
	d->state = DIALOG_ENDING;
	d->told = true;
	s->handlers.on_ended(s->ctx, d, DIALOG_END_CANCELLED);
	dialog_destroy(d);
}

/* ---- a new dialog ---- */

/* The Contact's URI; without one (RFC 2543 let clients leave it out, and some do) the address it came from.
 * NULL: a Contact that holds no URI, or no memory. */
static char *
target_of(const struct message *m, const struct conn_path *from)
{
	const char *contact = message_value(m, "Contact");
	char address[CONN_ADDRESS_TEXT_MAX], *uri;

	if (contact[0] != '\0')
		return dialog_uri_of(contact);
	if (asprintf(&uri, "sip:%s%s", conn_address_text(&from->remote, address),
	             sip_transport_parameter(from->transport)) < 0)
		return NULL;
	return uri;
}

static struct dialog *
dialog_create(struct sip *s, const struct message *m, const struct conn_path *from, const struct dialog_opening *with)
{
	struct dialog *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->sip = s;
	d->path = d->origin = *from;
	d->state = DIALOG_OFFERED;
	d->remote_cseq = m->cseq;
	snprintf(d->local_tag, sizeof(d->local_tag), "%s", with->tag);
	d->authenticated = with->user;
	d->call_id = strdup(m->call_id);
	d->remote_tag = strdup(m->from_tag);
	d->identity = strdup(conn_identity(s->conns, from));
	d->remote_party = strdup(message_value(m, "From"));
	d->remote_target = target_of(m, from);
	d->record_route = record_route_of(m);
	if (asprintf(&d->local_party, "%s;tag=%s", message_value(m, "To"), with->tag) < 0)
		d->local_party = NULL;
	timer_init(&d->resend, resend_due, d);
	timer_init(&d->give_up, give_up_due, d);
	timer_init(&d->notice, tell_ended, d);
	dialog_offer_init(d);
	dialog_timer_init(d);
	dialog_heard(d, m);
	if (d->call_id == NULL || d->remote_tag == NULL || d->identity == NULL || d->remote_party == NULL || d->remote_target == NULL ||
	    d->record_route == NULL || d->local_party == NULL ||
	    textmap_add(&s->dialogs, &d->node, key_of(m->call_id, with->tag, m->from_tag), d)) {
		dialog_free(d);
		return NULL;
	}
	d->next = s->first_dialog;
	if (d->next != NULL)
		d->next->previous = d;
	s->first_dialog = d;
	s->n_dialogs++;
	return d;
}

static void
invite_observe(struct dialog *d, const struct sip_request *req)
{
	dialog_observe(d, OBSERVED_INVITES);
	if (!req->require_siprec)
		dialog_observe(d, OBSERVED_NO_REQUIRE);
	if (!req->contact_sip_src)
		dialog_observe(d, OBSERVED_NO_SRC_PARAMETER);
	if (req->contact_bare_src)
		dialog_observe(d, OBSERVED_BARE_SRC);
	if (d->invite_asks.interval_s != 0)
		dialog_observe(d, OBSERVED_TIMERS);
	if (d->allows_update)
		dialog_observe(d, OBSERVED_UPDATE);
}

void
dialog_open(struct sip *s, const struct message *m, const struct conn_path *from, struct transaction *t,
            const struct dialog_opening *with)
{
	char *target = target_of(m, from);
	struct dialog *d = target == NULL ? NULL : dialog_create(s, m, from, with);
	struct sip_request_view view;
	bool readable = target != NULL;

	free(target);
	if (d == NULL) {
		sip_answer(s, t, m->method, from, &(struct sip_answer){ .status = readable ? 503 : 400,
			   .retry_after_s = readable ? sip_retry_after(s) : 0,
			   .warning = readable ? "no memory for a dialog" : "the Contact holds no URI" });
		return;
	}
	dialog_hop_learn(d);
	invite_take(d, m, t);
	sip_request_view(d->sip, &view, m, from);
	d->src = transaction_src(t);
	invite_observe(d, &view.request);
	view.request.replaced = with->replaced;
	s->handlers.on_invite(s->ctx, d, &view.request);
	sip_request_view_release(&view);
}

/* ---- requests in a dialog ---- */

static void
answer(struct dialog *d, struct transaction *t, const struct message *m, unsigned int status, const char *warning)
{
	sip_answer(d->sip, t, m->method, &d->path, &(struct sip_answer){ .status = status, .warning = warning });
}

/* RFC 3261 §14.2, RFC 3311 §5.2: come again a little later. */
static void
answer_pending(struct dialog *d, struct transaction *t, const struct message *m)
{
	sip_answer(d->sip, t, m->method, &d->path, &(struct sip_answer){
		.status = 500, .retry_after_s = arc4random_uniform(RETRY_PENDING_S) + 1,
		.warning = "an earlier offer is not answered yet" });
}

/* We offered, in a 2xx or in a request of ours, and the answer is not here. */
static bool
our_offer_is_open(const struct dialog *d)
{
	return (d->accepted != NULL && !d->invite_had_offer) || dialog_offer_is_open(d);
}

static void
on_reinvite(struct dialog *d, const struct message *m, const struct conn_path *from, struct transaction *t)
{
	struct sip *s = d->sip;
	struct sip_request_view view;

	if (d->invite_pending || d->update != NULL) {
		answer_pending(d, t, m);
		return;
	}
	if (our_offer_is_open(d)) {
		answer(d, t, m, 491, "our own offer is not answered yet");
		return;
	}
	/* An INVITE with a 2xx still unacknowledged: the peer has that 2xx, or it would not start another. */
	accepted_forget(d);
	d->state = DIALOG_CONFIRMED;
	invite_take(d, m, t);
	sip_request_view(d->sip, &view, m, from);
	s->handlers.on_reinvite(s->ctx, d, &view.request);
	sip_request_view_release(&view);
}

/* @return the session layer's verdict */
static unsigned int
hand_over_body(struct dialog *d, const struct message *m, const struct conn_path *from, const char **warning)
{
	struct sip_request_view view;
	unsigned int status;

	sip_request_view(d->sip, &view, m, from);
	status = d->sip->handlers.on_body(d->sip->ctx, d, &view.request, warning);
	sip_request_view_release(&view);
	return status;
}

/* The last metadata may come with it (RFC 8068 §3.2.4); whatever it is, the dialog ends. */
static void
on_bye(struct dialog *d, const struct message *m, const struct conn_path *from, struct transaction *t)
{
	struct sip *s = d->sip;
	const char *warning;

	if (m->body.len != 0 && !d->told && d->state == DIALOG_CONFIRMED)
		(void)hand_over_body(d, m, from, &warning);
	answer(d, t, m, 200, NULL);
	if (d->invite_pending)
		invite_answer(d, &(struct sip_answer){ .status = 487, .warning = "the dialog was ended" });
	if (d->update != NULL)
		update_answer(d, &(struct sip_answer){ .status = 487, .warning = "the dialog was ended" });
	d->state = DIALOG_ENDING;
	if (!d->told) {
		d->told = true;
		if (timer_is_armed(&d->notice))		/* we ended it first, and the news is still under way */
			timer_disarm(&d->notice);
		else
			d->how = DIALOG_END_BYE;
		s->handlers.on_ended(s->ctx, d, d->how);
	}
	dialog_destroy(d);
}

/* UPDATE (RFC 3311), INFO (RFC 6086; without a package: RFC 2976's). */
static void
on_body(struct dialog *d, const struct message *m, const struct conn_path *from, struct transaction *t)
{
	struct sip *s = d->sip;
	bool update = strcmp(m->method, "UPDATE") == 0;
	bool offers = update && dialog_sdp_of(m).len != 0;
	struct sip_answer a = { .status = 200 };
	struct timer_ask asked;
	char lines[TIMER_LINES_MAX];

	if (!update && message_has(m, "Info-Package")) {
		answer(d, t, m, 469, "no Info-Package is served");
		return;
	}
	if (offers && our_offer_is_open(d)) {
		answer(d, t, m, 491, "our own offer is not answered yet");
		return;
	}
	if ((offers && d->invite_pending) || (update && d->update != NULL)) {	/* RFC 3311 §5.2 */
		answer_pending(d, t, m);
		return;
	}
	if (offers)
		update_take(d, m, t);
	if (m->body.len != 0) {
		a.status = hand_over_body(d, m, from, &a.warning);
	}
	if (a.status == 0)
		return;
	if (d->update == t)
		forget(&d->update);
	if (a.status >= 300) {
		if (a.warning == NULL)
			a.warning = "the body was not taken: its type or content is not one that is recorded";
	} else if (update) {
		timer_ask_read(&asked, m);
		dialog_timer_agree(d, &asked, lines);
		a.lines = lines;
		dialog_target_move(d, m);
	}
	sip_answer(s, t, m->method, from, &a);
}

void
dialog_on_request(struct dialog *d, const struct message *m, const struct conn_path *from, struct transaction *t)
{
	bool bye = strcmp(m->method, "BYE") == 0;

	if (m->cseq < d->remote_cseq) {
		answer(d, t, m, 500, "CSeq is lower than that of an earlier request");
		return;
	}
	d->remote_cseq = m->cseq;
	d->src = transaction_src(t);	/* another one when its row was given away */
	dialog_heard(d, m);
	if (d->origin.transport != CONFIG_TLS || from->transport == CONFIG_TLS)
		d->path = *from;	/* the way to the peer, should it have moved; never out of TLS, as our keys go along it */
	if (bye)
		on_bye(d, m, from, t);
	else if (d->state == DIALOG_ENDING)
		answer(d, t, m, 481, "the dialog has ended");
	else if (strcmp(m->method, "INVITE") == 0)
		on_reinvite(d, m, from, t);
	else if (strcmp(m->method, "OPTIONS") == 0)
		answer(d, t, m, 200, NULL);
	else
		on_body(d, m, from, t);
}

/* ---- all of them ---- */

void
dialogs_destroy(struct sip *s)
{
	while (s->first_dialog != NULL) {
		struct dialog *d = s->first_dialog;

		d->told = true;		/* the session layer is gone */
		if (d->invite_pending)
			invite_answer(d, &(struct sip_answer){ .status = d->state == DIALOG_OFFERED ? 503 : 487,
				      .warning = "the recorder is stopping" });
		if (d->state == DIALOG_CONFIRMED || d->accepted != NULL)
			dialog_bye_send(d);
		dialog_destroy(d);
	}
	dialogs_reap(s);
	timer_release(&s->reaper);
}
