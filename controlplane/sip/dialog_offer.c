/* Our own offers in a dialog, by UPDATE or re-INVITE (RFC 3261 §14.1, RFC 3311 §5.1), and what else goes the same way:
 * snapshot requests and refreshes of the session timer. One at a time; a refresh under way holds up what dialog_send()
 * brings. Whatever the peer answers but 2xx leaves the session as it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sip/sip.h"
#include "crypto/secret.h"
#include "lib/srs_log.h"

#define TRIES_MAX        5
#define GLARE_WAIT_STEPS 200	/* RFC 3261 §14.1: 0 to 2 s in steps of 10 ms, for we never chose the Call-ID */
#define GLARE_STEP_MS    10
#define RETRY_AFTER_S_MAX 10	/* RFC 3311 §5.2 */

static void
arm(struct dialog *d, uint64_t after_ms)
{
	if (timer_arm(d->sip->reactor, &d->offer.due, after_ms))
		log_error("dialog", "timer_failed", "call_id=%s", d->call_id);
}

bool
dialog_can_update(const struct dialog *d)
{
	return d->allows_update;
}

const char *
dialog_snapshot_type(const struct dialog *d)
{
	bool allowed = d->snapshot_type != NULL && sip_src_of(d->sip, &d->path, NULL)->snapshot != CONFIG_ASK_NEVER &&
	               observatory_allows(d->sip->observatory, d->src, OBSERVATORY_SNAPSHOT, reactor_wall_ns());

	return allowed ? d->snapshot_type : NULL;
}

bool
dialog_offer_is_open(const struct dialog *d)
{
	return d->offer.transaction != NULL && d->offer.offers;
}

void
dialog_offer_stale(struct dialog *d)
{
	d->offer.stale = true;
}

void
dialog_offer_drop(struct dialog *d)
{
	struct dialog_offer *o = &d->offer;

	if (o->body != NULL)
		secret_wipe(o->body, o->body_len);
	free(o->body);
	free(o->lines);
	o->body = o->lines = NULL;
	o->body_len = 0;
	o->in_hand = o->stale = false;
	if (o->transaction == NULL)
		timer_disarm(&o->due);
}

void
dialog_offer_release(struct dialog *d)
{
	dialog_offer_drop(d);
	if (d->offer.transaction != NULL)
		transaction_user_set(d->offer.transaction, NULL);
	if (d->offer.accepted != NULL)
		transaction_user_set(d->offer.accepted, NULL);
	d->offer.transaction = d->offer.accepted = NULL;
	timer_release(&d->offer.due);
}

/* Did the peer take it? Nobody is blamed for a broken transport, for being busy, or for offers that cross. */
static void
outcome(struct dialog *d, enum observatory_switch which, unsigned int status)
{
	if (status < 300 || (status != 408 && status != 491 && status != 500 && status != 503))
		observatory_outcome(d->sip->observatory, d->src, which, status < 300, reactor_wall_ns());
}

/* The last word on what is in hand. */
static void
finish(struct dialog *d, unsigned int status, struct span sdp)
{
	struct sip *s = d->sip;

	if (!d->offer.has_sdp)
		outcome(d, OBSERVATORY_SNAPSHOT, status);
	else if (status >= 300 && status != 491 && status != 503)
		dialog_observe(d, OBSERVED_OFFER_REFUSED);
	dialog_offer_drop(d);
	if (s->handlers.on_answer != NULL && d->state != DIALOG_ENDING && d->state != DIALOG_DEAD)
		s->handlers.on_answer(s->ctx, d, status, sdp);
}

/* ---- answers ---- */

static uint64_t
glare_wait_ms(void)
{
	return (uint64_t)arc4random_uniform(GLARE_WAIT_STEPS + 1) * GLARE_STEP_MS;
}

/* 500 with Retry-After is how RFC 3311 §5.2 tells of an offer that the peer is still busy with. @return 0: none */
static uint64_t
busy_wait_ms(unsigned int status, const struct message *m)
{
	unsigned long s = status == 500 && m != NULL ? strtoul(message_value(m, "Retry-After"), NULL, 10) : 0;

	return s <= RETRY_AFTER_S_MAX ? s * 1000 : 0;
}

/* 405 and 501 say so whatever Allow said. @return whether there is another way */
static bool
method_is_refused(struct dialog *d, unsigned int status)
{
	bool refused = !d->offer.is_invite && (status == 405 || status == 501);

	if (refused)
		d->allows_update = false;
	return refused;
}

/* `m` is NULL when no answer came: 408, or 503 for a broken transport. @return the same makes sense once more, at once */
static bool
is_worth_another(struct dialog *d, unsigned int status, const struct message *m)
{
	return method_is_refused(d, status) || (status == 422 && m != NULL && dialog_timer_raise(d, m));
}

static void
refresh_answered(struct dialog *d, unsigned int status, const struct message *m)
{
	struct sip *s = d->sip;
	struct span sdp = status < 300 ? dialog_sdp_of(m) : span_of("", 0);

	if (status < 300) {
		outcome(d, OBSERVATORY_REFRESH, status);
		if (sdp.len != 0 && s->handlers.on_answer != NULL)
			s->handlers.on_answer(s->ctx, d, status, sdp);
	} else if (is_worth_another(d, status, m) || status == 491) {
		dialog_timer_retry(d, status == 491 ? glare_wait_ms() : 0);
	} else {
		outcome(d, OBSERVATORY_REFRESH, status);
		dialog_timer_refused(d, status);
	}
	if (d->offer.in_hand)
		arm(d, 0);	/* what waited for the refresh */
}

static void
refused(struct dialog *d, unsigned int status, const struct message *m)
{
	struct dialog_offer *o = &d->offer;
	bool more = o->tries < TRIES_MAX;
	uint64_t busy_ms = busy_wait_ms(status, m);

	log_info("dialog", "offer_refused", "call_id=%s status=%u", d->call_id, status);
	if (status == 491 && more)
		arm(d, glare_wait_ms());
	else if (busy_ms != 0 && more)
		arm(d, busy_ms);
	else if (is_worth_another(d, status, m) && more && (o->has_sdp || d->allows_update))
		arm(d, 0);
	else
		finish(d, status, span_of("", 0));
}

/* What has to be done for any final answer. */
static void
take(struct dialog *d, struct transaction *t, unsigned int status, const struct message *m)
{
	struct dialog_offer *o = &d->offer;
	bool ok = status < 300;

	o->transaction = NULL;
	timer_disarm(&o->due);
	if (m != NULL)
		dialog_heard(d, m);
	if (ok) {
		dialog_target_move(d, m);
		dialog_timer_granted(d, m);
	}
	if (ok && o->is_invite) {
		o->accepted = t;
		dialog_ack_send(d, m);
	} else {
		transaction_user_set(t, NULL);
	}
}

static void
answered(void *ctx, struct transaction *t, unsigned int status, const struct message *m)
{
	struct dialog *d = ctx;
	bool refresh = d->offer.refreshes;

	if (status < 200)
		return;
	if (t != d->offer.transaction) {	/* a 2xx again: its ACK was lost */
		if (status < 300 && m != NULL)
			dialog_ack_send(d, m);
		return;
	}
	take(d, t, status, m);
	if (d->state == DIALOG_ENDING)
		dialog_settle(d);
	else if (status == 481 || status == 408)	/* RFC 3261 §12.2.1.2: it does not know the dialog, or is gone */
		dialog_end_as(d, DIALOG_END_GONE, status, status == 481 ? "the recording client does not know the dialog"
		                                                         : "the recording client does not answer");
	else if (refresh)
		refresh_answered(d, status, m);
	else if (status < 300)
		finish(d, status, dialog_sdp_of(m));
	else
		refused(d, status, m);
}

static void
done(void *ctx, struct transaction *t)
{
	struct dialog *d = ctx;

	if (d->offer.accepted == t)
		d->offer.accepted = NULL;
}

/* ---- sending ---- */

/* By UPDATE where it is allowed. @return false: nothing was sent */
static bool
send_now(struct dialog *d, const char *lines, struct span body, bool offers)
{
	struct transaction_user user = { .on_response = answered, .on_done = done, .ctx = d };
	struct dialog_offer *o = &d->offer;
	char timer[TIMER_LINES_MAX], *all;

	dialog_timer_lines(d, timer);
	if (asprintf(&all, SIP_ALLOW_LINE "%s%s%s", sip_supported_line(d->sip), timer, lines) < 0)
		return false;
	o->is_invite = !d->allows_update;
	o->offers = offers;
	o->transaction = dialog_request_send(d, o->is_invite ? "INVITE" : "UPDATE", all, body, &user);
	free(all);
	if (o->transaction == NULL)
		return false;
	if (o->is_invite) {
		if (o->accepted != NULL)	/* whoever takes this one has the ACK of that */
			transaction_user_set(o->accepted, NULL);
		o->accepted = NULL;
		/* a peer that says 100 and then nothing: RFC 3261 has no timer for it, so this one is cancelled */
		arm(d, (uint64_t)SIP_LIFE_OF_T1 * d->sip->config->sip.t1_ms);
	}
	return true;
}

static bool
send_in_hand(struct dialog *d)
{
	struct dialog_offer *o = &d->offer;

	o->tries++;
	o->refreshes = false;
	return send_now(d, o->lines, span_of(o->body, o->body_len), o->has_sdp);
}

/* May we offer now? RFC 3261 §14.1: not while an INVITE is under way in either direction. */
static bool
is_our_turn(const struct dialog *d)
{
	return d->state == DIALOG_CONFIRMED && !d->invite_pending && d->update == NULL && d->accepted == NULL;
}

/* The next try of what is in hand. */
static void
offer_try(struct dialog *d)
{
	struct dialog_offer *o = &d->offer;

	if (o->stale && o->has_sdp)
		finish(d, 491, span_of("", 0));
	else if (is_our_turn(d) && !send_in_hand(d))
		finish(d, 503, span_of("", 0));
	else if (o->transaction == NULL && o->tries++ < TRIES_MAX)
		arm(d, glare_wait_ms());
	else if (o->transaction == NULL)
		finish(d, 491, span_of("", 0));
}

static void
due(void *ctx)
{
	struct dialog *d = ctx;

	if (d->offer.transaction != NULL)
		transaction_cancel(d->offer.transaction);
	else if (d->offer.in_hand)
		offer_try(d);
}

void
dialog_offer_init(struct dialog *d)
{
	timer_init(&d->offer.due, due, d);
}

/* @return false: no memory */
static bool
keep(struct dialog_offer *o, const struct dialog_message *m)
{
	struct span body = m->sdp != NULL ? span_of_text(m->sdp) : m->body;
	bool accept = m->accept != NULL;

	o->has_sdp = m->sdp != NULL;
	o->body = malloc(body.len + 1);
	o->body_len = body.len;
	if (o->body == NULL)
		return false;
	if (body.len != 0)
		memcpy(o->body, body.bytes, body.len);
	if (asprintf(&o->lines, "%s%s%sContent-Type: %s\r\n%s%s%s", accept ? "Accept: " : "",
	             accept ? m->accept : SIP_ACCEPT_LINE, accept ? "\r\n" : "",
	             m->sdp != NULL ? "application/sdp" : m->content_type,
	             m->content_disposition == NULL ? "" : "Content-Disposition: ",
	             m->content_disposition == NULL ? "" : m->content_disposition,
	             m->content_disposition == NULL ? "" : "\r\n") < 0)
		o->lines = NULL;
	return o->lines != NULL;
}

bool
dialog_can_send(const struct dialog *d)
{
	return is_our_turn(d) && !d->offer.in_hand && (d->offer.transaction == NULL || d->offer.refreshes);
}

enum srs_err
dialog_send(struct dialog *d, const struct dialog_message *m)
{
	struct dialog_offer *o = &d->offer;
	bool waits = o->transaction != NULL && o->refreshes;

	if (!dialog_can_send(d))
		return SRS_ERR_STATE;
	if (m->sdp == NULL && !d->allows_update)
		return SRS_ERR_UNSUPPORTED;
	if (!keep(o, m)) {
		dialog_offer_drop(d);
		return SRS_ERR_NOMEM;
	}
	o->in_hand = true;
	o->stale = false;
	o->tries = 0;
	if (waits || send_in_hand(d))
		return SRS_OK;
	dialog_offer_drop(d);
	return SRS_ERR_IO;
}

enum srs_err
dialog_refresh_send(struct dialog *d)
{
	struct dialog_offer *o = &d->offer;
	struct sip *s = d->sip;
	char *sdp;
	bool sent;

	if (!is_our_turn(d) || o->transaction != NULL || o->in_hand)
		return SRS_ERR_STATE;
	o->refreshes = true;
	if (d->allows_update)	/* without an offer: RFC 4028 §7.4 */
		return send_now(d, "", span_of("", 0), false) ? SRS_OK : SRS_ERR_IO;
	sdp = s->handlers.on_describe == NULL ? NULL : s->handlers.on_describe(s->ctx, d);
	if (sdp == NULL)
		return SRS_ERR_STATE;
	sent = send_now(d, SIP_ACCEPT_LINE "Content-Type: application/sdp\r\n", span_of_text(sdp), true);
	secret_wipe(sdp, strlen(sdp));
	free(sdp);
	return sent ? SRS_OK : SRS_ERR_IO;
}
