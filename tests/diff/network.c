#include "tests/diff/network.h"

#include <stdlib.h>
#include <string.h>

#define RTP_HEADER_SIZE 12
#define LOST		30	/* of a thousand */
#define DUPLICATED	60
#define CHANGED		70
#define JUMPS		40
#define REST_BETWEEN	150	/* packets of a source between two jumps, so that no receiver falls 2^15 behind */

const char *const network_change_names[CHANGES] = {
	"none", "header", "SEQ", "SSRC", "payload", "tag", "MKI", "cut", "longer", "noise",
};

static void
store_be(uint8_t *p, uint64_t v, unsigned int n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

/* ---- life ---- */

static void
master_draw(struct network *n, unsigned int slot, enum srtp_suite suite)
{
	static const uint8_t mki_lens[] = { 0, 0, 0, 1, 2, 4, 4, SRTP_MKI_MAX };
	struct srtp_master *m = &n->masters[slot];

	m->suite = (uint8_t)suite;
	dice_fill(&n->dice, m->key, sizeof(m->key));
	dice_fill(&n->dice, m->salt, sizeof(m->salt));
	m->mki_len = mki_lens[dice_below(&n->dice, sizeof(mki_lens))];
	dice_fill(&n->dice, m->mki, sizeof(m->mki));
}

/* Most start at ROC 0; others late in life. Not at its end: libsrtp2 goes on where the key is used up (§9.2). */
static void
sources_draw(struct network *n, unsigned int slot)
{
	for (unsigned int i = slot * NETWORK_SSRCS; i < (slot + 1) * NETWORK_SSRCS; i++) {
		static const uint32_t rocs[] = { 0, 0, 0, 1, 0x7fff, 0x10000, 0x7fffffff, 0xfffff000 };
		static const uint32_t seqs[] = { 0, 32760, 65300, 65520 };
		uint32_t seq = seqs[dice_below(&n->dice, 4)] + dice_below(&n->dice, 16);

		n->ssrcs[i].roc = rocs[dice_below(&n->dice, sizeof(rocs) / sizeof(rocs[0]))];
		/* SSRC 0 is legal; the others differ by their low bits */
		n->ssrcs[i].ssrc = i == 0 ? 0 : (uint32_t)dice_roll(&n->dice) << 8 | i;
		n->next_index[i] = (uint64_t)n->ssrcs[i].roc << 16 | seq;
	}
}

bool
network_create(struct network *n, uint64_t seed, const enum srtp_suite suites[NETWORK_SLOTS])
{
	memset(n, 0, sizeof(*n));
	n->dice.state = seed;
	n->own = sender_create();
	if (n->own == NULL) {
		n->error = "no memory for a sender";
		return false;
	}
	for (unsigned int slot = 0; slot < NETWORK_SLOTS; slot++) {
		master_draw(n, slot, suites[slot]);
		sources_draw(n, slot);
		n->stands_in[slot] = !reference_speaks(suites[slot]);
		if (!n->stands_in[slot] && !reference_create(&n->senders[slot], &n->masters[slot],
		                                             &n->ssrcs[slot * NETWORK_SSRCS], NETWORK_SSRCS)) {
			n->error = "libsrtp2 made no sender";
			return false;
		}
	}
	return true;
}

void
network_destroy(struct network *n)
{
	for (unsigned int i = 0; i < NETWORK_DELAY; i++)
		while (n->calendar[i] != NULL) {
			struct wire *w = n->calendar[i];

			n->calendar[i] = w->next;
			free(w);
		}
	for (unsigned int slot = 0; slot < NETWORK_SLOTS; slot++)
		reference_destroy(&n->senders[slot]);
	sender_destroy(n->own);
}

int
network_source_of(const struct network *n, unsigned int slot, uint32_t ssrc)
{
	for (unsigned int i = slot * NETWORK_SSRCS; i < (slot + 1) * NETWORK_SSRCS; i++)
		if (n->ssrcs[i].ssrc == ssrc)
			return (int)i;
	return -1;
}

/* ---- a packet ---- */

static uint16_t
length_draw(struct dice *d)
{
	switch (dice_below(d, 8)) {
	case 0:
		return (uint16_t)dice_between(d, RTP_HEADER_SIZE, RTP_HEADER_SIZE + 20);
	case 1:
	case 2:
		return (uint16_t)dice_between(d, RTP_HEADER_SIZE, NETWORK_PLAIN);
	case 3:
		return RTP_HEADER_SIZE + 20;
	default:
		return RTP_HEADER_SIZE + 160;
	}
}

static void
plain_draw(struct network *n, struct wire *w)
{
	struct dice *d = &n->dice;
	uint8_t *p = w->plain;
	uint32_t head = RTP_HEADER_SIZE, n_csrc = dice_permille(d, 200) ? dice_below(d, 16) : 0;
	uint32_t words = dice_below(d, dice_permille(d, 900) ? 12 : NETWORK_PLAIN / 4);
	bool extension = dice_permille(d, 200);

	w->plain_len = length_draw(d);
	dice_fill(d, p, w->plain_len);
	if (head + 4 * n_csrc > w->plain_len)
		n_csrc = 0;
	head += 4 * n_csrc;
	if (head + 4 + 4 * words > w->plain_len)
		extension = false;
	if (extension)
		store_be(p + head + 2, words, 2);
	p[0] = (uint8_t)(0x80 | (extension ? 0x10 : 0) | n_csrc);
	if (w->plain_len > head + (extension ? 4 + 4 * words : 0) && dice_permille(d, 100)) {
		p[0] |= 0x20;	/* padding is the payload's business, and encrypted */
		p[w->plain_len - 1] = 1;
	}
	store_be(p + 2, w->index, 2);
	store_be(p + 8, n->ssrcs[w->source].ssrc, 4);
}

/* libsrtp2 protects, and the benchmarks' sender must give the same bytes; or it stands in. */
static bool
protect(struct network *n, struct wire *w)
{
	uint8_t own[NETWORK_BYTES];
	uint16_t own_len = w->plain_len;

	memcpy(own, w->plain, w->plain_len);
	if (!sender_keys_set(n->own, &n->masters[w->slot]) || !sender_protect(n->own, w->index, own, &own_len)) {
		n->error = "the sender on libcrypto failed";
		return false;
	}
	if (n->stands_in[w->slot]) {
		memcpy(w->bytes, own, own_len);
		w->len = own_len;
		return true;
	}
	memcpy(w->bytes, w->plain, w->plain_len);
	w->len = w->plain_len;
	if (reference_protect(&n->senders[w->slot], w->bytes, &w->len) != srtp_err_status_ok) {
		n->error = "srtp_protect failed";
		return false;
	}
	if (w->len != own_len || memcmp(w->bytes, own, own_len) != 0) {
		n->error = "srtp_protect and the sender on libcrypto made different packets";
		return false;
	}
	return true;
}

/* ---- its way ---- */

static void
flip(struct dice *d, uint8_t *p, uint32_t first, uint32_t end)
{
	p[dice_between(d, first, end - 1)] ^= (uint8_t)(1u << dice_below(d, 8));
}

/* Every change is one: the bytes are never what they were. A change for which there is no room becomes a cut. */
static void
change(struct network *n, struct wire *w, enum network_change how)
{
	const struct srtp_master *m = &n->masters[w->slot];
	const struct srtp_suite_shape *shape = srtp_suite_shape((enum srtp_suite)m->suite);
	uint32_t tag = (uint32_t)w->plain_len + (shape->aead ? 0u : m->mki_len);
	uint32_t mki = (uint32_t)w->plain_len + (shape->aead ? shape->tag_len : 0u);
	struct dice *d = &n->dice;
	unsigned int other;

	w->change = how;
	switch (how) {
	case CHANGE_HEADER:
		flip(d, w->bytes, 0, RTP_HEADER_SIZE);
		return;
	case CHANGE_SEQ:
		store_be(w->bytes + 2, w->index + dice_between(d, 1, 300) - (w->index % 2 == 0 ? 301 : 0), 2);
		return;
	case CHANGE_SSRC:
		other = w->slot * NETWORK_SSRCS + (w->source + 1) % NETWORK_SSRCS;
		if (other == w->source)
			break;
		store_be(w->bytes + 8, n->ssrcs[other].ssrc, 4);
		return;
	case CHANGE_PAYLOAD:
		if (w->plain_len == RTP_HEADER_SIZE)
			break;
		flip(d, w->bytes, RTP_HEADER_SIZE, w->plain_len);
		return;
	case CHANGE_TAG:
		flip(d, w->bytes, tag, tag + shape->tag_len);
		return;
	case CHANGE_MKI:
		if (m->mki_len == 0)
			break;
		flip(d, w->bytes, mki, mki + m->mki_len);
		return;
	case CHANGE_LONGER: {
		uint16_t by = (uint16_t)dice_between(d, 1, 16);

		dice_fill(d, w->bytes + w->len, by);
		w->len = (uint16_t)(w->len + by);
		return;
	}
	case CHANGE_NOISE:
		dice_fill(d, w->bytes, w->len);
		w->bytes[0] = (uint8_t)(0x80 | (w->bytes[0] & 0x1f));
		return;
	default:
		break;
	}
	w->change = CHANGE_CUT;
	w->len = (uint16_t)(dice_permille(d, 500) ? dice_below(d, w->len) : w->len - dice_between(d, 1, shape->tag_len));
}

static uint32_t
delay_draw(struct dice *d)
{
	uint32_t kind = dice_below(d, 100);

	if (kind < 75)
		return 0;
	if (kind < 94)
		return dice_below(d, 60);
	return kind < 98 ? dice_below(d, 2000) : dice_below(d, NETWORK_DELAY);
}

static void
post(struct network *n, struct wire *w)
{
	struct wire **at = &n->calendar[(n->now + delay_draw(&n->dice)) % NETWORK_DELAY];

	while (*at != NULL)
		at = &(*at)->next;
	w->next = NULL;
	*at = w;
}

static bool
post_copy(struct network *n, const struct wire *w, enum network_change how)
{
	struct wire *copy = malloc(sizeof(*copy));

	if (copy == NULL) {
		n->error = "no memory for a packet";
		return false;
	}
	*copy = *w;
	if (how != CHANGE_NONE)
		change(n, copy, how);
	post(n, copy);
	return true;
}

/* Loss in a row, or a jump: far, or to just before the wrap of the SEQ; less than 2^15 in any case. */
static void
index_advance(struct network *n, unsigned int source)
{
	struct dice *d = &n->dice;
	uint64_t *next = &n->next_index[source];
	uint32_t to_wrap;

	*next += 1;
	if (dice_permille(d, 20))
		*next += dice_below(d, 20);
	if (++n->since_jump[source] < REST_BETWEEN || !dice_permille(d, JUMPS))
		return;
	n->since_jump[source] = 0;
	to_wrap = 0x10000 - (uint32_t)(*next & 0xffff);
	if (to_wrap > 30000)
		*next += dice_permille(d, 300) ? dice_between(d, 100, 300) : dice_between(d, 10000, 25000);
	else if (to_wrap > 16)
		*next += to_wrap - dice_between(d, 1, 8);
}

static unsigned int
source_draw(struct network *n)
{
	if (n->run_left == 0) {
		n->run_source = (uint16_t)dice_below(&n->dice, NETWORK_SOURCES);
		n->run_left = (uint16_t)(dice_permille(&n->dice, 700) ? 1 : dice_between(&n->dice, 2, 12));
	}
	n->run_left--;
	return n->run_source;
}

bool
network_send(struct network *n)
{
	struct dice *d = &n->dice;
	struct wire w = { .source = (uint16_t)source_draw(n) };

	w.slot = w.source / NETWORK_SSRCS;
	w.index = n->next_index[w.source];
	index_advance(n, w.source);
	plain_draw(n, &w);
	if (!protect(n, &w))
		return false;
	if (dice_permille(d, CHANGED) &&
	    !post_copy(n, &w, (enum network_change)dice_between(d, CHANGE_HEADER, CHANGES - 1)))
		return false;
	if (!dice_permille(d, LOST) && !post_copy(n, &w, CHANGE_NONE))
		return false;
	return !dice_permille(d, DUPLICATED) || post_copy(n, &w, CHANGE_NONE);
}

struct wire *
network_arrivals(struct network *n)
{
	struct wire **at = &n->calendar[n->now++ % NETWORK_DELAY], *first = *at;

	*at = NULL;
	return first;
}
