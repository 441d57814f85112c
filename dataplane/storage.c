#include "dataplane/storage.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "dataplane/storage_engine.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define STORAGE_REAP_MAX  32
#define STORAGE_TRIES_MAX 16	/* short or interrupted writes of one io */

static enum srs_err
err_of(int result)
{
	if (result >= 0)
		return SRS_OK;
	switch (-result) {
	case ENOSPC:
	case EDQUOT:
		return SRS_ERR_LIMIT;
	case EEXIST:
		return SRS_ERR_STATE;
	case ENOMEM:
		return SRS_ERR_NOMEM;
	default:
		return SRS_ERR_IO;
	}
}

enum srs_err
storage_create(struct storage **out, enum config_disk_engine engine, unsigned int depth_max)
{
	int result;

	if (engine != CONFIG_DISK_PWRITE) {
		result = storage_uring_create(out, depth_max);
		if (result == 0 || engine == CONFIG_DISK_IO_URING)
			return err_of(result);
		log_info("storage", "io_uring_unavailable", "error=\"%s\" using=pwrite", strerror(-result));
	}
	return err_of(storage_pwrite_create(out, depth_max));
}

void
storage_destroy(struct storage *s)
{
	if (s == NULL)
		return;
	while (storage_poll(s, true) != 0)
		;
	s->engine->destroy(s);
}

const char *
storage_name(const struct storage *s)
{
	return s->engine->name;
}

enum srs_err
storage_file_create(struct storage *s, const char *path, uint64_t size, int *fd)
{
	int result = s->engine->file_create(s, path, size);

	if (result >= 0)
		*fd = result;
	return err_of(result);
}

enum srs_err
storage_file_open(struct storage *s, const char *path, int *fd)
{
	int result = s->engine->file_open(s, path);

	if (result >= 0)
		*fd = result;
	return err_of(result);
}

void
storage_file_close(struct storage *s, int fd)
{
	if (fd >= 0)
		close(fd);
}

void
storage_write(struct storage *s, struct storage_io *io)
{
	while (s->n_busy >= s->depth_max)
		storage_poll(s, true);
	srs_assert(io->len % STORAGE_ALIGN == 0);
	srs_assert(io->offset % STORAGE_ALIGN == 0);
	io->n_done = 0;
	io->tries = 0;
	io->err = SRS_OK;
	io->busy = true;
	s->n_busy++;
	s->engine->submit(s, io, io->len);
}

static void
write_finish(struct storage *s, struct storage_io *io, enum srs_err err)
{
	io->err = err;
	io->busy = false;
	s->n_busy--;
}

/* A short write goes on where it stopped, on a block boundary. */
static void
write_advance(struct storage *s, const struct storage_done *done)
{
	struct storage_io *io = done->io;
	bool again = done->result == -EINTR || done->result == -EAGAIN;

	if (done->result < 0 && !again) {
		write_finish(s, io, err_of(done->result));
		return;
	}
	if (done->result > 0)
		io->n_done += (size_t)done->result;
	if (io->n_done >= io->len) {
		write_finish(s, io, SRS_OK);
		return;
	}
	io->n_done -= io->n_done % STORAGE_ALIGN;
	if (++io->tries >= STORAGE_TRIES_MAX) {
		write_finish(s, io, SRS_ERR_IO);
		return;
	}
	s->engine->submit(s, io, io->len - io->n_done);
}

unsigned int
storage_poll(struct storage *s, bool wait)
{
	struct storage_done done[STORAGE_REAP_MAX];
	unsigned int n;

	if (s->n_busy == 0)
		return 0;
	n = s->engine->reap(s, done, STORAGE_REAP_MAX, wait);
	for (unsigned int i = 0; i < n; i++)
		write_advance(s, &done[i]);
	return s->n_busy;
}

enum srs_err
storage_write_wait(struct storage *s, int fd, const uint8_t *bytes, size_t len, uint64_t offset)
{
	struct storage_io io = { .fd = fd, .bytes = bytes, .len = len, .offset = offset };

	storage_write(s, &io);
	while (io.busy)
		storage_poll(s, true);
	return io.err;
}

enum srs_err
storage_sync(struct storage *s, int fd)
{
	return err_of(s->engine->sync(s, fd));
}

enum srs_err
storage_rename(struct storage *s, const char *from, const char *to)
{
	return err_of(s->engine->rename(s, from, to));
}

enum srs_err
storage_sync_folder(struct storage *s, const char *path)
{
	return err_of(s->engine->sync_folder(s, path));
}

void
storage_release(struct storage *s, int fd, uint64_t offset, uint64_t len)
{
	if (len != 0)
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
}

enum srs_err
storage_free_space(struct storage *s, const char *path, uint64_t *bytes)
{
	return err_of(s->engine->free_space(s, path, bytes));
}

/* ---- shared by the engines on a real disk ---- */

/* tmpfs and some network file systems refuse O_DIRECT: then the page cache stands between, and fdatasync does the
 * same work. */
static int
open_direct(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EINVAL) {
		/* With O_CREAT the refused open may have left the name behind. */
		if ((flags & O_EXCL) != 0)
			(void)unlink(path);
		fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	return fd < 0 ? -errno : fd;
}

int
storage_posix_file_create(struct storage *s, const char *path, uint64_t size)
{
	int fd = open_direct(path, O_RDWR | O_CREAT | O_EXCL);
	int result;

	if (fd < 0)
		return fd;
	result = posix_fallocate(fd, 0, (off_t)size);
	if (result != 0) {
		close(fd);
		(void)unlink(path);
		return -result;
	}
	return fd;
}

int
storage_posix_file_open(struct storage *s, const char *path)
{
	return open_direct(path, O_RDWR);
}

int
storage_posix_sync(struct storage *s, int fd)
{
	return fdatasync(fd) == 0 ? 0 : -errno;
}

int
storage_posix_rename(struct storage *s, const char *from, const char *to)
{
	return rename(from, to) == 0 ? 0 : -errno;
}

int
storage_posix_sync_folder(struct storage *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result;

	if (fd < 0)
		return -errno;
	result = fsync(fd) == 0 ? 0 : -errno;
	close(fd);
	return result;
}

int
storage_posix_free_space(struct storage *s, const char *path, uint64_t *bytes)
{
	struct statvfs fs;

	if (statvfs(path, &fs) != 0)
		return -errno;
	*bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}
