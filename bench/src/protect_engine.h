/* What an engine of protect.h is made of. */
#ifndef SRC_PROTECT_ENGINE_H
#define SRC_PROTECT_ENGINE_H

#include "protect.h"

struct protect_engine_ops {
	void *(*create)(const struct protect_keys *keys);
	void (*destroy)(void *state);
	bool (*start)(void *state, uint32_t ssrc, uint32_t roc);
	bool (*rtp)(void *state, uint8_t *packet, uint16_t *len);
	bool (*rtcp)(void *state, uint8_t *packet, uint16_t *len);
	bool (*open_rtcp)(void *state, uint8_t *packet, uint16_t *len);
};

extern const struct protect_engine_ops protect_libsrtp2, protect_ipsec_mb;

#endif
