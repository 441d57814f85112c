/* The rs-metadata of a call: a template of the user's with its gaps filled, or a plain document of ours. @rfc 7865 */
#ifndef SRC_METADATA_H
#define SRC_METADATA_H

#include "call.h"
#include "text.h"

enum metadata_kind {
	METADATA_COMPLETE,	/* the template, where there is one */
	METADATA_PARTIAL,	/* what CALL_METADATA changed */
	METADATA_SNAPSHOT,	/* complete, and ours whatever the template is */
};

/** The plan has metadata: "" for ours, else the template. */
void metadata_write(const struct call *c, enum metadata_kind kind, struct text *t);

#endif
