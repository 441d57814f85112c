/* Bytes as two metadata documents, cut at the first form feed: read, checked, merged, written as JSON. A document that
 * is read must survive all of it, and a refused partial must not change the state. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/metadata/metadata.h"
#include "controlplane/metadata/metadata_items.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct metadata *
read_one(struct span bytes)
{
	struct metadata *m = NULL;
	char why[128] = "";

	if (metadata_check_bytes(&m, bytes, why, sizeof(why)) != SRS_OK) {
		if (why[0] == '\0' || m != NULL)
			abort();
		return NULL;
	}
	if (m->n_deviations > METADATA_DEVIATIONS_MAX || m->n_participants > METADATA_ITEMS_MAX ||
	    m->n_streams > METADATA_ITEMS_MAX || m->n_sessions > METADATA_ITEMS_MAX)
		abort();
	return m;
}

static void
ask(const struct metadata *m)
{
	const struct metadata_participant *out[4];
	struct metadata_sending sendings[4];

	for (unsigned int i = 0; i < m->n_streams; i++) {
		if (metadata_senders(m, m->streams[i].label, out, 4) > 4)
			abort();
		if (metadata_sendings(m, m->streams[i].label, sendings, 4) > 4)
			abort();
		metadata_session_of(m, m->streams[i].label);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char *const labels[] = { "1", "2", "" };
	const uint8_t *cut = len ? memchr(bytes, '\f', len) : NULL;
	size_t first = cut ? (size_t)(cut - bytes) : len;
	struct metadata *state = read_one(span_of(bytes, first));
	struct metadata *update = cut ? read_one(span_of(cut + 1, len - first - 1)) : NULL;
	char *before, *after;
	enum srs_err err;

	if (state == NULL) {
		metadata_free(update);
		return 0;
	}
	metadata_check_labels(state, labels, 3);
	free(metadata_deviations_json(state));
	ask(state);
	before = metadata_to_json(state);
	if (before == NULL)
		abort();
	for (unsigned int i = 0; update != NULL && i < state->n_sessions; i++)
		(void)metadata_speaks_of(state, update, state->sessions[i].id, 16);
	err = update != NULL ? metadata_apply(&state, update) : SRS_OK;
	if (err == SRS_ERR_STATE) {	/* LIMIT: what is over may have been forgotten */
		after = metadata_to_json(state);
		if (after == NULL || strcmp(before, after) != 0)
			abort();
		free(after);
	}
	ask(state);
	free(before);
	/* as a state that is full forgets, for the same document and for one of nothing */
	update = cut ? read_one(span_of(cut + 1, len - first - 1)) : NULL;
	if (update != NULL) {
		metadata_prune(state, update);
		ask(state);
		metadata_free(update);
	}
	metadata_prune(state, &(struct metadata){ 0 });
	ask(state);
	free(metadata_to_json(state));
	metadata_free(state);
	return 0;
}
