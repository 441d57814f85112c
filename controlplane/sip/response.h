/* The text of responses: what RFC 3261 §8.2.6 copies from the request, a status line, and what the caller adds.
 * Pure. @thread any @rfc 3261 §8.2.6, §18.2, 3581 §4 */
#ifndef RESPONSE_H
#define RESPONSE_H

#include <stddef.h>

#include "controlplane/sip/conn.h"
#include "controlplane/sip/message.h"

/**
 * The header lines that each response to `m` repeats: Via (with received and rport), From, To, Call-ID, CSeq,
 * Timestamp.
 *
 * @param to_tag  added when the request's To has none
 * @return        malloc'ed, each line with its CRLF; NULL: no memory
 */
char *response_head(const struct message *m, const struct conn_path *from, const char *to_tag);

struct response {
	unsigned int status;
	const char *lines;	/* more header lines, each with its CRLF; NULL: none */
	const char *content_type; /* NULL: no body */
	const char *body;
};
/** @return malloc'ed, NUL-terminated, `*len` octets; NULL: no memory. With a body it may hold a key, and nowhere else does:
 * wipe it before it is freed */
char *response_text(const char *head, const struct response *r, size_t *len);

/** Where responses to `m` go (RFC 3261 §18.2.2, RFC 3581): the connection it came on, and what to open if it is gone. */
void response_path(const struct message *m, const struct conn_path *from, struct conn_path *out);

const char *response_reason(unsigned int status);	/* "OK", ... */

#endif
