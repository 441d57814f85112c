/* How many connections an address has, and how many of them are still in their handshake: nobody may take all. An IPv6
 * network of 64 bits counts as one address, since its hosts choose theirs freely. @thread control */
#ifndef CONN_SOURCE_H
#define CONN_SOURCE_H

#include <stdint.h>

#include "lib/srs_err.h"

struct sockaddr_storage;
struct conn_sources;

/* One address that has a connection. */
struct conn_source {
	uint8_t key[9];			/* family, then the address or the first half of it */
	uint32_t n_open;
	uint32_t n_handshakes;
	struct conn_source *next;	/* of its bucket, or of the free ones */
};

/** @param sources_max  as many as there may be connections */
SRS_MUST_CHECK enum srs_err conn_sources_create(struct conn_sources **out, uint32_t sources_max);
void conn_sources_destroy(struct conn_sources *s);	/* accepts NULL */
/** One connection more of this address; n_open says how many that makes. NULL: sources_max */
struct conn_source *conn_source_take(struct conn_sources *s, const struct sockaddr_storage *address);
/** One less; accepts NULL. */
void conn_source_give(struct conn_sources *s, struct conn_source *source);

#endif
