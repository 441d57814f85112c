/* The metadata documents that a recording holds, one after the other: each with its number, the time of its receipt and
 * what became of it (docs/format.md, RECEIPT). A document that stands there again, because another part or recording
 * began, is told once. @thread tool */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/tool/tape.h"
#include "lib/srs_err.h"

#define HISTORY_VERSIONS_MAX 4096

struct history_version {
	uint32_t version;		/* as the recorder counted */
	uint64_t received_wall_ns;
	uint64_t bytes;			/* as received */
	bool applied;
	char datamode[16], dialect[24];	/* "" when it could not be read */
	char *reason;			/* why it was not applied; "" */
	uint8_t *document;		/* NULL: not kept, or lost with damage */
	size_t len;
	bool redacted;
};

struct history {
	struct history_version *versions;
	unsigned int n;
	bool cut;	/* there are more than HISTORY_VERSIONS_MAX */
};

/** @param on_damage as in tape_play() @return as tape_play(), NOMEM */
SRS_MUST_CHECK enum srs_err history_make(struct history **out, const struct tape *t, struct keystore *ks,
                                         void (*on_damage)(void *ctx, const char *sentence), void *ctx);
void history_free(struct history *h);	/* accepts NULL */

#endif
