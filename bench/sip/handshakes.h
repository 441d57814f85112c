/* Full TLS handshakes, one after the other on new connections, some at a time. */
#ifndef HANDSHAKES_H
#define HANDSHAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

struct handshakes {
	uint64_t done, failed, ns;
	char agreed[96];	/* version, cipher, group and key that were agreed on */
};

/** Run them for `seconds`, `at_once` under way. @return false, with the reason in `why`: none could be begun */
bool handshakes_run(struct handshakes *h, const struct wire_spec *spec, unsigned int at_once, double seconds, char *why,
                    size_t why_len);

#endif
