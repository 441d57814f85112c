/* pwrite, for systems that forbid io_uring (containers, hardened kernels): the write is done when submit returns, and
 * its completion waits in a small list. The writer's rings and the lcores' chunk pools cover the time. */
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/storage_engine.h"
#include "lib/srs_assert.h"

struct storage_pwrite {
	struct storage base;
	unsigned int n_done;
	struct storage_done done[];	/* depth_max */
};

static struct storage_pwrite *
pwrite_of(struct storage *s)
{
	return (struct storage_pwrite *)(void *)s;
}

static void
pwrite_destroy(struct storage *s)
{
	free(s);
}

static void
pwrite_submit(struct storage *s, struct storage_io *io, size_t len)
{
	struct storage_pwrite *p = pwrite_of(s);
	ssize_t n = pwrite(io->fd, io->bytes + io->n_done, len, (off_t)(io->offset + io->n_done));

	srs_assert(p->n_done < s->depth_max);
	p->done[p->n_done++] = (struct storage_done){ .io = io, .result = n < 0 ? -errno : (int)n };
}

static unsigned int
pwrite_reap(struct storage *s, struct storage_done *done, unsigned int max, bool wait)
{
	struct storage_pwrite *p = pwrite_of(s);
	unsigned int n = 0;

	while (n < max && p->n_done > 0)
		done[n++] = p->done[--p->n_done];
	return n;
}

static const struct storage_engine pwrite_engine = {
	.name = "pwrite",
	.destroy = pwrite_destroy,
	.file_create = storage_posix_file_create,
	.file_open = storage_posix_file_open,
	.submit = pwrite_submit,
	.reap = pwrite_reap,
	.sync = storage_posix_sync,
	.rename = storage_posix_rename,
	.sync_folder = storage_posix_sync_folder,
	.free_space = storage_posix_free_space,
};

int
storage_pwrite_create(struct storage **out, unsigned int depth_max)
{
	struct storage_pwrite *p = calloc(1, sizeof(*p) + depth_max * sizeof(p->done[0]));

	if (p == NULL)
		return -ENOMEM;
	p->base.engine = &pwrite_engine;
	p->base.depth_max = depth_max;
	*out = &p->base;
	return 0;
}
