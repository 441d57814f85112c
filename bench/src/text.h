/* Text that grows in a fixed room: SIP messages and their bodies. */
#ifndef SRC_TEXT_H
#define SRC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *bytes;	/* NUL-terminated once something was added */
	size_t len, room;
	bool cut;	/* something did not fit; what is there is not to be sent */
};

void __attribute__((format(printf, 2, 3))) text_add(struct text *t, const char *format, ...);

#endif
