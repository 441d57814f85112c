/* The ledger: what segments cannot know (access, hold, erase, ...), one line an entry, append-only and hash-chained.
 *
 *     SEQ WALL_NS KIND JSON HASH\n
 *
 * HASH is SHA-256, in hex, over the previous entry's HASH (32 bytes; zero for the first) and the line before " HASH".
 * A last line without its end is a torn write: it is cut, with a log line. Any other fault breaks the chain: the file
 * is put aside and a new one begins with an entry `broken`, so that the fault stays visible for good.
 *
 * One process at a time (flock). @thread one at a time: catalog, or the tool with the daemon stopped */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/srs_err.h"

#define LEDGER_KIND_MAX 32
#define LEDGER_JSON_MAX 65536

struct ledger;

struct ledger_entry {
	uint64_t seq;	/* from 1 */
	int64_t wall_ns;
	const char *kind;
	const char *json;
};

struct ledger_state {
	uint64_t n_entries;	/* good ones, from the start */
	bool broken;		/* the chain does not hold, or an entry `broken` says that an earlier one did not */
	bool damaged;		/* this very file does not hold, from byte good_bytes on */
	uint64_t good_bytes;
	uint64_t torn_bytes;	/* of a last line without its end */
};

/** Walk and check a file without changing it. `on_entry` may be NULL. @return STATE: no file; IO */
SRS_MUST_CHECK enum srs_err ledger_check(const char *path, struct ledger_state *state,
                                         void (*on_entry)(void *ctx, const struct ledger_entry *e), void *ctx);

/**
 * Check, mend (see above) and open for appending.
 *
 * @param expected  true: there should be one, so that a missing file is a broken chain
 * @param state     what was found before mending; may be NULL
 * @return          IO; STATE when another process has it
 */
SRS_MUST_CHECK enum srs_err ledger_open(struct ledger **out, const char *path, bool expected,
                                        struct ledger_state *state, char *why, size_t why_len);
/** Append, not yet durable. @return INVALID (kind is no word, json has line ends or is too long), IO */
SRS_MUST_CHECK enum srs_err ledger_append(struct ledger *l, const char *kind, const char *json);
/** Make durable what was appended. @return IO */
SRS_MUST_CHECK enum srs_err ledger_sync(struct ledger *l);
void ledger_close(struct ledger *l);	/* accepts NULL */

#endif
