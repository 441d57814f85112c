#include "tests/diff/network.h"

#include <stdlib.h>
#include <string.h>

#define RTP_HEADER_SIZE	 12
#define RTCP_HEADER_SIZE 8	/* what SRTCP leaves in clear */
#define WORD_SIZE	 4	/* SRTCP: E flag and index */
#define LOST		30	/* of a thousand */
#define DUPLICATED	60
#define CHANGED		70
#define JUMPS		40
#define REST_BETWEEN	150	/* packets of a source between two jumps, so that no receiver falls 2^15 behind */

const char *const network_change_names[CHANGES] = {
	"none", "header", "index", "SSRC", "payload", "tag", "MKI", "cut", "longer", "noise",
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
	const struct srtp_suite_shape *shape = srtp_suite_shape(suite);
	struct srtp_master *m = &n->masters[slot];

	m->suite = (uint8_t)suite;
	dice_fill(&n->dice, m->key, sizeof(m->key));
	dice_fill(&n->dice, m->salt, sizeof(m->salt));
	m->mki_len = mki_lens[dice_below(&n->dice, sizeof(mki_lens))];
	/* libsrtp2 2.5 looks for the MKI of SRTCP where SRTP's tag would let it stand, and finds none */
	if (n->kind == NETWORK_RTCP && shape->tag_len != shape->rtcp_tag_len)
		m->mki_len = 0;
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
		n->next_index[i] = n->kind == NETWORK_RTP ? (uint64_t)n->ssrcs[i].roc << 16 | seq : 1;
	}
}

/* SRTCP begins at 1 and libsrtp2 cannot be told otherwise: one source has long spoken, and soon passes 2^16. */
static bool
grow_old(struct network *n)
{
	uint8_t packet[NETWORK_BYTES] = { 0x80, 201 };

	store_be(packet + 4, n->ssrcs[0].ssrc, 4);
	while (n->next_index[0] < 0xffe0) {
		uint16_t len = RTCP_HEADER_SIZE;

		if (!n->stands_in[0] && reference_protect_rtcp(&n->senders[0], packet, &len) != srtp_err_status_ok) {
			n->error = "libsrtp2 did not protect a packet";
			return false;
		}
		n->next_index[0]++;
	}
	return true;
}

static bool
slot_open(struct network *n, unsigned int slot, enum srtp_suite suite)
{
	master_draw(n, slot, suite);
	sources_draw(n, slot);
	n->stands_in[slot] = !reference_speaks(suite);
	n->clear[slot] = !n->stands_in[slot] && slot % 4 == 3;
	if (srtcp_keys_derive(&n->srtcp_keys[slot], &n->masters[slot]) != SRS_OK) {
		n->error = "no keys for SRTCP";
		return false;
	}
	if (!n->stands_in[slot] && !reference_create(&n->senders[slot], &n->masters[slot], &n->ssrcs[slot * NETWORK_SSRCS],
	                                             NETWORK_SSRCS, n->clear[slot])) {
		n->error = "libsrtp2 made no sender";
		return false;
	}
	return true;
}

bool
network_create(struct network *n, uint64_t seed, enum network_kind kind, const enum srtp_suite suites[NETWORK_SLOTS])
{
	memset(n, 0, sizeof(*n));
	n->kind = kind;
	n->dice.state = seed;
	n->own = sender_create();
	n->srtcp = srtcp_create();
	if (n->own == NULL || n->srtcp == NULL) {
		n->error = "no memory for a sender";
		return false;
	}
	for (unsigned int slot = 0; slot < NETWORK_SLOTS; slot++)
		if (!slot_open(n, slot, suites[slot]))
			return false;
	return kind == NETWORK_RTP || dice_below(&n->dice, 4) != 0 || grow_old(n);
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
	srtcp_destroy(n->srtcp);
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
header_size(const struct network *n)
{
	return n->kind == NETWORK_RTP ? RTP_HEADER_SIZE : RTCP_HEADER_SIZE;
}

static uint16_t
length_draw(struct network *n)
{
	struct dice *d = &n->dice;
	uint16_t head = header_size(n);

	switch (dice_below(d, 8)) {
	case 0:
		return (uint16_t)dice_between(d, head, head + 20u);
	case 1:
	case 2:
		return (uint16_t)dice_between(d, head, NETWORK_PLAIN);
	case 3:
		return (uint16_t)(head + 20);
	default:
		return (uint16_t)(head + 160);
	}
}

static void
rtp_draw(struct network *n, struct wire *w)
{
	struct dice *d = &n->dice;
	uint8_t *p = w->plain;
	uint32_t head = RTP_HEADER_SIZE, n_csrc = dice_permille(d, 200) ? dice_below(d, 16) : 0;
	uint32_t words = dice_below(d, dice_permille(d, 900) ? 12 : NETWORK_PLAIN / 4);
	bool extension = dice_permille(d, 200);

	w->plain_len = length_draw(n);
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

/* A report that begins as RTCP does; no receiver of SRTCP looks further. */
static void
rtcp_draw(struct network *n, struct wire *w)
{
	w->plain_len = length_draw(n);
	dice_fill(&n->dice, w->plain, w->plain_len);
	w->plain[0] = 0x80 | (w->plain[0] & 0x3f);
	w->plain[1] = (uint8_t)(200 + w->plain[1] % 5);
	store_be(w->plain + 2, w->plain_len / 4u - 1, 2);
	store_be(w->plain + 4, n->ssrcs[w->source].ssrc, 4);
}

/* Our own senders: the benchmarks' and crypto/srtcp. */
static bool
protect_own(struct network *n, const struct wire *w, uint8_t *bytes, uint16_t *len)
{
	memcpy(bytes, w->plain, w->plain_len);
	*len = w->plain_len;
	if (n->kind == NETWORK_RTCP)
		return srtcp_protect(n->srtcp, &n->srtcp_keys[w->slot], (uint32_t)w->index, bytes, len) == SRS_OK;
	return sender_keys_set(n->own, &n->masters[w->slot]) && sender_protect(n->own, w->index, bytes, len);
}

/* libsrtp2 protects, and ours must make the same bytes; or ours stands in. */
static bool
protect(struct network *n, struct wire *w)
{
	struct reference *sender = &n->senders[w->slot];
	uint8_t own[NETWORK_BYTES];
	uint16_t own_len;

	if (!protect_own(n, w, own, &own_len)) {
		n->error = "our sender failed";
		return false;
	}
	if (n->stands_in[w->slot]) {
		memcpy(w->bytes, own, own_len);
		w->len = own_len;
		return true;
	}
	memcpy(w->bytes, w->plain, w->plain_len);
	w->len = w->plain_len;
	if ((n->kind == NETWORK_RTP ? reference_protect : reference_protect_rtcp)(sender, w->bytes, &w->len) !=
	    srtp_err_status_ok) {
		n->error = "libsrtp2 did not protect a packet";
		return false;
	}
	if (n->kind == NETWORK_RTCP && n->clear[w->slot])
		return true;	/* we never send so */
	if (w->len != own_len || memcmp(w->bytes, own, own_len) != 0) {
		n->error = "libsrtp2 and our sender made different packets";
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

/* Where the parts of a protected packet begin. @rfc 3711 §3.1, §3.4; 7714 §8.2, §9.2 */
struct places {
	uint32_t word;	/* SRTCP */
	uint32_t mki, tag, tag_len;
};

static struct places
places_of(const struct network *n, const struct wire *w)
{
	const struct srtp_master *m = &n->masters[w->slot];
	const struct srtp_suite_shape *shape = srtp_suite_shape((enum srtp_suite)m->suite);
	bool rtcp = n->kind == NETWORK_RTCP;
	struct places at = { .tag_len = rtcp ? shape->rtcp_tag_len : shape->tag_len };

	at.word = w->plain_len + (shape->aead ? at.tag_len : 0);
	at.mki = at.word + (rtcp ? WORD_SIZE : 0);
	at.tag = shape->aead ? w->plain_len : at.mki + m->mki_len;
	return at;
}

static void
index_change(struct network *n, struct wire *w, const struct places *at)
{
	if (n->kind == NETWORK_RTCP)
		flip(&n->dice, w->bytes, at->word, at->word + WORD_SIZE);
	else
		store_be(w->bytes + 2, w->index + dice_between(&n->dice, 1, 300) - (w->index % 2 == 0 ? 301 : 0), 2);
}

/* Every change is one: the bytes are never what they were. A change for which there is no room becomes a cut. */
static void
change(struct network *n, struct wire *w, enum network_change how)
{
	struct places at = places_of(n, w);
	struct dice *d = &n->dice;
	uint16_t head = header_size(n), by;
	unsigned int other;

	w->change = how;
	switch (how) {
	case CHANGE_HEADER:
		flip(d, w->bytes, 0, head);
		return;
	case CHANGE_INDEX:
		index_change(n, w, &at);
		return;
	case CHANGE_SSRC:
		other = w->slot * NETWORK_SSRCS + (w->source + 1) % NETWORK_SSRCS;
		store_be(w->bytes + head - 4, n->ssrcs[other].ssrc, 4);
		return;
	case CHANGE_PAYLOAD:
		if (w->plain_len == head)
			break;
		flip(d, w->bytes, head, w->plain_len);
		return;
	case CHANGE_TAG:
		flip(d, w->bytes, at.tag, at.tag + at.tag_len);
		return;
	case CHANGE_MKI:
		if (n->masters[w->slot].mki_len == 0)
			break;
		flip(d, w->bytes, at.mki, at.mki + n->masters[w->slot].mki_len);
		return;
	case CHANGE_LONGER:
		by = (uint16_t)dice_between(d, 1, 16);
		dice_fill(d, w->bytes + w->len, by);
		w->len = (uint16_t)(w->len + by);
		return;
	case CHANGE_NOISE:
		dice_fill(d, w->bytes, w->len);
		w->bytes[0] = (uint8_t)(0x80 | (w->bytes[0] & 0x1f));
		return;
	default:
		break;
	}
	w->change = CHANGE_CUT;
	w->len = (uint16_t)(dice_permille(d, 500) ? dice_below(d, w->len) : w->len - dice_between(d, 1, at.tag_len));
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
	if (n->kind == NETWORK_RTCP)
		return;	/* libsrtp2 counts its SRTCP index by itself */
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
	(n->kind == NETWORK_RTP ? rtp_draw : rtcp_draw)(n, &w);
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
