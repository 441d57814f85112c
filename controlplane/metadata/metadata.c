/* The life of a metadata document after it was read: merged, asked, freed. */
#include "controlplane/metadata/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/metadata/metadata_items.h"

const char *
metadata_dialect_name(enum metadata_dialect d)
{
	switch (d) {
	case METADATA_RFC7865:
		return "rfc7865";
	case METADATA_RECORDING:
		return "recording";
	case METADATA_SIPREC:
		return "siprec";
	case METADATA_NO_NAMESPACE:
		return "no-namespace";
	case METADATA_HANDMADE:
		return "handmade";
	}
	return "unknown";
}

void
metadata_free(struct metadata *m)
{
	if (m == NULL)
		return;
	for (unsigned int i = 0; i < m->n_groups; i++)
		metadata_group_free(&m->groups[i]);
	for (unsigned int i = 0; i < m->n_sessions; i++)
		metadata_session_free(&m->sessions[i]);
	for (unsigned int i = 0; i < m->n_participants; i++)
		metadata_participant_free(&m->participants[i]);
	for (unsigned int i = 0; i < m->n_streams; i++)
		metadata_stream_free(&m->streams[i]);
	for (unsigned int i = 0; i < m->n_participant_sessions; i++)
		metadata_participant_session_free(&m->participant_sessions[i]);
	for (unsigned int i = 0; i < m->n_participant_streams; i++)
		metadata_participant_stream_free(&m->participant_streams[i]);
	free(m->groups);
	free(m->sessions);
	free(m->participants);
	free(m->streams);
	free(m->participant_sessions);
	free(m->participant_streams);
	metadata_text_free(m->extension);
	metadata_deviations_free(m);
	free(m);
}

/* ---- lookup; "" is nobody's id ---- */

static struct metadata_group *
group_find(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_groups && id[0] != '\0'; i++)
		if (strcmp(m->groups[i].id, id) == 0)
			return &m->groups[i];
	return NULL;
}

static struct metadata_session *
session_find(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_sessions && id[0] != '\0'; i++)
		if (strcmp(m->sessions[i].id, id) == 0)
			return &m->sessions[i];
	return NULL;
}

static struct metadata_participant *
participant_find(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_participants && id[0] != '\0'; i++)
		if (strcmp(m->participants[i].id, id) == 0)
			return &m->participants[i];
	return NULL;
}

static struct metadata_stream *
stream_find(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_streams && id[0] != '\0'; i++)
		if (strcmp(m->streams[i].id, id) == 0)
			return &m->streams[i];
	return NULL;
}

static struct metadata_participant_session *
participant_session_find(const struct metadata *m, const char *participant, const char *session)
{
	for (unsigned int i = 0; i < m->n_participant_sessions; i++)
		if (strcmp(m->participant_sessions[i].participant, participant) == 0 &&
		    strcmp(m->participant_sessions[i].session, session) == 0)
			return &m->participant_sessions[i];
	return NULL;
}

/* ---- merging a partial document (RFC 7865 §5.1.2, 7866 §9.1): texts move, what it does not mention stays ---- */

static void
move_text(char **to, char **from)
{
	if (*from == metadata_no_text)
		return;
	metadata_text_free(*to);
	*to = *from;
	*from = metadata_no_text;
}

static void
move_time(struct metadata_time *to, struct metadata_time *from)
{
	if (from->text == metadata_no_text)
		return;
	to->wall_ns = from->wall_ns;
	move_text(&to->text, &from->text);
}

/* A new start takes an old end away: the item is associated again. */
static void
move_times(struct metadata_time *associated, struct metadata_time *disassociated,
	   struct metadata_time *from_associated, struct metadata_time *from_disassociated)
{
	if (from_associated->text[0] != '\0' && from_disassociated->text[0] == '\0')
		metadata_time_free(disassociated);
	move_time(associated, from_associated);
	move_time(disassociated, from_disassociated);
}

static void
merge_groups(struct metadata *s, struct metadata *u)
{
	for (unsigned int i = 0; i < u->n_groups; i++) {
		struct metadata_group *from = &u->groups[i];
		struct metadata_group *to = group_find(s, from->id);

		if (to == NULL) {
			s->groups[s->n_groups++] = *from;
			metadata_group_init(from);
			continue;
		}
		move_times(&to->associated, &to->disassociated, &from->associated, &from->disassociated);
		move_text(&to->extension, &from->extension);
	}
}

static void
merge_sessions(struct metadata *s, struct metadata *u)
{
	for (unsigned int i = 0; i < u->n_sessions; i++) {
		struct metadata_session *from = &u->sessions[i];
		struct metadata_session *to = session_find(s, from->id);

		if (to == NULL) {
			s->sessions[s->n_sessions++] = *from;
			metadata_session_init(from);
			continue;
		}
		to->declared |= from->declared;
		move_text(&to->group_ref, &from->group_ref);
		move_text(&to->sip_session_id, &from->sip_session_id);
		move_text(&to->reason, &from->reason);
		move_time(&to->start, &from->start);
		move_time(&to->stop, &from->stop);
		move_times(&to->associated, &to->disassociated, &from->associated, &from->disassociated);
		move_text(&to->extension, &from->extension);
	}
}

static void
merge_participants(struct metadata *s, struct metadata *u)
{
	for (unsigned int i = 0; i < u->n_participants; i++) {
		struct metadata_participant *from = &u->participants[i];
		struct metadata_participant *to = participant_find(s, from->id);

		if (to == NULL) {
			s->participants[s->n_participants++] = *from;
			metadata_participant_init(from);
			continue;
		}
		move_text(&to->extension, &from->extension);
		if (from->n_names != 0) { /* the old names go with `from` */
			struct metadata_name *names = to->names;
			unsigned int n_names = to->n_names;

			to->names = from->names;
			to->n_names = from->n_names;
			from->names = names;
			from->n_names = n_names;
		}
	}
}

static void
merge_streams(struct metadata *s, struct metadata *u)
{
	for (unsigned int i = 0; i < u->n_streams; i++) {
		struct metadata_stream *from = &u->streams[i];
		struct metadata_stream *to = stream_find(s, from->id);

		if (to == NULL) {
			s->streams[s->n_streams++] = *from;
			metadata_stream_init(from);
			continue;
		}
		move_text(&to->session, &from->session);
		move_text(&to->label, &from->label);
		move_text(&to->mode, &from->mode);
		move_times(&to->associated, &to->disassociated, &from->associated, &from->disassociated);
		move_text(&to->extension, &from->extension);
		to->line = from->line;
	}
}

static void
merge_participant_sessions(struct metadata *s, struct metadata *u)
{
	for (unsigned int i = 0; i < u->n_participant_sessions; i++) {
		struct metadata_participant_session *from = &u->participant_sessions[i];
		struct metadata_participant_session *to =
		    participant_session_find(s, from->participant, from->session);

		if (to == NULL) {
			s->participant_sessions[s->n_participant_sessions++] = *from;
			metadata_participant_session_init(from);
			continue;
		}
		move_times(&to->associated, &to->disassociated, &from->associated, &from->disassociated);
		move_text(&to->params, &from->params);
	}
}

static bool
texts_have(char *const *texts, unsigned int n, const char *text)
{
	for (unsigned int i = 0; i < n; i++)
		if (strcmp(texts[i], text) == 0)
			return true;
	return false;
}

/* Takes out of `texts` what `others` has. */
static void
texts_subtract(char **texts, unsigned int *n, char *const *others, unsigned int n_others)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < *n; i++) {
		if (texts_have(others, n_others, texts[i]))
			metadata_text_free(texts[i]);
		else
			texts[kept++] = texts[i];
	}
	*n = kept;
}

static void
participant_stream_remove(struct metadata *s, unsigned int i)
{
	metadata_participant_stream_free(&s->participant_streams[i]);
	s->n_participant_streams--;
	memmove(&s->participant_streams[i], &s->participant_streams[i + 1],
		(s->n_participant_streams - i) * sizeof(s->participant_streams[0]));
}

/* What a participant sends and receives now is one entry, what it once did are entries with an end. A new entry
 * without an end stands for all that is now; one with an end takes its streams out of what was. @rfc 8068 §3.3 */
static void
merge_participant_stream(struct metadata *s, struct metadata_participant_stream *from)
{
	bool ends = from->disassociated.text[0] != '\0';
	bool ends_all = ends && from->n_send == 0 && from->n_recv == 0;
	bool done = false;

	for (unsigned int i = s->n_participant_streams; i-- != 0;) {
		struct metadata_participant_stream *to = &s->participant_streams[i];

		if (strcmp(to->participant, from->participant) != 0 || to->disassociated.text[0] != '\0')
			continue;
		if (ends_all) {
			move_time(&to->disassociated, &from->disassociated);
			done = true;
			break;
		}
		if (from->associated.text[0] == '\0')
			move_time(&from->associated, &to->associated);
		if (ends) {
			texts_subtract(to->send, &to->n_send, from->send, from->n_send);
			texts_subtract(to->recv, &to->n_recv, from->recv, from->n_recv);
		}
		if (!ends || (to->n_send == 0 && to->n_recv == 0))
			participant_stream_remove(s, i);
	}
	if (!done) {
		s->participant_streams[s->n_participant_streams++] = *from;
		metadata_participant_stream_init(from);
	}
}

/* Room for both, so that the merge itself cannot fail. */
static enum srs_err
reserve(void *items, unsigned int n_state, unsigned int n_update, size_t size)
{
	void *base;

	if (n_update == 0)
		return SRS_OK;
	if (n_state + n_update > METADATA_ITEMS_MAX)
		return SRS_ERR_LIMIT;
	memcpy(&base, items, sizeof(base));
	base = realloc(base, (n_state + n_update) * size);
	if (base == NULL)
		return SRS_ERR_NOMEM;
	memcpy(items, &base, sizeof(base));
	return SRS_OK;
}

static enum srs_err
reserve_all(struct metadata *s, const struct metadata *u)
{
	enum srs_err err = reserve(&s->groups, s->n_groups, u->n_groups, sizeof(*s->groups));

	if (!err)
		err = reserve(&s->sessions, s->n_sessions, u->n_sessions, sizeof(*s->sessions));
	if (!err)
		err =
		    reserve(&s->participants, s->n_participants, u->n_participants, sizeof(*s->participants));
	if (!err)
		err = reserve(&s->streams, s->n_streams, u->n_streams, sizeof(*s->streams));
	if (!err)
		err = reserve(&s->participant_sessions, s->n_participant_sessions, u->n_participant_sessions,
			      sizeof(*s->participant_sessions));
	if (!err)
		err = reserve(&s->participant_streams, s->n_participant_streams, u->n_participant_streams,
			      sizeof(*s->participant_streams));
	return err;
}

static bool
known_in(const struct metadata *s, const struct metadata *u, const char *id,
	 bool (*knows)(const struct metadata *, const char *))
{
	return id[0] == '\0' || knows(u, id) || (s != NULL && knows(s, id));
}

static bool
knows_session(const struct metadata *m, const char *id)
{
	const struct metadata_session *s = session_find(m, id);

	return s != NULL && s->declared;
}

static bool
knows_participant(const struct metadata *m, const char *id)
{
	return participant_find(m, id) != NULL;
}

static bool
knows_stream(const struct metadata *m, const char *id)
{
	return stream_find(m, id) != NULL;
}

/* A group that is missing loses nothing; everything else must be known, here or before (META-24). */
static bool
update_applies(const struct metadata *s, const struct metadata *u)
{
	bool ok = true;

	for (unsigned int i = 0; i < u->n_sessions; i++)
		ok &= known_in(s, u, u->sessions[i].id, knows_session);
	for (unsigned int i = 0; i < u->n_streams; i++)
		ok &= known_in(s, u, u->streams[i].session, knows_session);
	for (unsigned int i = 0; i < u->n_participant_sessions; i++) {
		ok &= known_in(s, u, u->participant_sessions[i].participant, knows_participant);
		ok &= known_in(s, u, u->participant_sessions[i].session, knows_session);
	}
	for (unsigned int i = 0; i < u->n_participant_streams; i++) {
		const struct metadata_participant_stream *a = &u->participant_streams[i];

		ok &= known_in(s, u, a->participant, knows_participant);
		for (unsigned int k = 0; k < a->n_send; k++)
			ok &= known_in(s, u, a->send[k], knows_stream);
		for (unsigned int k = 0; k < a->n_recv; k++)
			ok &= known_in(s, u, a->recv[k], knows_stream);
	}
	return ok;
}

static void
merge(struct metadata *s, struct metadata *u)
{
	merge_groups(s, u);
	merge_sessions(s, u);
	merge_participants(s, u);
	merge_streams(s, u);
	merge_participant_sessions(s, u);
	for (unsigned int i = 0; i < u->n_participant_streams; i++)
		merge_participant_stream(s, &u->participant_streams[i]);
	move_text(&s->extension, &u->extension);
	metadata_deviations_free(s);
	memcpy(s->deviations, u->deviations, sizeof(s->deviations));
	s->n_deviations = u->n_deviations;
	u->n_deviations = 0;
}

enum srs_err
metadata_apply(struct metadata **state, struct metadata *update)
{
	enum srs_err err = SRS_OK;

	if (update->partial && !update_applies(*state, update)) {
		err = SRS_ERR_STATE;
	} else if (!update->partial || *state == NULL) {
		metadata_free(*state);
		*state = update;
		return SRS_OK;
	} else {
		err = reserve_all(*state, update);
		if (err == SRS_ERR_LIMIT) {
			metadata_prune(*state, update);
			err = reserve_all(*state, update);
		}
		if (!err)
			merge(*state, update);
	}
	metadata_free(update);
	return err;
}

/* ---- questions ---- */

static char *
path_of_index(const char *format_head, unsigned int number)
{
	char text[64];
	size_t n = strlen(format_head), d = sizeof(text) - 1;
	char *copy;

	text[d--] = ']';
	do {
		text[d--] = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	text[d] = '[';
	copy = malloc(n + sizeof(text) - d + 1);
	if (copy != NULL) {
		memcpy(copy, format_head, n);
		memcpy(copy + n, text + d, sizeof(text) - d);
		copy[n + sizeof(text) - d] = '\0';
	}
	return copy;
}

void
metadata_check_labels(struct metadata *m, const char *const *labels, unsigned int n_labels)
{
	for (unsigned int l = 0; l < n_labels; l++) {
		bool named = labels[l][0] == '\0';

		for (unsigned int i = 0; i < m->n_streams; i++)
			named |= strcmp(m->streams[i].label, labels[l]) == 0;
		if (!named)
			metadata_deviate(m, 0, path_of_index("/sdp/m", l + 1),
					 "label of an m-line that no stream names (RFC 7865 §6.7)");
	}
	for (unsigned int i = 0; i < m->n_streams; i++) {
		bool found = m->streams[i].label[0] == '\0';

		for (unsigned int l = 0; l < n_labels; l++)
			found |= strcmp(m->streams[i].label, labels[l]) == 0;
		if (!found)
			metadata_deviate(m, m->streams[i].line, path_of_index("/recording/stream", i + 1),
					 "stream whose label no m-line has (RFC 7865 §6.7)");
	}
}

static bool
sends_into(const struct metadata *m, const struct metadata_participant_stream *a, const char *label)
{
	for (unsigned int i = 0; i < m->n_streams; i++)
		if (m->streams[i].id[0] != '\0' && strcmp(m->streams[i].label, label) == 0 &&
		    texts_have(a->send, a->n_send, m->streams[i].id))
			return true;
	return false;
}

static unsigned int
add_sender(const struct metadata_participant *p, const struct metadata_participant **out, unsigned int n,
	   unsigned int max)
{
	for (unsigned int i = 0; i < n; i++)
		if (out[i] == p)
			return n;
	if (p == NULL || n == max)
		return n;
	out[n] = p;
	return n + 1;
}

unsigned int
metadata_senders(const struct metadata *m, const char *label, const struct metadata_participant **out,
		 unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int former = 0; former < 2; former++)
		for (unsigned int i = 0; i < m->n_participant_streams; i++) {
			const struct metadata_participant_stream *a = &m->participant_streams[i];

			if ((a->disassociated.text[0] != '\0') == (former == 1) && sends_into(m, a, label))
				n = add_sender(participant_find(m, a->participant), out, n, max);
		}
	return n;
}

unsigned int
metadata_sendings(const struct metadata *m, const char *label, struct metadata_sending *out, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int former = 0; former < 2; former++)
		for (unsigned int i = 0; i < m->n_participant_streams; i++) {
			const struct metadata_participant_stream *a = &m->participant_streams[i];
			const struct metadata_participant *p = participant_find(m, a->participant);

			if ((a->disassociated.text[0] != '\0') != (former == 1) || p == NULL || n == max || !sends_into(m, a, label))
				continue;
			out[n++] = (struct metadata_sending){
				.participant = p,
				.over = former == 1,
				.from_wall_ns = a->associated.wall_ns,
				.to_wall_ns = a->disassociated.wall_ns,
			};
		}
	return n;
}

const struct metadata_session *
metadata_session_of(const struct metadata *m, const char *label)
{
	for (unsigned int i = 0; i < m->n_streams; i++) {
		if (strcmp(m->streams[i].label, label) != 0)
			continue;
		if (m->streams[i].session[0] != '\0')
			return session_find(m, m->streams[i].session);
		return m->n_sessions == 1 ? &m->sessions[0] : NULL; /* it names none, and there is one */
	}
	return NULL;
}
