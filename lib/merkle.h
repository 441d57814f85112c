/* RFC 6962 §2.1 Merkle trees, grown one leaf at a time in O(log n) memory: the root of a part's chunks and of a
 * commit's seals. The hash is the caller's (crypto/digest). @thread any; nothing here allocates. */
#ifndef MERKLE_H
#define MERKLE_H

#include <stdint.h>

#include "lib/srs_err.h"

#define MERKLE_HASH_SIZE  32
#define MERKLE_DEPTH_MAX  48

typedef void merkle_hash(const uint8_t *bytes, uint32_t len, uint8_t out[MERKLE_HASH_SIZE]); /* SHA-256 */

struct merkle {
	uint64_t n_leaves;
	uint8_t stack[MERKLE_DEPTH_MAX][MERKLE_HASH_SIZE]; /* roots of the complete subtrees, largest first */
};

void merkle_init(struct merkle *m);
/** Leaf of a part: SHA-256(0x00 || chunk_no u64 || leaf digest). */
void merkle_add_chunk(struct merkle *m, merkle_hash *hash, uint64_t chunk_no, const uint8_t leaf[MERKLE_HASH_SIZE]);
/** Leaf of a commit: SHA-256(0x00 || seal digest). */
void merkle_add(struct merkle *m, merkle_hash *hash, const uint8_t digest[MERKLE_HASH_SIZE]);
/** Root of what was added so far; SHA-256 of nothing for an empty tree. The tree can go on growing. */
void merkle_root(const struct merkle *m, merkle_hash *hash, uint8_t root[MERKLE_HASH_SIZE]);
/* A tree whose leaves are all known: each of its nodes is hashed once, and then every audit path is a walk. The leaves' level
 * stands first, then each level above it, the root last. */
#define MERKLE_NODES(n) (2u * (n) + 32u)
/** @param digests  as given to merkle_add(); n > 0 of them
 *  @param nodes    MERKLE_NODES(n)
 *  @return the root, one of `nodes` */
const uint8_t *merkle_nodes(const uint8_t (*digests)[MERKLE_HASH_SIZE], uint32_t n, merkle_hash *hash,
                            uint8_t (*nodes)[MERKLE_HASH_SIZE]);
/** Audit path of leaf `index` among `n`. @return hashes in the path, at most `path_max`; LIMIT otherwise */
SRS_MUST_CHECK enum srs_err merkle_path(const uint8_t (*nodes)[MERKLE_HASH_SIZE], uint32_t n, uint32_t index,
                                        uint8_t (*path)[MERKLE_HASH_SIZE], uint8_t path_max, uint8_t *n_path);
/** Root implied by a digest, its index, the leaf count and its path. @return INVALID when the path does not fit */
SRS_MUST_CHECK enum srs_err merkle_path_root(const uint8_t digest[MERKLE_HASH_SIZE], uint32_t index, uint32_t n,
                                             const uint8_t (*path)[MERKLE_HASH_SIZE], uint8_t n_path,
                                             merkle_hash *hash, uint8_t root[MERKLE_HASH_SIZE]);

#endif
