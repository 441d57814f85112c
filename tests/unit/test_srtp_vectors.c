/* The RFCs' SRTP packets and keystreams through the engine that is ours, by both of its ways.
 *
 * Their keys are session keys, and no master key is known that gives them: so key derivation, which test_srtp_kdf shows,
 * is a table in this program. libsrtp2 derives by itself; for both engines test_srtp_packets has packets. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "crypto/srtp_kdf.h"
#include "crypto/unprotect.h"
#include "vector_file.h"

#define PACKET_MAX 256
#define COPIES     19	/* one burst: all sixteen lanes, and more than one round of them */

static struct {
	uint8_t cipher[SRTP_MASTER_KEY_MAX], auth[SRTP_AUTH_KEY_SIZE], salt[SRTP_MASTER_SALT_MAX];
} published;

/* In the place of crypto/srtp_kdf.c. */
enum srs_err
srtp_kdf_derive(const struct srtp_kdf_master *master, enum srtp_kdf_label label, uint8_t *out, uint32_t len)
{
	assert_true(label == SRTP_KDF_RTP_CIPHER || label == SRTP_KDF_RTP_AUTH || label == SRTP_KDF_RTP_SALT);
	if (label == SRTP_KDF_RTP_CIPHER)
		assert_int_equal(len, master->key_len);
	if (label == SRTP_KDF_RTP_SALT)
		assert_int_equal(len, master->salt_len);
	memcpy(out, label == SRTP_KDF_RTP_CIPHER ? published.cipher : label == SRTP_KDF_RTP_AUTH ? published.auth
	                                                                                       : published.salt, len);
	return SRS_OK;
}

struct packet {
	uint8_t bytes[PACKET_MAX];
	uint16_t len;
};

/* The protected packet comes out as the plain one, in every place of a burst and with the wide registers or without. */
static void
comes_out(enum srtp_suite suite, const struct packet *sealed, const struct packet *plain, bool portable)
{
	static struct unprotect_ctx ctx;
	struct unprotect_engine *e = unprotect_engine_create(UNPROTECT_IPSEC_MB);
	struct srtp_master master = { .suite = (uint8_t)suite };
	struct packet copies[COPIES];
	struct packet_index index[COPIES];
	struct unprotect_op ops[COPIES], *burst[COPIES];

	assert_non_null(e);
	if (portable)
		unprotect_engine_portable(e);
	assert_int_equal(unprotect_ctx_init(&ctx, e, &master), SRS_OK);
	memset(index, 0, sizeof(index));
	for (unsigned int i = 0; i < COPIES; i++) {
		copies[i] = *sealed;
		ops[i] = (struct unprotect_op){ .packet = copies[i].bytes, .len = sealed->len, .index = &index[i], .keys = &ctx };
		burst[i] = &ops[i];
	}
	copies[3].bytes[sealed->len - 1] ^= 1;
	copies[COPIES - 1].bytes[13] ^= 1;
	unprotect_burst(e, burst, COPIES);
	for (unsigned int i = 0; i < COPIES; i++) {
		if (i == 3 || i == COPIES - 1) {
			assert_int_equal(ops[i].result, UNPROTECT_BAD_TAG);
			continue;
		}
		assert_int_equal(ops[i].result, UNPROTECT_OK);
		assert_int_equal(ops[i].len, plain->len);
		assert_memory_equal(copies[i].bytes, plain->bytes, plain->len);
	}
	unprotect_ctx_wipe(&ctx);
	unprotect_engine_destroy(e);
}

static FILE *
vectors(const char *path)
{
	FILE *file = vector_open(path);

	assert_non_null(file);
	return file;
}

/* A packet of zeros under SSRC 0 and index 0 decrypts to the keystream. The tag's key is any: 0 1 2 .. */
static void
keystream_packet(FILE *file, const char *name, struct packet *sealed, struct packet *plain, uint16_t tag_len)
{
	uint8_t tag[EVP_MAX_MD_SIZE];
	unsigned int tag_size;
	uint16_t len;

	memset(sealed, 0, sizeof(*sealed));
	memset(plain, 0, sizeof(*plain));
	sealed->bytes[0] = plain->bytes[0] = 0x80;
	len = vector_read(file, name, plain->bytes + 12, PACKET_MAX - 12);
	assert_int_equal(len, 48);
	plain->len = (uint16_t)(12 + len);
	/* the ROC, zeros, stands behind the packet already */
	assert_non_null(HMAC(EVP_sha1(), published.auth, sizeof(published.auth), sealed->bytes, (size_t)plain->len + 4, tag,
	                     &tag_size));
	memcpy(sealed->bytes + plain->len, tag, tag_len);
	sealed->len = (uint16_t)(plain->len + tag_len);
}

static void
keystreams_of_rfc_3711_b_2_and_rfc_6188_7_come_out(void **state)
{
	static const struct {
		const char *name, *key;
		enum srtp_suite suite[2];
	} rows[] = {
		{ "aes128", "aes128_key", { SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32 } },
		{ "aes192", "aes192_key", { SRTP_AES_192_CM_HMAC_SHA1_80, SRTP_AES_192_CM_HMAC_SHA1_32 } },
		{ "aes256", "aes256_key", { SRTP_AES_256_CM_HMAC_SHA1_80, SRTP_AES_256_CM_HMAC_SHA1_32 } },
	};
	FILE *file = vectors("tests/vectors/srtp/keystream.txt");
	struct packet sealed, plain;

	for (unsigned int i = 0; i < SRTP_AUTH_KEY_SIZE; i++)
		published.auth[i] = (uint8_t)i;
	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int k = 0; k < 2; k++) {
			const struct srtp_suite_shape *shape = srtp_suite_shape(rows[i].suite[k]);

			print_message("%s\n", shape->name);
			assert_int_equal(vector_read(file, rows[i].key, published.cipher, 32), shape->key_len);
			assert_int_equal(vector_read(file, "salt", published.salt, 14), 14);
			keystream_packet(file, rows[i].name, &sealed, &plain, shape->tag_len);
			comes_out(rows[i].suite[k], &sealed, &plain, false);
			comes_out(rows[i].suite[k], &sealed, &plain, true);
		}
	fclose(file);
}

static void
aead_packets(FILE *file, enum srtp_suite suite, const char *const names[4])
{
	struct packet sealed = { .len = 0 }, plain = { .len = 0 };

	print_message("%s\n", srtp_suite_shape(suite)->name);
	assert_int_equal(vector_read(file, names[0], published.cipher, 32), srtp_suite_shape(suite)->key_len);
	assert_int_equal(vector_read(file, names[1], published.salt, 14), 12);
	plain.len = vector_read(file, names[2], plain.bytes, PACKET_MAX);
	sealed.len = vector_read(file, names[3], sealed.bytes, PACKET_MAX);
	assert_int_equal(plain.len, 50);
	assert_int_equal(sealed.len, plain.len + SRTP_TAG_MAX);
	comes_out(suite, &sealed, &plain, false);
	comes_out(suite, &sealed, &plain, true);
}

static void
packets_of_rfc_7714_16_come_out(void **state)
{
	static const char *const aes_128[] = { "aes128_key", "salt", "rtp", "aes128_rtp" };
	static const char *const aes_256[] = { "aes256_key", "salt", "rtp", "aes256_rtp" };
	FILE *file = vectors("tests/vectors/srtp/rfc7714.txt");

	aead_packets(file, SRTP_AEAD_AES_128_GCM, aes_128);
	aead_packets(file, SRTP_AEAD_AES_256_GCM, aes_256);
	fclose(file);
}

static void
packets_of_the_shared_corpus_come_out(void **state)
{
	static const char *const names[] = { "srtpSessionKey", "srtpSessionSalt", "decryptedRTPPacket", "encryptedRTPPacket" };
	FILE *file = vector_open("../shared/corpus/srtp-vectors/rfc7714-aes128gcm.txt");

	if (file == NULL)
		skip();
	aead_packets(file, SRTP_AEAD_AES_128_GCM, names);
	fclose(file);
}

static int
engine_is_here(void **state)
{
	if (unprotect_engine_runs(UNPROTECT_IPSEC_MB))
		return 0;
	print_message("the engine ipsec-mb does not run here\n");
	exit(77);	/* skipped, as a whole */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keystreams_of_rfc_3711_b_2_and_rfc_6188_7_come_out),
		cmocka_unit_test(packets_of_rfc_7714_16_come_out),
		cmocka_unit_test(packets_of_the_shared_corpus_come_out),
	};

	return cmocka_run_group_tests(tests, engine_is_here, NULL);
}
