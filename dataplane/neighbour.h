/* Who stands behind an address on the wire, for datagrams to somebody that we have not heard yet; who was heard is
 * answered by the link that it came from. One is asked for by ARP or neighbour solicitation, and what was to be sent
 * meanwhile is lost, as datagrams are. @thread lcore */
#ifndef NEIGHBOUR_H
#define NEIGHBOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "dataplane/reply.h"

#define NEIGHBOURS_MAX      64	/* asked for, the longest unused makes room */
#define NEIGHBOUR_ASK_MS    500	/* between two questions for the same */
#define NEIGHBOUR_TRUST_S   60	/* then it is asked for again */
#define NEIGHBOUR_QUESTION_MAX 86

struct neighbours {
	struct neighbour {
		struct media_address address;	/* version 0: free */
		uint8_t mac[REPLY_MAC_SIZE];
		bool known;
		uint64_t asked_tsc, heard_tsc, used_tsc;
	} all[NEIGHBOURS_MAX];
	struct neighbour_route {	/* of one IP version */
		uint8_t network[16];
		uint8_t prefix_len;	/* 0: all are on the wire */
		struct media_address gateway;	/* version 0: none */
	} route4, route6;
	uint64_t tsc_hz;
};

/** Routes as the configuration has them: on a tap, what is not in the kernel's network goes through the kernel.
 * @thread control */
void neighbour_init(struct neighbours *n, const struct config *c, uint64_t tsc_hz);

/**
 * The MAC of whoever takes datagrams for `to`.
 *
 * @param question_len  0, or: send `question`
 * @return              false: not known yet
 */
bool neighbour_find(struct neighbours *n, const struct media_address *from, const struct media_address *to,
                    uint64_t now_tsc, const uint8_t mac[REPLY_MAC_SIZE], uint8_t to_mac[REPLY_MAC_SIZE],
                    uint8_t question[NEIGHBOUR_QUESTION_MAX], uint32_t *question_len);

/** A frame that was no media: does it answer a question of ours? @rfc 826; 4861 §7.2.5 */
void neighbour_hear(struct neighbours *n, const uint8_t *frame, uint32_t len, uint64_t now_tsc);

#endif
