/* A storage that goes wrong on order: it counts every operation of the one that it wraps and makes the armed ones
 * fail, come short or come late. The test arms it from its own thread, hence the lock. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/storage_engine.h"
#include "lib/srs_assert.h"

#define FAULTY_DONE_MAX 256

struct storage_faulty {
	struct storage base;
	struct storage *inner;
	pthread_mutex_t lock;	/* the two below */
	struct storage_fault fault;
	uint64_t count[STORAGE_N_OPS];
	unsigned int n_done;	/* writes that failed without reaching the disk */
	struct storage_done done[FAULTY_DONE_MAX];
};

static struct storage_faulty *
faulty_of(struct storage *s)
{
	return (struct storage_faulty *)(void *)s;
}

/* Count one operation. @return the error to inject, 0 for none */
static int
faulty_strike(struct storage_faulty *f, enum storage_op op)
{
	unsigned int delay_us = 0;
	int error = 0;

	pthread_mutex_lock(&f->lock);
	f->count[op]++;
	if (f->fault.n_times != 0 && (f->fault.op == op || f->fault.op == STORAGE_OP_ANY)) {
		if (f->fault.nth > 1) {
			f->fault.nth--;
		} else {
			error = f->fault.error;
			delay_us = f->fault.delay_us;
			if (f->fault.n_times != STORAGE_FAULT_FOREVER)
				f->fault.n_times--;
		}
	}
	pthread_mutex_unlock(&f->lock);
	if (delay_us != 0)
		usleep(delay_us);
	return error == STORAGE_FAULT_SHORT && op != STORAGE_OP_WRITE ? EIO : error;
}

static void
faulty_destroy(struct storage *s)
{
	struct storage_faulty *f = faulty_of(s);

	storage_destroy(f->inner);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static int
faulty_file_create(struct storage *s, const char *path, uint64_t size)
{
	struct storage_faulty *f = faulty_of(s);
	int error = faulty_strike(f, STORAGE_OP_CREATE);

	return error != 0 ? -error : f->inner->engine->file_create(f->inner, path, size);
}

static int
faulty_file_open(struct storage *s, const char *path)
{
	struct storage_faulty *f = faulty_of(s);
	int error = faulty_strike(f, STORAGE_OP_OPEN);

	return error != 0 ? -error : f->inner->engine->file_open(f->inner, path);
}

static void
faulty_submit(struct storage *s, struct storage_io *io, size_t len)
{
	struct storage_faulty *f = faulty_of(s);
	int error = faulty_strike(f, STORAGE_OP_WRITE);

	if (error == STORAGE_FAULT_SHORT) {
		size_t half = len / 2 / STORAGE_ALIGN * STORAGE_ALIGN;

		f->inner->engine->submit(f->inner, io, half != 0 ? half : len);
	} else if (error != 0) {
		srs_assert(f->n_done < FAULTY_DONE_MAX);
		f->done[f->n_done++] = (struct storage_done){ .io = io, .result = -error };
	} else {
		f->inner->engine->submit(f->inner, io, len);
	}
}

static unsigned int
faulty_reap(struct storage *s, struct storage_done *done, unsigned int max, bool wait)
{
	struct storage_faulty *f = faulty_of(s);
	unsigned int n = 0;

	while (n < max && f->n_done > 0)
		done[n++] = f->done[--f->n_done];
	if (n == max)
		return n;
	return n + f->inner->engine->reap(f->inner, done + n, max - n, wait && n == 0);
}

static int
faulty_sync(struct storage *s, int fd)
{
	struct storage_faulty *f = faulty_of(s);
	int error = faulty_strike(f, STORAGE_OP_SYNC);

	return error != 0 ? -error : f->inner->engine->sync(f->inner, fd);
}

static int
faulty_rename(struct storage *s, const char *from, const char *to)
{
	struct storage_faulty *f = faulty_of(s);
	int error = faulty_strike(f, STORAGE_OP_RENAME);

	return error != 0 ? -error : f->inner->engine->rename(f->inner, from, to);
}

static int
faulty_sync_folder(struct storage *s, const char *path)
{
	struct storage_faulty *f = faulty_of(s);
	int error = faulty_strike(f, STORAGE_OP_SYNC_FOLDER);

	return error != 0 ? -error : f->inner->engine->sync_folder(f->inner, path);
}

static int
faulty_free_space(struct storage *s, const char *path, uint64_t *bytes)
{
	struct storage_faulty *f = faulty_of(s);
	int error = faulty_strike(f, STORAGE_OP_FREE_SPACE);

	if (error == ENOSPC) {
		*bytes = 0;
		return 0;
	}
	return error != 0 ? -error : f->inner->engine->free_space(f->inner, path, bytes);
}

static const struct storage_engine faulty_engine = {
	.name = "faulty",
	.destroy = faulty_destroy,
	.file_create = faulty_file_create,
	.file_open = faulty_file_open,
	.submit = faulty_submit,
	.reap = faulty_reap,
	.sync = faulty_sync,
	.rename = faulty_rename,
	.sync_folder = faulty_sync_folder,
	.free_space = faulty_free_space,
};

enum srs_err
storage_faulty_create(struct storage **out, struct storage *inner)
{
	struct storage_faulty *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return SRS_ERR_NOMEM;
	f->base.engine = &faulty_engine;
	f->base.depth_max = inner->depth_max < FAULTY_DONE_MAX ? inner->depth_max : FAULTY_DONE_MAX;
	f->inner = inner;
	pthread_mutex_init(&f->lock, NULL);
	*out = &f->base;
	return SRS_OK;
}

void
storage_faulty_arm(struct storage *s, const struct storage_fault *fault)
{
	struct storage_faulty *f = faulty_of(s);

	pthread_mutex_lock(&f->lock);
	f->fault = *fault;
	pthread_mutex_unlock(&f->lock);
}

uint64_t
storage_faulty_count(struct storage *s, enum storage_op op)
{
	struct storage_faulty *f = faulty_of(s);
	uint64_t n = 0;

	pthread_mutex_lock(&f->lock);
	for (unsigned int i = 0; i < STORAGE_N_OPS; i++)
		if (op == i || op == STORAGE_OP_ANY)
			n += f->count[i];
	pthread_mutex_unlock(&f->lock);
	return n;
}
