/* Merkle trees against a recursive definition, written from RFC 6962 §2.1, and a known tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/merkle.h"
#include "lib/sha256.h"

#define N_MAX 70

static uint8_t digests[N_MAX][MERKLE_HASH_SIZE];

static int
fill_digests(void **state)
{
	for (uint8_t i = 0; i < N_MAX; i++)
		sha256(&i, 1, digests[i]);
	return 0;
}

static void
assert_hex(const uint8_t *bytes, const char *hex)
{
	char got[2 * MERKLE_HASH_SIZE + 1];

	for (int i = 0; i < MERKLE_HASH_SIZE; i++)
		snprintf(got + 2 * i, 3, "%02x", bytes[i]);
	assert_string_equal(got, hex);
}

/* MTH(D[first:first+n]) of RFC 6962 §2.1 */
static void
tree_hash(uint32_t first, uint32_t n, uint8_t out[MERKLE_HASH_SIZE])
{
	uint8_t bytes[1 + 2 * MERKLE_HASH_SIZE] = { 1 };
	uint32_t k = 1;

	if (n == 1) {
		bytes[0] = 0;
		memcpy(bytes + 1, digests[first], MERKLE_HASH_SIZE);
		sha256(bytes, 1 + MERKLE_HASH_SIZE, out);
		return;
	}
	while (2 * k < n)
		k *= 2;
	tree_hash(first, k, bytes + 1);
	tree_hash(first + k, n - k, bytes + 1 + MERKLE_HASH_SIZE);
	sha256(bytes, sizeof(bytes), out);
}

static void
sha256_gives_the_published_digests(void **state)
{
	uint8_t out[32], a[119];

	sha256((const uint8_t *)"abc", 3, out);
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256((const uint8_t *)"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out);
	assert_hex(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(a, 'a', sizeof(a)); /* every place where the padding can fall */
	sha256(a, 55, out);
	assert_hex(out, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
	sha256(a, 64, out);
	assert_hex(out, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
	sha256(a, 119, out);
	assert_hex(out, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb");
}

static void
empty_tree_is_the_hash_of_nothing(void **state)
{
	struct merkle m;
	uint8_t root[MERKLE_HASH_SIZE];

	merkle_init(&m);
	merkle_root(&m, sha256, root);
	assert_hex(root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void
growing_tree_has_the_recursive_root_at_every_size(void **state)
{
	uint8_t root[MERKLE_HASH_SIZE], expected[MERKLE_HASH_SIZE];
	struct merkle m;

	merkle_init(&m);
	for (uint32_t n = 1; n <= N_MAX; n++) {
		merkle_add(&m, sha256, digests[n - 1]);
		merkle_root(&m, sha256, root);
		tree_hash(0, n, expected);
		assert_memory_equal(root, expected, sizeof(root));
	}
}

static void
chunk_leaf_covers_its_number(void **state)
{
	uint8_t bytes[1 + 8 + MERKLE_HASH_SIZE] = { 0, 0, 0, 0, 1, 2, 3, 4, 5 };
	uint8_t root[MERKLE_HASH_SIZE], expected[MERKLE_HASH_SIZE];
	struct merkle m;

	memcpy(bytes + 9, digests[7], MERKLE_HASH_SIZE);
	sha256(bytes, sizeof(bytes), expected);
	merkle_init(&m);
	merkle_add_chunk(&m, sha256, UINT64_C(0x102030405), digests[7]);
	merkle_root(&m, sha256, root);
	assert_memory_equal(root, expected, sizeof(root));
}

static void
every_path_leads_to_the_root(void **state)
{
	uint8_t path[16][MERKLE_HASH_SIZE], root[MERKLE_HASH_SIZE], expected[MERKLE_HASH_SIZE];
	uint8_t nodes[MERKLE_NODES(N_MAX)][MERKLE_HASH_SIZE];
	uint8_t n_path;

	for (uint32_t n = 1; n <= N_MAX; n++) {
		tree_hash(0, n, expected);
		assert_memory_equal(merkle_nodes(digests, n, sha256, nodes), expected, sizeof(expected));
		for (uint32_t i = 0; i < n; i++) {
			assert_int_equal(merkle_path((const uint8_t(*)[MERKLE_HASH_SIZE])nodes, n, i, path, 16, &n_path), SRS_OK);
			assert_int_equal(merkle_path_root(digests[i], i, n, path, n_path, sha256, root), SRS_OK);
			assert_memory_equal(root, expected, sizeof(root));
		}
	}
}

static void
wrong_paths_are_refused_or_lead_elsewhere(void **state)
{
	uint8_t path[16][MERKLE_HASH_SIZE] = { { 0 } }, root[MERKLE_HASH_SIZE], expected[MERKLE_HASH_SIZE];
	uint8_t nodes[MERKLE_NODES(11)][MERKLE_HASH_SIZE];
	uint8_t n_path;

	tree_hash(0, 11, expected);
	merkle_nodes(digests, 11, sha256, nodes);
	assert_int_equal(merkle_path((const uint8_t(*)[MERKLE_HASH_SIZE])nodes, 11, 4, path, 3, &n_path), SRS_ERR_LIMIT);
	assert_int_equal(merkle_path((const uint8_t(*)[MERKLE_HASH_SIZE])nodes, 11, 4, path, 16, &n_path), SRS_OK);
	assert_int_equal(n_path, 4);
	assert_int_equal(merkle_path_root(digests[4], 4, 11, path, 3, sha256, root), SRS_ERR_INVALID);
	assert_int_equal(merkle_path_root(digests[4], 4, 11, path, 5, sha256, root), SRS_ERR_INVALID);
	assert_int_equal(merkle_path_root(digests[4], 11, 11, path, 4, sha256, root), SRS_ERR_INVALID);
	assert_int_equal(merkle_path_root(digests[4], 0, 0, path, 0, sha256, root), SRS_ERR_INVALID);
	for (uint32_t i = 0; i < 11; i++)
		if (i != 4 && merkle_path_root(digests[4], i, 11, path, 4, sha256, root) == SRS_OK)
			assert_memory_not_equal(root, expected, sizeof(root));
	path[2][31] ^= 1;
	assert_int_equal(merkle_path_root(digests[4], 4, 11, path, 4, sha256, root), SRS_OK);
	assert_memory_not_equal(root, expected, sizeof(root));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_the_published_digests),
		cmocka_unit_test(empty_tree_is_the_hash_of_nothing),
		cmocka_unit_test(growing_tree_has_the_recursive_root_at_every_size),
		cmocka_unit_test(chunk_leaf_covers_its_number),
		cmocka_unit_test(every_path_leads_to_the_root),
		cmocka_unit_test(wrong_paths_are_refused_or_lead_elsewhere),
	};

	return cmocka_run_group_tests(tests, fill_digests, NULL);
}
