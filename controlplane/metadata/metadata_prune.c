/* What a state may forget. A recording session that lives for months hears of thousands of calls in partial documents, and
 * a state holds METADATA_ITEMS_MAX of a kind: then what is over goes, unless the document in hand still speaks of it. */
#include "controlplane/metadata/metadata.h"

#include <string.h>

#include "controlplane/metadata/metadata_items.h"

static bool
is_set(const struct metadata_time *t)
{
	return t->text[0] != '\0';
}

static bool
names_session(const struct metadata *u, const char *id)
{
	bool named = false;

	for (unsigned int i = 0; i < u->n_sessions; i++)
		named |= strcmp(u->sessions[i].id, id) == 0;
	for (unsigned int i = 0; i < u->n_streams; i++)
		named |= strcmp(u->streams[i].session, id) == 0;
	for (unsigned int i = 0; i < u->n_participant_sessions; i++)
		named |= strcmp(u->participant_sessions[i].session, id) == 0;
	return named;
}

static bool
sending_has(const struct metadata_participant_stream *a, const char *id)
{
	bool has = false;

	for (unsigned int k = 0; k < a->n_send; k++)
		has |= strcmp(a->send[k], id) == 0;
	for (unsigned int k = 0; k < a->n_recv; k++)
		has |= strcmp(a->recv[k], id) == 0;
	return has;
}

static bool
names_stream(const struct metadata *u, const char *id)
{
	bool named = false;

	for (unsigned int i = 0; i < u->n_streams; i++)
		named |= strcmp(u->streams[i].id, id) == 0;
	for (unsigned int i = 0; i < u->n_participant_streams; i++)
		named |= sending_has(&u->participant_streams[i], id);
	return named;
}

static bool
names_participant(const struct metadata *m, const char *id)
{
	bool named = false;

	for (unsigned int i = 0; i < m->n_participant_sessions; i++)
		named |= strcmp(m->participant_sessions[i].participant, id) == 0;
	for (unsigned int i = 0; i < m->n_participant_streams; i++)
		named |= strcmp(m->participant_streams[i].participant, id) == 0;
	return named;
}

static bool
has_session(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_sessions; i++) {
		if (strcmp(m->sessions[i].id, id) == 0)
			return true;
	}
	return false;
}

static bool
has_stream_of(const struct metadata *m, const struct metadata_participant_stream *a)
{
	for (unsigned int i = 0; i < m->n_streams; i++) {
		if (sending_has(a, m->streams[i].id))
			return true;
	}
	return false;
}

static void
prune_sessions(struct metadata *s, const struct metadata *u)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < s->n_sessions; i++) {
		struct metadata_session *cs = &s->sessions[i];

		if ((is_set(&cs->stop) || is_set(&cs->disassociated)) && !names_session(u, cs->id))
			metadata_session_free(cs);
		else
			s->sessions[kept++] = *cs;
	}
	s->n_sessions = kept;
}

static void
prune_streams(struct metadata *s, const struct metadata *u)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < s->n_streams; i++) {
		struct metadata_stream *st = &s->streams[i];

		if (st->session[0] != '\0' && !has_session(s, st->session) && !names_stream(u, st->id))
			metadata_stream_free(st);
		else
			s->streams[kept++] = *st;
	}
	s->n_streams = kept;
}

/* Was he only in calls that are forgotten? A client may end a call without taking its people out of their streams. */
static bool
has_left(const struct metadata *s, const struct metadata *u, const char *participant)
{
	bool was_in_any = false;

	for (unsigned int i = 0; i < s->n_participant_sessions; i++) {
		const struct metadata_participant_session *a = &s->participant_sessions[i];

		if (strcmp(a->participant, participant) != 0)
			continue;
		if (has_session(s, a->session))
			return false;
		was_in_any = true;
	}
	return was_in_any && !names_participant(u, participant);
}

static void
prune_associations(struct metadata *s, const struct metadata *u)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < s->n_participant_streams; i++) {
		struct metadata_participant_stream *a = &s->participant_streams[i];

		if (is_set(&a->disassociated) || !has_stream_of(s, a) || has_left(s, u, a->participant))
			metadata_participant_stream_free(a);
		else
			s->participant_streams[kept++] = *a;
	}
	s->n_participant_streams = kept;
	kept = 0;
	for (unsigned int i = 0; i < s->n_participant_sessions; i++) {
		struct metadata_participant_session *a = &s->participant_sessions[i];

		if (a->session[0] != '\0' && !has_session(s, a->session))
			metadata_participant_session_free(a);
		else
			s->participant_sessions[kept++] = *a;
	}
	s->n_participant_sessions = kept;
}

static void
prune_participants(struct metadata *s, const struct metadata *u)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < s->n_participants; i++) {
		struct metadata_participant *p = &s->participants[i];

		if (!names_participant(s, p->id) && !names_participant(u, p->id))
			metadata_participant_free(p);
		else
			s->participants[kept++] = *p;
	}
	s->n_participants = kept;
}

static void
prune_groups(struct metadata *s, const struct metadata *u)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < s->n_groups; i++) {
		bool used = false;

		for (unsigned int k = 0; k < s->n_sessions; k++)
			used |= strcmp(s->sessions[k].group_ref, s->groups[i].id) == 0;
		for (unsigned int k = 0; k < u->n_sessions; k++)
			used |= strcmp(u->sessions[k].group_ref, s->groups[i].id) == 0;
		if (used)
			s->groups[kept++] = s->groups[i];
		else
			metadata_group_free(&s->groups[i]);
	}
	s->n_groups = kept;
}

void
metadata_prune(struct metadata *state, const struct metadata *update)
{
	prune_sessions(state, update);
	prune_streams(state, update);
	prune_associations(state, update);
	prune_participants(state, update);
	prune_groups(state, update);
}
