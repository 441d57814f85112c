/* A write connection of the catalog: schema, prepared statements, one function a row. Shared by the catalog thread and
 * by a rebuild. @thread the owner's only */
#ifndef CATALOG_STORE_H
#define CATALOG_STORE_H

#include "controlplane/catalog/catalog.h"

#define CATALOG_VERSION   2
#define CATALOG_PATH_MAX  4096

struct catalog_store;

/** Open or create. `wal`: for the daemon; else a rollback journal, so that the file is whole when closed.
 * @return INVALID (not a catalog, damaged, another version), IO, NOMEM */
SRS_MUST_CHECK enum srs_err catalog_store_open(struct catalog_store **out, const char *path, bool wal, char *why,
                                               size_t why_len);
void catalog_store_close(struct catalog_store *s);	/* accepts NULL */
/** Is the file that is open still the one at its path? Not after somebody deleted or replaced it: what is written then
 * goes to a file without a name. */
bool catalog_store_in_place(const struct catalog_store *s);
/** "disk I/O error", ... of the last failure, for a log line. */
const char *catalog_store_error(const struct catalog_store *s);

SRS_MUST_CHECK enum srs_err catalog_store_begin(struct catalog_store *s);
SRS_MUST_CHECK enum srs_err catalog_store_commit(struct catalog_store *s);
void catalog_store_rollback(struct catalog_store *s);
SRS_MUST_CHECK enum srs_err catalog_store_recording(struct catalog_store *s, const struct catalog_recording *r);
SRS_MUST_CHECK enum srs_err catalog_store_segment(struct catalog_store *s, const struct catalog_segment *segment);
SRS_MUST_CHECK enum srs_err catalog_store_placed(struct catalog_store *s, const uint8_t recording[REEL_ID_SIZE],
                                                 const uint8_t segment_uuid[REEL_ID_SIZE]);
#define CATALOG_UUID_SIZE 33	/* 32 lower-case hexadecimal digits, NUL */
/** The next UUID of a Session-ID text at or behind `*at`, in lower case; `*at` moves behind it. The nil UUID is nobody's.
 * @rfc 7989 §5 */
bool catalog_uuid_next(const char **at, char uuid[CATALOG_UUID_SIZE]);
/** Rows left `recording` become `interrupted`. @param n how many */
SRS_MUST_CHECK enum srs_err catalog_store_interrupt(struct catalog_store *s, unsigned int *n);

#endif
