/* The roll: every recording that the catalog says is complete, to be called against the files. What is sealed and in no
 * file was taken away with its segment, and no file that is left can tell. Take it before the files are opened: a
 * recorder that runs may seal another one in between. @thread tool */
#ifndef ROLL_H
#define ROLL_H

#include <stdint.h>

#include "controlplane/tool/tool.h"

struct roll;

/** @return STATE, IO (no catalog that can be read: `why` says so), NOMEM */
SRS_MUST_CHECK enum srs_err roll_take(struct roll **out, const struct tool *t, char *why, size_t why_len);
/** One sentence for each recording of the roll that is not among `ids`. */
void roll_call(const struct roll *r, uint8_t (*ids)[REEL_ID_SIZE], unsigned int n,
               void (*on_absent)(void *ctx, const char *sentence), void *ctx);
void roll_free(struct roll *r);	/* accepts NULL */

#endif
