#include "dataplane/generation.h"

#include <string.h>

#include "lib/srs_assert.h"

/* ---- lists ---- */

static struct keyset *
find(struct stream *s, const uint8_t id[KEYSET_ID_SIZE])
{
	for (struct keyset *ks = s->keys; ks != NULL; ks = ks->next)
		if (memcmp(ks->id, id, KEYSET_ID_SIZE) == 0)
			return ks;
	return NULL;
}

static void
take_off(struct stream *s, const struct keyset *ks)
{
	struct keyset **link = &s->keys;

	while (*link != ks)
		link = &(*link)->next;
	*link = ks->next;
}

static void
give_back(struct generations *g, struct keyset *ks)
{
	bool pushed = spsc_push(g->retired, ks);

	srs_assert(pushed);
}

static void
list_enter(struct generations *g, struct stream *s)
{
	if (s->retiring)
		return;
	s->retiring = true;
	s->retire_next = NULL;
	s->retire_previous = g->last;
	if (g->last != NULL)
		g->last->retire_next = s;
	else
		g->first = s;
	g->last = s;
}

static void
list_leave(struct generations *g, struct stream *s)
{
	if (!s->retiring)
		return;
	s->retiring = false;
	if (s->retire_previous != NULL)
		s->retire_previous->retire_next = s->retire_next;
	else
		g->first = s->retire_next;
	if (s->retire_next != NULL)
		s->retire_next->retire_previous = s->retire_previous;
	else
		g->last = s->retire_previous;
}

/* ---- the end of a generation ---- */

/* What was lost between the last packet under the old keys and the first one under the new ones belongs to neither; the
 * sequence tells when it goes on, whether or not the ROC does. */
static void
seam_count(struct stream *s, const struct ssrc *old)
{
	struct ssrc *x = stream_ssrc_under(s, old->ssrc, s->keys->generation);
	uint16_t gap;

	if (x == NULL || x == old || x->continues)
		return;
	gap = (uint16_t)(x->first_index - old->highest - 1);
	if (gap != 0 && gap < SSRC_DROPOUT_MAX && x->first_index >= gap)
		x->first_index -= gap;
}

static bool
is_of(const struct ssrc *x, const struct keyset *ks)
{
	return x != NULL && x->used && x->generation == ks->generation;
}

/* @return false: no room for the totals of its sources; it stays */
static bool
end(struct generations *g, struct recorder *r, struct stream *s, struct keyset *ks)
{
	for (unsigned int i = 0; i < STREAM_SSRC_MAX; i++) {
		struct ssrc *x = i == 0 ? &s->first : s->more[i - 1];

		if (!is_of(x, ks))
			continue;
		if (!recording_totals_room(r, s->recording))
			return false;
		if (ks != s->keys)
			seam_count(s, x);
		recording_ssrc_end(r, s->recording, s, x);
		x->used = false;
		if (i == 0)
			continue;
		r->streams->ssrcs[r->streams->n_ssrcs++] = x;
		__atomic_store_n(&s->more[i - 1], NULL, __ATOMIC_RELAXED);
	}
	take_off(s, ks);
	give_back(g, ks);
	return true;
}

/* Those that are not named and not in use begin to retire. */
static void
retire_begin(struct generations *g, const struct recorder *r, struct stream *s)
{
	for (struct keyset *ks = s->keys->next; ks != NULL; ks = ks->next) {
		if (ks->named || ks->retire_tsc != 0)
			continue;
		ks->retire_tsc = r->now_tsc + g->grace_tsc;
		list_enter(g, s);
	}
}

/* @return keys are left that retire later */
static bool
retire_due(struct generations *g, struct recorder *r, struct stream *s)
{
	bool left = false;

	for (struct keyset *next, *ks = s->keys->next; ks != NULL; ks = next) {
		next = ks->next;
		if (ks->retire_tsc == 0)
			continue;
		if (r->now_tsc < ks->retire_tsc) {
			left = true;
		} else if (!end(g, r, s, ks)) {
			ks->retire_tsc = r->now_tsc + g->grace_tsc;
			left = true;
		}
	}
	return left;
}

unsigned int
generation_retire(struct generations *g, struct recorder *r, unsigned int max)
{
	unsigned int n = 0;

	for (; n < max && g->first != NULL; n++) {
		struct stream *s = g->first;
		bool due = false, waits = false;

		for (const struct keyset *ks = s->keys->next; ks != NULL; ks = ks->next) {
			waits |= ks->retire_tsc != 0;
			due |= ks->retire_tsc != 0 && r->now_tsc >= ks->retire_tsc;
		}
		if (waits && !due)
			break;		/* where nothing waits, keys ended early or were named again: those behind go on */
		list_leave(g, s);
		if (retire_due(g, r, s))
			list_enter(g, s);
	}
	return n;
}

/* ---- its beginning ---- */

static void
activate(struct stream *s, struct keyset *ks)
{
	ks->retire_tsc = 0;
	if (ks == s->keys)
		return;
	s->keys->pending = s->keys->named;	/* several keys may be good at once: @rfc 3711 §8.1.1 */
	take_off(s, ks);
	ks->next = s->keys;
	s->keys = ks;
}

void
generation_begin(struct generations *g, struct recorder *r)
{
	for (unsigned int i = 0; i < g->n_fresh; i++) {
		struct stream *s = g->fresh[i].stream;
		struct keyset *ks = g->fresh[i].keys;
		struct ssrc *x = stream_ssrc_under(s, g->fresh[i].ssrc, ks->generation);

		if (x == NULL || (!ks->named && s->keys->named))
			continue;	/* too late: those that took its place are in use */
		activate(s, ks);
		if (x != &s->first)
			stream_ssrc_promote(s, x);
		retire_begin(g, r, s);
	}
	g->n_fresh = 0;
}

/* The stream may hold so many; the oldest that nobody names any more makes room. */
static void
bound(struct generations *g, struct recorder *r, struct stream *s)
{
	struct keyset *oldest = NULL;
	unsigned int n = 0;

	for (struct keyset *ks = s->keys; ks != NULL; ks = ks->next) {
		n++;
		if (ks != s->keys && !ks->named &&
		    (oldest == NULL || (int16_t)(ks->generation - oldest->generation) < 0))	/* their numbers wrap */
			oldest = ks;
	}
	if (n > STREAM_KEYSETS_MAX && oldest != NULL && end(g, r, s, oldest))
		bound(g, r, s);
}

void
generation_rekey(struct generations *g, struct recorder *r, struct stream *s,
                 uint8_t (*ids)[KEYSET_ID_SIZE], unsigned int n_ids, struct keyset *fresh)
{
	for (struct keyset *ks = s->keys; ks != NULL; ks = ks->next) {
		bool was = ks->named;

		ks->named = false;
		for (unsigned int i = 0; i < n_ids; i++)
			ks->named |= memcmp(ks->id, ids[i], KEYSET_ID_SIZE) == 0;
		if (!ks->named)
			continue;
		ks->retire_tsc = 0;
		ks->pending |= !was && ks != s->keys;
	}
	while (fresh != NULL) {
		struct keyset *ks = fresh, **link = s->keys != NULL ? &s->keys->next : &s->keys;

		fresh = ks->next;
		if (ks->ours) {
			s->report.ours = ks->rtcp;
			give_back(g, ks);
			continue;
		}
		if (find(s, ks->id) != NULL) {
			give_back(g, ks);
			continue;
		}
		ks->named = ks->pending = true;
		ks->next = *link;
		*link = ks;
	}
	if (s->keys->named)
		retire_begin(g, r, s);
	bound(g, r, s);
}

void
generation_hurry(struct generations *g, struct recorder *r, struct stream *s)
{
	struct keyset *next, *heir = NULL;

	for (struct keyset *ks = s->keys; ks != NULL; ks = ks->next)
		if (ks->named && heir == NULL)
			heir = ks;
	for (struct keyset *ks = s->keys; ks != NULL && heir != NULL; ks = next) {
		next = ks->next;
		if (!ks->named)
			end(g, r, s, ks);
	}
}

struct keyset *
generation_leave(struct generations *g, struct stream *s)
{
	struct keyset *keys = s->keys;

	list_leave(g, s);
	s->keys = NULL;
	return keys;
}
