/* A hash from texts to the objects that hold them: nodes sit inside the objects, so nothing is allocated per entry
 * but the key. The hash is keyed with a random secret (SipHash-1-3), since peers choose what goes in. Keys may stand
 * twice; the caller looks before it adds. @thread control */
#ifndef TEXTMAP_H
#define TEXTMAP_H

#include <stdint.h>

#include "lib/srs_err.h"

struct textmap_node {
	struct textmap_node *next;
	uint64_t hash;
	char *key;	/* owned by the node while it is in a map; NULL: in none */
	void *object;	/* whose node this is */
};
struct textmap {
	struct textmap_node **buckets;
	uint32_t mask;
	uint32_t n;
	uint64_t secret[2];
};

/** @param entries_max  how many entries to expect at most: sizes the buckets */
SRS_MUST_CHECK enum srs_err textmap_init(struct textmap *m, uint32_t entries_max);
void textmap_release(struct textmap *m);	/* the nodes must be gone */
uint64_t textmap_hash(const struct textmap *m, const char *key);
void *textmap_find(const struct textmap *m, const char *key);	/* the object, or NULL */
/** @param key  malloc'ed; taken over, also on failure. @return NOMEM when it is NULL */
SRS_MUST_CHECK enum srs_err textmap_add(struct textmap *m, struct textmap_node *node, char *key, void *object);
void textmap_remove(struct textmap *m, struct textmap_node *node);	/* accepts a node in no map; frees the key */

#endif
