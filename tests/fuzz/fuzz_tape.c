/* Bytes as the slots of a `.reel` and of an open segment, with checksums made good, as somebody would who wants to
 * get past them: putting a recording together and verifying it never crashes, and never calls it intact. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/tool/verify.h"
#include "lib/srs_assert.h"

#define SLOTS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
ignore(void *ctx, const char *sentence)
{
}

static void
read_file(const char *path)
{
	uint8_t(*ids)[REEL_ID_SIZE];
	static const uint8_t node[32] = { 1 };
	struct verify_report r;
	struct vault *v;
	struct tape *t;
	unsigned int n;
	char why[512];

	if (vault_open(&v, &path, 1, why, sizeof(why)) != SRS_OK)
		return;
	for (unsigned int i = 0; i < vault_n_files(v); i++)
		vault_check_footer(vault_file(v, i), ignore, NULL);
	srs_assert(vault_recordings(v, &ids, &n) == SRS_OK);
	for (unsigned int i = 0; i < n; i++) {
		if (tape_load(&t, v, ids[i]) != SRS_OK)
			continue;
		srs_assert(verify_tape(t, node, NULL, ignore, NULL, &r) == SRS_OK);
		srs_assert(r.verdict != VERIFY_INTACT); /* nobody signed this */
		tape_free(t);
	}
	free(ids);
	vault_close(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static uint8_t slots[SLOTS_MAX][REEL_SLOT_SIZE];
	static int fd = -1;
	struct reel_container head = { .kind = REEL_CONTAINER_REEL };
	unsigned int n_slots;
	char path[64];

	if (fd < 0)
		fd = memfd_create("tape", 0);
	srs_assert(fd >= 0);
	if (len < 1)
		return 0;
	if (bytes[0] & 1)
		head.kind = REEL_CONTAINER_SEGMENT;
	/* Slots in the input are short: 512 bytes stand for a slot's front, the rest of it is zero. */
	n_slots = (unsigned int)(1 + (len - 1 + 511) / 512);
	if (n_slots > SLOTS_MAX)
		n_slots = SLOTS_MAX;
	memset(head.uuid, 0x55, sizeof(head.uuid));
	head.n_slots = head.footer_slot = n_slots;
	reel_container_write(&head, slots[0]);
	for (unsigned int i = 1; i < n_slots; i++) {
		size_t at = 1 + (size_t)(i - 1) * 512;
		size_t n = len - at < 512 ? len - at : 512;

		memcpy(slots[i], bytes + at, n);
		reel_slot_finish(head.uuid, i, slots[i], n);
	}
	srs_assert(ftruncate(fd, 0) == 0);
	srs_assert(pwrite(fd, slots, (size_t)n_slots * REEL_SLOT_SIZE, 0) == (ssize_t)n_slots * REEL_SLOT_SIZE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_file(path);
	return 0;
}
