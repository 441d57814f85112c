/* The streams of a session: which m-line is which stream, where its packets arrive, and what our answer says. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

bool
session_mline_recordable(const struct session *s, const struct offer_media *m, unsigned int i)
{
	if (!session_mline_is_candidate(m) || session_mline_is_dropped(s, m, i))
		return false;
	switch (offer_media_keying(m)) {
	case OFFER_KEYING_NONE:
		return !s->policy.srtp_required;
	case OFFER_KEYING_SDES:
		return s->keys_offered[i] != NULL;
	case OFFER_KEYING_DTLS:
		return s->all->floor.config->srtp.enabled && session_dtls_obstacle(s->all, m) == NULL;
	}
	return false;
}

static bool
mline_is_inactive(const struct offer_media *m)
{
	return m->direction == OFFER_INACTIVE || m->direction == OFFER_RECVONLY;	/* RFC 3264 §6.1 */
}

static uint32_t
mline_clock_hz(const struct offer_media *m)
{
	return m->n_codecs != 0 ? m->codecs[0].clock_hz : 0;
}

/* The m-line's source as the data plane checks it. c=0.0.0.0 names no source: it is found by latching (SDP-11). */
static void
mline_source(const struct session *s, const struct offer_media *m, struct media_address *source, bool *latch)
{
	memset(source, 0, sizeof(*source));
	*latch = s->all->floor.config->media.source == CONFIG_SOURCE_LATCH;
	if (m->address.ip_version == 0 || m->address.unspecified) {
		*latch = true;
		return;
	}
	source->ip_version = m->address.ip_version;
	memcpy(source->ip, m->address.ip, sizeof(source->ip));
}

static void
stream_spec_fill(const struct session_stream *st, struct stream_spec *spec)
{
	*spec = (struct stream_spec){
		.recording = st->recording->handle,
		.number = st->number,
		.address_i = st->port.address_i,
		.udp_port = st->port.udp_port,
		.rtcp_port = st->port.rtcp_port,
		.source = st->source,
		.latch = st->latch,
		.inactive = st->inactive,
		.secure = st->protection != OFFER_KEYING_NONE,
		.dtls = st->protection == OFFER_KEYING_DTLS,
		.report = true,	/* RFC 7866 §8.1.1 */
		.rtcp_to = st->rtcp_to,
		.clock_hz = st->clock_hz,
	};
}

static void
stream_drop(struct session *s, struct session_stream *st, bool port_rests)
{
	st->recording->n_bound--;
	if (st->moving_to != NULL)
		st->moving_to->n_bound--;
	media_give(s->all->floor.media, &st->port, port_rests);
	session_dtls_close(s, st);
	session_keying_give(s->all, st->keying);
	s->streams[st->i] = NULL;
	free(st);
}

static enum srs_err
number_take(struct session_recording *r, uint8_t *number)
{
	if (r->next_number == REEL_STREAM_NONE)
		return SRS_ERR_LIMIT;
	*number = r->next_number++;
	r->n_streams_ever++;
	return SRS_OK;
}

/* What a later offer leaves out is not taken back: by its label metadata finds the stream (OpenSIPS, jambonz). */
static void
stream_describe_mline(struct session_stream *st, const struct offer_media *m, unsigned int mline)
{
	st->mline = mline;
	if (m->label[0] != '\0')
		(void)snprintf(st->label, sizeof(st->label), "%s", m->label);
	if (m->mid[0] != '\0')
		(void)snprintf(st->mid, sizeof(st->mid), "%s", m->mid);
}

/* The keys of its m-line become the stream's, with one of ours beside them. */
static enum srs_err
stream_take_keys(struct session *s, struct session_stream *st)
{
	st->keying = s->keys_offered[st->mline];
	s->keys_offered[st->mline] = NULL;
	if (st->keying == NULL)
		return SRS_ERR_STATE;
	s->keys_changed = true;
	return session_keying_make_own(st->keying);
}

static enum srs_err
stream_install(struct session *s, struct session_stream *st)
{
	struct stream_spec spec;
	enum srs_err err;

	stream_spec_fill(st, &spec);
	if (st->keying != NULL)
		spec.keys = &st->keying->keys;	/* DTLS has none yet */
	err = dataplane_stream_add(s->all->floor.dataplane, &spec, session_cookie(s, COOKIE_STREAM, st->i), &st->handle);
	if (st->keying != NULL)
		secret_wipe(st->keying->keys.theirs, sizeof(st->keying->keys.theirs));
	return err;
}

static enum srs_err
stream_begin(struct session *s, struct session_stream *st, const struct offer_media *m)
{
	struct sessions *all = s->all;
	enum srs_err err;

	st->recording = session_recording_for(s, m->label);
	if (st->recording == NULL)
		return SRS_ERR_STATE;
	st->recording->n_bound++;
	mline_source(s, m, &st->source, &st->latch);
	st->inactive = st->held = mline_is_inactive(m);
	st->protection = offer_media_keying(m);
	st->clock_hz = mline_clock_hz(m);
	st->rtcp_to = m->rtcp_port;
	if (st->protection == OFFER_KEYING_SDES) {
		err = stream_take_keys(s, st);
		if (err)
			return err;
	}
	err = media_take(all->floor.media, s->lcore_i, m->address.ip_version, m->rtcp_mux, &st->port);
	if (err)
		return err;
	err = number_take(st->recording, &st->number);
	if (err == SRS_OK && st->protection == OFFER_KEYING_DTLS)
		err = session_dtls_open(s, st, m);
	if (err == SRS_OK)
		err = stream_install(s, st);
	if (err)
		media_give(all->floor.media, &st->port, false);
	return err;
}

static void
stream_add(struct session *s, const struct offer_media *m, unsigned int mline)
{
	struct session_stream *st = NULL;
	enum srs_err err = SRS_ERR_LIMIT;
	unsigned int i = 0;

	while (i < SESSION_STREAMS_MAX && s->streams[i] != NULL)
		i++;
	if (i < SESSION_STREAMS_MAX) {
		st = calloc(1, sizeof(*st));
		err = SRS_ERR_NOMEM;
	}
	if (st != NULL) {
		st->i = (uint8_t)i;
		st->dtls.association = DTLS_NONE;
		stream_describe_mline(st, m, mline);
		err = stream_begin(s, st, m);
	}
	if (err) {	/* the answer refuses this m-line with port 0 */
		s->refused = err;
		session_count(s->all, SESSION_MLINES_REFUSED);
		log_warn("session", "stream_refused", "call_id=%s mline=%u err=%s", s->call_id, mline,
		         srs_err_name(err));
		if (st != NULL) {
			if (st->recording != NULL)
				st->recording->n_bound--;
			session_dtls_close(s, st);
			session_keying_give(s->all, st->keying);
		}
		free(st);
		return;
	}
	s->streams[i] = st;
}

/* Plain stays plain, SRTP stays SRTP: nothing that comes late may be taken for the other. 0.0.0.0 is how a hold was written
 * once, also by who speaks IPv6 (RFC 3264 §8.4): it is of no IP version. */
static bool
stream_is_of_kind(const struct session *s, const struct session_stream *st, const struct offer_media *m)
{
	bool family = m->address.ip_version == 0 || m->address.unspecified ||
	              m->address.ip_version == media_ip_version(s->all->floor.media, &st->port);

	return family && st->protection == offer_media_keying(m);
}

/* Our port cannot stay when it is of another kind, or when it has no other one for RTCP and needs that now. */
static bool
stream_must_move(const struct session *s, const struct session_stream *st, const struct offer_media *m)
{
	return !stream_is_of_kind(s, st, m) || (st->port.rtcp_port == 0 && !m->rtcp_mux);
}

/* New keys of theirs go to the data plane, with a new one of ours: a key of ours serves one of theirs (RFC 4568 §7.1.4
 * wants no key twice). With the same keys nothing moves, and the answer is the same. */
static enum srs_err
stream_rekey(struct session *s, struct session_stream *st)
{
	struct session_keying *next = s->keys_offered[st->mline], *now = st->keying;
	enum srs_err err = SRS_OK;

	if (memcmp(next->digest, now->digest, sizeof(next->digest)) == 0) {
		memcpy(now->tag, next->tag, sizeof(now->tag));
		return SRS_OK;
	}
	if (s->answering && next->keys.theirs[0].suite != now->keys.ours.suite) {
		log_warn("session", "another_suite_answered", "call_id=%s mline=%u: the keys stay", s->call_id, st->mline);
		return SRS_OK;
	}
	if (s->answering)
		next->keys.ours = now->keys.ours;	/* we offered it, and it was answered */
	else
		err = session_keying_make_own(next);
	if (err == SRS_OK)
		err = dataplane_stream_rekey(s->all->floor.dataplane, st->handle, &next->keys,
		                             session_cookie(s, COOKIE_STREAM, st->i));
	if (err)
		return err;
	secret_wipe(next->keys.theirs, sizeof(next->keys.theirs));
	session_count(s->all, SESSION_REKEYS);
	s->keys_offered[st->mline] = NULL;
	st->keying = next;
	st->n_rekeys++;
	s->keys_changed |= !s->answering;
	session_keying_give(s->all, now);
	return SRS_OK;
}

/* What cannot go on as it is ends, and begins anew on another port. */
static void
stream_replace(struct session *s, struct session_stream *st, const struct offer_media *m, unsigned int mline,
               enum srs_err err)
{
	log_warn("session", "update_refused", "call_id=%s mline=%u err=%s: begun anew", s->call_id, mline,
	         srs_err_name(err));
	st->doomed = true;
	stream_add(s, m, mline);
}

/* What it does as we asked for is no hold of its own, and no release: neither when we pause it, nor behind that. */
static void
stream_note_hold(struct session *s, struct session_stream *st)
{
	bool paused = s->answering && (s->holds & SESSION_HOLD_PAUSE) != 0;

	if (st->held == st->inactive || (paused && st->inactive))
		return;
	st->held = st->inactive;
	session_hold_note(s, st);
}

static enum srs_err
stream_resource(struct session *s, struct session_stream *st, const struct offer_media *m)
{
	struct session_stream before = *st;
	struct stream_spec spec;
	enum srs_err err;

	mline_source(s, m, &st->source, &st->latch);
	st->inactive = mline_is_inactive(m);
	st->clock_hz = mline_clock_hz(m);
	st->rtcp_to = m->rtcp_port;
	if (memcmp(&before.source, &st->source, sizeof(st->source)) == 0 && before.latch == st->latch &&
	    before.inactive == st->inactive && before.clock_hz == st->clock_hz &&
	    before.rtcp_to == st->rtcp_to)
		return SRS_OK;
	stream_note_hold(s, st);
	stream_spec_fill(st, &spec);
	err = dataplane_stream_update(s->all->floor.dataplane, st->handle, &spec,
	                              session_cookie(s, COOKIE_STREAM, st->i));
	st->n_updates += err == SRS_OK;
	return err;
}

static void
stream_update(struct session *s, struct session_stream *st, const struct offer_media *m, unsigned int mline)
{
	enum srs_err err;

	stream_describe_mline(st, m, mline);
	err = stream_resource(s, st, m);
	if (err == SRS_OK && st->protection == OFFER_KEYING_SDES)
		err = stream_rekey(s, st);
	if (err == SRS_OK && st->protection == OFFER_KEYING_DTLS)
		err = session_dtls_update(s, st, m);
	if (err)
		stream_replace(s, st, m, mline, err);
}

void
session_streams_apply(struct session *s, const struct offer *o)
{
	struct session_stream *live[OFFER_MEDIA_MAX];
	struct binding_stream names[OFFER_MEDIA_MAX];
	bool kept[OFFER_MEDIA_MAX] = { false };
	int of_mline[OFFER_MEDIA_MAX];
	unsigned int n = 0;

	for (unsigned int i = 0; i < SESSION_STREAMS_MAX && n < OFFER_MEDIA_MAX; i++) {
		struct session_stream *st = s->streams[i];

		if (st == NULL || st->doomed || st->state == STREAM_REMOVING)
			continue;
		names[n] = (struct binding_stream){ .label = st->label, .mid = st->mid, .mline = (int)st->mline };
		live[n++] = st;
	}
	binding_match(o, names, n, of_mline);
	for (unsigned int i = 0; i < o->n_media; i++) {
		const struct offer_media *m = &o->media[i];
		int k = of_mline[i];

		if (k != BINDING_NONE && session_mline_recordable(s, m, i) && !stream_must_move(s, live[k], m))
			kept[k] = true;
	}
	for (unsigned int k = 0; k < n; k++)
		live[k]->doomed = !kept[k];
	for (unsigned int i = 0; i < o->n_media; i++) {
		const struct offer_media *m = &o->media[i];
		int k = of_mline[i];

		if (k != BINDING_NONE && kept[k])
			stream_update(s, live[k], m, i);
		else if (session_mline_recordable(s, m, i))
			stream_add(s, m, i);
		else if (m->port != 0)
			session_count(s->all, SESSION_MLINES_REFUSED);
	}
	session_keys_drop(s);
}

/* @param m  of the answer, at the place of the stream's m-line in our offer (RFC 3264 §6) */
static void
stream_take_answer(struct session *s, struct session_stream *st, const struct offer_media *m)
{
	enum srs_err err = SRS_ERR_INVALID;

	if (m->port == 0) {
		st->doomed = true;
		return;
	}
	if (session_mline_recordable(s, m, st->mline) && stream_is_of_kind(s, st, m))
		err = stream_resource(s, st, m);
	if (err == SRS_OK && st->protection == OFFER_KEYING_SDES)
		err = stream_rekey(s, st);
	if (err == SRS_OK && st->protection == OFFER_KEYING_DTLS)
		err = session_dtls_update(s, st, m);
	if (err == SRS_OK)
		return;
	session_count(s->all, SESSION_MLINES_REFUSED);
	log_warn("session", "answer_unfit", "call_id=%s mline=%u err=%s: the stream goes on as it was", s->call_id,
	         st->mline, srs_err_name(err));
}

void
session_streams_take_answer(struct session *s, const struct offer *answer)
{
	s->answering = true;
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		struct session_stream *st = s->streams[i];

		if (st != NULL && !st->doomed && st->state != STREAM_REMOVING && st->mline < answer->n_media)
			stream_take_answer(s, st, &answer->media[st->mline]);
	}
	s->answering = false;
	session_keys_drop(s);
}

void
session_streams_bind(struct session *s)
{
	if (s->metadata == NULL || (s->state != SESSION_RECORDING && s->state != SESSION_PAUSED))
		return;
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		struct session_stream *st = s->streams[i];
		struct session_recording *r;

		if (st == NULL || st->state != STREAM_LIVE || st->doomed || st->moving_to != NULL || st->unmovable)
			continue;
		if (metadata_session_of(s->metadata, st->label) == NULL)
			continue;	/* not named: it stays */
		r = session_recording_for(s, st->label);
		if (r == NULL || r == st->recording || number_take(r, &st->moving_number))
			continue;
		if (dataplane_stream_bind(s->all->floor.dataplane, st->handle, r->handle, st->moving_number,
		                          session_cookie(s, COOKIE_STREAM, i)) == SRS_OK)
			st->moving_to = r, r->n_bound++;
		else
			r->next_number--, r->n_streams_ever--;	/* a full ring: tried again with the next event */
	}
}

void
session_stream_stop(struct session *s, struct session_stream *st)
{
	struct stream_spec spec;

	st->inactive = st->doomed = true;
	stream_spec_fill(st, &spec);
	spec.at_once = true;
	/* without room for the command it stops with its removal, which is tried until it is done */
	if (dataplane_stream_update(s->all->floor.dataplane, st->handle, &spec, session_cookie(s, COOKIE_STREAM, st->i)) == SRS_OK)
		st->n_updates++;
}

void
session_streams_doom(struct session *s)
{
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		if (s->streams[i] != NULL)
			s->streams[i]->doomed = true;
	}
}

void
session_streams_reap(struct session *s)
{
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		struct session_stream *st = s->streams[i];

		if (st == NULL || !st->doomed || st->state != STREAM_LIVE || st->moving_to != NULL)
			continue;
		if (dataplane_stream_remove(s->all->floor.dataplane, st->handle,
		                            session_cookie(s, COOKIE_STREAM, i)) != SRS_OK)
			continue;
		st->state = STREAM_REMOVING;
		session_dtls_close(s, st);
	}
}

void
session_streams_key(struct session *s)
{
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		if (s->streams[i] != NULL)
			session_dtls_install(s, s->streams[i]);
	}
}

unsigned int
session_streams_in(const struct session *s, enum session_stream_state state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++)
		n += s->streams[i] != NULL && s->streams[i]->state == state;
	return n;
}

unsigned int
session_streams_n(const struct session *s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++)
		n += s->streams[i] != NULL;
	return n;
}

bool
session_streams_held(const struct session *s)
{
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];

		if (st != NULL && !st->doomed && st->state != STREAM_REMOVING && !st->inactive)
			return false;
	}
	return true;
}

bool
session_streams_changing(const struct session *s)
{
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];

		if (st != NULL && !st->doomed && st->state != STREAM_REMOVING && (st->n_rekeys != 0 || st->n_updates != 0))
			return true;
	}
	return false;
}

/* Without the new keys the old ones go on; what we know of them is forgotten, so that the next offer sets all anew. */
static void
on_rekeyed(struct session *s, struct session_stream *st, const struct dataplane_event *e)
{
	if (st->n_rekeys > 0)
		st->n_rekeys--;
	if (e->err == SRS_OK)
		return;
	session_count(s->all, SESSION_REKEYS_FAILED);
	log_warn("session", "rekey_failed", "call_id=%s mline=%u err=%s", s->call_id, st->mline, srs_err_name(e->err));
	if (st->protection == OFFER_KEYING_DTLS)
		return;		/* no offer's doing; the peer may begin anew */
	s->rekey_refused = s->answer_due;
	if (st->keying != NULL)
		memset(st->keying->digest, 0, sizeof(st->keying->digest));
}

static void
on_updated(struct session *s, struct session_stream *st, const struct dataplane_event *e)
{
	if (st->n_updates > 0)
		st->n_updates--;
	if (e->err)
		log_warn("session", "update_failed", "call_id=%s mline=%u err=%s", s->call_id, st->mline,
		         srs_err_name(e->err));
}

static void
on_installed(struct session *s, struct session_stream *st, const struct dataplane_event *e)
{
	if (e->err == SRS_OK) {
		st->state = STREAM_LIVE;
		return;
	}
	s->refused = e->err;
	session_count(s->all, SESSION_MLINES_REFUSED);
	log_warn("session", "stream_refused", "call_id=%s mline=%u err=%s", s->call_id, st->mline,
	         srs_err_name(e->err));
	stream_drop(s, st, false);
}

static void
on_bound(struct session *s, struct session_stream *st, const struct dataplane_event *e)
{
	struct session_recording *from = st->recording;

	if (st->moving_to == NULL)
		return;
	if (e->err) {
		log_warn("session", "bind_refused", "call_id=%s err=%s", s->call_id, srs_err_name(e->err));
		st->moving_to->n_bound--;
		st->moving_to = NULL;
		st->unmovable = true;
		return;
	}
	from->n_bound--;
	st->recording = st->moving_to;
	st->number = st->moving_number;
	st->moving_to = NULL;
	if (s->state != SESSION_RECORDING && s->state != SESSION_PAUSED)
		return;
	if (!session_cs_is_forgotten(s, from))
		session_describe(s, from);
	session_describe(s, st->recording);
	session_recordings_publish(s);
}

void
session_stream_on_event(struct session *s, unsigned int i, const struct dataplane_event *e)
{
	struct session_stream *st = i < SESSION_STREAMS_MAX ? s->streams[i] : NULL;

	if (st == NULL)
		return;
	if (e->kind == EVENT_STREAM_INSTALLED && st->state == STREAM_ADDING)
		on_installed(s, st, e);
	else if (e->kind == EVENT_STREAM_PUNTED)
		session_dtls_on_punted(s, st, e);
	else if (e->kind == EVENT_STREAM_BOUND)
		on_bound(s, st, e);
	else if (e->kind == EVENT_STREAM_REKEYED)
		on_rekeyed(s, st, e);
	else if (e->kind == EVENT_STREAM_REMOVED && st->state == STREAM_REMOVING)
		stream_drop(s, st, true);
	else if (e->kind == EVENT_STREAM_UPDATED)
		on_updated(s, st, e);
}

/* ---- the answer ---- */

static void
decide(struct session *s, const struct offer *o, enum session_purpose purpose)
{
	struct answer_media *decided = s->all->decided;

	memset(decided, 0, sizeof(s->all->decided));
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];
		struct answer_media *d;

		if (st == NULL || st->doomed || st->state == STREAM_REMOVING || st->mline >= o->n_media)
			continue;
		d = &decided[st->mline];
		d->accepted = true;
		media_text(s->all->floor.media, &st->port, s->beyond_nat, d->ip, sizeof(d->ip), &d->ip_version);
		d->port = st->port.udp_port;
		d->rtcp_port = st->port.rtcp_port;
		d->asks = purpose != PURPOSE_ANSWER;
		d->inactive = (s->holds & SESSION_HOLD_PAUSE) != 0 || (purpose == PURPOSE_REFRESH && st->inactive);
		if (st->protection == OFFER_KEYING_SDES) {
			d->sdes.tag = st->keying->tag;
			d->sdes.ours = &st->keying->keys.ours;
		}
		if (st->protection == OFFER_KEYING_DTLS)
			session_dtls_answer(s, st, d);
	}
}

/* o= names the first accepted m-line's address; with none, that of the call before it is as good as any. */
static const char *
origin_ip(const struct sessions *all, const struct offer *o)
{
	for (unsigned int i = 0; i < o->n_media; i++) {
		if (all->decided[i].accepted)
			return all->decided[i].ip;
	}
	return "0.0.0.0";
}

static char *
answer_text(struct session *s, uint64_t version)
{
	struct sessions *all = s->all;
	size_t len = answer_write(&all->offer, all->decided, origin_ip(all, &all->offer), s->sdp_id, version,
	                          all->text, sizeof(all->text) - 1);
	char *text = len != 0 ? malloc(len + 1) : NULL;

	if (text != NULL) {
		memcpy(text, all->text, len);
		text[len] = '\0';
	}
	secret_wipe(all->text, len != 0 ? len : sizeof(all->text));	/* one that did not fit left what did */
	return text;
}

/* The answer of this version: with keys, and as it is kept. */
static enum srs_err
answer_texts(struct session *s, uint64_t version, char **whole, char **struck)
{
	*whole = answer_text(s, version);
	*struck = *whole != NULL ? strdup(*whole) : NULL;
	if (*struck == NULL) {
		session_text_wipe(*whole);
		*whole = NULL;
		return SRS_ERR_LIMIT;
	}
	s->answer_redacted = offer_redact(*struck, strlen(*struck)) != 0;
	return SRS_OK;
}

enum srs_err
session_answer_make(struct session *s, enum session_purpose purpose, char **whole)
{
	const char *why;
	char *struck;
	enum srs_err err = offer_parse(&s->all->offer, span_of_text(s->offer_sdp), &why);

	*whole = NULL;
	if (err)
		return err;
	decide(s, &s->all->offer, purpose);
	err = answer_texts(s, s->sdp_version, whole, &struck);
	if (err)
		return err;
	if (s->answer_sdp != NULL && (s->keys_changed || strcmp(struck, s->answer_sdp) != 0)) {	/* RFC 3264 §8 */
		session_text_wipe(*whole);
		free(struck);
		err = answer_texts(s, s->sdp_version + 1, whole, &struck);
		if (err)
			return err;
		s->sdp_version++;
	}
	s->keys_changed = false;
	free(s->answer_sdp);
	s->answer_sdp = struck;
	return SRS_OK;
}
