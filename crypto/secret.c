#include "crypto/secret.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "lib/srs_log.h"

#define HEAP_SIZE (1u << 20)	/* private keys: ours, and those of handshakes under way */
#define HEAP_CELL 32

/* Whole pages, so that no other object shares a locked page. Zero: `len` is nothing or too much. */
static size_t
secret_pages_len(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (len > SIZE_MAX - (page - 1))
		return 0;
	return (len + page - 1) / page * page;
}

void *
secret_alloc(size_t len)
{
	static atomic_flag warned = ATOMIC_FLAG_INIT;
	size_t pages_len = secret_pages_len(len);
	void *secret;

	if (pages_len == 0)
		return NULL;
	secret = mmap(NULL, pages_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (secret == MAP_FAILED)
		return NULL;
	/* A core dump reaches a disk that nobody chose for keys: without this there is no secret memory. */
	if (madvise(secret, pages_len, MADV_DONTDUMP) != 0) {
		munmap(secret, pages_len);
		return NULL;
	}
	if (mlock(secret, pages_len) != 0 &&
	    !atomic_flag_test_and_set_explicit(&warned, memory_order_relaxed))
		log_warn("secret", "mlock_refused", "len=%zu errno=%d remedy=\"raise RLIMIT_MEMLOCK\"",
			 pages_len, errno);
	return secret;
}

void
secret_free(void *secret, size_t len)
{
	if (secret == NULL)
		return;
	secret_wipe(secret, len);
	munmap(secret, secret_pages_len(len));
}

static void *
heap_alloc(size_t len, const char *file, int line)
{
	return malloc(len);
}

static void
heap_free(void *memory, const char *file, int line)
{
	if (memory == NULL)
		return;
	secret_wipe(memory, malloc_usable_size(memory));
	free(memory);
}

static void *
heap_realloc(void *memory, size_t len, const char *file, int line)
{
	size_t had = memory != NULL ? malloc_usable_size(memory) : 0;
	void *moved;

	if (len == 0) {
		heap_free(memory, file, line);
		return NULL;
	}
	moved = malloc(len);	/* not realloc: it would leave a copy behind */
	if (moved == NULL)
		return NULL;
	if (memory != NULL)
		memcpy(moved, memory, had < len ? had : len);
	heap_free(memory, file, line);
	return moved;
}

void
secret_heap_make(void)
{
	static atomic_flag tried = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set_explicit(&tried, memory_order_relaxed) &&
	    CRYPTO_set_mem_functions(heap_alloc, heap_realloc, heap_free) != 1)
		log_warn("secret", "heap_not_wiped", "what=\"OpenSSL was used before: what it frees is not overwritten\"");
	if (!CRYPTO_secure_malloc_initialized())
		(void)CRYPTO_secure_malloc_init(HEAP_SIZE, HEAP_CELL);
}

void
secret_wipe(void *secret, size_t len)
{
	explicit_bzero(secret, len);
}

bool
secret_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

enum srs_err
secret_random(void *out, size_t len)
{
	uint8_t *at = out;

	while (len != 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return SRS_ERR_IO;
		}
		at += n;
		len -= (size_t)n;
	}
	return SRS_OK;
}
