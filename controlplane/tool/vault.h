/* The files of a vault, mapped read-only: segments and `.reel` files as one row of slots to walk. @thread tool */
#ifndef VAULT_H
#define VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/reel.h"
#include "lib/srs_err.h"

struct vault;

struct vault_file {
	char *path;
	const uint8_t *bytes;
	uint64_t n_slots;	/* whole slots in the file */
	uint64_t n_data;	/* slots to walk: below the footer area */
	struct reel_container head;
	const char *bad;	/* why nothing of it can be checked: no header, too short; NULL: good */
	const char *incomplete;	/* why some of it must be gone: cut off, or finished without a footer; NULL: whole */
	bool footer;		/* the footer area holds entries */
	bool footer_damaged;	/* some of it, while the rest holds entries */
};

/* One slot as something claims it to be: its footer entry, or its own header where there is no footer. */
struct vault_row {
	const struct vault_file *file;
	uint64_t slot_no;
	const uint8_t *slot;
	struct reel_footer_entry entry;	/* kind REEL_SLOT_EMPTY: unused; REEL_SLOT_DAMAGED: no claim can be read */
};

/**
 * Map files. A folder stands for its `segments/` (or itself): all *.seg, *.open and *.reel in it.
 *
 * @param why  one sentence on failure
 * @return     IO (cannot be read), INVALID (nothing there)
 */
SRS_MUST_CHECK enum srs_err vault_open(struct vault **out, const char *const *paths, unsigned int n_paths, char *why,
                                       size_t why_len);
void vault_close(struct vault *v);	/* accepts NULL */

unsigned int vault_n_files(const struct vault *v);
const struct vault_file *vault_file(const struct vault *v, unsigned int i);

/** Every slot of a file that is not claimed to be unused, in order; of a `.reel`, which has no unused ones, every slot. Stops when `on_row` returns false. */
void vault_walk_file(const struct vault_file *f, bool (*on_row)(void *ctx, const struct vault_row *row), void *ctx);
/** The same over all files. */
void vault_walk(const struct vault *v, bool (*on_row)(void *ctx, const struct vault_row *row), void *ctx);

/** What the slot really is, crc checked. */
enum reel_slot_kind vault_row_kind(const struct vault_row *row);

/** The recordings named in the vault, each once, in order of first appearance. Free with free(). */
SRS_MUST_CHECK enum srs_err vault_recordings(const struct vault *v, uint8_t (**ids)[REEL_ID_SIZE], unsigned int *n);

/** Compare a file's footer with its slots; a sentence for each difference. @return differences */
unsigned int vault_check_footer(const struct vault_file *f, void (*on_finding)(void *ctx, const char *sentence),
                                void *ctx);

#endif
