/* Long-lived memory, taken whole at start: zeroed, present, out of core dumps, on large pages when there are any. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct memory {
	void *at;
	size_t len;
	bool secret;
};

/** @param huge  try the system's reserved large pages first @return false: no memory; `m` is then empty */
bool memory_take(struct memory *m, size_t len, bool huge);
/** The same for keys: never swapped, and wiped when it is given back. Where the system refuses to lock it
 * (RLIMIT_MEMLOCK) one warning is logged, and it is still kept out of core dumps. @thread control */
bool memory_take_secret(struct memory *m, size_t len, bool huge);
/** Accepts an empty one. */
void memory_give(struct memory *m);

#endif
