/* What SIP asks of sessions: the handlers of dialog.h. They read and check everything first, so that a refused request
 * changes nothing (RFC 3261 §14.1), then raise the event. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/secret.h"
#include "lib/srs_log.h"

#define WARNING_MAX 200

static bool
refuse(struct sip_refusal *why, unsigned int status, const char *warning)
{
	*why = (struct sip_refusal){ .status = status, .warning = warning };
	return false;
}

static bool
body_read(struct sessions *all, const struct sip_request *req, struct sip_refusal *why)
{
	const char *text = "The body cannot be read";
	enum srs_err err;

	memset(&all->body, 0, sizeof(all->body));
	if (req->body.len == 0)
		return true;
	err = body_split(&all->body, req->content_type, req->content_disposition, req->body, &text);
	if (err == SRS_OK)
		return true;
	return refuse(why, err == SRS_ERR_UNSUPPORTED ? 415 : err == SRS_ERR_LIMIT ? 413 : 400, text);
}

static bool
disposition_is_recording(const struct sessions *all, const struct sip_request *req)
{
	static const char word[] = "recording-session";

	if (strncasecmp(req->content_disposition, word, sizeof(word) - 1) == 0)
		return true;
	for (unsigned int i = 0; i < all->body.n_parts; i++) {
		struct span d = all->body.parts[i].disposition;

		if (d.len >= sizeof(word) - 1 && strncasecmp((const char *)d.bytes, word, sizeof(word) - 1) == 0)
			return true;
	}
	return false;
}

/* docs/rfc-coverage.md RS-01, RS-02, RS-12: is this a recording session? */
static bool
policy_accepts(struct sessions *all, const struct sip_request *req, struct sip_refusal *why)
{
	switch (req->src->accept) {
	case CONFIG_ACCEPT_ANY:
		return true;
	case CONFIG_ACCEPT_STRICT:
		if (!req->require_siprec && !req->contact_sip_src)
			return refuse(why, 403, "Not a recording session: Require: siprec and +sip.src in Contact "
			                        "are missing");
		if (!req->require_siprec)
			return refuse(why, 403, "Not a recording session: Require: siprec is missing");
		if (!req->contact_sip_src)
			return refuse(why, 403, "Not a recording session: +sip.src in Contact is missing");
		return true;
	case CONFIG_ACCEPT_TOLERANT:
		if (req->require_siprec || req->contact_sip_src || req->contact_bare_src ||
		    all->body.metadata != NULL || disposition_is_recording(all, req))
			return true;
		return refuse(why, 403, "Not a recording session: none of Require: siprec, +sip.src in Contact, "
		                        "an rs-metadata body or disposition recording-session");
	}
	return false;
}

static bool
sdp_read(struct sessions *all, struct sip_refusal *why)
{
	const char *text = "The SDP cannot be read";
	enum srs_err err;

	err = offer_parse(&all->offer, all->body.sdp->bytes, &text);
	/* types that need no a=rtpmap get one from us: an answer may be longer than its offer */
	if (err == SRS_OK && answer_size_max(&all->offer) >= sizeof(all->text)) {
		text = "The answer would be too long: offer fewer m-lines or formats";
		err = SRS_ERR_LIMIT;
	}
	if (err == SRS_OK)
		return true;
	return refuse(why, err == SRS_ERR_LIMIT ? 488 : 400, text);
}

/* What the m-lines of sessions.offer come to. */
struct mlines {
	unsigned int n_recordable;
	unsigned int n_dtls;		/* of these */
	uint8_t ip_version;		/* of the first that can be recorded; 0: the offer does not say */
	const char *obstacle;		/* of the first candidate that cannot: a sentence for Warning */
};

static const char no_address[] = "No media address of the offered IP version, offer the other one";

/* @param s  the session that this is a later offer of, or whose place it would take; NULL: it is the first */
static void
mlines_judge(struct mlines *out, struct sessions *all, const struct session *s, const struct session_policy *p)
{
	*out = (struct mlines){ 0 };
	for (unsigned int i = 0; i < all->offer.n_media; i++) {
		const struct offer_media *m = &all->offer.media[i];
		const char *obstacle;

		if (!session_mline_is_candidate(m))
			continue;
		obstacle = session_mline_obstacle(all, p, m);
		if (obstacle == NULL && s != NULL && !m->address.unspecified &&
		    !media_has(all->floor.media, s->lcore_i, m->address.ip_version))
			obstacle = no_address;
		if (obstacle == NULL && out->n_recordable++ == 0)
			out->ip_version = m->address.ip_version;
		out->n_dtls += obstacle == NULL && offer_media_keying(m) == OFFER_KEYING_DTLS;
		if (out->obstacle == NULL)
			out->obstacle = obstacle;
	}
}

/* Nothing that is offered may be recorded: an operator ended it in the dialog that is to be replaced. */
static bool
all_dropped(const struct session *old, const struct offer *o)
{
	for (unsigned int i = 0; i < o->n_media; i++) {
		if (session_mline_is_candidate(&o->media[i]) && !session_mline_is_dropped(old, &o->media[i], i))
			return false;
	}
	return true;
}

/* Why there is no m-line that could be recorded if it were protected otherwise. */
static const char *
no_candidate(const struct offer *o)
{
	for (unsigned int i = 0; i < o->n_media; i++) {
		if (o->media[i].kind == OFFER_AUDIO && o->media[i].port != 0)
			return "No m-line can be recorded: no RTP format was offered";
	}
	return "No m-line can be recorded: offer at least one audio m-line with a port";
}

/* @param src  whose call it would be; NULL: anybody's */
static void
admission_look(struct sessions *all, const struct config_src *src, struct admission_view *v)
{
	*v = (struct admission_view){
		.stopping = all->stopping,
		.draining = all->draining || all->leaving,
		.lag_ms = reactor_lag_ms(all->floor.reactor),
		.src_sessions = src != NULL ? *sessions_of_src(all, src) : 0,
		.src_sessions_max = src != NULL ? src->sessions_max : 0,
		.sessions = all->n_answering,
		.sessions_max = all->n_free == 0 ? 0 : all->floor.config->limits.sessions_max,
		.pairs_free = media_pairs_free(all->floor.media),
		.keys_ready = keys_ready(all->floor.keys),
		.catalog_has_room = catalog_has_room(all->floor.catalog),
		.handshakes_free = all->floor.dtls != NULL ? dtls_room(all->floor.dtls) : 0,
	};
	dataplane_room(all->floor.dataplane, &v->room);
}

bool
sessions_ready(struct sessions *all, struct sip_refusal *why)
{
	struct admission_view v;

	admission_look(all, NULL, &v);
	return admission_allows(&v, 0, all->floor.config->sip.retry_after_s, why);
}

/* Everything that can be asked before anything is taken. */
static bool
invite_accepts(struct sessions *all, const struct sip_request *req, struct sip_refusal *why,
               enum session_counter *counter)
{
	const struct session *old = req->replaced != NULL ? dialog_user(req->replaced) : NULL;
	struct session_policy policy;
	struct admission_view v;
	struct mlines n;

	*counter = SESSION_REFUSED_BODY;
	if (!body_read(all, req, why))
		return false;
	if (req->replaced != NULL && !session_replace_allows(old, why))
		return false;
	if (!policy_accepts(all, req, why)) {
		*counter = SESSION_REFUSED_POLICY;
		return false;
	}
	if (all->body.sdp == NULL)	/* RFC 3261 §13.2.1 lets us offer; an SRS may not add streams (RFC 7866 §7.2) */
		return refuse(why, 488, "No SDP offer: the recording client has to offer the streams");
	if (!sdp_read(all, why))
		return false;
	session_policy_read(&policy, all, req);
	mlines_judge(&n, all, old, &policy);
	if (n.n_recordable == 0 && n.obstacle == NULL)
		return refuse(why, 488, no_candidate(&all->offer));
	if (old != NULL && all_dropped(old, &all->offer))
		return refuse(why, 488, "An operator ended the streams that are offered, offer others");
	if (n.n_recordable == 0 && n.obstacle == no_address)
		return refuse(why, 488, no_address);
	if (n.n_recordable == 0) {
		*counter = SESSION_REFUSED_SRTP;
		return refuse(why, 488, n.obstacle);
	}
	admission_look(all, req->src, &v);
	if (req->replaced != NULL)
		session_replace_admit(&v);
	v.handshakes_need = n.n_dtls;
	if (v.handshakes_free < n.n_dtls)
		dtls_count_refused(all->floor.dtls);
	*counter = SESSION_REFUSED_LIMIT;
	return admission_allows(&v, n.n_recordable, all->floor.config->sip.retry_after_s, why);
}

static void
address_text(const struct sockaddr_storage *from, char *out, size_t len)
{
	char ip[INET6_ADDRSTRLEN] = "";

	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)from;

		(void)inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof(ip));
		(void)snprintf(out, len, "[%s]:%u", ip, ntohs(a->sin6_port));
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)from;

		(void)inet_ntop(AF_INET, &a->sin_addr, ip, sizeof(ip));
		(void)snprintf(out, len, "%s:%u", ip, ntohs(a->sin_port));
	}
}

/* The offer is read again from this text, so no octet may end it early: a NUL would cut m-lines out of our answer. */
static char *
text_of(struct span bytes)
{
	char *text = malloc(bytes.len + 1);

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < bytes.len; i++)
		text[i] = bytes.bytes[i] != 0 ? (char)bytes.bytes[i] : ' ';
	text[bytes.len] = '\0';
	return text;
}

static void
offer_observe(struct dialog *d, const struct offer *o)
{
	bool labels = true, sdes = false, dtls = false;

	for (unsigned int i = 0; i < o->n_media; i++) {
		const struct offer_media *m = &o->media[i];

		if (m->port == 0)
			continue;
		labels = labels && m->label[0] != '\0';
		sdes = sdes || offer_media_keying(m) == OFFER_KEYING_SDES;
		dtls = dtls || offer_media_keying(m) == OFFER_KEYING_DTLS;
	}
	dialog_observe(d, OBSERVED_OFFERS);
	if (!labels)
		dialog_observe(d, OBSERVED_NO_LABEL);
	if (sdes)
		dialog_observe(d, OBSERVED_SDES);
	if (dtls)
		dialog_observe(d, OBSERVED_DTLS);
	for (unsigned int i = 0; i < o->n_deviations; i++)
		dialog_observe_rule(d, o->deviations[i].rule);
}

/* Keep the offer that all->offer was read from: its keys in secret memory, its text without them. */
static enum srs_err
offer_keep(struct session *s, const struct sip_request *req, struct span sdp)
{
	enum srs_err err;
	char *text = text_of(sdp);

	if (text == NULL)
		return SRS_ERR_NOMEM;
	session_policy_read(&s->policy, s->all, req);
	err = session_keys_take(s);
	if (err) {	/* the session stays with the offer that it has */
		session_keys_drop(s);
		session_text_wipe(text);
		return err;
	}
	s->offer_redacted = offer_redact(text, strlen(text)) != 0;
	free(s->offer_sdp);
	s->offer_sdp = text;
	free(s->offer_deviations);
	s->offer_deviations = session_offer_deviations(&s->all->offer);
	offer_observe(s->dialog, &s->all->offer);
	return SRS_OK;
}

static enum srs_err
session_start(struct session *s, const struct sip_request *req)
{
	struct sessions *all = s->all;
	struct mlines n;
	enum srs_err err;

	address_text(&req->source, s->source, sizeof(s->source));
	err = offer_keep(s, req, all->body.sdp->bytes);
	if (err)
		return err;
	if (req->replaced != NULL)
		return session_replace_wait(s, dialog_user(req->replaced));
	mlines_judge(&n, all, NULL, &s->policy);
	err = media_lcore_choose(all->floor.media, n.ip_version, &s->lcore_i);
	if (err)
		return err;
	if (all->body.metadata != NULL)
		session_metadata_take(s);
	return session_recordings_plan(s);
}

static void
on_invite(void *ctx, struct dialog *d, const struct sip_request *req)
{
	struct sessions *all = ctx;
	struct sip_refusal why = { 0 };
	enum session_counter counter;
	struct session *s = NULL;
	enum srs_err err;

	if (!invite_accepts(all, req, &why, &counter)) {
		session_count(all, counter);
		log_info("session", "refused", "call_id=%s status=%u why=\"%s\"", req->call_id, why.status,
		         why.warning);
		dialog_refuse(d, &why);
		return;
	}
	err = session_open(&s, all, d, req);
	if (err == SRS_OK)
		err = session_start(s, req);
	if (err == SRS_OK) {
		session_settle(s);
		return;
	}
	session_count(all, SESSION_REFUSED_LIMIT);
	log_warn("session", "start_failed", "call_id=%s err=%s", req->call_id, srs_err_name(err));
	dialog_user_set(d, NULL);
	if (s != NULL) {
		s->dialog = NULL;
		session_free(s);
	}
	if (err == SRS_ERR_UNSUPPORTED)
		(void)refuse(&why, 488, no_address);
	else
		(void)refuse(&why, 503, "No room for another recording, try another recorder");
	if (why.status == 503)
		why.retry_after_s = admission_retry_after(all->floor.config->sip.retry_after_s);
	dialog_refuse(d, &why);
}

/* A body that is neither SDP nor metadata is kept too: content type, NUL, bytes. While media is not to be recorded, nor is
 * what such a body may tell of it. */
static void
note_other(struct session *s, struct span content_type, struct span bytes)
{
	size_t len = content_type.len + 1 + bytes.len;
	char *joined;

	if (session_hold_hides(s, bytes.len))
		return;
	joined = malloc(len);
	if (joined == NULL) {
		session_count(s->all, SESSION_NOTES_LOST);
		return;
	}
	if (content_type.len != 0)
		memcpy(joined, content_type.bytes, content_type.len);
	joined[content_type.len] = '\0';
	if (bytes.len != 0)
		memcpy(joined + content_type.len + 1, bytes.bytes, bytes.len);
	session_note(s, NULL, REEL_FRAME_BODY, span_of(joined, len));
	secret_wipe(joined, len);	/* who knows what is in it */
	free(joined);
}

static void
note_other_parts(struct session *s)
{
	for (unsigned int i = 0; i < s->all->body.n_parts; i++) {
		const struct body_part *p = &s->all->body.parts[i];

		if (p->kind == BODY_OTHER)
			note_other(s, p->content_type, p->bytes);
	}
}

/* A later offer. One whose audio could all be recorded but for its protection or its addresses is refused, and the session
 * goes on as it was (RFC 3261 §14.2); one that merely removes streams is not. */
static bool
reoffer_read(struct session *s, const struct sip_request *req, struct sip_refusal *why)
{
	struct sessions *all = s->all;
	struct session_policy policy;
	struct mlines n;

	if (!sdp_read(all, why))
		return false;
	session_policy_read(&policy, all, req);
	mlines_judge(&n, all, s, &policy);
	if (n.n_recordable == 0 && n.obstacle != NULL)
		return refuse(why, 488, n.obstacle);
	return true;
}

static void
on_reinvite(void *ctx, struct dialog *d, const struct sip_request *req)
{
	struct sessions *all = ctx;
	struct session *s = dialog_user(d);
	struct sip_refusal why = { 0 };

	if (s == NULL || session_edge_of(s->state, EV_OFFER) == NULL) {
		(void)refuse(&why, 500, "The recording session does not take an offer now");
		dialog_refuse(d, &why);
		return;
	}
	if (!body_read(all, req, &why) || (all->body.sdp != NULL && !reoffer_read(s, req, &why))) {
		log_info("session", "reinvite_refused", "call_id=%s why=\"%s\"", s->call_id, why.warning);
		dialog_refuse(d, &why);
		return;
	}
	if (all->body.sdp != NULL && offer_keep(s, req, all->body.sdp->bytes)) {
		(void)refuse(&why, 500, "No memory for the offer");
		dialog_refuse(d, &why);
		return;
	}
	note_other_parts(s);
	if (all->body.metadata != NULL)
		(void)session_dispatch(s, EV_METADATA);
	if (all->body.sdp == NULL) {
		(void)session_dispatch(s, EV_DESCRIBE);
	} else {
		s->answer_due = true;
		(void)session_dispatch(s, EV_OFFER);
	}
	session_settle(s);
}

/* Keys that a client tells of in INFO (the legacy use, RFC 6086 §2): part of the call as much as telephone-events. */
static bool
is_digits(const struct sip_request *req)
{
	static const char *const types[] = { "application/dtmf-relay", "application/dtmf" };
	size_t len = strcspn(req->content_type, "; \t");

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcasecmp(req->method, "INFO") == 0 && len == strlen(types[i]) &&
		    strncasecmp(req->content_type, types[i], len) == 0)
			return true;
	}
	return false;
}

static unsigned int
on_body(void *ctx, struct dialog *d, const struct sip_request *req, const char **warning)
{
	struct sessions *all = ctx;
	struct session *s = dialog_user(d);
	struct sip_refusal why = { 0 };
	bool offers;

	if (s == NULL || session_edge_of(s->state, EV_METADATA) == NULL)
		return 500;
	if (is_digits(req)) {
		note_other(s, span_of_text(req->content_type), req->body);
		session_settle(s);
		return 200;
	}
	if (!body_read(all, req, &why) || (all->body.sdp != NULL && !reoffer_read(s, req, &why))) {
		log_info("session", "body_refused", "call_id=%s why=\"%s\"", s->call_id, why.warning);
		*warning = why.warning;
		return why.status;
	}
	if (req->body.len != 0 && all->body.sdp == NULL && all->body.metadata == NULL)
		return 415;
	/* SDP in an INFO is no offer (RFC 6086, RFC 3264) */
	offers = all->body.sdp != NULL && strcasecmp(req->method, "UPDATE") == 0;
	if (offers && (s->answer_due || offer_keep(s, req, all->body.sdp->bytes)))
		return 500;
	note_other_parts(s);
	if (all->body.metadata != NULL)
		(void)session_dispatch(s, EV_METADATA);
	if (offers) {
		s->answer_due = true;
		(void)session_dispatch(s, EV_OFFER);
	}
	session_settle(s);
	return offers ? 0 : 200;
}

static void
on_confirmed(void *ctx, struct dialog *d, struct span body)
{
	struct sessions *all = ctx;
	struct session *s = dialog_user(d);

	if (s == NULL)
		return;
	session_replace_confirmed(s);
	if (!s->offered)
		return;
	all->answer_body = body;
	(void)session_dispatch(s, EV_CONFIRMED);
	session_settle(s);
}

/* Our description again, the same version. Not while an answer of ours is due: it will bring the next one. */
static char *
on_describe(void *ctx, struct dialog *d)
{
	struct session *s = dialog_user(d);
	char *whole = NULL;

	(void)ctx;
	if (s == NULL || s->answer_due || session_edge_of(s->state, EV_DESCRIBE) == NULL ||
	    session_answer_make(s, PURPOSE_REFRESH, &whole))
		return NULL;
	return whole;
}

/* A peer may bring other keys or ports in its answer than it had before. One that cannot be read changes nothing. */
static void
on_answer(void *ctx, struct dialog *d, unsigned int status, struct span sdp)
{
	struct sessions *all = ctx;
	struct session *s = dialog_user(d);
	const char *why = "there is none";

	if (s == NULL || session_edge_of(s->state, EV_CONFIRMED) == NULL)
		return;
	if (sdp.len == 0 && session_snapshot_answered(s, status))
		return;
	if (status >= 300) {
		session_hold_refused(s, status);
		return;
	}
	if (sdp.len == 0 || offer_parse(&all->offer, sdp, &why)) {
		log_warn("session", "no_answer", "call_id=%s why=\"%s\"", s->call_id, why);
		return;
	}
	s->offered = true;
	all->answer_body = sdp;
	(void)session_dispatch(s, EV_CONFIRMED);
	session_settle(s);
}

static void
on_probed(void *ctx, struct dialog *d)
{
	struct session *s = dialog_user(d);

	(void)ctx;
	if (s != NULL)
		session_idle_answered(s);
}

static void
on_ended(void *ctx, struct dialog *d, enum dialog_end how)
{
	struct session *s = dialog_user(d);

	if (s == NULL)
		return;
	s->dialog = NULL;
	if (s->reason[0] == '\0')
		(void)snprintf(s->reason, sizeof(s->reason), "%s", dialog_end_name(how));
	(void)session_dispatch(s, EV_ENDED);
	session_settle(s);
}

static bool
on_door(void *ctx, const struct config_src *src, struct sip_refusal *why)
{
	struct sessions *all = ctx;
	struct admission_view v;

	admission_look(all, src, &v);
	return admission_allows(&v, 0, all->floor.config->sip.retry_after_s, why);
}

const struct dialog_handlers *
sessions_handlers(void)
{
	static const struct dialog_handlers handlers = {
		.on_invite = on_invite,
		.on_reinvite = on_reinvite,
		.on_body = on_body,
		.on_confirmed = on_confirmed,
		.on_ended = on_ended,
		.on_door = on_door,
		.on_answer = on_answer,
		.on_describe = on_describe,
		.on_probed = on_probed,
	};

	return &handlers;
}
