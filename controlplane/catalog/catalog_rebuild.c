/* Making the catalog anew from what the tool found in segments. The new file replaces the old one whole. Holds and
 * erasures live in the ledger only: when that is missing or broken, every recording is held until somebody decides. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/catalog/catalog_store.h"
#include "controlplane/catalog/ledger.h"

struct catalog_rebuild {
	struct catalog_store *store;
	struct ledger *ledger;	/* its lock keeps a daemon out */
	bool hold_all;
	char dir[CATALOG_PATH_MAX - 64];
};

static void
path_of(const struct catalog_rebuild *b, const char *name, char path[CATALOG_PATH_MAX])
{
	snprintf(path, CATALOG_PATH_MAX, "%s/%s", b->dir, name);
}

static void
remove_file(const struct catalog_rebuild *b, const char *name)
{
	char path[CATALOG_PATH_MAX];

	path_of(b, name, path);
	unlink(path);
}

static enum srs_err
rebuild_open(struct catalog_rebuild *b, char *why, size_t why_len)
{
	struct ledger_state state;
	char path[CATALOG_PATH_MAX];
	enum srs_err err;

	path_of(b, CATALOG_LEDGER_FILE, path);
	err = ledger_open(&b->ledger, path, true, &state, why, why_len);
	if (err)
		return err;
	b->hold_all = state.broken;
	remove_file(b, CATALOG_FILE ".new");
	remove_file(b, CATALOG_FILE ".new-journal");
	path_of(b, CATALOG_FILE ".new", path);
	err = catalog_store_open(&b->store, path, false, why, why_len);
	if (!err)
		err = catalog_store_begin(b->store);
	return err;
}

enum srs_err
catalog_rebuild_begin(struct catalog_rebuild **out, const char *dir, char *why, size_t why_len)
{
	struct catalog_rebuild *b = calloc(1, sizeof(*b));
	enum srs_err err;

	if (b == NULL)
		return SRS_ERR_NOMEM;
	if ((size_t)snprintf(b->dir, sizeof(b->dir), "%s", dir) >= sizeof(b->dir)) {
		snprintf(why, why_len, "the vault's path is too long");
		free(b);
		return SRS_ERR_LIMIT;
	}
	err = rebuild_open(b, why, why_len);
	if (err) {
		catalog_rebuild_abort(b);
		return err;
	}
	*out = b;
	return SRS_OK;
}

enum srs_err
catalog_rebuild_recording(struct catalog_rebuild *b, const struct catalog_recording *r)
{
	struct catalog_recording row = *r;

	row.held = r->held || b->hold_all;
	return catalog_store_recording(b->store, &row);
}

enum srs_err
catalog_rebuild_segment(struct catalog_rebuild *b, const struct catalog_segment *s)
{
	return catalog_store_segment(b->store, s);
}

enum srs_err
catalog_rebuild_placed(struct catalog_rebuild *b, const uint8_t recording[REEL_ID_SIZE],
                       const uint8_t segment_uuid[REEL_ID_SIZE])
{
	return catalog_store_placed(b->store, recording, segment_uuid);
}

void
catalog_rebuild_abort(struct catalog_rebuild *b)
{
	if (b == NULL)
		return;
	catalog_store_close(b->store);
	if (b->ledger != NULL) { /* without the lock the file may be another's */
		remove_file(b, CATALOG_FILE ".new");
		remove_file(b, CATALOG_FILE ".new-journal");
	}
	ledger_close(b->ledger);
	free(b);
}

/* The old write-ahead log goes first: beside another database file it would be nonsense. */
static enum srs_err
replace(const struct catalog_rebuild *b)
{
	char from[CATALOG_PATH_MAX], to[CATALOG_PATH_MAX];
	enum srs_err err = SRS_OK;
	int fd;

	path_of(b, CATALOG_FILE ".new", from);
	path_of(b, CATALOG_FILE, to);
	remove_file(b, CATALOG_FILE "-wal");
	remove_file(b, CATALOG_FILE "-shm");
	remove_file(b, CATALOG_FILE "-journal");
	if (rename(from, to) != 0)
		return SRS_ERR_IO;
	fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		err = SRS_ERR_IO;
	if (fd >= 0)
		close(fd);
	return err;
}

enum srs_err
catalog_rebuild_commit(struct catalog_rebuild *b)
{
	enum srs_err err = catalog_store_commit(b->store);

	if (!err)
		err = ledger_append(b->ledger, "rebuilt", b->hold_all ? "{\"held\":true}" : "{\"held\":false}");
	if (!err)
		err = ledger_sync(b->ledger);
	if (!err) {
		catalog_store_close(b->store);
		b->store = NULL;
		err = replace(b);
	}
	catalog_rebuild_abort(b);
	return err;
}
