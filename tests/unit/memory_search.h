/* Does a key still lie in this process's memory? For tests of wiping. The pattern is handed over with every byte
 * inverted, so that the question itself is not found. */
#ifndef MEMORY_SEARCH_H
#define MEMORY_SEARCH_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_SEARCH_STEP 65536u
#define MEMORY_STACK_DEAD  (256u << 10)
#define MEMORY_SEARCH_MAX  (1ul << 32)	/* a sanitizer's shadow is larger, and holds no copies */

static inline void
memory_invert(uint8_t *inverted, const uint8_t *pattern, size_t len)
{
	for (size_t i = 0; i < len; i++)
		inverted[i] = (uint8_t)~pattern[i];
}

/** Overwrite the stack below: frames of calls that are over, where also the dynamic linker spills the vector registers
 * when a function is called first. Nobody promises to wipe those. */
__attribute__((noinline)) static void
memory_scrub_stack(void)
{
	uint8_t dead[MEMORY_STACK_DEAD];

	explicit_bzero(dead, sizeof(dead));
}

static inline unsigned int
memory_count_in(const uint8_t *bytes, size_t n, const uint8_t *inverted, size_t len)
{
	unsigned int found = 0;

	for (size_t i = 0; i + len <= n; i++) {
		size_t k = 0;

		while (k < len && (bytes[i + k] ^ inverted[k]) == 0xff)
			k++;
		found += k == len;
	}
	return found;
}

/** How often the pattern stands in memory that this process may write, dead stack aside. @return -1: /proc is not readable */
static inline int
memory_count(const uint8_t *inverted, size_t len)
{
	static uint8_t step[MEMORY_SEARCH_STEP + 256]; /* is itself left out of the search, and wiped */
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char line[512];
	unsigned int found = 0;

	memory_scrub_stack();
	while (maps != NULL && mem >= 0 && fgets(line, sizeof(line), maps) != NULL) {
		unsigned long start, end;
		char write;

		if (sscanf(line, "%lx-%lx r%c", &start, &end, &write) != 3 || write != 'w' || end - start > MEMORY_SEARCH_MAX)
			continue;
		for (unsigned long at = start; at < end; at += MEMORY_SEARCH_STEP) {
			size_t want = end - at < MEMORY_SEARCH_STEP + len - 1 ? end - at : MEMORY_SEARCH_STEP + len - 1;
			ssize_t n = pread(mem, step, want, (off_t)at);

			if (n > 0 && ((uintptr_t)step >= at + want || (uintptr_t)step + sizeof(step) <= at))
				found += memory_count_in(step, (size_t)n, inverted, len);
			memset(step, 0, sizeof(step));
		}
	}
	if (maps == NULL || mem < 0)
		return -1;
	fclose(maps);
	close(mem);
	return (int)found;
}

#endif
