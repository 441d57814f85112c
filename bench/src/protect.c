#include "protect.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <strings.h>

#include "protect_engine.h"

static const struct protect_shape shapes[PROTECT_SUITES] = {
	[PROTECT_AES_CM_128_HMAC_SHA1_80] = { "AES_CM_128_HMAC_SHA1_80", "SRTP_AES128_CM_SHA1_80", 16, 14, 10, 10, false },
	[PROTECT_AES_CM_128_HMAC_SHA1_32] = { "AES_CM_128_HMAC_SHA1_32", "SRTP_AES128_CM_SHA1_32", 16, 14, 4, 10, false },
	[PROTECT_AES_192_CM_HMAC_SHA1_80] = { "AES_192_CM_HMAC_SHA1_80", NULL, 24, 14, 10, 10, false },
	[PROTECT_AES_192_CM_HMAC_SHA1_32] = { "AES_192_CM_HMAC_SHA1_32", NULL, 24, 14, 4, 10, false },
	[PROTECT_AES_256_CM_HMAC_SHA1_80] = { "AES_256_CM_HMAC_SHA1_80", NULL, 32, 14, 10, 10, false },
	[PROTECT_AES_256_CM_HMAC_SHA1_32] = { "AES_256_CM_HMAC_SHA1_32", NULL, 32, 14, 4, 10, false },
	[PROTECT_AEAD_AES_128_GCM] = { "AEAD_AES_128_GCM", "SRTP_AEAD_AES_128_GCM", 16, 12, 16, 16, true },
	[PROTECT_AEAD_AES_256_GCM] = { "AEAD_AES_256_GCM", "SRTP_AEAD_AES_256_GCM", 32, 12, 16, 16, true },
};

struct protect {
	const struct protect_engine_ops *ops;
	void *state;
};

const struct protect_shape *
protect_shape(enum protect_suite suite)
{
	return &shapes[suite];
}

bool
protect_suite_by_name(const char *name, enum protect_suite *out)
{
	for (int i = 0; i < PROTECT_SUITES; i++) {
		if (strcasecmp(name, shapes[i].name) == 0) {
			*out = (enum protect_suite)i;
			return true;
		}
	}
	return false;
}

bool
protect_engine_has(enum protect_engine engine, const struct protect_keys *keys)
{
	const struct protect_shape *shape = &shapes[keys->suite];

	return engine == PROTECT_IPSEC_MB ||
	       (shape->key_len != 24 && (keys->mki_len == 0 || shape->tag_len == shape->rtcp_tag_len));
}

struct protect *
protect_create(enum protect_engine engine, const struct protect_keys *keys)
{
	struct protect *p;

	if (!protect_engine_has(engine, keys))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->ops = engine == PROTECT_LIBSRTP2 ? &protect_libsrtp2 : &protect_ipsec_mb;
	p->state = p->ops->create(keys);
	if (p->state == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

void
protect_destroy(struct protect *p)
{
	if (p == NULL)
		return;
	p->ops->destroy(p->state);
	free(p);
}

bool
protect_start(struct protect *p, uint32_t ssrc, uint32_t roc)
{
	return p->ops->start(p->state, ssrc, roc);
}

bool
protect_rtp(struct protect *p, uint8_t *packet, uint16_t *len)
{
	return protect_header_len(packet, *len) != 0 && p->ops->rtp(p->state, packet, len);
}

bool
protect_rtcp(struct protect *p, uint8_t *packet, uint16_t *len)
{
	return *len >= 8 && p->ops->rtcp(p->state, packet, len);
}

bool
protect_open_rtcp(struct protect *p, uint8_t *packet, uint16_t *len)
{
	return *len >= 8 && p->ops->open_rtcp(p->state, packet, len);
}

size_t
protect_header_len(const uint8_t *packet, size_t len)
{
	size_t at = 12;

	if (len < at || packet[0] >> 6 != 2)
		return 0;
	at += (size_t)(packet[0] & 0x0f) * 4;
	if (packet[0] & 0x10) {
		if (at + 4 > len)
			return 0;
		at += 4 + 4 * (size_t)(packet[at + 2] << 8 | packet[at + 3]);
	}
	return at <= len ? at : 0;
}

uint32_t
protect_ssrc(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}
