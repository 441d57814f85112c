/* Bytes as a DTLS datagram: never a crash; a hello's random stands in the datagram, and what is passed on to OpenSSL is
 * made of whole records. */
#include <stdint.h>
#include <string.h>

#include "controlplane/dtls/dtls_record.h"
#include "lib/srs_assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t
records_len(const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (at + 13 <= len)
		at += 13 + ((size_t)bytes[at + 11] << 8 | bytes[at + 12]);
	return at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint8_t random[DTLS_RANDOM_SIZE];

	if (dtls_record_hello(span_of(bytes, len), random)) {
		srs_assert(len >= 13 + 12 + 2 + sizeof(random));
		srs_assert(memcmp(random, bytes + 13 + 12 + 2, sizeof(random)) == 0);
		srs_assert(bytes[0] == 22);
	}
	if (dtls_record_is_sound(span_of(bytes, len))) {
		srs_assert(records_len(bytes, len) == len);
		srs_assert(len <= DTLS_RECORDS_MAX * (13 + 65535));
	}
	return 0;
}
