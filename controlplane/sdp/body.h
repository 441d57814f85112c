/* MIME bodies of SIP messages: finds the SDP and the metadata in a plain or multipart body. Pure; spans point into
 * the caller's bytes, which are never rewritten. @thread any
 * @rfc 2046 §5.1, 5621 §4-5, 7866 §9, 9806 §2 */
#ifndef BODY_H
#define BODY_H

#include <stdbool.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define BODY_PARTS_MAX   16
#define BODY_DEPTH_MAX   3	/* multipart in multipart */
#define BODY_HEADERS_MAX 16	/* of one part */

enum body_kind { BODY_OTHER, BODY_SDP, BODY_METADATA, BODY_METADATA_REQUEST };

struct body_part {
	enum body_kind kind;
	struct span content_type;	/* without parameters */
	struct span disposition;
	bool handling_required;		/* only when explicit */
	struct span bytes;
};

struct body {
	struct body_part parts[BODY_PARTS_MAX];
	unsigned int n_parts;
	const struct body_part *sdp;		/* first of its kind, or NULL */
	const struct body_part *metadata;
};

/**
 * @param content_type  the header value, with parameters; "" with a body is INVALID
 * @param why  static text: what is wrong and how to mend it
 * @return     INVALID (boundary, structure), LIMIT (a named bound), UNSUPPORTED (a part we must understand: 415)
 */
SRS_MUST_CHECK enum srs_err body_split(struct body *out, const char *content_type, const char *disposition,
                                       struct span bytes, const char **why);

#endif
