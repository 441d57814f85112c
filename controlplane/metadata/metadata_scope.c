/* Which communication sessions a document is about. Asked before it is merged, since a partial one names streams and
 * participants whose session only the state knows. */
#include "controlplane/metadata/metadata.h"

#include <string.h>

struct scope {
	const struct metadata *state, *update;	/* state may be NULL */
	const char *cs_id;
	size_t cs_id_max;
	bool names_it, names_another;
};

static void
look_at(struct scope *s, const char *session)
{
	if (session[0] == '\0')
		return;
	if (strncmp(session, s->cs_id, s->cs_id_max) == 0)
		s->names_it = true;
	else
		s->names_another = true;
}

static void
look_at_group(struct scope *s, const struct metadata *m, const char *group)
{
	for (unsigned int i = 0; m != NULL && i < m->n_sessions; i++) {
		if (strcmp(m->sessions[i].group_ref, group) == 0)
			look_at(s, m->sessions[i].id);
	}
}

static void
look_at_stream(struct scope *s, const struct metadata *m, const char *stream)
{
	for (unsigned int i = 0; m != NULL && i < m->n_streams; i++) {
		if (strcmp(m->streams[i].id, stream) == 0)
			look_at(s, m->streams[i].session);
	}
}

static void
look_at_participant(struct scope *s, const struct metadata *m, const char *participant)
{
	for (unsigned int i = 0; m != NULL && i < m->n_participant_sessions; i++) {
		if (strcmp(m->participant_sessions[i].participant, participant) == 0)
			look_at(s, m->participant_sessions[i].session);
	}
	for (unsigned int i = 0; m != NULL && i < m->n_participant_streams; i++) {
		const struct metadata_participant_stream *a = &m->participant_streams[i];

		for (unsigned int k = 0; k < a->n_send && strcmp(a->participant, participant) == 0; k++) {
			look_at_stream(s, s->state, a->send[k]);
			look_at_stream(s, s->update, a->send[k]);
		}
	}
}

static void
look_at_sending(struct scope *s, const struct metadata_participant_stream *a)
{
	for (unsigned int k = 0; k < a->n_send; k++) {
		look_at_stream(s, s->state, a->send[k]);
		look_at_stream(s, s->update, a->send[k]);
	}
	for (unsigned int k = 0; k < a->n_recv; k++) {
		look_at_stream(s, s->state, a->recv[k]);
		look_at_stream(s, s->update, a->recv[k]);
	}
	look_at_participant(s, s->state, a->participant);
}

bool
metadata_speaks_of(const struct metadata *state, const struct metadata *update, const char *cs_id, size_t cs_id_max)
{
	struct scope s = { .state = state, .update = update, .cs_id = cs_id, .cs_id_max = cs_id_max };
	const struct metadata *m = update;

	if (!m->partial || cs_id[0] == '\0')
		return true;
	for (unsigned int i = 0; i < m->n_sessions; i++)
		look_at(&s, m->sessions[i].id);
	for (unsigned int i = 0; i < m->n_groups; i++) {
		look_at_group(&s, state, m->groups[i].id);
		look_at_group(&s, m, m->groups[i].id);
	}
	for (unsigned int i = 0; i < m->n_streams; i++) {
		look_at(&s, m->streams[i].session);
		if (m->streams[i].session[0] == '\0')
			look_at_stream(&s, state, m->streams[i].id);
	}
	for (unsigned int i = 0; i < m->n_participants; i++) {
		look_at_participant(&s, state, m->participants[i].id);
		look_at_participant(&s, m, m->participants[i].id);
	}
	for (unsigned int i = 0; i < m->n_participant_sessions; i++)
		look_at(&s, m->participant_sessions[i].session);
	for (unsigned int i = 0; i < m->n_participant_streams; i++)
		look_at_sending(&s, &m->participant_streams[i]);
	return s.names_it || !s.names_another;
}
