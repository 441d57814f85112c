#include "lib/merkle.h"

#include <string.h>

#include "lib/span.h"
#include "lib/srs_assert.h"

static void
node_hash(merkle_hash *hash, const uint8_t *left, const uint8_t *right, uint8_t out[MERKLE_HASH_SIZE])
{
	uint8_t bytes[1 + 2 * MERKLE_HASH_SIZE] = { 0x01 };

	memcpy(bytes + 1, left, MERKLE_HASH_SIZE);
	memcpy(bytes + 1 + MERKLE_HASH_SIZE, right, MERKLE_HASH_SIZE);
	hash(bytes, sizeof(bytes), out);
}

static void
leaf_hash(merkle_hash *hash, const uint8_t digest[MERKLE_HASH_SIZE], uint8_t out[MERKLE_HASH_SIZE])
{
	uint8_t bytes[1 + MERKLE_HASH_SIZE] = { 0x00 };

	memcpy(bytes + 1, digest, MERKLE_HASH_SIZE);
	hash(bytes, sizeof(bytes), out);
}

void
merkle_init(struct merkle *m)
{
	m->n_leaves = 0;
}

/* The stack holds one root for each one bit of n_leaves; adding a leaf is adding one with carries. */
static void
push(struct merkle *m, merkle_hash *hash, const uint8_t leaf[MERKLE_HASH_SIZE])
{
	unsigned int depth = (unsigned int)__builtin_popcountll(m->n_leaves);
	uint8_t node[MERKLE_HASH_SIZE];

	srs_assert(m->n_leaves < (UINT64_C(1) << (MERKLE_DEPTH_MAX - 1)));
	memcpy(node, leaf, sizeof(node));
	for (uint64_t bits = m->n_leaves; bits & 1; bits >>= 1)
		node_hash(hash, m->stack[--depth], node, node);
	memcpy(m->stack[depth], node, sizeof(node));
	m->n_leaves++;
}

void
merkle_add_chunk(struct merkle *m, merkle_hash *hash, uint64_t chunk_no, const uint8_t leaf[MERKLE_HASH_SIZE])
{
	uint8_t bytes[1 + 8 + MERKLE_HASH_SIZE], node[MERKLE_HASH_SIZE];
	struct filler f = filler_of(bytes, sizeof(bytes));

	write_u8(&f, 0x00);
	write_u64be(&f, chunk_no);
	write_bytes(&f, leaf, MERKLE_HASH_SIZE);
	hash(bytes, sizeof(bytes), node);
	push(m, hash, node);
}

void
merkle_add(struct merkle *m, merkle_hash *hash, const uint8_t digest[MERKLE_HASH_SIZE])
{
	uint8_t node[MERKLE_HASH_SIZE];

	leaf_hash(hash, digest, node);
	push(m, hash, node);
}

void
merkle_root(const struct merkle *m, merkle_hash *hash, uint8_t root[MERKLE_HASH_SIZE])
{
	unsigned int depth = (unsigned int)__builtin_popcountll(m->n_leaves);

	if (depth == 0) {
		hash((const uint8_t *)"", 0, root);
		return;
	}
	memcpy(root, m->stack[--depth], MERKLE_HASH_SIZE);
	while (depth > 0)
		node_hash(hash, m->stack[--depth], root, root);
}

/* Pairs from the left; a node without a neighbour goes up as it is. That is the tree of RFC 6962 §2.1, whose left
 * subtrees are full. */
const uint8_t *
merkle_nodes(const uint8_t (*digests)[MERKLE_HASH_SIZE], uint32_t n, merkle_hash *hash,
             uint8_t (*nodes)[MERKLE_HASH_SIZE])
{
	srs_assert(n > 0);
	for (uint32_t i = 0; i < n; i++)
		leaf_hash(hash, digests[i], nodes[i]);
	for (; n > 1; n = n / 2 + n % 2) {
		uint8_t (*above)[MERKLE_HASH_SIZE] = nodes + n;

		for (uint32_t i = 0; i < n / 2; i++)
			node_hash(hash, nodes[2 * i], nodes[2 * i + 1], above[i]);
		if (n % 2 != 0)
			memcpy(above[n / 2], nodes[n - 1], MERKLE_HASH_SIZE);
		nodes = above;
	}
	return nodes[0];
}

enum srs_err
merkle_path(const uint8_t (*nodes)[MERKLE_HASH_SIZE], uint32_t n, uint32_t index, uint8_t (*path)[MERKLE_HASH_SIZE],
            uint8_t path_max, uint8_t *n_path)
{
	srs_assert(index < n);
	*n_path = 0;
	for (; n > 1; n = n / 2 + n % 2) {
		uint32_t neighbour = index ^ 1;

		if (neighbour < n) {
			if (*n_path == path_max)
				return SRS_ERR_LIMIT;
			memcpy(path[(*n_path)++], nodes[neighbour], MERKLE_HASH_SIZE);
		}
		nodes += n;
		index /= 2;
	}
	return SRS_OK;
}

enum srs_err
merkle_path_root(const uint8_t digest[MERKLE_HASH_SIZE], uint32_t index, uint32_t n,
                 const uint8_t (*path)[MERKLE_HASH_SIZE], uint8_t n_path, merkle_hash *hash,
                 uint8_t root[MERKLE_HASH_SIZE])
{
	uint32_t f = index, s; /* fn and sn of RFC 9162 §2.1.3.2 */

	if (index >= n)
		return SRS_ERR_INVALID;
	s = n - 1;
	leaf_hash(hash, digest, root);
	for (uint8_t i = 0; i < n_path; i++) {
		if (s == 0)
			return SRS_ERR_INVALID;
		if (f & 1 || f == s) {
			node_hash(hash, path[i], root, root);
			while ((f & 1) == 0 && f != 0) {
				f >>= 1;
				s >>= 1;
			}
		} else {
			node_hash(hash, root, path[i], root);
		}
		f >>= 1;
		s >>= 1;
	}
	return s == 0 ? SRS_OK : SRS_ERR_INVALID;
}
