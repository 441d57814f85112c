/* What an engine implements; only dataplane/storage*.c include this. Operations answer 0 or a negative errno. */
#ifndef STORAGE_ENGINE_H
#define STORAGE_ENGINE_H

#include "dataplane/storage.h"

struct storage_done {
	struct storage_io *io;
	int result;	/* bytes written, or a negative errno */
};

struct storage_engine {
	const char *name;
	void (*destroy)(struct storage *s);
	int (*file_create)(struct storage *s, const char *path, uint64_t size);	/* fd */
	int (*file_open)(struct storage *s, const char *path);	/* fd */
	/* Start writing io->bytes[n_done ..]; a failure to start is a completion too. */
	void (*submit)(struct storage *s, struct storage_io *io, size_t len);
	unsigned int (*reap)(struct storage *s, struct storage_done *done, unsigned int max, bool wait);
	int (*sync)(struct storage *s, int fd);
	int (*rename)(struct storage *s, const char *from, const char *to);
	int (*sync_folder)(struct storage *s, const char *path);
	int (*free_space)(struct storage *s, const char *path, uint64_t *bytes);
};

struct storage {
	const struct storage_engine *engine;
	unsigned int depth_max;
	unsigned int n_busy;
};

/* What all engines on a real disk share. */
int storage_posix_file_create(struct storage *s, const char *path, uint64_t size);
int storage_posix_file_open(struct storage *s, const char *path);
int storage_posix_sync(struct storage *s, int fd);
int storage_posix_rename(struct storage *s, const char *from, const char *to);
int storage_posix_sync_folder(struct storage *s, const char *path);
int storage_posix_free_space(struct storage *s, const char *path, uint64_t *bytes);

/** @return 0 or a negative errno; -ENOSYS, -EPERM: io_uring is forbidden here */
int storage_uring_create(struct storage **out, unsigned int depth_max);
int storage_pwrite_create(struct storage **out, unsigned int depth_max);

#endif
