/* The rs-metadata of a call: a template of the user's with its gaps filled, or a plain document of ours. @rfc 7865 */
#ifndef SRC_METADATA_H
#define SRC_METADATA_H

#include "call.h"
#include "text.h"

/** The plan has metadata: "" for ours, else the template. */
void metadata_write(const struct call *c, struct text *t);

#endif
