/* Bytes as a ledger file: the check ends, counts no more than there is, and never calls a file whole that is not. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/catalog/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
on_entry(void *ctx, const struct ledger_entry *e)
{
	size_t *n = ctx;

	*n += strlen(e->kind) != 0 && strlen(e->json) >= 2;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct ledger_state state;
	char path[64];
	size_t n = 0;
	int fd = memfd_create("fuzz_ledger", MFD_CLOEXEC);

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (ledger_check(path, &state, on_entry, &n) == SRS_OK) {
		if (n != state.n_entries || state.good_bytes + state.torn_bytes > len)
			abort();
		if (!state.damaged && state.good_bytes + state.torn_bytes != len)
			abort();
	}
	close(fd);
	return 0;
}
