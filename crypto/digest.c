#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/digest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include <intel-ipsec-mb.h> /* behind OpenSSL's: its old names for enums are macros like SHA1 */

#include "lib/srs_assert.h"

#define DIGEST_LANES_MIN                                                                                     \
	8 /* DIGEST_LANES is of AVX-512; a pass costs the same for one lane as for all: below this one by one is faster */
#define DIGEST_LANE_LEN_MAX 16384

struct digest_lanes {
	IMB_MGR *mgr;
};

/* The low-level calls, which OpenSSL 3 advises against: through EVP each message costs an allocation and a lookup,
 * 100 to 150 ns, and most of ours are the 41 or 65 bytes of a Merkle node (docs/decisions/2026-11-23-writer-cost.md). */
void
digest_sha256(const uint8_t *bytes, uint32_t len, uint8_t out[DIGEST_SIZE])
{
	SHA256_CTX ctx;

	/* These cannot fail: no memory is taken, and only a length beyond 2^61 is refused. */
	(void)SHA256_Init(&ctx);
	(void)SHA256_Update(&ctx, bytes, len);
	(void)SHA256_Final(out, &ctx);
}

struct digest_lanes *
digest_lanes_create(void)
{
	struct digest_lanes *d = calloc(1, sizeof(*d));
	IMB_ARCH arch;

	if (d == NULL)
		return NULL;
	d->mgr = alloc_mb_mgr(0);
	if (d->mgr == NULL)
		goto fail;
	init_mb_mgr_auto(d->mgr, &arch);
	if (imb_get_errno(d->mgr) != 0) /* no AES-NI here */
		goto fail;
	return d;
fail:
	digest_lanes_destroy(d);
	return NULL;
}

void
digest_lanes_destroy(struct digest_lanes *d)
{
	if (d == NULL)
		return;
	if (d->mgr != NULL)
		free_mb_mgr(d->mgr);
	free(d);
}

static void
lane_submit(struct digest_lanes *d, struct span message, uint8_t out[DIGEST_SIZE])
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(d->mgr);

	memset(job, 0, sizeof(*job));
	job->cipher_mode = IMB_CIPHER_NULL;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_HASH_CIPHER;
	job->hash_alg = IMB_AUTH_SHA_256;
	job->src = message.bytes;
	job->msg_len_to_hash_in_bytes = message.len;
	job->auth_tag_output = out;
	job->auth_tag_output_len_in_bytes = DIGEST_SIZE;
	job = IMB_SUBMIT_JOB_NOCHECK(d->mgr);
	srs_assert_hot(job == NULL || job->status == IMB_STATUS_COMPLETED);
}

/* The messages come back in any order; each job writes its own `out`, so nobody needs to look. */
static void
lanes_flush(struct digest_lanes *d)
{
	IMB_JOB *job;

	while ((job = IMB_FLUSH_JOB(d->mgr)) != NULL)
		srs_assert_hot(job->status == IMB_STATUS_COMPLETED);
}

void
digest_many(struct digest_lanes *d, const struct span *messages, uint8_t (*out)[DIGEST_SIZE], unsigned int n)
{
	unsigned int n_lanes = n - n % DIGEST_LANES;

	if (n - n_lanes >= DIGEST_LANES_MIN)
		n_lanes = n;
	for (unsigned int i = 0; i < n; i++) {
		srs_assert(messages[i].len <= UINT32_MAX);
		if (i < n_lanes && messages[i].len <= DIGEST_LANE_LEN_MAX)
			lane_submit(d, messages[i], out[i]);
		else
			digest_sha256(messages[i].bytes, (uint32_t)messages[i].len, out[i]);
	}
	lanes_flush(d);
}
