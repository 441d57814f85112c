/* Which stream goes on in which m-line of a new offer. RFC 3264 §8 fixes order and number of m-lines; real SRCs move and
 * drop them, so a stream is found by its label, then its mid, then its place (docs/rfc-coverage.md SDP-05). Pure. @thread any */
#ifndef BINDING_H
#define BINDING_H

#include <stdint.h>

#include "controlplane/sdp/offer.h"

#define BINDING_NONE (-1)

struct binding_stream {
	const char *label, *mid;	/* "" when it has none */
	int mline;			/* of the offer before */
};

/** For each m-line the index of its stream, or BINDING_NONE; a stream is bound once. A stream whose label, or without
 * labels whose mid, is not the m-line's is never taken by place: it ended, and another began there.
 * @param of_mline  o->n_media places */
void binding_match(const struct offer *o, const struct binding_stream *streams, unsigned int n_streams,
                   int of_mline[OFFER_MEDIA_MAX]);

#endif
