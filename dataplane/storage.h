/* The one seam to the disk. A storage is an engine (io_uring, pwrite, or the faulty one of the tests) with the few
 * operations that a vault needs: create with preallocation, write at an offset, flush, rename, flush a folder.
 * Writes are started and finish later; everything else is done when the call returns.
 *
 * SRS_ERR_LIMIT always means "no space", SRS_ERR_IO everything else that the disk did. What was acknowledged by
 * storage_sync() is durable; what was only written is not. @thread the owner (a writer; recovery before it starts) */
#ifndef STORAGE_H
#define STORAGE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config.h"
#include "lib/srs_err.h"

#define STORAGE_ALIGN 4096	/* of buffers, lengths and offsets: O_DIRECT */

struct storage;

/* One write. The caller keeps it and its bytes until `busy` is false again, then reads `err`. */
struct storage_io {
	int fd;
	const uint8_t *bytes;
	size_t len;
	uint64_t offset;
	/* the engine's */
	size_t n_done;
	unsigned int tries;
	enum srs_err err;
	bool busy;
};

/** `engine` auto probes io_uring and falls back with a log line. @param depth_max writes under way at once */
SRS_MUST_CHECK enum srs_err storage_create(struct storage **out, enum config_disk_engine engine,
                                           unsigned int depth_max);
void storage_destroy(struct storage *s);	/* accepts NULL */
const char *storage_name(const struct storage *s);	/* "io_uring", "pwrite" */

/** A new file of `size` bytes, all of them allocated, for writing. Bypasses the page cache where the file system lets
 * us. Leaves nothing behind when it fails. @return LIMIT (no space), STATE (exists), IO */
SRS_MUST_CHECK enum srs_err storage_file_create(struct storage *s, const char *path, uint64_t size, int *fd);
/** An existing file for writing. */
SRS_MUST_CHECK enum srs_err storage_file_open(struct storage *s, const char *path, int *fd);
void storage_file_close(struct storage *s, int fd);

/** Start a write. An error shows in io->err when it is no longer busy. Waits for another one
 * when depth_max are under way. */
void storage_write(struct storage *s, struct storage_io *io);
/** Take in what has finished; with `wait`, block until at least one has (if any is busy). @return writes still busy */
unsigned int storage_poll(struct storage *s, bool wait);
/** Write and wait. */
SRS_MUST_CHECK enum srs_err storage_write_wait(struct storage *s, int fd, const uint8_t *bytes, size_t len,
                                               uint64_t offset);

/** fdatasync. After a failure nothing that was written since the last success may be trusted, ever. */
SRS_MUST_CHECK enum srs_err storage_sync(struct storage *s, int fd);
SRS_MUST_CHECK enum srs_err storage_rename(struct storage *s, const char *from, const char *to);
SRS_MUST_CHECK enum srs_err storage_sync_folder(struct storage *s, const char *path);
/** Give a range of a file back to the file system; it reads as zeros. Best effort. */
void storage_release(struct storage *s, int fd, uint64_t offset, uint64_t len);
/** Bytes that an unprivileged process could still write below `path`. */
SRS_MUST_CHECK enum srs_err storage_free_space(struct storage *s, const char *path, uint64_t *bytes);

/* ---- the faulty engine: tests ---- */

enum storage_op {
	STORAGE_OP_CREATE,
	STORAGE_OP_OPEN,
	STORAGE_OP_WRITE,
	STORAGE_OP_SYNC,
	STORAGE_OP_RENAME,
	STORAGE_OP_SYNC_FOLDER,
	STORAGE_OP_FREE_SPACE,
	STORAGE_N_OPS,
};
#define STORAGE_OP_ANY     STORAGE_N_OPS
#define STORAGE_FAULT_FOREVER UINT64_MAX
#define STORAGE_FAULT_SHORT  (-1)	/* instead of an errno: write only half */

/* The `nth` operation of a kind from now (1: the next one) and the `n_times - 1` after it go wrong. */
struct storage_fault {
	enum storage_op op;
	uint64_t nth;
	uint64_t n_times;
	int error;		/* errno; 0: only late */
	unsigned int delay_us;
};

/** Wrap a storage; it owns `inner` from then on. */
SRS_MUST_CHECK enum srs_err storage_faulty_create(struct storage **out, struct storage *inner);
/** Replace the armed fault. n_times 0 disarms. @thread any */
void storage_faulty_arm(struct storage *s, const struct storage_fault *fault);
/** Operations of a kind (or STORAGE_OP_ANY) since creation. @thread any */
uint64_t storage_faulty_count(struct storage *s, enum storage_op op);

#endif
