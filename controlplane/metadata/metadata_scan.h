/* The look at metadata bytes that comes before libxml2 sees one: linear, without memory, bounded by METADATA_*_MAX.
 * It reads tags strictly, so that what it counts is what libxml2 will find. @thread any */
#ifndef METADATA_SCAN_H
#define METADATA_SCAN_H

#include "lib/span.h"
#include "lib/srs_err.h"

/* xmlns attributes in force at one place: libxml2 walks them for every prefix. */
#define METADATA_NAMESPACES_MAX 64

/**
 * @param line_first  lines before `xml`, for `why`
 * @param document  from the first '<' to the end of the root element; inside `xml`
 * @param why       one sentence with the line
 * @return          LIMIT (a bound, or a DOCTYPE), INVALID (tags that are not XML, an encoding we do not read)
 * @rfc 7865 §10
 */
SRS_MUST_CHECK enum srs_err metadata_scan(struct span *document, struct span xml, unsigned int line_first,
					  char *why, size_t why_len);

#endif
