#include "dataplane/keyset.h"

#include <string.h>

#include "crypto/digest.h"
#include "crypto/secret.h"

#define SPARES_SHIFT 3	/* an eighth of the streams may be between two generations at once */

uint32_t
keyset_pool_need(uint32_t streams_max)
{
	return streams_max + (streams_max >> SPARES_SHIFT) + KEYSETS_RESERVE;
}

enum srs_err
keyset_pool_create(struct keyset_pool *pool, uint32_t n, bool huge)
{
	memset(pool, 0, sizeof(*pool));
	if (!memory_take_secret(&pool->memory, (size_t)n * sizeof(struct keyset), huge))
		return SRS_ERR_NOMEM;
	pool->all = pool->memory.at;
	pool->n = pool->n_free = n;
	for (uint32_t i = n; i-- > 0;) {
		pool->all[i].next = pool->free;
		pool->free = &pool->all[i];
	}
	return SRS_OK;
}

void
keyset_pool_destroy(struct keyset_pool *pool)
{
	for (uint32_t i = 0; i < pool->n; i++)
		unprotect_ctx_wipe(&pool->all[i].ctx);	/* an engine may hold memory of its own for it */
	memory_give(&pool->memory);
	memset(pool, 0, sizeof(*pool));
}

struct keyset *
keyset_take(struct keyset_pool *pool)
{
	struct keyset *ks = pool->free;

	if (ks == NULL)
		return NULL;
	pool->free = ks->next;
	pool->n_free--;
	ks->next = NULL;
	return ks;
}

static void
keyset_wipe(struct keyset *ks)
{
	unprotect_ctx_wipe(&ks->ctx);
	secret_wipe(ks, sizeof(*ks));
}

void
keyset_give(struct keyset_pool *pool, struct keyset *ks)
{
	keyset_wipe(ks);
	ks->next = pool->free;
	pool->free = ks;
	pool->n_free++;
}

enum srs_err
keyset_fill(struct keyset *ks, struct unprotect_engine *e, const struct srtp_master *master)
{
	enum srs_err err = unprotect_ctx_init(&ks->ctx, e, master);

	if (!err)
		err = srtcp_keys_derive(&ks->rtcp, master);
	if (err)
		keyset_wipe(ks);
	else
		keyset_id(master, ks->id);
	return err;
}

void
keyset_id(const struct srtp_master *master, uint8_t id[KEYSET_ID_SIZE])
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(master->suite);
	uint8_t bytes[2 + SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX + SRTP_MKI_MAX] = { master->suite, master->mki_len };
	uint8_t digest[DIGEST_SIZE];

	/* each field in its own place: what the suite or the length leaves unused is zero, whatever stands there */
	memcpy(bytes + 2, master->key, shape->key_len);
	memcpy(bytes + 2 + SRTP_MASTER_KEY_MAX, master->salt, shape->salt_len);
	memcpy(bytes + 2 + SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX, master->mki,
	       master->mki_len <= SRTP_MKI_MAX ? master->mki_len : SRTP_MKI_MAX);
	digest_sha256(bytes, sizeof(bytes), digest);
	memcpy(id, digest, KEYSET_ID_SIZE);
	secret_wipe(bytes, sizeof(bytes));
	secret_wipe(digest, sizeof(digest));
}
