/* Metadata as a session takes it: whatever a document breaks is noted, and media never waits for it (META-23). */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/srs_log.h"

#define WHY_MAX      256
#define RECEIPT_ROOM 256

/* What became of a document. */
struct fate {
	bool read;		/* else the next two say nothing */
	bool partial;
	enum metadata_dialect dialect;
	bool held;		/* kept and not applied, since a complete one is awaited */
	enum srs_err err;	/* OK: applied */
	char why[WHY_MAX];	/* one sentence when not */
};

void
session_document_free(struct session_document *d)
{
	free((void *)(uintptr_t)d->raw.bytes);
	free(d->receipt);
	free(d->deviations);
	d->raw = (struct span){ 0 };
	d->receipt = d->deviations = NULL;
}

/* What is longer than a frame may be is read all the same; only its receipt is kept. */
static void
raw_keep(struct session *s, struct span bytes)
{
	char *copy = bytes.len <= REEL_DOCUMENT_MAX ? malloc(bytes.len + 1) : NULL;

	if (copy == NULL) {
		session_count(s->all, SESSION_NOTES_LOST);
		return;
	}
	if (bytes.len != 0)
		memcpy(copy, bytes.bytes, bytes.len);
	copy[bytes.len] = '\0';
	s->document.raw = span_of(copy, bytes.len);
}

/* docs/format.md, RECEIPT. */
static char *
receipt_json(const struct session *s, const struct fate *f, struct span xml, uint64_t received_wall_ns)
{
	struct json j;

	json_begin(&j, RECEIPT_ROOM);
	json_object(&j, NULL);
	json_number(&j, "version", s->document.version);
	json_number(&j, "received_wall_ns", received_wall_ns);
	json_number(&j, "bytes", xml.len);
	json_bool(&j, "kept", s->document.raw.bytes != NULL);
	json_text(&j, "datamode", !f->read ? "" : f->partial ? "partial" : "complete");
	json_text(&j, "dialect", f->read ? metadata_dialect_name(f->dialect) : "");
	json_bool(&j, "applied", f->err == SRS_OK);
	json_text(&j, "reason", f->err == SRS_OK ? "" : f->why);
	json_object_end(&j);
	return json_end(&j);
}

/* The labels that the document has to name: those of the offer beside it, else of the streams there are. */
static unsigned int
labels_gather(struct session *s, const char *labels[OFFER_MEDIA_MAX])
{
	unsigned int n = 0;

	if (s->all->body.sdp != NULL) {
		for (unsigned int i = 0; i < s->all->offer.n_media; i++) {
			if (s->all->offer.media[i].label[0] != '\0')
				labels[n++] = s->all->offer.media[i].label;
		}
		return n;
	}
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX && n < OFFER_MEDIA_MAX; i++) {
		if (s->streams[i] != NULL && !s->streams[i]->doomed && s->streams[i]->label[0] != '\0')
			labels[n++] = s->streams[i]->label;
	}
	return n;
}

/* A document that cannot be read may be about anything. */
static uint16_t
elsewhere_of(const struct session *s, const struct metadata *m)
{
	uint16_t elsewhere = 0;

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		const struct session_recording *r = s->recordings[i];

		if (r != NULL && !metadata_speaks_of(s->metadata, m, r->cs_id, sizeof(r->cs_id) - 1))
			elsewhere |= (uint16_t)(1u << i);
	}
	return elsewhere;
}
static_assert(SESSION_RECORDINGS_MAX <= 16, "a bit of session_document.elsewhere for each");

static void
document_observe(const struct session *s, const struct metadata *m)
{
	dialog_observe_dialect(s->dialog, metadata_dialect_name(m->dialect));
	if (m->partial)
		dialog_observe(s->dialog, OBSERVED_PARTIAL);
	for (unsigned int i = 0; i < m->n_deviations; i++)
		dialog_observe_rule(s->dialog, m->deviations[i].rule);
}

static void
document_apply(struct session *s, struct span xml, struct fate *f)
{
	const char *labels[OFFER_MEDIA_MAX];
	struct metadata *m = NULL;

	f->err = metadata_parse(&m, xml, f->why, sizeof(f->why));
	if (f->err)
		return;
	f->read = true;
	f->partial = m->partial;
	f->dialect = m->dialect;
	s->document.elsewhere = elsewhere_of(s, m);
	if (!m->partial)
		metadata_check_labels(m, labels, labels_gather(s, labels));
	s->n_deviations += m->n_deviations;
	document_observe(s, m);
	if (m->n_deviations != 0)
		s->document.deviations = metadata_deviations_json(m);
	if (m->partial && s->snapshot.awaited) {	/* RFC 7866 §9.2 */
		metadata_free(m);
		f->held = true;
		f->err = SRS_ERR_STATE;
		(void)strcpy(f->why, "a complete document is awaited, and what comes before it may build on what is not known here");
		return;
	}
	f->err = metadata_apply(&s->metadata, m);	/* takes m */
	if (f->err == SRS_ERR_LIMIT)
		(void)snprintf(f->why, sizeof(f->why), "more than %d items of a kind would remain, send a complete document",
		               METADATA_ITEMS_MAX);
	else if (f->err)
		(void)strcpy(f->why, "a partial update refers to what is not known here, send a complete document");
}

void
session_metadata_note(struct session *s, struct session_recording *only)
{
	struct session_document *d = &s->document;

	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX && d->version != 0; i++) {
		struct session_recording *r = s->recordings[i];

		if (r == NULL || (only != NULL && r != only) || (d->elsewhere & 1u << i) != 0)
			continue;
		if (d->receipt != NULL)
			session_note(s, r, REEL_FRAME_RECEIPT, span_of_text(d->receipt));
		if (d->raw.bytes != NULL)
			session_note(s, r, REEL_FRAME_METADATA, d->raw);
		if (d->deviations != NULL)
			session_note(s, r, REEL_FRAME_DEVIATIONS, span_of_text(d->deviations));
	}
}

void
session_metadata_take(struct session *s)
{
	struct span xml = s->all->body.metadata->bytes;
	uint64_t received_wall_ns = reactor_wall_ns();
	struct fate f = { .read = false };

	session_document_free(&s->document);
	dialog_observe(s->dialog, OBSERVED_DOCUMENTS);
	s->document.version++;
	s->document.elsewhere = 0;
	raw_keep(s, xml);
	document_apply(s, xml, &f);
	if (f.held) {
		session_count(s->all, SESSION_METADATA_HELD);
	} else if (f.err) {
		session_count(s->all, SESSION_METADATA_BAD);
		dialog_observe(s->dialog, OBSERVED_UNREAD);
		dialog_observe_rule(s->dialog, f.read ? "a metadata document that does not apply to what is known" :
		                    "a metadata document that cannot be read");
		s->n_deviations++;
		log_warn("session", "metadata_refused", "call_id=%s bytes=%zu err=%s", s->call_id, xml.len,
		         srs_err_name(f.err));
		if (s->document.deviations == NULL)
			s->document.deviations = session_deviation_json(0, "", f.why);
		if (f.read && f.partial)
			session_snapshot_want(s, "a partial update does not fit what is known here");
		else
			session_snapshot_unusable(s, "a document could not be read");
	} else {
		session_count(s->all, SESSION_METADATA);
		if (!f.partial)
			session_snapshot_came(s);
	}
	s->document.receipt = receipt_json(s, &f, xml, received_wall_ns);
	if (s->document.receipt == NULL)
		session_count(s->all, SESSION_NOTES_LOST);
	session_metadata_note(s, NULL);
}

static bool
time_is_set(const struct metadata_time *t)
{
	return t->wall_ns != 0 || (t->text != NULL && t->text[0] != '\0');
}

bool
session_cs_is_over(const struct session *s, const char *cs_id)
{
	if (s->metadata == NULL)
		return false;
	for (unsigned int i = 0; i < s->metadata->n_sessions; i++) {
		const struct metadata_session *cs = &s->metadata->sessions[i];

		if (strncmp(cs->id, cs_id, SESSION_CS_ID_MAX - 1) == 0)
			return time_is_set(&cs->stop) || time_is_set(&cs->disassociated);
	}
	return true;	/* a complete document that no longer has it (RFC 7866 §9.1) */
}
