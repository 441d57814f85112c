/* A dialog that takes another one's place (RFC 3891): a call that a standby SRC took over, or one that moved. The new
 * dialog has a session of its own, with the old one's lcore. While its ports are armed it waits, and records into the
 * old one's recordings; failing, it leaves nothing behind. When they are, it takes those recordings over: they go on
 * under their ids in a new part behind a SEAM mark. Then it is answered, and only then the old dialog hears BYE. What
 * the old streams still bring until the ACK is recorded as well. Should the old dialog end while the new one waits, the
 * recordings change hands at once. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/srs_assert.h"
#include "lib/srs_log.h"

bool
session_replace_allows(const struct session *old, struct sip_refusal *why)
{
	bool records = old != NULL && session_edge_of(old->state, EV_REPLACED) != NULL;

	if (records && old->successor == NULL)
		return true;
	if (records)
		*why = (struct sip_refusal){ .status = 500, .retry_after_s = 1,
			                     .warning = "The dialog is being replaced already, try again" };
	else
		*why = (struct sip_refusal){ .status = 481, .warning = "The dialog to be replaced does not record any more" };
	return false;
}

/* One call more for a moment, and then as many as before: bounds of whole calls do not count it. */
void
session_replace_admit(struct admission_view *v)
{
	v->sessions -= v->sessions != 0;
	v->src_sessions_max = 0;
	v->draining = false;		/* the call is in progress */
	if (v->room.sessions_free == 0)
		v->room.sessions_free = 1;	/* no recording is opened */
}

enum srs_err
session_replace_wait(struct session *s, struct session *old)
{
	const struct body_part *document = s->all->body.metadata;

	if (document != NULL) {		/* about what the old one knows, so it is read when that is here */
		uint8_t *copy = malloc(document->bytes.len + 1);

		if (copy == NULL)
			return SRS_ERR_NOMEM;
		memcpy(copy, document->bytes.bytes, document->bytes.len);
		s->document_waiting = span_of(copy, document->bytes.len);
	}
	s->replaces = true;
	s->predecessor = old;
	old->successor = s;
	s->lcore_i = old->lcore_i;
	memcpy(s->rs_id, old->rs_id, sizeof(s->rs_id));
	s->started_wall_ns = old->started_wall_ns;	/* limits.call_seconds_max counts both */
	s->started_mono_ns = old->started_mono_ns;
	s->call_mono_ns = old->call_mono_ns;
	return SRS_OK;
}

const struct session *
session_replace_recorder(const struct session *s)
{
	return s->predecessor != NULL && !s->took_over ? s->predecessor : s;
}

/* What is being sealed stays where it is. Metadata goes along: a partial document refers to it, and without one it
 * still says who is in the call. */
static void
take_over(struct session *s)
{
	struct session *old = s->predecessor;

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = old->recordings[i];

		if (r == NULL || r->doomed || r->state == RECORDING_SEALING)
			continue;
		srs_assert(s->recordings[i] == NULL);
		s->recordings[i] = r;
		old->recordings[i] = NULL;
	}
	s->took_over = true;
	session_hold_carry(s, old);
	s->metadata = old->metadata;
	s->document = old->document;
	s->n_deviations += old->n_deviations;
	old->metadata = NULL;
	if (old->snapshot.awaited)	/* what was asked there does not come here */
		session_snapshot_want(s, "metadata was lost with another dialog");
	old->document = (struct session_document){ 0 };
}

static void
unlink_both(struct session *old, struct session *s)
{
	old->successor = NULL;
	s->predecessor = NULL;
}

/* The document that the INVITE brought, as one that an UPDATE brings. */
static void
document_take(struct session *s)
{
	struct body *b = &s->all->body;

	if (s->document_waiting.bytes == NULL)
		return;
	memset(b, 0, sizeof(*b));
	b->parts[0] = (struct body_part){ .kind = BODY_METADATA, .bytes = s->document_waiting };
	b->n_parts = 1;
	b->metadata = &b->parts[0];
	session_metadata_take(s);
	memset(b, 0, sizeof(*b));
	free((void *)(uintptr_t)s->document_waiting.bytes);
	s->document_waiting = (struct span){ 0 };
	if (session_recordings_plan(s))
		log_warn("session", "recording_refused", "call_id=%s: streams stay where they are", s->call_id);
}

void
session_replace_take(struct session *s)
{
	if (s->predecessor != NULL && !s->took_over)
		take_over(s);
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		struct session_recording *r = s->recordings[i];

		if (r == NULL || r->doomed || r->state != RECORDING_OPEN)
			continue;
		r->reason[0] = '\0';	/* of the old dialog's end: not the recording's after all */
		r->seam = SEAM_DUE;
	}
	session_recordings_roll(s);
	s->hushed = true;
	document_take(s);
	log_info("session", "replaced", "call_id=%s by=%s",
	         s->predecessor != NULL ? s->predecessor->call_id : "", s->call_id);
}

void
session_replace_done(struct session *s)
{
	struct session *old = s->predecessor;

	s->hushed = false;
	if (old == NULL)
		return;
	(void)session_dispatch(old, EV_REPLACED);
	session_settle(old);
}

/* The old streams go: the peer has our answer, or it will never have it. */
static void
predecessor_release(struct session *s)
{
	struct session *old = s->predecessor;

	if (old == NULL)
		return;
	unlink_both(old, s);
	if (!s->took_over)
		return;		/* never replaced: it goes on as it was */
	session_streams_doom(old);
	session_settle(old);
}

void
session_replace_confirmed(struct session *s)
{
	predecessor_release(s);
}

void
session_replace_end(struct session *s)
{
	struct session *next = s->successor;

	if (next != NULL && !next->took_over) {
		take_over(next);
		for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
			struct session_recording *r = next->recordings[i];

			if (r != NULL && r->reason[0] == '\0')	/* should nothing come of it */
				memcpy(r->reason, s->reason, sizeof(r->reason));
		}
	}
	if (next != NULL)
		unlink_both(s, next);
	predecessor_release(s);
}

void
session_replace_unlink(struct session *s)
{
	if (s->predecessor != NULL)
		unlink_both(s->predecessor, s);
	if (s->successor != NULL)
		unlink_both(s, s->successor);
	free((void *)(uintptr_t)s->document_waiting.bytes);
}

struct session *
session_replace_holder(struct sessions *all, struct session *asked, const struct dataplane_event *e)
{
	unsigned int i = (uint8_t)e->cookie;

	if (i >= SESSION_RECORDINGS_MAX)
		return NULL;
	if (asked != NULL && asked->recordings[i] != NULL && asked->recordings[i]->handle == e->recording)
		return asked;
	for (uint32_t k = 0; k < all->n_slots; k++) {	/* it changed hands while the event was on its way: seldom */
		struct session *s = all->slots[k];

		if (s != NULL && s->replaces && s->recordings[i] != NULL && s->recordings[i]->handle == e->recording)
			return s;
	}
	return NULL;
}
