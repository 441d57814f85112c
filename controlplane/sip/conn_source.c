#include "controlplane/sip/conn_source.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "crypto/secret.h"
#include "lib/srs_assert.h"

struct conn_sources {
	struct conn_source *all, *free;
	struct conn_source **buckets;
	uint32_t n_buckets;		/* a power of two */
	uint64_t seed;			/* so that nobody chooses addresses that meet in one bucket */
};

enum srs_err
conn_sources_create(struct conn_sources **out, uint32_t sources_max)
{
	struct conn_sources *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SRS_ERR_NOMEM;
	s->n_buckets = 1;
	while (s->n_buckets < sources_max)
		s->n_buckets *= 2;
	s->all = calloc(sources_max + 1, sizeof(*s->all));
	s->buckets = calloc(s->n_buckets, sizeof(struct conn_source *));
	if (s->all == NULL || s->buckets == NULL || secret_random(&s->seed, sizeof(s->seed))) {
		conn_sources_destroy(s);
		return SRS_ERR_NOMEM;
	}
	for (uint32_t i = 0; i < sources_max; i++) {
		s->all[i].next = s->free;
		s->free = &s->all[i];
	}
	*out = s;
	return SRS_OK;
}

void
conn_sources_destroy(struct conn_sources *s)
{
	if (s == NULL)
		return;
	free(s->all);
	free(s->buckets);
	free(s);
}

static void
key_of(const struct sockaddr_storage *a, uint8_t key[9])
{
	memset(key, 0, 9);
	key[0] = a->ss_family == AF_INET6 ? 6 : 4;
	if (a->ss_family == AF_INET6)
		memcpy(key + 1, &((const struct sockaddr_in6 *)a)->sin6_addr, 8);
	else
		memcpy(key + 1, &((const struct sockaddr_in *)a)->sin_addr, 4);
}

static struct conn_source **
bucket_of(struct conn_sources *s, const uint8_t key[9])
{
	uint64_t hash = s->seed;

	for (unsigned int i = 0; i < 9; i++) {
		hash = (hash ^ key[i]) * 0x100000001b3ull;
		hash ^= hash >> 29;
	}
	return &s->buckets[hash & (s->n_buckets - 1)];
}

struct conn_source *
conn_source_take(struct conn_sources *s, const struct sockaddr_storage *address)
{
	struct conn_source **bucket, *found;
	uint8_t key[9];

	key_of(address, key);
	bucket = bucket_of(s, key);
	for (found = *bucket; found != NULL; found = found->next)
		if (memcmp(found->key, key, sizeof(key)) == 0)
			break;
	if (found == NULL) {
		found = s->free;
		if (found == NULL)
			return NULL;
		s->free = found->next;
		memcpy(found->key, key, sizeof(key));
		found->next = *bucket;
		*bucket = found;
	}
	found->n_open++;
	return found;
}

void
conn_source_give(struct conn_sources *s, struct conn_source *source)
{
	struct conn_source **at;

	if (source == NULL)
		return;
	srs_assert(source->n_open != 0);
	if (--source->n_open != 0)
		return;
	srs_assert(source->n_handshakes == 0);
	for (at = bucket_of(s, source->key); *at != source; at = &(*at)->next)
		srs_assert(*at != NULL);
	*at = source->next;
	source->next = s->free;
	s->free = source;
}
