/* Bytes as a DESCRIPTION document: what an opened recording may hold is still not trusted. */
#include <stdint.h>

#include "controlplane/tool/description.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct description *d;

	if (description_read(&d, span_of(bytes, len), 1) != SRS_OK)
		return 0;
	for (unsigned int number = 0; number < 256; number++)
		for (unsigned int type = 0; type < 128; type += 9)
			(void)description_codec(d, (uint8_t)number, (uint8_t)type);
	description_free(d);
	return 0;
}
