/* What a writer does to a chunk before it reaches the disk: AEAD into the block, then the leaf digest of the block.
 * Prints one JSON line; the figures are the median of the rounds. Every round's output is opened again and its
 * digests are made again by the other implementation, or the result is not ok. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/digest.h"
#include "crypto/seal.h"

#define BLOCK_CHUNKS 256 /* 1 MiB, as the writer's blocks */
#define ROUNDS	     5
#define KEYS_MAX     65536
#define CALIBRATE_NS 200000000ull /* a round takes about this long */

struct bench {
	enum reel_suite suite;
	unsigned int n_keys;
	struct seal_engine *engine;
	struct digest_lanes *lanes;
	struct dek dek;
	struct seal_key *keys; /* of different recordings, as a busy writer has them */
	uint8_t (*bodies)[REEL_BODY_MAX];
	uint8_t (*slots)[REEL_SLOT_SIZE];
	uint8_t (*digests)[DIGEST_SIZE];
	struct span leaves[BLOCK_CHUNKS];
	struct reel_chunk chunks[BLOCK_CHUNKS];
	uint64_t chunk_no;
};

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
recording_of(unsigned int key_i, uint8_t id[REEL_ID_SIZE])
{
	memset(id, 0x5a, REEL_ID_SIZE);
	memcpy(id, &key_i, sizeof(key_i));
}

static bool
bench_create(struct bench *b)
{
	uint8_t id[REEL_ID_SIZE];

	b->engine = seal_engine_create();
	b->lanes = digest_lanes_create();
	b->keys = secret_alloc(b->n_keys * sizeof(*b->keys));
	b->bodies = malloc(BLOCK_CHUNKS * sizeof(*b->bodies));
	b->slots = aligned_alloc(REEL_SLOT_SIZE, BLOCK_CHUNKS * sizeof(*b->slots));
	b->digests = malloc(BLOCK_CHUNKS * sizeof(*b->digests));
	if (b->engine == NULL || b->lanes == NULL || b->keys == NULL || b->bodies == NULL ||
	    b->slots == NULL || b->digests == NULL)
		return false;
	if (secret_random(&b->dek, sizeof(b->dek)) ||
	    secret_random(b->bodies, BLOCK_CHUNKS * sizeof(*b->bodies)))
		return false;
	for (unsigned int i = 0; i < b->n_keys; i++) {
		recording_of(i, id);
		if (seal_key_init(b->engine, &b->keys[i], &b->dek, id, 0, b->suite))
			return false;
	}
	b->chunk_no = 1;
	return true;
}

static void
bench_destroy(struct bench *b)
{
	seal_engine_destroy(b->engine);
	digest_lanes_destroy(b->lanes);
	secret_free(b->keys, b->n_keys * sizeof(*b->keys));
	secret_wipe(&b->dek, sizeof(b->dek));
	free(b->bodies);
	free(b->slots);
	free(b->digests);
}

static void
block_seal(struct bench *b)
{
	for (unsigned int i = 0; i < BLOCK_CHUNKS; i++) {
		struct reel_chunk *c = &b->chunks[i];
		unsigned int key_i = (unsigned int)(b->chunk_no % b->n_keys);

		*c = (struct reel_chunk){
			.suite = b->suite,
			.chunk_no = b->chunk_no++, /* so no nonce comes twice, not even here */
			.first_wall_ns = 1700000000000000000,
			.body_len = REEL_BODY_MAX,
			.n_frames = 20,
		};
		recording_of(key_i, c->recording);
		seal_chunk(b->engine, &b->keys[key_i], c, b->bodies[i], b->slots[i]);
	}
}

static void
block_digest(struct bench *b)
{
	for (unsigned int i = 0; i < BLOCK_CHUNKS; i++)
		b->leaves[i] = reel_chunk_signed(&b->chunks[i], b->slots[i]);
	digest_many(b->lanes, b->leaves, b->digests, BLOCK_CHUNKS);
}

static bool
block_check(const struct bench *b)
{
	static uint8_t body[REEL_BODY_MAX];
	uint8_t digest[DIGEST_SIZE];

	for (unsigned int i = 0; i < BLOCK_CHUNKS; i++) {
		struct reel_chunk c;

		if (reel_chunk_head_read(&c, b->slots[i]) ||
		    seal_open_portable(&b->dek, &c, b->slots[i], body) ||
		    memcmp(body, b->bodies[i], sizeof(body)) != 0)
			return false;
		digest_sha256(b->leaves[i].bytes, (uint32_t)b->leaves[i].len, digest);
		if (memcmp(digest, b->digests[i], sizeof(digest)) != 0)
			return false;
	}
	return true;
}

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* ns a chunk: `blocks` times `step`. */
static double
round_ns(struct bench *b, void (*step)(struct bench *b), unsigned int blocks)
{
	uint64_t begin = now_ns();

	for (unsigned int i = 0; i < blocks; i++)
		step(b);
	return (double)(now_ns() - begin) / ((double)blocks * BLOCK_CHUNKS);
}

static unsigned int
calibrate(struct bench *b, void (*step)(struct bench *b))
{
	double block_ns = round_ns(b, step, 8) * BLOCK_CHUNKS; /* also warms caches and clock */

	return 1 + (unsigned int)((double)CALIBRATE_NS / block_ns);
}

static bool
bench_run(struct bench *b, double *seal_ns, double *digest_ns)
{
	unsigned int seal_blocks = calibrate(b, block_seal), digest_blocks = calibrate(b, block_digest);
	double seal[ROUNDS], digest[ROUNDS];
	bool ok = true;

	for (unsigned int r = 0; r < ROUNDS; r++) {
		seal[r] = round_ns(b, block_seal, seal_blocks);
		digest[r] = round_ns(b, block_digest, digest_blocks);
		ok = block_check(b) && ok;
	}
	qsort(seal, ROUNDS, sizeof(seal[0]), by_size);
	qsort(digest, ROUNDS, sizeof(digest[0]), by_size);
	*seal_ns = seal[ROUNDS / 2];
	*digest_ns = digest[ROUNDS / 2];
	return ok;
}

static bool
options_read(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "suite", required_argument, NULL, 's' },
		{ "keys", required_argument, NULL, 'k' },
		{ 0 },
	};
	int option;

	*b = (struct bench){ .suite = REEL_SUITE_AES_256_GCM, .n_keys = 1000 };
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's' && strcmp(optarg, "AES-256-GCM") == 0)
			b->suite = REEL_SUITE_AES_256_GCM;
		else if (option == 's' && strcmp(optarg, "ChaCha20-Poly1305") == 0)
			b->suite = REEL_SUITE_CHACHA20_POLY1305;
		else if (option == 'k')
			b->n_keys = (unsigned int)strtoul(optarg, NULL, 10);
		else
			return false;
	}
	return optind == argc && b->n_keys >= 1 && b->n_keys <= KEYS_MAX;
}

int
main(int argc, char **argv)
{
	struct bench b;
	double seal_ns, digest_ns;
	bool ok;

	if (!options_read(&b, argc, argv)) {
		fprintf(stderr, "usage: bench-seal [--suite AES-256-GCM|ChaCha20-Poly1305] [--keys 1..%u]\n",
			KEYS_MAX);
		return 2;
	}
	if (!bench_create(&b)) {
		fprintf(stderr, "bench-seal: no memory, or no AES-NI on this CPU\n");
		bench_destroy(&b);
		return 1;
	}
	ok = bench_run(&b, &seal_ns, &digest_ns);
	printf("{\"bench\":\"seal\",\"suite\":\"%s\",\"keys\":%u,\"ns_per_chunk\":%.1f,\"gb_per_s\":%.2f,"
	       "\"digest_ns_per_chunk\":%.1f,\"digest_gb_per_s\":%.2f,\"ok\":%s}\n",
	       b.suite == REEL_SUITE_AES_256_GCM ? "AES-256-GCM" : "ChaCha20-Poly1305", b.n_keys, seal_ns,
	       REEL_BODY_MAX / seal_ns, digest_ns, (REEL_SLOT_SIZE - REEL_CRC_SIZE) / digest_ns,
	       ok ? "true" : "false");
	bench_destroy(&b);
	return ok ? 0 : 1;
}
