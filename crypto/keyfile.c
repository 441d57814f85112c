#include "crypto/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "crypto/secret.h"

#define TEMPORARY "new.tmp" /* one at a time, under the folder's lock */
#define OTHERS	  (S_IRWXG | S_IRWXO)

static enum srs_err __attribute__((format(printf, 3, 4)))
folder_fail(struct keyfile_folder *folder, enum srs_err err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(folder->why, folder->why_len, format, args);
	va_end(args);
	return err;
}

static enum srs_err
folder_fail_io(struct keyfile_folder *folder, const char *what, const char *name)
{
	return folder_fail(folder, SRS_ERR_IO, "keystore: cannot %s %s/%s: %s", what, folder->path, name,
			   strerror(errno));
}

/* ---- the folder ---- */

static enum srs_err
folder_make(struct keyfile_folder *folder)
{
	int parent;

	if (mkdir(folder->path, S_IRWXU) != 0 && errno != EEXIST)
		return folder_fail(folder, SRS_ERR_IO, "keystore: cannot make the folder %s: %s%s",
				   folder->path, strerror(errno),
				   errno == ENOENT ? "; make its parent folder first" : "");
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0)
		return folder_fail(folder, SRS_ERR_IO, "keystore: cannot open the folder %s: %s",
				   folder->path, strerror(errno));
	/* The folder's own name must outlive a power cut like the keys in it. */
	parent = openat(folder->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0) {
		(void)fsync(parent); /* refused on some file systems; the keys' own fsync is checked */
		close(parent);
	}
	return SRS_OK;
}

enum srs_err
keyfile_folder_open(struct keyfile_folder *folder, bool create)
{
	struct stat st;

	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0 && errno == ENOENT) {
		enum srs_err err;

		if (!create)
			return folder_fail(
			    folder, SRS_ERR_STATE,
			    "keystore: there is none in %s yet; the recorder makes it when it first starts",
			    folder->path);
		err = folder_make(folder);
		if (err)
			return err;
	} else if (folder->fd < 0) {
		return folder_fail(folder, SRS_ERR_IO, "keystore: cannot open the folder %s: %s",
				   folder->path, strerror(errno));
	}
	if (fstat(folder->fd, &st) != 0)
		return folder_fail_io(folder, "look at", ".");
	if (st.st_mode & OTHERS)
		return folder_fail(
		    folder, SRS_ERR_AUTH,
		    "keystore: the folder %s is open to other users (mode %03o); run: chmod 700 %s",
		    folder->path, st.st_mode & 0777u, folder->path);
	return SRS_OK;
}

void
keyfile_folder_close(struct keyfile_folder *folder)
{
	if (folder->fd >= 0)
		close(folder->fd);
	folder->fd = -1;
}

enum srs_err
keyfile_folder_lock(struct keyfile_folder *folder)
{
	while (flock(folder->fd, LOCK_EX) != 0)
		if (errno != EINTR)
			return folder_fail_io(folder, "lock", ".");
	return SRS_OK;
}

void
keyfile_folder_unlock(struct keyfile_folder *folder)
{
	(void)flock(folder->fd, LOCK_UN); /* closing the folder would do the same */
}

/* ---- files ---- */

static enum srs_err
file_check(struct keyfile_folder *folder, const char *name, int fd, bool is_secret)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return folder_fail_io(folder, "look at", name);
	if (!S_ISREG(st.st_mode))
		return folder_fail(folder, SRS_ERR_INVALID, "keystore: %s/%s is not a file", folder->path,
				   name);
	if (is_secret && (st.st_mode & OTHERS))
		return folder_fail(folder, SRS_ERR_AUTH,
				   "keystore: %s/%s is open to other users (mode %03o); run: chmod 600 %s/%s",
				   folder->path, name, st.st_mode & 0777u, folder->path, name);
	if (st.st_size <= 0 || st.st_size > KEYFILE_LEN_MAX)
		return folder_fail(
		    folder, SRS_ERR_INVALID,
		    "keystore: %s/%s has %lld bytes, which no key file has; restore it from the backup",
		    folder->path, name, (long long)st.st_size);
	return SRS_OK;
}

static enum srs_err
file_read_all(struct keyfile_folder *folder, const char *name, int fd, uint8_t *bytes, size_t *len)
{
	size_t used = 0;

	while (used < KEYFILE_LEN_MAX) {
		ssize_t n = read(fd, bytes + used, KEYFILE_LEN_MAX - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return folder_fail_io(folder, "read", name);
		if (n == 0)
			break;
		used += (size_t)n;
	}
	*len = used;
	return SRS_OK;
}

enum srs_err
keyfile_read(struct keyfile_folder *folder, const char *name, bool is_secret, uint8_t *bytes, size_t *len)
{
	int fd = openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum srs_err err;

	*len = 0;
	if (fd < 0)
		return errno == ENOENT ? SRS_OK : folder_fail_io(folder, "open", name);
	err = file_check(folder, name, fd, is_secret);
	if (!err)
		err = file_read_all(folder, name, fd, bytes, len);
	close(fd);
	return err;
}

static enum srs_err
file_write_all(int fd, struct span bytes)
{
	while (bytes.len != 0) {
		ssize_t n = write(fd, bytes.bytes, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return SRS_ERR_IO;
		bytes = span_of(bytes.bytes + n, bytes.len - (size_t)n);
	}
	return fsync(fd) == 0 ? SRS_OK : SRS_ERR_IO;
}

enum srs_err
keyfile_write(struct keyfile_folder *folder, const char *name, struct span bytes)
{
	enum srs_err err;
	int fd;

	(void)unlinkat(folder->fd, TEMPORARY, 0); /* of a process that died in here */
	fd = openat(folder->fd, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    S_IRUSR | S_IWUSR);
	if (fd < 0)
		return folder_fail_io(folder, "write", name);
	err = file_write_all(fd, bytes);
	if (err)
		err = folder_fail_io(folder, "write", name);
	if (close(fd) != 0 && !err)
		err = folder_fail_io(folder, "write", name);
	if (!err && renameat(folder->fd, TEMPORARY, folder->fd, name) != 0)
		err = folder_fail_io(folder, "rename to", name);
	if (!err && fsync(folder->fd) != 0)
		err = folder_fail_io(folder, "make durable", name);
	if (err)
		(void)unlinkat(folder->fd, TEMPORARY, 0);
	return err;
}

/* ---- PEM ---- */

static int
pem_id(enum keyfile_pem kind)
{
	return kind == KEYFILE_X25519 ? EVP_PKEY_X25519 : EVP_PKEY_ED25519;
}

/* An encrypted PEM gets no password: a daemon must not ask a terminal. */
static int
pem_no_password(char *password, int max, int writing, void *ctx)
{
	return -1;
}

typedef EVP_PKEY *pem_reader(BIO *bio, EVP_PKEY **key, pem_password_cb *password, void *ctx);
typedef int pem_raw(const EVP_PKEY *key, unsigned char *raw, size_t *len);

static enum srs_err
pem_read(struct span pem, enum keyfile_pem kind, pem_reader *read_one, pem_raw *raw_of, uint8_t raw[32])
{
	BIO *bio;
	EVP_PKEY *key;
	size_t len = 32;
	enum srs_err err = SRS_ERR_INVALID;

	if (pem.len > KEYFILE_LEN_MAX)
		return SRS_ERR_INVALID;
	bio = BIO_new_mem_buf(pem.bytes, (int)pem.len);
	if (bio == NULL)
		return SRS_ERR_NOMEM;
	key = read_one(bio, NULL, pem_no_password, NULL);
	if (key != NULL && EVP_PKEY_get_base_id(key) == pem_id(kind) && raw_of(key, raw, &len) == 1 &&
	    len == 32)
		err = SRS_OK;
	EVP_PKEY_free(key);
	BIO_free(bio);
	return err;
}

enum srs_err
keyfile_pem_private(struct span pem, enum keyfile_pem kind, uint8_t key[32])
{
	return pem_read(pem, kind, PEM_read_bio_PrivateKey, EVP_PKEY_get_raw_private_key, key);
}

enum srs_err
keyfile_pem_public(struct span pem, enum keyfile_pem kind, uint8_t key[32])
{
	return pem_read(pem, kind, PEM_read_bio_PUBKEY, EVP_PKEY_get_raw_public_key, key);
}

/* Copies out of `bio` and frees it; BIO_s_secmem() cleanses what it held. */
static enum srs_err
pem_copy(BIO *bio, int ok, uint8_t *pem, size_t pem_max, size_t *len)
{
	char *text = NULL;
	long text_len = ok == 1 ? BIO_get_mem_data(bio, &text) : 0;
	enum srs_err err = SRS_OK;

	if (text_len <= 0) {
		err = SRS_ERR_NOMEM;
	} else if ((size_t)text_len > pem_max) {
		err = SRS_ERR_LIMIT;
	} else {
		memcpy(pem, text, (size_t)text_len);
		*len = (size_t)text_len;
	}
	BIO_free(bio);
	return err;
}

enum srs_err
keyfile_pem_private_write(enum keyfile_pem kind, const uint8_t key[32], uint8_t *pem, size_t pem_max,
			  size_t *len)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(pem_id(kind), NULL, key, 32);
	BIO *bio = BIO_new(BIO_s_secmem());
	int ok = 0;

	if (pkey != NULL && bio != NULL)
		ok = PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
	EVP_PKEY_free(pkey);
	return bio == NULL ? SRS_ERR_NOMEM : pem_copy(bio, ok, pem, pem_max, len);
}

enum srs_err
keyfile_pem_public_write(enum keyfile_pem kind, const uint8_t public_key[32], uint8_t *pem, size_t pem_max,
			 size_t *len)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(pem_id(kind), NULL, public_key, 32);
	BIO *bio = BIO_new(BIO_s_mem());
	int ok = 0;

	if (pkey != NULL && bio != NULL)
		ok = PEM_write_bio_PUBKEY(bio, pkey);
	EVP_PKEY_free(pkey);
	return bio == NULL ? SRS_ERR_NOMEM : pem_copy(bio, ok, pem, pem_max, len);
}
