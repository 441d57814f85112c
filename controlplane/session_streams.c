/* The streams of a session: which m-line is which stream, where its packets arrive, and what our answer says. */
#include "controlplane/session.h"
#include "controlplane/session_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/srs_assert.h"
#include "lib/srs_log.h"

bool
session_mline_recordable(const struct offer_media *m)
{
	/* SRTP, DTLS and video come with modules of their own; until then such an m-line gets port 0 */
	return m->kind == OFFER_AUDIO && m->port != 0 && m->n_codecs != 0 &&
	       (m->profile == OFFER_RTP_AVP || m->profile == OFFER_RTP_AVPF);
}

static bool
mline_is_inactive(const struct offer_media *m)
{
	return m->direction == OFFER_INACTIVE || m->direction == OFFER_RECVONLY;	/* RFC 3264 §6.1 */
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
	};
}

static void
stream_drop(struct session *s, struct session_stream *st, bool port_rests)
{
	media_give(s->all->floor.media, &st->port, port_rests);
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

static void
stream_describe_mline(struct session_stream *st, const struct offer_media *m, unsigned int mline)
{
	st->mline = mline;
	(void)snprintf(st->label, sizeof(st->label), "%s", m->label);
	(void)snprintf(st->mid, sizeof(st->mid), "%s", m->mid);
}

static enum srs_err
stream_begin(struct session *s, struct session_stream *st, const struct offer_media *m)
{
	struct sessions *all = s->all;
	struct stream_spec spec;
	enum srs_err err;

	st->recording = session_recording_for(s, m->label);
	if (st->recording == NULL)
		return SRS_ERR_STATE;
	mline_source(s, m, &st->source, &st->latch);
	st->inactive = mline_is_inactive(m);
	err = media_take(all->floor.media, s->lcore_i, m->address.ip_version, m->rtcp_mux, &st->port);
	if (err)
		return err;
	err = number_take(st->recording, &st->number);
	if (err == SRS_OK) {
		stream_spec_fill(st, &spec);
		err = dataplane_stream_add(all->floor.dataplane, &spec, session_cookie(s, COOKIE_STREAM, st->i),
		                           &st->handle);
	}
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
		stream_describe_mline(st, m, mline);
		err = stream_begin(s, st, m);
	}
	if (err) {	/* the answer refuses this m-line with port 0 */
		s->refused = err;
		session_count(s->all, SESSION_MLINES_REFUSED);
		log_warn("session", "stream_refused", "call_id=%s mline=%u err=%s", s->call_id, mline,
		         srs_err_name(err));
		free(st);
		return;
	}
	s->streams[i] = st;
}

/* Our port cannot stay when its family or its lone RTCP port no longer fits. */
static bool
stream_must_move(const struct session_stream *st, const struct offer_media *m)
{
	bool family = st->source.ip_version != 0 && m->address.ip_version != 0 &&
	              st->source.ip_version != m->address.ip_version;

	return family || (st->port.rtcp_port == 0 && !m->rtcp_mux);
}

static void
stream_update(struct session *s, struct session_stream *st, const struct offer_media *m, unsigned int mline)
{
	struct session_stream before = *st;
	struct stream_spec spec;
	enum srs_err err;

	stream_describe_mline(st, m, mline);
	mline_source(s, m, &st->source, &st->latch);
	st->inactive = mline_is_inactive(m);
	if (memcmp(&before.source, &st->source, sizeof(st->source)) == 0 && before.latch == st->latch &&
	    before.inactive == st->inactive)
		return;
	stream_spec_fill(st, &spec);
	err = dataplane_stream_update(s->all->floor.dataplane, st->handle, &spec,
	                              session_cookie(s, COOKIE_STREAM, st->i));
	if (err == SRS_OK)
		return;
	log_warn("session", "update_refused", "call_id=%s mline=%u err=%s: begun anew", s->call_id, mline,
	         srs_err_name(err));
	st->doomed = true;
	stream_add(s, m, mline);
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

		if (k != BINDING_NONE && session_mline_recordable(m) && !stream_must_move(live[k], m))
			kept[k] = true;
	}
	for (unsigned int k = 0; k < n; k++)
		live[k]->doomed = !kept[k];
	for (unsigned int i = 0; i < o->n_media; i++) {
		const struct offer_media *m = &o->media[i];
		int k = of_mline[i];

		if (k != BINDING_NONE && kept[k])
			stream_update(s, live[k], m, i);
		else if (session_mline_recordable(m))
			stream_add(s, m, i);
		else if (m->port != 0)
			session_count(s->all, SESSION_MLINES_REFUSED);
	}
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
			st->moving_to = r;
		else
			r->next_number--, r->n_streams_ever--;	/* a full ring: tried again with the next event */
	}
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
		                            session_cookie(s, COOKIE_STREAM, i)) == SRS_OK)
			st->state = STREAM_REMOVING;
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
session_streams_bound(const struct session *s, const struct session_recording *r)
{
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];

		if (st != NULL && (st->recording == r || st->moving_to == r))
			return true;
	}
	return false;
}

bool
session_streams_held(const struct session *s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];

		if (st == NULL || st->doomed || st->state == STREAM_REMOVING)
			continue;
		if (!st->inactive)
			return false;
		n++;
	}
	return n != 0;
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
		st->moving_to = NULL;
		st->unmovable = true;
		return;
	}
	st->recording = st->moving_to;
	st->number = st->moving_number;
	st->moving_to = NULL;
	if (s->state != SESSION_RECORDING && s->state != SESSION_PAUSED)
		return;
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
	else if (e->kind == EVENT_STREAM_BOUND)
		on_bound(s, st, e);
	else if (e->kind == EVENT_STREAM_REMOVED && st->state == STREAM_REMOVING)
		stream_drop(s, st, true);
	else if (e->kind == EVENT_STREAM_UPDATED && e->err)
		log_warn("session", "update_failed", "call_id=%s mline=%u err=%s", s->call_id, st->mline,
		         srs_err_name(e->err));
}

/* ---- the answer ---- */

static void
decide(struct session *s, const struct offer *o)
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
		media_text(s->all->floor.media, &st->port, d->ip, sizeof(d->ip), &d->ip_version);
		d->port = st->port.udp_port;
		d->rtcp_port = st->port.rtcp_port;
		d->inactive = st->inactive;
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
	char *text;

	if (len == 0 || len >= sizeof(all->text))
		return NULL;
	all->text[len] = '\0';
	text = malloc(len + 1);
	if (text != NULL)
		memcpy(text, all->text, len + 1);
	return text;
}

enum srs_err
session_answer_make(struct session *s)
{
	const char *why;
	char *text;
	enum srs_err err = offer_parse(&s->all->offer, span_of_text(s->offer_sdp), &why);

	if (err)
		return err;
	decide(s, &s->all->offer);
	text = answer_text(s, s->sdp_version);
	if (text == NULL)
		return SRS_ERR_LIMIT;
	if (s->answer_sdp != NULL && strcmp(text, s->answer_sdp) != 0) {	/* RFC 3264 §8 */
		free(text);
		text = answer_text(s, s->sdp_version + 1);
		if (text == NULL)
			return SRS_ERR_LIMIT;
		s->sdp_version++;
	}
	free(s->answer_sdp);
	s->answer_sdp = text;
	return SRS_OK;
}
