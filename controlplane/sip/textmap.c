#include "controlplane/sip/textmap.h"

#include <stdlib.h>
#include <string.h>

#include "lib/srs_assert.h"

#define TEXTMAP_BUCKETS_MAX (1u << 20)

static uint64_t
rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein): what a peer that picks its Call-IDs cannot steer into one bucket. */
uint64_t
textmap_hash(const struct textmap *m, const char *key)
{
	uint64_t v[4] = { m->secret[0] ^ 0x736f6d6570736575ull, m->secret[1] ^ 0x646f72616e646f6dull,
		          m->secret[0] ^ 0x6c7967656e657261ull, m->secret[1] ^ 0x7465646279746573ull };
	size_t len = strlen(key);
	uint64_t word;

	for (size_t at = 0; at <= len; at += 8) {
		size_t n = len - at < 8 ? len - at : 8;

		word = 0;
		memcpy(&word, key + at, n);
		if (n < 8)
			word |= (uint64_t)(len & 0xff) << 56;
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

enum srs_err
textmap_init(struct textmap *m, uint32_t entries_max)
{
	uint32_t n = 64;

	while (n < entries_max && n < TEXTMAP_BUCKETS_MAX)
		n *= 2;
	*m = (struct textmap){ .mask = n - 1 };
	arc4random_buf(m->secret, sizeof(m->secret));
	m->buckets = calloc(n, sizeof(struct textmap_node *));
	return m->buckets == NULL ? SRS_ERR_NOMEM : SRS_OK;
}

void
textmap_release(struct textmap *m)
{
	srs_assert(m->n == 0);
	free(m->buckets);
	m->buckets = NULL;
}

void *
textmap_find(const struct textmap *m, const char *key)
{
	uint64_t hash = textmap_hash(m, key);

	for (struct textmap_node *node = m->buckets[hash & m->mask]; node != NULL; node = node->next)
		if (node->hash == hash && strcmp(node->key, key) == 0)
			return node->object;
	return NULL;
}

enum srs_err
textmap_add(struct textmap *m, struct textmap_node *node, char *key, void *object)
{
	struct textmap_node **bucket;

	if (key == NULL)
		return SRS_ERR_NOMEM;
	srs_assert(node->key == NULL);
	node->key = key;
	node->object = object;
	node->hash = textmap_hash(m, key);
	bucket = &m->buckets[node->hash & m->mask];
	node->next = *bucket;
	*bucket = node;
	m->n++;
	return SRS_OK;
}

void
textmap_remove(struct textmap *m, struct textmap_node *node)
{
	struct textmap_node **at;

	if (node->key == NULL)
		return;
	at = &m->buckets[node->hash & m->mask];
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	free(node->key);
	*node = (struct textmap_node){ 0 };
	m->n--;
}
