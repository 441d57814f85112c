/* Pause, mask and drop: what an operator may do to a call while it is recorded, and what the recording says of it and of
 * the client's own holds. Media stops in the data plane by the recording, at once, whatever the client does; a paused
 * client is asked to stop sending as well (RFC 7866 §7.2), a masked one is not told. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/srs_log.h"

#define REOFFER_NS UINT64_C(1000000000)

/* Who did what, and why. Texts are cut and cleaned as they are written. */
struct deed {
	const char *event;
	const char *by;
	const char *name, *reason;
};

/* ---- what the recording says ---- */

static char *
deed_json(const struct deed *d, const struct session_stream *st)
{
	cJSON *json = cJSON_CreateObject();
	char wall_ns[24], *text;

	cJSON_AddStringToObject(json, "event", d->event);
	cJSON_AddStringToObject(json, "by", d->by);
	session_text_add(json, "name", d->name);
	session_text_add(json, "reason", d->reason);
	(void)snprintf(wall_ns, sizeof(wall_ns), "%" PRIu64, reactor_wall_ns());
	cJSON_AddRawToObject(json, "wall_ns", wall_ns);	/* exact beyond 2^53 */
	if (st != NULL)
		cJSON_AddItemToArray(cJSON_AddArrayToObject(json, "streams"), cJSON_CreateNumber(st->number));
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

static void
deed_note(struct session *s, const struct deed *d, const struct session_stream *st)
{
	char *text = deed_json(d, st);

	if (text == NULL) {
		session_count(s->all, SESSION_NOTES_LOST);
		return;
	}
	session_note(s, st != NULL ? st->recording : NULL, REEL_FRAME_EVENT, span_of_text(text));
	free(text);
}

void
session_hold_note(struct session *s, const struct session_stream *st)
{
	deed_note(s, &(struct deed){ .event = st->inactive ? "held" : "released", .by = "src", .name = "", .reason = "" }, st);
}

bool
session_hold_hides(struct session *s, size_t len)
{
	const struct reel_mark mark = { .kind = REEL_MARK_HIDDEN, .value = (int64_t)len };
	uint8_t bytes[REEL_MARK_SIZE];

	if (s->holds == 0 && s->state != SESSION_PAUSED)
		return false;
	reel_mark_write(&mark, bytes);
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		const struct session_recording *r = s->recordings[i];

		if (r != NULL && r->state == RECORDING_OPEN &&
		    dataplane_note(s->all->floor.dataplane, r->handle, REEL_FRAME_MARK, 0, span_of(bytes, sizeof(bytes)),
		                   session_cookie(s, COOKIE_NOTE, i)) != SRS_OK)
			session_count(s->all, SESSION_NOTES_LOST);
	}
	return true;
}

/* ---- what is so, and what the client knows ---- */

static bool
is_dropped(const struct session *s, const char *label, const char *mid, unsigned int mline)
{
	for (unsigned int k = 0; k < s->n_dropped; k++) {
		const struct session_dropped *d = &s->dropped[k];

		if (d->label[0] != '\0' && label[0] != '\0' ? strcmp(d->label, label) == 0 :
		    d->mid[0] != '\0' && mid[0] != '\0'     ? strcmp(d->mid, mid) == 0 : d->mline == mline)
			return true;
	}
	return false;
}

bool
session_mline_is_dropped(const struct session *s, const struct offer_media *m, unsigned int i)
{
	return is_dropped(session_replace_recorder(s), m->label, m->mid, i);
}

/* The commands may have come while the new dialog's ports were armed. */
void
session_hold_carry(struct session *s, const struct session *old)
{
	s->holds = old->holds;
	memcpy(s->dropped, old->dropped, sizeof(s->dropped));
	s->n_dropped = old->n_dropped;
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		struct session_stream *st = s->streams[i];

		if (st != NULL && is_dropped(s, st->label, st->mid, st->mline))
			st->doomed = true;
	}
}

/* Our description with what changed, as an offer (RFC 3264 §8). What hinders it now is tried again when the session next
 * settles, and each second. */
static void
reoffer(struct session *s)
{
	char *whole = NULL;
	enum srs_err err;

	if (reactor_mono_ns() < s->reoffer_mono_ns || s->dialog == NULL || s->answer_due || s->offered ||
	    session_edge_of(s->state, EV_DESCRIBE) == NULL)
		return;
	/* asked first: a description that is not sent would leave a gap in the versions (RFC 3264 §8) */
	if (!dialog_can_send(s->dialog) || session_answer_make(s, PURPOSE_OFFER, &whole))
		return;
	err = dialog_send(s->dialog, &(struct dialog_message){ .sdp = whole });
	session_text_wipe(whole);
	if (err == SRS_OK)
		s->reoffer_mono_ns = 0;
}

void
session_hold_apply(struct session *s)
{
	bool paused = s->holds != 0;

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];

		if (r == NULL || r->state != RECORDING_OPEN || r->paused == paused)
			continue;
		if (dataplane_recording_pause(s->all->floor.dataplane, r->handle, paused,
		                              session_cookie(s, COOKIE_RECORDING, i)) == SRS_OK)
			r->paused = paused;
	}
	if (s->reoffer_mono_ns != 0)
		reoffer(s);
}

/* The client did not take our description. Media is as the command says all the same; where its own offers crossed ours,
 * it is told again. */
void
session_hold_refused(struct session *s, unsigned int status)
{
	session_count(s->all, SESSION_OFFERS_REFUSED);
	log_warn("session", "offer_refused", "call_id=%s status=%u", s->call_id, status);
	if (status == 491)
		s->reoffer_mono_ns = reactor_mono_ns() + REOFFER_NS;
}

/* ---- commands ---- */

static unsigned int
hold(struct session *s, uint8_t bit, bool on, const struct deed *d, const char **why)
{
	if (((s->holds & bit) != 0) == on) {
		*why = on ? "that is so already" : "there is nothing to lift: it is not so";
		return 409;
	}
	s->holds = (uint8_t)(on ? s->holds | bit : s->holds & ~bit);
	if (bit == SESSION_HOLD_PAUSE)
		s->reoffer_mono_ns = 1;
	session_hold_apply(s);	/* before anything else can be said: media comes without pause */
	deed_note(s, d, NULL);
	return 200;
}

static bool
is_going(const struct session_stream *st)
{
	return st == NULL || st->doomed || st->state == STREAM_REMOVING;
}

static bool
is_named(const struct session_stream *st, const char *label)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "#%u", st->mline);
	return strcmp(st->label[0] != '\0' ? st->label : number, label) == 0;
}

static void
dropped_keep(struct session *s, const struct session_stream *st)
{
	struct session_dropped *d = &s->dropped[s->n_dropped++];

	(void)snprintf(d->label, sizeof(d->label), "%s", st->label);
	(void)snprintf(d->mid, sizeof(d->mid), "%s", st->mid);
	d->mline = st->mline;
}

/* SDP-04: its m-line gets port 0, now and in each answer to come. A label that is used twice (RFC 4574 §4 forbids it) names
 * both: what is dropped must not go on under the same name. */
static unsigned int
drop(struct session *s, const char *label, const struct deed *d, const char **why)
{
	unsigned int n = 0, n_named = 0;

	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		n += !is_going(s->streams[i]);
		n_named += !is_going(s->streams[i]) && is_named(s->streams[i], label);
	}
	*why = "no stream has this label: give one of those that `sessions ls --json` shows, or #0, #1, ... by m-line";
	if (n_named == 0)
		return 404;
	*why = "it is the last stream: end the session instead";
	if (n == n_named)
		return 409;
	*why = "too many streams were dropped: end the session instead";
	if (n_named > SESSION_DROPPED_MAX - s->n_dropped)
		return 409;
	*why = "";
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		struct session_stream *st = s->streams[i];

		if (is_going(st) || !is_named(st, label))
			continue;
		dropped_keep(s, st);
		session_stream_stop(s, st);
		deed_note(s, d, st);
	}
	s->reoffer_mono_ns = 1;
	return 200;
}

/* Its recordings would go on in the dialog that waits for them. */
static unsigned int
end(struct session *s, const struct deed *d, const char **why)
{
	*why = "another dialog takes the place of this one just now: try again in a second";
	if (s->successor != NULL)
		return 409;
	*why = "";
	deed_note(s, d, NULL);
	return session_dispatch(s, EV_HANG_UP) ? 200 : 409;
}

static unsigned int
obey(struct session *s, const char *verb, const char *stream, struct deed *d, const char **why)
{
	static const struct {
		const char *verb, *event;
		uint8_t bit;
		bool on;
	} holds[] = {
		{ "pause", "paused", SESSION_HOLD_PAUSE, true },
		{ "resume", "resumed", SESSION_HOLD_PAUSE, false },
		{ "mask", "masked", SESSION_HOLD_MASK, true },
		{ "unmask", "unmasked", SESSION_HOLD_MASK, false },
	};

	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		if (strcmp(verb, holds[i].verb) != 0)
			continue;
		d->event = holds[i].event;
		return hold(s, holds[i].bit, holds[i].on, d, why);
	}
	if (strcmp(verb, "drop") == 0) {
		d->event = "dropped";
		return drop(s, stream, d, why);
	}
	if (strcmp(verb, "end") == 0) {
		d->event = "ended";
		return end(s, d, why);
	}
	*why = "no such command: pause, resume, mask, unmask, drop or end";
	return 404;
}

/* @return false: it is there and no text; who did it would be lost */
static bool
text_of(const cJSON *json, const char *name, const char **text)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	*text = cJSON_IsString(item) ? item->valuestring : "";
	return item == NULL || cJSON_IsString(item);
}

unsigned int
session_command(struct session *s, const char *verb, const char *json, const char **why)
{
	/* the whole text: what stands behind an object is no part of it */
	cJSON *body = cJSON_ParseWithOpts(json != NULL && json[0] != '\0' ? json : "{}", NULL, true);
	struct deed d = { .by = "operator" };
	const char *stream;
	unsigned int status;

	*why = "";
	if (!cJSON_IsObject(body) || !text_of(body, "by", &d.name) || !text_of(body, "reason", &d.reason) ||
	    !text_of(body, "stream", &stream)) {
		cJSON_Delete(body);
		*why = "the body is no JSON object of texts: {\"by\": \"who\", \"reason\": \"why\"}";
		return 400;
	}
	if (session_edge_of(s->state, EV_HANG_UP) == NULL) {
		*why = "the call is not being recorded now: it begins or ends";
		status = 409;
	} else {
		status = obey(s, verb, stream, &d, why);
	}
	if (status == 200) {
		session_count(s->all, SESSION_COMMANDS);
		log_info("session", "command", "call_id=%s verb=%s", s->call_id, verb);
	}
	cJSON_Delete(body);
	return status;
}
