/* What docs/format.md, "What verify checks", asks of one recording: nothing lost that was sealed, nothing changed.
 * Each finding is one sentence that names file, slot, part and chunk. @thread tool */
#ifndef VERIFY_H
#define VERIFY_H

#include "controlplane/tool/tape.h"

enum verify_verdict {
	VERIFY_INTACT,		/* everything checks, sealed FINAL */
	VERIFY_INTERRUPTED,	/* everything checks, sealed by recovery after a crash */
	VERIFY_OPEN,		/* everything checks so far, no seal yet */
	VERIFY_DAMAGED,
};
const char *verify_verdict_name(enum verify_verdict v);

struct verify_report {
	enum verify_verdict verdict;
	unsigned int n_findings;
	unsigned int n_parts, n_chunks, n_opened;	/* n_opened: chunks whose tag verified */
	bool signature_checked;	/* with the node's public key */
	bool keys_used;
	uint64_t missing_chunks;	/* that the seals themselves name */
};

/**
 * @param node_public  32 bytes, or NULL: signatures are not checked
 * @param ks           or NULL: nothing is opened
 */
SRS_MUST_CHECK enum srs_err verify_tape(const struct tape *t, const uint8_t *node_public, struct keystore *ks,
                                        void (*on_finding)(void *ctx, const char *sentence), void *ctx,
                                        struct verify_report *out);

#endif
