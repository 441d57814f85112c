#include "dataplane/steer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool
address_read(struct media_address *a, const char *text)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->ip) == 1)
		a->ip_version = 4;
	else if (inet_pton(AF_INET6, text, a->ip) == 1)
		a->ip_version = 6;
	return a->ip_version != 0;
}

enum srs_err
steer_init(struct steer *s, char *const *texts, unsigned int n, uint16_t n_lcores, char *why, size_t why_len)
{
	memset(s, 0, sizeof(*s));
	memset(s->hash, 0xff, sizeof(s->hash));
	s->n_lcores = n_lcores;
	if (n == 0 || n > CONFIG_ADDRESS_MAX || n < n_lcores) {
		snprintf(why, why_len, "media.addresses has %u entries; give 1 to %u, at least one for each of %u lcores.",
		         n, CONFIG_ADDRESS_MAX, n_lcores);
		return SRS_ERR_INVALID;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct media_address *a = &s->address[i];
		uint32_t b;

		if (!address_read(a, texts[i])) {
			snprintf(why, why_len, "media.addresses: \"%s\" is not a numeric IP address.", texts[i]);
			return SRS_ERR_INVALID;
		}
		if (steer_find(s, a->ip_version, a->ip) != STEER_NONE) {
			snprintf(why, why_len, "media.addresses: \"%s\" stands there twice.", texts[i]);
			return SRS_ERR_INVALID;
		}
		b = steer_bucket(a->ip, a->ip_version == 4 ? 4 : 16);
		while (s->hash[b] != STEER_NONE)
			b = (b + 1) % STEER_HASH_SIZE;
		s->hash[b] = (uint16_t)i;
		s->lcore_of[i] = (uint16_t)(i * n_lcores / n);
		s->n_addresses++;
	}
	return SRS_OK;
}
