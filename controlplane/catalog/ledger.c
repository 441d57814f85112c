#include "controlplane/catalog/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "lib/srs_log.h"

#define LEDGER_PATH_MAX 4096
#define LEDGER_LINE_MAX (LEDGER_JSON_MAX + 256)
#define LEDGER_HEX      (2 * DIGEST_SIZE)

struct ledger {
	int fd;
	uint64_t n_entries;
	uint64_t len; /* of the file; a failed append is cut back to it */
	uint8_t previous[DIGEST_SIZE];
	uint8_t hashed[DIGEST_SIZE + LEDGER_LINE_MAX]; /* the previous hash, then the line being made */
};

static bool
hex_read(const char *hex, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned int byte;

		if (strspn(hex + 2 * i, "0123456789abcdef") < 2 || sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return false;
		out[i] = (uint8_t)byte;
	}
	return true;
}

static bool
kind_is_word(const char *kind)
{
	size_t len = strlen(kind);

	return len != 0 && len <= LEDGER_KIND_MAX && strspn(kind, "abcdefghijklmnopqrstuvwxyz_") == len;
}

static bool
json_is_one_line(const char *json)
{
	size_t len = strlen(json);

	if (len < 2 || len > LEDGER_JSON_MAX || json[0] != '{' || json[len - 1] != '}')
		return false;
	for (; *json != '\0'; json++) {
		if ((unsigned char)*json < 0x20)
			return false;
	}
	return true;
}

/* ---- checking ---- */

struct walk {
	struct ledger_state *state;
	uint8_t previous[DIGEST_SIZE];
	uint8_t hashed[DIGEST_SIZE + LEDGER_LINE_MAX];
	void (*on_entry)(void *ctx, const struct ledger_entry *e);
	void *ctx;
};

/* One whole line without its end; cut into its parts in place. @return false: the chain does not hold here */
static bool
walk_line(struct walk *w, char *line, size_t len)
{
	struct ledger_entry e;
	uint8_t claimed[DIGEST_SIZE], found[DIGEST_SIZE];
	char *at = line, *end;

	if (len < LEDGER_HEX + 2 || len >= LEDGER_LINE_MAX || strlen(line) != len)
		return false;
	end = line + len - LEDGER_HEX - 1;
	if (*end != ' ' || !hex_read(end + 1, claimed, DIGEST_SIZE))
		return false;
	*end = '\0';
	memcpy(w->hashed, w->previous, DIGEST_SIZE);
	memcpy(w->hashed + DIGEST_SIZE, line, (size_t)(end - line));
	digest_sha256(w->hashed, (uint32_t)(DIGEST_SIZE + (end - line)), found);
	if (memcmp(found, claimed, DIGEST_SIZE) != 0)
		return false;

	e.seq = strtoull(at, &at, 10);
	if (e.seq != w->state->n_entries + 1 || *at != ' ')
		return false;
	e.wall_ns = strtoll(at + 1, &at, 10);
	if (*at != ' ')
		return false;
	e.kind = ++at;
	at = strchr(at, ' ');
	if (at == NULL)
		return false;
	*at = '\0';
	e.json = at + 1;
	if (!kind_is_word(e.kind) || !json_is_one_line(e.json))
		return false;

	memcpy(w->previous, found, DIGEST_SIZE);
	w->state->n_entries++;
	w->state->broken |= strcmp(e.kind, "broken") == 0;
	if (w->on_entry != NULL)
		w->on_entry(w->ctx, &e);
	return true;
}

static enum srs_err
walk_file(struct walk *w, FILE *f)
{
	char *line = malloc(LEDGER_LINE_MAX + 2);
	enum srs_err err = line != NULL ? SRS_OK : SRS_ERR_NOMEM;

	while (!err && !w->state->damaged && fgets(line, LEDGER_LINE_MAX + 1, f) != NULL) {
		size_t len = strlen(line);
		bool whole = len != 0 && line[len - 1] == '\n';

		if (!whole && feof(f)) { /* after a power cut the tail may be zeros: by position, not by strlen */
			w->state->torn_bytes = (uint64_t)ftello(f) - w->state->good_bytes;
			break;
		}
		if (whole)
			line[len - 1] = '\0';
		if (!whole || !walk_line(w, line, len - 1)) {
			w->state->damaged = w->state->broken = true;
			break;
		}
		w->state->good_bytes += len;
	}
	if (!err && ferror(f))
		err = SRS_ERR_IO;
	free(line);
	return err;
}

static enum srs_err
check(const char *path, struct ledger_state *state, struct walk *w)
{
	FILE *f = fopen(path, "re");
	enum srs_err err;

	memset(state, 0, sizeof(*state));
	w->state = state;
	if (f == NULL)
		return errno == ENOENT ? SRS_ERR_STATE : SRS_ERR_IO;
	err = walk_file(w, f);
	fclose(f);
	return err;
}

enum srs_err
ledger_check(const char *path, struct ledger_state *state, void (*on_entry)(void *ctx, const struct ledger_entry *e),
             void *ctx)
{
	struct walk *w = calloc(1, sizeof(*w));
	enum srs_err err;

	if (w == NULL)
		return SRS_ERR_NOMEM;
	w->on_entry = on_entry;
	w->ctx = ctx;
	err = check(path, state, w);
	free(w);
	return err;
}

/* ---- opening ---- */

static int64_t
wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Put a file that does not hold aside, and begin a new chain that says so. */
static enum srs_err
begin_after_break(struct ledger *l, const char *path, const struct ledger_state *state, char *why, size_t why_len)
{
	char aside[LEDGER_PATH_MAX], json[512];
	int64_t now = wall_ns();
	struct stat st;
	int fd;

	if ((size_t)snprintf(aside, sizeof(aside), "%s.broken-%" PRId64, path, now) >= sizeof(aside))
		return SRS_ERR_LIMIT;
	if (state->damaged) {
		if (fstat(l->fd, &st) != 0 || rename(path, aside) != 0) {
			snprintf(why, why_len, "%s: its hash chain is broken and it cannot be renamed (%s)", path, strerror(errno));
			return SRS_ERR_IO;
		}
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
			snprintf(why, why_len, "%s: cannot be made anew (%s)", path, strerror(errno));
			if (fd >= 0)
				close(fd);
			return SRS_ERR_IO;
		}
		close(l->fd);
		l->fd = fd;
		snprintf(json, sizeof(json), "{\"cause\":\"chain\",\"good_entries\":%" PRIu64 ",\"good_bytes\":%" PRIu64
		         ",\"bytes\":%lld,\"kept_as\":\"ledger.broken-%" PRId64 "\"}", state->n_entries, state->good_bytes,
		         (long long)st.st_size, now);
		log_error("ledger", "ledger_chain_broken", "path=%s good_entries=%" PRIu64 " kept_as=%s", path, state->n_entries,
		          aside);
	} else {
		snprintf(json, sizeof(json), "{\"cause\":\"missing\"}");
		log_error("ledger", "ledger_missing", "path=%s", path);
	}
	l->n_entries = 0;
	l->len = 0;
	memset(l->previous, 0, sizeof(l->previous));
	return ledger_append(l, "broken", json);
}

static enum srs_err
cut_torn(struct ledger *l, const char *path, const struct ledger_state *state, char *why, size_t why_len)
{
	if (ftruncate(l->fd, (off_t)state->good_bytes) != 0) {
		snprintf(why, why_len, "%s: its torn last line cannot be cut (%s)", path, strerror(errno));
		return SRS_ERR_IO;
	}
	log_warn("ledger", "ledger_torn_line_cut", "path=%s bytes=%" PRIu64, path, state->torn_bytes);
	return SRS_OK;
}

/* The folder's entry of a new file must be durable, too. */
static enum srs_err
folder_sync(const char *path)
{
	char folder[LEDGER_PATH_MAX];
	const char *slash = strrchr(path, '/');
	enum srs_err err = SRS_OK;
	int fd;

	snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1, slash != NULL ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		err = SRS_ERR_IO;
	if (fd >= 0)
		close(fd);
	return err;
}

static enum srs_err
open_locked(struct ledger *l, const char *path, bool *is_new, char *why, size_t why_len)
{
	l->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	*is_new = l->fd < 0 && errno == ENOENT;
	if (*is_new)
		l->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (l->fd < 0) {
		snprintf(why, why_len, "%s: cannot be opened (%s); check the folder's owner and rights", path, strerror(errno));
		return SRS_ERR_IO;
	}
	if (flock(l->fd, LOCK_EX | LOCK_NB) != 0) {
		snprintf(why, why_len, "%s: another capstand or capstan fsck has it open; stop that one first", path);
		return SRS_ERR_STATE;
	}
	return SRS_OK;
}

static enum srs_err
open_checked(struct ledger *l, const char *path, bool expected, struct ledger_state *state, char *why, size_t why_len)
{
	struct walk *w = calloc(1, sizeof(*w));
	bool is_new = false;
	enum srs_err err = w != NULL ? open_locked(l, path, &is_new, why, why_len) : SRS_ERR_NOMEM;

	if (!err)
		err = check(path, state, w);
	if (err)
		goto out;
	memcpy(l->previous, w->previous, sizeof(l->previous));
	l->n_entries = state->n_entries;
	l->len = state->good_bytes;
	/* Where a chain should be, an empty file is as bad as none. */
	state->broken |= state->n_entries == 0 && expected;
	if (state->torn_bytes != 0)
		err = cut_torn(l, path, state, why, why_len);
	if (!err && (state->damaged || (state->n_entries == 0 && expected)))
		err = begin_after_break(l, path, state, why, why_len);
	else if (!err && state->n_entries == 0)
		err = ledger_append(l, "begin", "{\"version\":1}");
	if (!err)
		err = ledger_sync(l);
	if (!err && (is_new || state->damaged))
		err = folder_sync(path);
out:
	free(w);
	return err;
}

enum srs_err
ledger_open(struct ledger **out, const char *path, bool expected, struct ledger_state *state, char *why, size_t why_len)
{
	struct ledger *l = calloc(1, sizeof(*l));
	struct ledger_state own;
	enum srs_err err;

	if (l == NULL)
		return SRS_ERR_NOMEM;
	l->fd = -1;
	if (why_len != 0)
		why[0] = '\0';
	err = open_checked(l, path, expected, state != NULL ? state : &own, why, why_len);
	if (err) {
		if (why_len != 0 && why[0] == '\0')
			snprintf(why, why_len, "%s: cannot be read or written (%s)", path, strerror(errno));
		ledger_close(l);
		return err;
	}
	*out = l;
	return SRS_OK;
}

enum srs_err
ledger_append(struct ledger *l, const char *kind, const char *json)
{
	char *line = (char *)l->hashed + DIGEST_SIZE;
	uint8_t hash[DIGEST_SIZE];
	int len;

	if (!kind_is_word(kind) || !json_is_one_line(json))
		return SRS_ERR_INVALID;
	memcpy(l->hashed, l->previous, DIGEST_SIZE);
	len = snprintf(line, LEDGER_LINE_MAX - LEDGER_HEX - 2, "%" PRIu64 " %" PRId64 " %s %s", l->n_entries + 1, wall_ns(),
	               kind, json);
	if (len < 0 || len >= LEDGER_LINE_MAX - LEDGER_HEX - 2)
		return SRS_ERR_INVALID;
	digest_sha256(l->hashed, (uint32_t)(DIGEST_SIZE + len), hash);
	line[len++] = ' ';
	for (unsigned int i = 0; i < DIGEST_SIZE; i++)
		len += snprintf(line + len, 3, "%02x", hash[i]);
	line[len++] = '\n';
	if (write(l->fd, line, (size_t)len) != len) {
		/* A half line would break the chain for the next append. */
		if (ftruncate(l->fd, (off_t)l->len) != 0)
			log_error("ledger", "ledger_truncate_failed", "errno=%d", errno);
		return SRS_ERR_IO;
	}
	l->len += (uint64_t)len;
	l->n_entries++;
	memcpy(l->previous, hash, DIGEST_SIZE);
	return SRS_OK;
}

enum srs_err
ledger_sync(struct ledger *l)
{
	return fdatasync(l->fd) == 0 ? SRS_OK : SRS_ERR_IO;
}

void
ledger_close(struct ledger *l)
{
	if (l == NULL)
		return;
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}
