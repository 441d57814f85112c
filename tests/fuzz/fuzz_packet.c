/* Bytes as an Ethernet frame from the port: one verdict, what is handed out lies inside, and a reply fits the room. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/packet.h"
#include "dataplane/reply.h"
#include "lib/srs_assert.h"

#define FRAME_MAX  2048	/* what one buffer of the port holds */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint8_t mac[REPLY_MAC_SIZE] = { 2, 0, 0, 0, 0, 1 };
	static char a4[] = "198.18.254.2", a6[] = "fd00:ca57::2";
	static char *texts[] = { a4, a6 };
	static struct steer *steer;
	uint8_t *frame;
	struct rx_packet p;
	char why[200];

	if (steer == NULL) {
		steer = calloc(1, sizeof(*steer));
		srs_assert(steer != NULL);
		srs_assert(steer_init(steer, texts, 2, 1, why, sizeof(why)) == SRS_OK);
	}
	if (len < 1 || len > FRAME_MAX)
		return 0;
	frame = malloc(len); /* exactly, so that a read beyond it is seen */
	srs_assert(frame != NULL);
	memcpy(frame, bytes, len);
	/* The first byte also chooses what the port said of the checksum: good lets the mutations reach further in. */
	packet_parse(steer, 0, frame, (uint32_t)len, bytes[0] & 1 ? PACKET_CHECKSUM_GOOD : PACKET_CHECKSUM_UNKNOWN, &p);
	if (p.verdict == RX_PENDING && !p.for_reply) {
		srs_assert(p.bytes >= frame);
		srs_assert(p.bytes + p.len <= frame + len);
	}
	if (p.for_reply)
		srs_assert(reply_build(steer, mac, frame, (uint32_t)len, (uint32_t)len) <= len);
	free(frame);
	return 0;
}
