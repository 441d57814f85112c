/* Metadata as a session takes it: whatever a document breaks is noted, and media never waits for it (META-23). */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/srs_log.h"

#define WHY_MAX 256

static void
raw_keep(struct session *s, struct span bytes)
{
	char *copy = malloc(bytes.len + 1);

	if (copy == NULL) {
		session_count(s->all, SESSION_NOTES_LOST);
		return;
	}
	if (bytes.len != 0)
		memcpy(copy, bytes.bytes, bytes.len);
	copy[bytes.len] = '\0';
	free((void *)(uintptr_t)s->metadata_raw.bytes);
	s->metadata_raw = span_of(copy, bytes.len);
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

static enum srs_err
document_apply(struct session *s, struct span xml, char why[WHY_MAX])
{
	const char *labels[OFFER_MEDIA_MAX];
	struct metadata *m = NULL;
	enum srs_err err = metadata_parse(&m, xml, why, WHY_MAX);

	free(s->metadata_deviations);
	s->metadata_deviations = NULL;
	if (err)
		return err;
	if (!m->partial)
		metadata_check_labels(m, labels, labels_gather(s, labels));
	s->n_deviations += m->n_deviations;
	if (m->n_deviations != 0)
		s->metadata_deviations = metadata_deviations_json(m);
	err = metadata_apply(&s->metadata, m);	/* takes m */
	if (err)
		(void)strcpy(why, "a partial update refers to what is not known here, send a complete one");
	return err;
}

void
session_metadata_take(struct session *s)
{
	struct span xml = s->all->body.metadata->bytes;
	char why[WHY_MAX] = "";
	enum srs_err err;

	raw_keep(s, xml);
	err = document_apply(s, xml, why);
	if (err) {
		session_count(s->all, SESSION_METADATA_BAD);
		s->n_deviations++;
		log_warn("session", "metadata_refused", "call_id=%s bytes=%zu err=%s", s->call_id, xml.len,
		         srs_err_name(err));
		if (s->metadata_deviations == NULL)
			s->metadata_deviations = session_deviation_json(0, "", why);
	} else {
		session_count(s->all, SESSION_METADATA);
	}
	session_note(s, NULL, REEL_FRAME_METADATA, s->metadata_raw);
	if (s->metadata_deviations != NULL)
		session_note(s, NULL, REEL_FRAME_DEVIATIONS, span_of_text(s->metadata_deviations));
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
	return true;	/* a complete document that no longer has it (RFC 7865 §6.1) */
}
