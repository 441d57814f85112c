/* The recordings of a session: one for each communication session (docs/architecture.md). R0 is opened at once; the first
 * session_id binds to it, each further one opens its own. A recording is sealed when its communication session is
 * over and others live, else with the dialog. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define NS_PER_S          UINT64_C(1000000000)
#define PART_RETRY_S      10
#define SEAM_RETRY_MS     100	/* while the part before is being sealed */
#define SEGMENT_PATH_MAX  1024

static uint64_t
part_due(const struct session *s)
{
	uint64_t max_s = s->all->floor.config->storage.part_seconds_max;

	return max_s != 0 ? reactor_mono_ns() + max_s * NS_PER_S : UINT64_MAX;
}

static enum srs_err
recording_spec_fill(struct session *s, struct session_recording *r, struct recording_spec *spec)
{
	enum srs_err err = secret_random(r->id, sizeof(r->id));

	if (err)
		return err;
	memcpy(spec->id, r->id, sizeof(spec->id));
	spec->lcore_i = s->lcore_i;
	return keys_take(s->all->floor.keys, r->id, 0, &spec->key);
}

static enum srs_err
recording_open(struct session *s, unsigned int i, const char *cs_id)
{
	struct session_recording *r = calloc(1, sizeof(*r));
	struct recording_spec spec = { 0 };
	enum srs_err err;

	if (r == NULL)
		return SRS_ERR_NOMEM;
	r->i = (uint8_t)i;
	r->state = RECORDING_OPENING;
	r->started_wall_ns = reactor_wall_ns();
	(void)snprintf(r->cs_id, sizeof(r->cs_id), "%s", cs_id);
	err = recording_spec_fill(s, r, &spec);
	if (err == SRS_OK)
		err = dataplane_recording_open(s->all->floor.dataplane, &spec,
		                               session_cookie(s, COOKIE_RECORDING, i), &r->handle);
	secret_wipe(&spec, sizeof(spec));
	if (err) {
		free(r);
		return err;
	}
	s->recordings[i] = r;
	s->document.elsewhere &= (uint16_t)~(1u << i);
	return SRS_OK;
}

static void
recording_drop(struct session *s, struct session_recording *r)
{
	srs_assert(r->n_bound == 0);
	s->recordings[r->i] = NULL;
	free(r);
}

static struct session_recording *
recording_of_cs(const struct session *s, const char *cs_id)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];

		if (r != NULL && !r->doomed && r->state != RECORDING_SEALING &&
		    strncmp(r->cs_id, cs_id, sizeof(r->cs_id) - 1) == 0)
			return r;
	}
	return NULL;
}

static enum srs_err
recording_open_next(struct session *s, const char *cs_id)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		if (s->recordings[i] == NULL)
			return recording_open(s, i, cs_id);
	}
	return SRS_ERR_LIMIT;
}

static struct session_recording *
spare_of(const struct session *s)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];

		if (r != NULL && r->spare && !r->doomed && r->state != RECORDING_SEALING)
			return r;
	}
	return NULL;
}

/* Does metadata say that this stream is of that communication session? */
static bool
is_home(const struct session *s, const struct session_stream *st, const char *cs_id)
{
	const struct metadata_session *cs =
		s->metadata != NULL && st->label[0] != '\0' ? metadata_session_of(s->metadata, st->label) : NULL;

	return cs != NULL && strncmp(cs->id, cs_id, SESSION_CS_ID_MAX - 1) == 0;
}

static bool
has_home_streams(const struct session *s, const struct session_recording *r)
{
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];

		if (st != NULL && !st->doomed && st->state != STREAM_REMOVING && is_home(s, st, r->cs_id))
			return true;
	}
	return false;
}

/* Is there a stream whose call is over? */
static bool
spare_is_wanted(const struct session *s)
{
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];
		const struct metadata_session *cs = NULL;

		if (st != NULL && !st->doomed && st->state != STREAM_REMOVING && s->metadata != NULL && st->label[0] != '\0')
			cs = metadata_session_of(s->metadata, st->label);
		if (cs != NULL && session_cs_is_over(s, cs->id))
			return true;
	}
	return false;
}

static bool
another_lives(const struct session *s, const struct session_recording *than)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		const struct session_recording *r = s->recordings[i];

		if (r != NULL && r != than && !r->doomed && r->state == RECORDING_OPEN && r->over_mono_ns == 0)
			return true;
	}
	return false;
}

static void
mark_over(struct session *s)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];
		bool over = r != NULL && r->cs_id[0] != '\0' && session_cs_is_over(s, r->cs_id);

		if (r != NULL && over != (r->over_mono_ns != 0))
			r->over_mono_ns = over ? reactor_mono_ns() : 0;
	}
}

/* Seal those whose communication session is over, once another recording takes what their streams still bring: the
 * recording of the call that the metadata moved them to, or a spare one. Another call's recording is no place for them. */
static void
recordings_retire(struct session *s)
{
	const struct session_recording *spare = spare_of(s);

	mark_over(s);
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];
		bool over = r != NULL && r->over_mono_ns != 0 &&
		            ((spare != NULL && spare->state == RECORDING_OPEN) || !has_home_streams(s, r));

		if (r == NULL || r->doomed || !another_lives(s, r))
			continue;
		if (over || (r == spare && r->state == RECORDING_OPEN && r->n_bound == 0 && !spare_is_wanted(s))) {
			r->doomed = true;
			(void)snprintf(r->reason, sizeof(r->reason), "%s", r == spare ? "idle" : "cs_ended");
		}
	}
}

uint64_t
session_recordings_linger_due(const struct session *s)
{
	uint64_t linger_ns = s->all->floor.config->session.linger_s * NS_PER_S, due = UINT64_MAX;

	if (linger_ns == 0 || spare_of(s) != NULL)
		return UINT64_MAX;
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		const struct session_recording *r = s->recordings[i];
		uint64_t its = r != NULL && !r->doomed && r->state == RECORDING_OPEN && r->over_mono_ns != 0
		                       ? r->over_mono_ns + linger_ns : UINT64_MAX;

		if (its < s->linger_again_mono_ns)
			its = s->linger_again_mono_ns;
		due = its < due ? its : due;
	}
	return due;
}

/* The recording that was just opened for nobody. */
static void
spare_mark(struct session *s)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];

		if (r == NULL || r->state != RECORDING_OPENING || r->cs_id[0] != '\0')
			continue;
		r->spare = true;
		(void)snprintf(r->reason, sizeof(r->reason), "idle");	/* unless a call takes it */
		s->document.elsewhere |= (uint16_t)(1u << i);	/* of calls that are over */
	}
}

/* A persistent recording session may begin before its first call (RFC 7866 §10): the metadata names nobody. */
static bool
begins_idle(const struct session *s)
{
	return s->metadata != NULL && s->metadata->n_sessions == 0 && s->metadata->n_participants == 0;
}

void
session_recordings_linger(struct session *s)
{
	uint64_t now = reactor_mono_ns();

	if (session_recordings_linger_due(s) > now)
		return;
	s->linger_again_mono_ns = now + PART_RETRY_S * NS_PER_S;	/* should there be no room */
	if (recording_open_next(s, "") != SRS_OK) {
		log_warn("session", "recording_refused", "call_id=%s: what is over is sealed later", s->call_id);
		return;
	}
	spare_mark(s);
}

bool
session_recordings_live(const struct session *s)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		const struct session_recording *r = s->recordings[i];

		if (r != NULL && !r->doomed && !r->spare && r->over_mono_ns == 0)
			return true;
	}
	return false;
}

/* A recording that is nobody's yet, for this communication session. A spare one may hold streams of another. */
static struct session_recording *
unbound_for(const struct session *s, const char *cs_id)
{
	struct session_recording *r = recording_of_cs(s, "");

	for (unsigned int i = 0; r != NULL && r->spare && i < SESSION_STREAMS_MAX; i++) {
		const struct session_stream *st = s->streams[i];

		if (st != NULL && (st->recording == r || st->moving_to == r) && !is_home(s, st, cs_id))
			return NULL;
	}
	return r;
}

static void
recording_bind(struct session_recording *r, const char *cs_id)
{
	(void)snprintf(r->cs_id, sizeof(r->cs_id), "%s", cs_id);
	if (!r->spare)
		return;
	r->spare = false;
	r->reason[0] = '\0';
	r->started_wall_ns = reactor_wall_ns();
}

enum srs_err
session_recordings_plan(struct session *s)
{
	enum srs_err err = SRS_OK;

	if (session_recordings_n(s) == 0) {
		err = recording_open_next(s, "");
		if (err == SRS_OK && begins_idle(s)) {
			spare_mark(s);
			s->document.elsewhere = 0;	/* no other recording has it */
		}
	}
	for (unsigned int i = 0; err == SRS_OK && s->metadata != NULL && i < s->metadata->n_sessions; i++) {
		const char *cs_id = s->metadata->sessions[i].id;
		struct session_recording *unbound = unbound_for(s, cs_id);

		if (cs_id[0] == '\0' || recording_of_cs(s, cs_id) != NULL || session_cs_is_over(s, cs_id))
			continue;
		if (unbound != NULL)
			recording_bind(unbound, cs_id);
		else if (recording_open_next(s, cs_id) != SRS_OK)
			err = SRS_ERR_LIMIT;
		s->call_mono_ns = reactor_mono_ns();
	}
	if (err && session_recordings_n(s) != 0)
		log_warn("session", "recordings_bounded", "call_id=%s sessions=%u: at most %d recordings at a time, the rest "
		         "stays in the first", s->call_id, s->metadata != NULL ? s->metadata->n_sessions : 0,
		         SESSION_RECORDINGS_MAX);
	recordings_retire(s);
	/* only R0 is a must: without the others their streams stay in it */
	return session_recordings_n(s) == 0 ? (err ? err : SRS_ERR_LIMIT) : SRS_OK;
}

struct session_recording *
session_recording_for(const struct session *of, const char *label)
{
	const struct session *s = session_replace_recorder(of);
	const struct metadata_session *cs =
		s->metadata != NULL && label[0] != '\0' ? metadata_session_of(s->metadata, label) : NULL;
	struct session_recording *own = cs != NULL && cs->id[0] != '\0' ? recording_of_cs(s, cs->id) : NULL;

	/* one that waits for its pause takes nothing yet */
	if (own != NULL && own->state == RECORDING_OPEN && own->paused == (s->holds != 0))
		return own;
	own = cs != NULL ? spare_of(s) : NULL;	/* its call is over */
	if (own != NULL && own->state == RECORDING_OPEN && session_cs_is_over(s, cs->id))
		return own;
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];

		if (r != NULL && r->state == RECORDING_OPEN && !r->doomed)
			return r;
	}
	return NULL;
}

unsigned int
session_recordings_in(const struct session *s, enum session_recording_state state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++)
		n += s->recordings[i] != NULL && s->recordings[i]->state == state;
	return n;
}

unsigned int
session_recordings_n(const struct session *s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++)
		n += s->recordings[i] != NULL;
	return n;
}

void
session_recordings_doom(struct session *s, const char *reason)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];

		if (r == NULL)
			continue;
		r->doomed = true;
		if (r->reason[0] == '\0')
			(void)snprintf(r->reason, sizeof(r->reason), "%s", reason[0] != '\0' ? reason : "ended");
	}
}

/* A full command ring is tried again with the next event or tick. */
void
session_recordings_reap(struct session *s)
{
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];
		enum srs_err err;

		if (r == NULL || !r->doomed || r->state != RECORDING_OPEN || r->part_pending || r->n_bound != 0)
			continue;
		err = dataplane_recording_seal(s->all->floor.dataplane, r->handle, r->reason,
		                               session_cookie(s, COOKIE_RECORDING, i));
		if (err == SRS_OK)
			r->state = RECORDING_SEALING;
		else if (err != SRS_ERR_LIMIT && err != SRS_ERR_NOMEM)
			log_error("session", "seal_refused", "call_id=%s err=%s", s->call_id, srs_err_name(err));
	}
}

void
session_recordings_roll(struct session *s)
{
	uint64_t now = reactor_mono_ns();

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];
		struct part_key key = { 0 };
		enum srs_err err;

		if (r == NULL || r->state != RECORDING_OPEN || r->doomed ||
		    (r->part_due_mono_ns > now && r->seam != SEAM_DUE))
			continue;
		r->part_due_mono_ns = now + PART_RETRY_S * NS_PER_S;	/* moved on by EVENT_PART_STARTED */
		if (r->part_pending)
			continue;
		err = keys_take(s->all->floor.keys, r->id, r->part + 1, &key);
		if (err == SRS_OK)
			err = dataplane_part_start(s->all->floor.dataplane, r->handle, &key, r->seam == SEAM_DUE,
			                           session_cookie(s, COOKIE_RECORDING, i));
		secret_wipe(&key, sizeof(key));
		r->part_pending = err == SRS_OK;
		if (err == SRS_OK && r->seam == SEAM_DUE)
			r->seam = SEAM_ASKED;
		if (err)
			log_warn("session", "part_refused", "call_id=%s part=%" PRIu32 " err=%s: tried again in %d s",
			         s->call_id, r->part + 1, srs_err_name(err), PART_RETRY_S);
	}
}

/* ---- the catalog ---- */

static void
catalog_post(struct sessions *all, enum srs_err err)
{
	if (err == SRS_OK)
		return;
	session_count(all, SESSION_CATALOG_LOST);
	log_error("session", "catalog_row_lost", "err=%s: capstan fsck --rebuild restores it", srs_err_name(err));
}

static void
recording_row_post(struct session *s, const struct session_recording *r)
{
	const struct metadata_session *cs = session_cs_of(s, r);
	char *participants = session_participants_json(s, r);
	char *streams = session_streams_json(s, r);
	char rs_id[2 * REEL_ID_SIZE + 1];
	struct catalog_recording row = {
		.state = "recording",
		.rs_id = rs_id,
		.cs_id = r->cs_id,
		.group_id = cs != NULL ? cs->group_ref : "",
		.session_ids = cs != NULL ? cs->sip_session_id : "",
		.call_id = s->call_id,
		.src_address = s->source,
		.src_agent = s->agent,
		.participants_json = participants,
		.streams_json = streams,
		.started_wall_ns = (int64_t)r->started_wall_ns,
		.n_streams = r->n_streams_ever,
		.n_parts = r->part + 1,
		.n_deviations = s->n_deviations,
	};

	memcpy(row.id, r->id, sizeof(row.id));
	session_hex(s->rs_id, rs_id);
	catalog_post(s->all, catalog_post_recording(s->all->floor.catalog, &row));
	free(participants);
	free(streams);
}

void
session_recordings_publish(const struct session *cs)
{
	struct session *s = cs->all->slots[cs->slot];	/* the scratch of `all` is written, the session is not */

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		const struct session_recording *r = s->recordings[i];

		if (r != NULL && r->state == RECORDING_OPEN && !session_cs_is_forgotten(s, r))
			recording_row_post(s, r);
	}
}

static void
sealed_row_post(struct sessions *all, const struct dataplane_event *e, const uint8_t id[REEL_ID_SIZE],
                const char *state, const char *reason)
{
	struct catalog_recording row = {
		.state = state,
		.reason = reason,
		.ended_wall_ns = (int64_t)e->u.sealed.last_wall_ns,
		.n_parts = e->part + 1,
		.n_frames = e->u.sealed.n_frames,
		.bytes = e->u.sealed.bytes,
		.missing = e->u.sealed.missing,
		.lost_upstream = e->u.sealed.lost_upstream,
	};

	memcpy(row.id, id, sizeof(row.id));
	memcpy(row.seal_digest, e->u.sealed.digest, sizeof(row.seal_digest));
	catalog_post(all, catalog_post_recording(all->floor.catalog, &row));
}

/* ---- events ---- */

static void
on_opened(struct session *s, struct session_recording *r, const struct dataplane_event *e)
{
	if (e->err) {
		s->refused = e->err;
		log_warn("session", "recording_refused", "call_id=%s err=%s", s->call_id, srs_err_name(e->err));
		recording_drop(s, r);
		return;
	}
	r->state = RECORDING_OPEN;
	r->part_due_mono_ns = part_due(s);
	session_count(s->all, SESSION_RECORDINGS);
	if (s->state == SESSION_OFFERED || s->state == SESSION_ARMED)
		return;		/* session_arm() writes the first documents */
	session_note_all(s, r);
	session_describe(s, r);
	recording_row_post(s, r);
	if (s->state == SESSION_DRAINING || s->state == SESSION_FAILED)
		return;		/* it came too late for frames, and is sealed with what it is about */
	recordings_retire(s);
	session_timer_arm(s);
}

static void
on_part_started(struct session *s, struct session_recording *r, const struct dataplane_event *e)
{
	bool seam = r->seam == SEAM_ASKED;

	r->part_pending = false;
	if (seam) {
		r->seam = e->err ? SEAM_DUE : SEAM_NONE;	/* tried again at part_due */
		session_note_all(s, r);		/* of the new dialog */
		session_describe(s, r);
	}
	if (e->err) {
		if (r->seam == SEAM_DUE && e->err == SRS_ERR_STATE && !r->doomed) {	/* replaced twice within a moment */
			r->part_due_mono_ns = reactor_mono_ns() + SEAM_RETRY_MS * (NS_PER_S / 1000);
			session_timer_arm(s);
		} else {
			log_warn("session", "part_failed", "call_id=%s err=%s", s->call_id, srs_err_name(e->err));
		}
		return;
	}
	r->part++;
	r->part_due_mono_ns = part_due(s);
	if (s->state != SESSION_RECORDING && s->state != SESSION_PAUSED)
		return;
	if (r->seam == SEAM_DUE)
		session_recordings_roll(s);	/* this part was on its way before */
	else if (!seam)
		session_describe(s, r);		/* a part can be read by itself */
	session_timer_arm(s);
}

static void
on_sealed(struct session *s, struct session_recording *r, const struct dataplane_event *e)
{
	char id[2 * REEL_ID_SIZE + 1];

	session_hex(r->id, id);
	if (e->err) {
		session_count(s->all, SESSION_SEAL_FAILED);
		log_error("session", "seal_failed", "recording=%s err=%s: the next start seals it as interrupted", id,
		          srs_err_name(e->err));
	} else {
		session_count(s->all, SESSION_SEALED_COUNT);
		sealed_row_post(s->all, e, r->id, "sealed", r->reason);
		log_info("session", "sealed",
		         "recording=%s reason=%s frames=%" PRIu64 " missing=%" PRIu64 " lost_upstream=%" PRIu64, id,
		         r->reason, e->u.sealed.n_frames, e->u.sealed.missing, e->u.sealed.lost_upstream);
	}
	recording_drop(s, r);
}

void
session_recording_on_event(struct session *s, unsigned int i, const struct dataplane_event *e)
{
	struct session_recording *r = i < SESSION_RECORDINGS_MAX ? s->recordings[i] : NULL;

	if (r == NULL)
		return;
	if (e->kind == EVENT_RECORDING_OPENED && r->state == RECORDING_OPENING)
		on_opened(s, r, e);
	else if (e->kind == EVENT_PART_STARTED)
		on_part_started(s, r, e);
	else if (e->kind == EVENT_RECORDING_SEALED && r->state == RECORDING_SEALING)
		on_sealed(s, r, e);
}

static void
segment_path(const struct sessions *all, const struct dataplane_event *e, bool finished, char path[SEGMENT_PATH_MAX])
{
	(void)snprintf(path, SEGMENT_PATH_MAX, "%s/segments/%" PRIu32 "-%08" PRIu64 ".%s",
	               all->floor.config->storage.devices[e->u.segment.device_i], e->u.segment.device_i,
	               e->u.segment.sequence, finished ? "seg" : "open");
}

static void
segment_row_post(struct sessions *all, const struct dataplane_event *e, bool finished)
{
	char path[SEGMENT_PATH_MAX];
	struct catalog_segment row = {
		.path = path,
		.device_i = e->u.segment.device_i,
		.sequence = e->u.segment.sequence,
		.state = finished ? "finished" : "open",
		.n_slots_used = e->u.segment.n_slots_used,
	};

	segment_path(all, e, finished, path);
	memcpy(row.uuid, e->u.segment.uuid, sizeof(row.uuid));
	memcpy(row.digest, e->u.segment.digest, sizeof(row.digest));
	catalog_post(all, catalog_post_segment(all->floor.catalog, &row));
}

static void
segment_on_event(struct sessions *all, const struct dataplane_event *e)
{
	if (e->u.segment.device_i < all->floor.config->storage.n_devices)
		segment_row_post(all, e, e->kind == EVENT_SEGMENT_FINISHED);
}

void
session_recordings_on_stray(struct sessions *all, const struct dataplane_event *e)
{
	switch (e->kind) {
	case EVENT_RECORDING_PLACED:
		catalog_post(all, catalog_post_placed(all->floor.catalog, e->recording_id, e->u.segment.uuid));
		break;
	case EVENT_SEGMENT_OPENED:
	case EVENT_SEGMENT_FINISHED:
		segment_on_event(all, e);
		break;
	case EVENT_RECORDING_SEALED:	/* left open by an earlier process */
		if (e->u.sealed.interrupted)
			session_count(all, SESSION_INTERRUPTED);
		sealed_row_post(all, e, e->recording_id, e->u.sealed.interrupted ? "interrupted" : "sealed",
		                e->u.sealed.interrupted ? "interrupted" : NULL);
		break;
	case EVENT_DEVICE_FULL:
	case EVENT_DEVICE_FAILED:
		log_error("storage", e->kind == EVENT_DEVICE_FULL ? "device_full" : "device_failed",
		          "device=%" PRIu32 ": frames become counted gaps, new calls get 503", e->u.segment.device_i);
		break;
	case EVENT_DEVICE_ROOM:
		log_info("storage", "device_room", "device=%" PRIu32 ": recording goes on", e->u.segment.device_i);
		break;
	default:
		break;
	}
}
