#include "crypto/kek.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/keystore.h"
#include "lib/srs_assert.h"

#define KEK_MAGIC	 "CKEK"
#define KEK_FILE_VERSION 1
#define KEK_NAME_FORMAT	 "kek-%08" PRIu32 "-%s.key"

static struct envelope_label
kek_label(const struct kek *k)
{
	return (struct envelope_label){
		.text = "capstan kek v1",
		.kek_id = k->id,
		.kek_version = k->version,
		.aad = k->id,
	};
}

enum srs_err
kek_create(struct kek *k, const uint8_t root_public[SECRET_KEY_SIZE])
{
	struct envelope_pair pair;
	struct envelope_label label;
	enum srs_err err = envelope_pair_create(&pair);

	if (err)
		return err;
	memcpy(k->public_key, pair.public_key, sizeof(k->public_key));
	keystore_key_id(k->public_key, k->id);
	keystore_key_id(root_public, k->root_id);
	label = kek_label(k);
	err = envelope_seal(&label, root_public, pair.private_key, k->ephemeral, k->wrapped);
	secret_wipe(&pair, sizeof(pair));
	return err;
}

enum srs_err
kek_open(const struct kek *k, const struct envelope_pair *root, struct envelope_pair *pair)
{
	struct envelope_label label = kek_label(k);

	memcpy(pair->public_key, k->public_key, sizeof(pair->public_key));
	return envelope_open(&label, root, k->ephemeral, k->wrapped, pair->private_key);
}

void
kek_name(const struct kek *k, char name[KEK_NAME_MAX])
{
	char hex[2 * REEL_ID_SIZE + 1];

	for (unsigned int i = 0; i < REEL_ID_SIZE; i++)
		snprintf(hex + 2 * (size_t)i, 3, "%02x", k->id[i]);
	snprintf(name, KEK_NAME_MAX, KEK_NAME_FORMAT, k->version, hex);
}

void
kek_encode(const struct kek *k, uint8_t bytes[KEK_FILE_LEN])
{
	struct filler f = filler_of(bytes, KEK_FILE_LEN);

	write_bytes(&f, KEK_MAGIC, 4);
	write_u16be(&f, KEK_FILE_VERSION);
	write_u16be(&f, 0);
	write_u32be(&f, k->version);
	write_u32be(&f, 0);
	write_bytes(&f, k->id, sizeof(k->id));
	write_u64be(&f, (uint64_t)k->created_s);
	write_bytes(&f, k->root_id, sizeof(k->root_id));
	write_bytes(&f, k->public_key, sizeof(k->public_key));
	write_bytes(&f, k->ephemeral, sizeof(k->ephemeral));
	write_bytes(&f, k->wrapped, sizeof(k->wrapped));
	srs_assert(!f.bad);
	srs_assert(filler_used(&f) == KEK_SIGNED_LEN);
	digest_sha256(bytes, KEK_SIGNED_LEN, bytes + KEK_SIGNED_LEN);
}

enum srs_err
kek_decode(struct kek *k, struct span bytes)
{
	struct reader r = reader_of(bytes);
	uint8_t digest[DIGEST_SIZE], id[REEL_ID_SIZE];
	struct span magic;
	uint16_t file_version, zero;
	uint32_t zero2;

	if (bytes.len != KEK_FILE_LEN)
		return SRS_ERR_INVALID;
	digest_sha256(bytes.bytes, KEK_SIGNED_LEN, digest);
	if (!secret_equal(digest, bytes.bytes + KEK_SIGNED_LEN, DIGEST_SIZE))
		return SRS_ERR_INVALID;
	magic = read_span(&r, 4);
	file_version = read_u16be(&r);
	zero = read_u16be(&r);
	k->version = read_u32be(&r);
	zero2 = read_u32be(&r);
	read_bytes(&r, k->id, sizeof(k->id));
	k->created_s = (int64_t)read_u64be(&r);
	read_bytes(&r, k->root_id, sizeof(k->root_id));
	read_bytes(&r, k->public_key, sizeof(k->public_key));
	read_bytes(&r, k->ephemeral, sizeof(k->ephemeral));
	read_bytes(&r, k->wrapped, sizeof(k->wrapped));
	keystore_key_id(k->public_key, id);
	if (reader_is_bad(&r) || !span_equal(magic, span_of(KEK_MAGIC, 4)) || zero != 0 || zero2 != 0 ||
	    k->version == 0 || k->created_s < 0 || k->created_s > INT64_MAX / 2 ||
	    memcmp(id, k->id, sizeof(id)) != 0)
		return SRS_ERR_INVALID;
	return file_version == KEK_FILE_VERSION ? SRS_OK : SRS_ERR_UNSUPPORTED;
}

/* Is this the name of a KEK file? Its version counts even when the file turns out damaged. */
bool
kek_name_read(const char *name, uint32_t *version)
{
	char hex[2 * REEL_ID_SIZE + 1];
	int end = 0;

	if (strlen(name) != strlen("kek-") + 8 + 1 + 2 * REEL_ID_SIZE + strlen(".key"))
		return false;
	return sscanf(name, "kek-%8" SCNu32 "-%32[0-9a-f].key%n", version, hex, &end) == 2 &&
	       name[end] == '\0' && end != 0;
}
