/* One SIP message as it came off the wire: framing, header lines, and the few values that transactions and dialogs
 * are made of. Tolerant of compact names, folding, bare LF and odd blanks; never rewrites a body octet. libosip2
 * parses single values (Via, From, To, URIs); it is never shown a body or the Content-* lines, because its multipart
 * parser had CVE-2022-41550 and refuses a header block whose body was cut off. Pure.
 * @thread any @rfc 3261 §7, §18.3, §20; 4475 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <osipparser2/osip_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define MESSAGE_HEADERS_MAX      256
#define MESSAGE_HEADER_BYTES_MAX 65536u	/* start line and header lines */

/* ---- framing of a stream ---- */

enum message_framing {
	MESSAGE_PARTIAL,	/* more bytes are needed */
	MESSAGE_WHOLE,		/* `len` bytes are one message */
	MESSAGE_TOO_LARGE,	/* a named bound was passed; `head_len` is set when the header block is whole */
	MESSAGE_UNFRAMED,	/* Content-Length missing, contradictory or no number; `head_len` is set */
};
/* Remembers how far it looked, so that a peer that sends byte by byte costs linear time. Zero it per message. */
struct message_framer {
	size_t scanned;
	size_t head_len;	/* with the empty line; 0: not seen yet */
	size_t len;		/* head and body */
};
/** Look at what has arrived of one message, which must start at its start line. */
enum message_framing message_frame(struct message_framer *f, struct span bytes, size_t message_bytes_max);

/* ---- one message ---- */

struct message_header {
	const char *name;	/* long form of a compact name */
	const char *value;	/* unfolded, trimmed; control characters are blanks */
};

struct message {
	unsigned int status;	/* of a response; 0: a request */
	const char *method;	/* of a request, else from CSeq */
	const char *uri;	/* Request-URI */
	struct message_header headers[MESSAGE_HEADERS_MAX];
	unsigned int n_headers;
	struct span body;	/* borrowed from the caller's bytes */

	const char *call_id;
	const char *from_tag, *to_tag;	/* "" when absent */
	uint32_t cseq;
	const char *cseq_method;
	const char *branch;	/* of the topmost Via; "" when absent */
	osip_via_t *via;	/* topmost */
	osip_from_t *from;	/* NULL when unreadable: see refusal */
	osip_to_t *to;

	unsigned int refusal;	/* 0, or the status that this message earns by its form alone */
	const char *why;	/* static: what is wrong with it */

	char *text;		/* owns method, uri and the headers */
	const char *via_rest;	/* the Vias behind the topmost in the same line, or NULL */
};

/**
 * Parse a whole message. Out-parameter `m` must be released also after a failure.
 *
 * @param datagram  over UDP the octets end with the datagram: surplus is dropped, too few is refused (RFC 3261 §18.3)
 * @return          SRS_OK, perhaps with `refusal` set; INVALID when no response can be formed (or it is a response)
 */
SRS_MUST_CHECK enum srs_err message_parse(struct message *m, struct span bytes, bool datagram);
void message_release(struct message *m);

/** First header of this long name, case aside; "" when absent. */
const char *message_value(const struct message *m, const char *name);
bool message_has(const struct message *m, const char *name);
/** Whether a comma-separated header, over all its lines, lists this token. */
bool message_lists(const struct message *m, const char *name, const char *token);

/** The next element of a comma-separated value (quotes and <> respected), trimmed. False at the end. */
bool message_element_next(const char **at, struct span *element);
/** Whether a Contact value carries a parameter, outside or inside its <URI>, as in `<sip:a@b;+sip.src>`. */
bool message_contact_has(const char *contact, const char *parameter);

#endif
