/* io_uring: writes are queued in memory and the kernel starts them by itself; the writer goes on sealing. */
#include <liburing.h>
#include <stdlib.h>

#include "dataplane/storage_engine.h"
#include "lib/srs_assert.h"

struct storage_uring {
	struct storage base;
	struct io_uring ring;
};

static struct storage_uring *
uring_of(struct storage *s)
{
	return (struct storage_uring *)(void *)s;
}

static void
uring_destroy(struct storage *s)
{
	io_uring_queue_exit(&uring_of(s)->ring);
	free(s);
}

static void
uring_submit(struct storage *s, struct storage_io *io, size_t len)
{
	struct storage_uring *u = uring_of(s);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	srs_assert(sqe != NULL); /* the ring is as deep as depth_max */
	io_uring_prep_write(sqe, io->fd, io->bytes + io->n_done, (unsigned int)len, io->offset + io->n_done);
	io_uring_sqe_set_data(sqe, io);
	/* What the kernel did not take now stays in the ring and goes with the next submission. */
	(void)io_uring_submit(&u->ring);
}

static unsigned int
uring_reap(struct storage *s, struct storage_done *done, unsigned int max, bool wait)
{
	struct storage_uring *u = uring_of(s);
	struct io_uring_cqe *cqe;
	unsigned int n = 0;

	if (wait || io_uring_sq_ready(&u->ring) != 0)
		(void)io_uring_submit_and_wait(&u->ring, wait ? 1 : 0);
	while (n < max && io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		done[n].io = io_uring_cqe_get_data(cqe);
		done[n].result = cqe->res;
		n++;
		io_uring_cqe_seen(&u->ring, cqe);
	}
	return n;
}

static const struct storage_engine uring_engine = {
	.name = "io_uring",
	.destroy = uring_destroy,
	.file_create = storage_posix_file_create,
	.file_open = storage_posix_file_open,
	.submit = uring_submit,
	.reap = uring_reap,
	.sync = storage_posix_sync,
	.rename = storage_posix_rename,
	.sync_folder = storage_posix_sync_folder,
	.free_space = storage_posix_free_space,
};

int
storage_uring_create(struct storage **out, unsigned int depth_max)
{
	struct storage_uring *u = calloc(1, sizeof(*u));
	int result;

	if (u == NULL)
		return -ENOMEM;
	u->base.engine = &uring_engine;
	u->base.depth_max = depth_max;
	result = io_uring_queue_init(depth_max, &u->ring, 0);
	if (result < 0) {
		free(u);
		return result;
	}
	*out = &u->base;
	return 0;
}
