#include "controlplane/sip/source_limit.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "crypto/secret.h"

#define NS_PER_S UINT64_C(1000000000)
#define WAYS     8
#define KEY_SIZE 9

/* A bucket is kept as the time until which its source has used up what it may send: that time runs ahead of the clock by
 * one interval for each request, and by burst_s at most. */
struct source {
	uint8_t key[KEY_SIZE];		/* family, then the address or the first half of it; family 0: free */
	uint64_t taken_until_ns;
	uint64_t refused_until_ns;	/* the same for refusals */
};

struct source_limit {
	struct source (*sets)[WAYS];
	uint32_t n_sets;		/* a power of two */
	uint64_t seed;			/* so that nobody chooses addresses that meet in one set */
};

enum srs_err
source_limit_create(struct source_limit **out, uint32_t sources_max)
{
	struct source_limit *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return SRS_ERR_NOMEM;
	l->n_sets = 1;
	while (l->n_sets * WAYS < sources_max)
		l->n_sets *= 2;
	l->sets = calloc(l->n_sets, sizeof(*l->sets));
	if (l->sets == NULL || secret_random(&l->seed, sizeof(l->seed))) {
		source_limit_destroy(l);
		return SRS_ERR_NOMEM;
	}
	*out = l;
	return SRS_OK;
}

void
source_limit_destroy(struct source_limit *l)
{
	if (l == NULL)
		return;
	free(l->sets);
	free(l);
}

static void
key_of(const struct sockaddr_storage *a, uint8_t key[KEY_SIZE])
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
	bool mapped = a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);

	memset(key, 0, KEY_SIZE);
	key[0] = a->ss_family == AF_INET6 && !mapped ? 6 : 4;
	if (mapped)
		memcpy(key + 1, in6->sin6_addr.s6_addr + 12, 4);
	else if (a->ss_family == AF_INET6)
		memcpy(key + 1, &in6->sin6_addr, 8);
	else
		memcpy(key + 1, &((const struct sockaddr_in *)a)->sin_addr, 4);
}

static struct source *
set_of(const struct source_limit *l, const uint8_t key[KEY_SIZE])
{
	uint64_t hash = l->seed;

	for (unsigned int i = 0; i < KEY_SIZE; i++) {
		hash = (hash ^ key[i]) * 0x100000001b3ull;
		hash ^= hash >> 29;
	}
	return l->sets[hash & (l->n_sets - 1)];
}

/* Its place, or that of the source which has been silent longest: forgetting that one gives it the least. */
static struct source *
source_of(struct source_limit *l, const struct sockaddr_storage *address)
{
	uint8_t key[KEY_SIZE];
	struct source *set, *oldest;

	key_of(address, key);
	set = oldest = set_of(l, key);
	for (unsigned int i = 0; i < WAYS; i++) {
		if (memcmp(set[i].key, key, KEY_SIZE) == 0)
			return &set[i];
		if (set[i].taken_until_ns < oldest->taken_until_ns)
			oldest = &set[i];
	}
	*oldest = (struct source){ .key = { 0 } };
	memcpy(oldest->key, key, KEY_SIZE);
	return oldest;
}

static bool
spend(uint64_t *until_ns, uint64_t interval_ns, uint64_t burst_ns, uint64_t now_ns)
{
	uint64_t from = *until_ns > now_ns ? *until_ns : now_ns;

	if (from + interval_ns > now_ns + burst_ns)
		return false;
	*until_ns = from + interval_ns;
	return true;
}

enum source_verdict
source_limit_ask(struct source_limit *l, const struct sockaddr_storage *address, uint32_t rate_per_s, uint32_t burst_s,
                 uint64_t now_mono_ns)
{
	struct source *s = source_of(l, address);
	uint64_t interval_ns = NS_PER_S / rate_per_s, burst_ns = burst_s * NS_PER_S;

	if (spend(&s->taken_until_ns, interval_ns, burst_ns, now_mono_ns))
		return SOURCE_TAKE;
	return spend(&s->refused_until_ns, interval_ns, burst_ns, now_mono_ns) ? SOURCE_REFUSE : SOURCE_DROP;
}
