#include "dataplane/memory.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "crypto/secret.h"
#include "lib/srs_log.h"

#define HUGE_PAGE ((size_t)2 << 20)

bool
memory_take(struct memory *m, size_t len, bool huge)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *at = MAP_FAILED;

	len = (len + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	if (len == 0)
		len = HUGE_PAGE;
	*m = (struct memory){ 0 };
	if (huge)
		at = mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	if (at == MAP_FAILED) {
		at = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (at == MAP_FAILED)
			return false;
		madvise(at, len, MADV_HUGEPAGE);	/* advice: worth a try, no matter if refused */
		for (size_t i = 0; i < len; i += 4096)
			((volatile uint8_t *)at)[i] = 0;	/* present now, so that no lcore waits for the kernel */
	}
	madvise(at, len, MADV_DONTDUMP);
	m->at = at;
	m->len = len;
	return true;
}

bool
memory_take_secret(struct memory *m, size_t len, bool huge)
{
	static bool warned;

	if (!memory_take(m, len, huge))
		return false;
	m->secret = true;
	if (mlock(m->at, m->len) != 0 && !warned) {
		warned = true;
		log_warn("memory", "mlock_refused", "len=%zu errno=%d remedy=\"raise RLIMIT_MEMLOCK\"", m->len, errno);
	}
	return true;
}

void
memory_give(struct memory *m)
{
	if (m->secret)
		secret_wipe(m->at, m->len);
	if (m->at != NULL)
		munmap(m->at, m->len);
	*m = (struct memory){ 0 };
}
