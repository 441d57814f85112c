/* The keystore: first start, reopening, permissions, rotation, envelopes and their refusals, the node's signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/keystore.h"

#define NOW_S 1700000000
#define DAY_S 86400

struct fixture {
	char parent[64];
	char path[80];
	char why[256];
	int64_t now_s;
	struct dek dek, again;
	struct reel_envelope envelope;
};

static int64_t
fixture_now_s(void *ctx)
{
	const struct fixture *f = ctx;

	return f->now_s;
}

static void
folder_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	(void)rmdir(path);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	snprintf(f->parent, sizeof(f->parent), "/tmp/keystore-test-XXXXXX");
	if (mkdtemp(f->parent) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/keys", f->parent);
	f->now_s = NOW_S;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	folder_remove(f->path);
	folder_remove(f->parent);
	free(f);
	return 0;
}

static enum srs_err
try_open(struct fixture *f, struct keystore **ks, const char *store, bool create)
{
	struct keystore_spec spec = {
		.store = store,
		.path = f->path,
		.rotation_interval_s = DAY_S,
		.create = create,
		.now_s = fixture_now_s,
		.now_ctx = f,
	};

	*ks = NULL;
	return keystore_open(ks, &spec, f->why, sizeof(f->why));
}

static struct keystore *
open_file(struct fixture *f, bool create)
{
	struct keystore *ks;

	assert_int_equal(try_open(f, &ks, "file", create), SRS_OK);
	assert_non_null(ks);
	return ks;
}

static void
file_path(const struct fixture *f, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", f->path, name);
}

/* The only file whose name begins so. */
static void
file_find(const struct fixture *f, const char *prefix, char path[256])
{
	DIR *dir = opendir(f->path);
	struct dirent *entry;
	unsigned int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, 256, "%s/%.100s", f->path, entry->d_name);
		n++;
	}
	closedir(dir);
	assert_int_equal(n, 1);
}

static void
create_dek(struct fixture *f, struct keystore *ks)
{
	assert_int_equal(keystore_dek_create(ks, REEL_SUITE_AES_256_GCM, &f->dek, &f->envelope), SRS_OK);
}

static void
assert_unwraps(struct fixture *f, struct keystore *ks, const struct reel_envelope *envelope, const struct dek *dek)
{
	memset(&f->again, 0, sizeof(f->again));
	assert_int_equal(keystore_dek_unwrap(ks, envelope, &f->again), SRS_OK);
	assert_memory_equal(&f->again, dek, sizeof(*dek));
}

/* ---- files ---- */

static void
first_start_makes_private_files(void **state)
{
	static const char *const names[] = { "root.key", "node.key", "node.pub", "kek-00000001-" };
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);
	char path[256];
	struct stat st;

	assert_string_equal(f->why, "");
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	for (unsigned int i = 0; i < 4; i++) {
		file_find(f, names[i], path);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	keystore_close(ks);
}

static void
tool_finds_no_store_and_makes_none(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks;
	struct stat st;

	assert_int_equal(try_open(f, &ks, "file", false), SRS_ERR_STATE);
	assert_non_null(strstr(f->why, f->path));
	assert_int_equal(stat(f->path, &st), -1);
	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_int_equal(try_open(f, &ks, "file", false), SRS_ERR_STATE);
	assert_non_null(strstr(f->why, "root.key"));
}

static void
store_opened_again_reads_old_envelopes_and_is_the_same_node(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);
	uint8_t id[REEL_ID_SIZE], key[32], id2[REEL_ID_SIZE], key2[32];

	create_dek(f, ks);
	keystore_node_public(ks, id, key);
	keystore_close(ks);
	for (unsigned int create = 0; create < 2; create++) {
		ks = open_file(f, create != 0);
		assert_unwraps(f, ks, &f->envelope, &f->dek);
		keystore_node_public(ks, id2, key2);
		assert_memory_equal(id, id2, sizeof(id));
		assert_memory_equal(key, key2, sizeof(key));
		keystore_close(ks);
	}
}

static void
open_permissions_are_refused_with_the_remedy(void **state)
{
	static const char *const names[] = { "root.key", "node.key", "kek-00000001-" };
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);
	char path[256], remedy[300];

	keystore_close(ks);
	for (unsigned int i = 0; i < 3; i++) {
		file_find(f, names[i], path);
		snprintf(remedy, sizeof(remedy), "chmod 600 %s", path);
		for (unsigned int mode = 0604; mode <= 0640; mode += 0034) {
			assert_int_equal(chmod(path, mode), 0);
			assert_int_equal(try_open(f, &ks, "file", true), SRS_ERR_AUTH);
			assert_non_null(strstr(f->why, remedy));
			assert_null(ks);
		}
		assert_int_equal(chmod(path, 0600), 0);
	}
	assert_int_equal(chmod(f->path, 0750), 0);
	snprintf(remedy, sizeof(remedy), "chmod 700 %s", f->path);
	assert_int_equal(try_open(f, &ks, "file", true), SRS_ERR_AUTH);
	assert_non_null(strstr(f->why, remedy));
	assert_int_equal(chmod(f->path, 0700), 0);
	keystore_close(open_file(f, true));
}

static void
lost_root_is_never_replaced(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);
	char path[256];
	struct stat st;

	create_dek(f, ks);
	keystore_close(ks);
	file_path(f, "root.key", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(try_open(f, &ks, "file", true), SRS_ERR_INVALID);
	assert_non_null(strstr(f->why, "root.key"));
	assert_non_null(strstr(f->why, "backup"));
	assert_int_equal(stat(path, &st), -1);
	ks = open_file(f, false);	/* the tool still verifies, but reads nothing */
	assert_int_equal(keystore_dek_unwrap(ks, &f->envelope, &f->again), SRS_ERR_STATE);
	keystore_close(ks);
}

static void
lost_node_key_is_never_replaced(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);
	struct keystore_signer *signer;
	char path[256];

	keystore_close(ks);
	file_path(f, "node.key", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(try_open(f, &ks, "file", true), SRS_ERR_INVALID);
	assert_non_null(strstr(f->why, "node.key"));
	ks = open_file(f, false);
	assert_int_equal(keystore_signer_create(&signer, ks), SRS_ERR_STATE);
	keystore_close(ks);
}

static void
interrupted_first_start_is_completed(void **state)
{
	static const char *const names[] = { "node.pub", "kek-00000001-", "new.tmp" };
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);
	char path[256];
	uint8_t id[REEL_ID_SIZE], key[32], read_back[32];
	int fd;

	keystore_node_public(ks, id, key);
	keystore_close(ks);
	for (unsigned int i = 0; i < 2; i++) {
		file_find(f, names[i], path);
		assert_int_equal(unlink(path), 0);
	}
	file_path(f, names[2], path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);	/* what a power cut in a write leaves */
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	ks = open_file(f, true);
	keystore_close(ks);
	file_find(f, "kek-00000001-", path);
	file_path(f, "node.pub", path);
	assert_int_equal(keystore_public_read(path, read_back), SRS_OK);
	assert_memory_equal(read_back, key, sizeof(key));
	file_path(f, "new.tmp", path);
	assert_int_equal(access(path, F_OK), -1);
}

static void
file_flip(const char *path, long at)
{
	FILE *file = fopen(path, "r+");
	int byte;

	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	byte = fgetc(file);
	assert_true(byte != EOF);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
	assert_int_equal(fclose(file), 0);
}

static void
damaged_period_key_is_left_out_and_recording_goes_on(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);
	struct reel_envelope old;
	struct keystore_kek keks[4];
	char path[256];

	create_dek(f, ks);
	old = f->envelope;
	keystore_close(ks);
	file_find(f, "kek-00000001-", path);
	for (long at = 0; at < 200; at += 7) {
		file_flip(path, at);
		ks = open_file(f, false);
		assert_int_equal(keystore_keks(ks, keks, 4), 0);
		assert_int_equal(keystore_dek_unwrap(ks, &old, &f->again), SRS_ERR_AUTH);
		keystore_close(ks);
		file_flip(path, at);
	}
	file_flip(path, 100);
	ks = open_file(f, true);
	assert_int_equal(keystore_keks(ks, keks, 4), 1);
	assert_int_equal(keks[0].version, 2);	/* the damaged one's number is not given again */
	create_dek(f, ks);
	assert_unwraps(f, ks, &f->envelope, &f->dek);
	keystore_close(ks);
}

static void
foreign_root_leaves_old_keys_closed(void **state)
{
	struct fixture *f = *state, other;
	struct keystore *ks = open_file(f, true);
	struct keystore_kek keks[4];
	char from[256], to[256];
	struct fixture *o = &other;

	create_dek(f, ks);
	keystore_close(ks);
	assert_int_equal(setup((void **)&o), 0);
	keystore_close(open_file(o, true));
	file_path(o, "root.key", from);
	file_path(f, "root.key", to);
	assert_int_equal(rename(from, to), 0);
	ks = open_file(f, true);
	assert_int_equal(keystore_keks(ks, keks, 4), 2);
	assert_false(keks[0].has_private);
	assert_false(keks[0].current);
	assert_true(keks[1].has_private);
	assert_true(keks[1].current);
	assert_int_equal(keystore_dek_unwrap(ks, &f->envelope, &f->again), SRS_ERR_STATE);
	keystore_close(ks);
	assert_int_equal(teardown((void **)&o), 0);
}

static void
file_overwrite(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void
key_files_with_nonsense_are_refused_by_name(void **state)
{
	static const char *const nonsense[] = {
		"", "no key\n", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n",
	};
	struct fixture *f = *state;
	struct keystore *ks;
	char path[256];

	keystore_close(open_file(f, true));
	file_path(f, "root.key", path);
	for (unsigned int i = 0; i < 3; i++) {
		file_overwrite(path, nonsense[i]);
		assert_int_equal(try_open(f, &ks, "file", true), SRS_ERR_INVALID);
		assert_non_null(strstr(f->why, "root.key"));
		assert_null(ks);
	}
}

static void
stores_that_do_not_exist_are_refused(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks;

	assert_int_equal(try_open(f, &ks, "hsm", true), SRS_ERR_INVALID);
	assert_int_equal(try_open(f, &ks, "memory", false), SRS_ERR_STATE);
	f->path[0] = '\0';
	assert_int_equal(try_open(f, &ks, "file", true), SRS_ERR_INVALID);
	snprintf(f->path, sizeof(f->path), "%s/no/such", f->parent);
	assert_int_equal(try_open(f, &ks, "file", true), SRS_ERR_IO);
	assert_non_null(strstr(f->why, "parent"));
}

/* ---- keys ---- */

static void
memory_store_wraps_and_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks, *other;
	struct stat st;

	assert_int_equal(try_open(f, &ks, "memory", true), SRS_OK);
	create_dek(f, ks);
	assert_unwraps(f, ks, &f->envelope, &f->dek);
	assert_int_equal(stat(f->path, &st), -1);
	assert_int_equal(try_open(f, &other, "memory", true), SRS_OK);
	assert_int_equal(keystore_dek_unwrap(other, &f->envelope, &f->again), SRS_ERR_AUTH);
	keystore_close(other);
	keystore_close(ks);
	keystore_close(NULL);
}

static void
interval_key_serves_a_minute_and_no_dek_comes_twice(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks;
	struct reel_envelope first;
	struct dek first_dek;

	assert_int_equal(try_open(f, &ks, "memory", true), SRS_OK);
	create_dek(f, ks);
	first = f->envelope;
	first_dek = f->dek;
	f->now_s += KEYSTORE_INTERVAL_S - 1;
	create_dek(f, ks);
	assert_memory_equal(f->envelope.interval_id, first.interval_id, REEL_ID_SIZE);
	assert_memory_equal(&f->envelope.stanzas[0], &first.stanzas[0], sizeof(first.stanzas[0]));
	assert_memory_not_equal(&f->dek, &first_dek, sizeof(first_dek));
	assert_memory_not_equal(f->envelope.nonce, first.nonce, sizeof(first.nonce));
	f->now_s++;
	create_dek(f, ks);
	assert_memory_not_equal(f->envelope.interval_id, first.interval_id, REEL_ID_SIZE);
	assert_memory_not_equal(f->envelope.stanzas[0].ephemeral, first.stanzas[0].ephemeral, 32);
	assert_unwraps(f, ks, &first, &first_dek);
	assert_unwraps(f, ks, &f->envelope, &f->dek);
	f->now_s -= 2 * KEYSTORE_INTERVAL_S;	/* a clock set back must not keep a key for longer */
	first = f->envelope;
	create_dek(f, ks);
	assert_memory_not_equal(f->envelope.interval_id, first.interval_id, REEL_ID_SIZE);
	keystore_expire(ks);
	keystore_close(ks);
}

static void
period_key_rotates_and_old_envelopes_stay_readable(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);
	struct reel_envelope envelopes[4];
	struct dek deks[4];
	struct keystore_kek keks[8];

	for (unsigned int day = 0; day < 4; day++) {
		create_dek(f, ks);
		envelopes[day] = f->envelope;
		deks[day] = f->dek;
		assert_int_equal(f->envelope.n_stanzas, 1);
		assert_int_equal(f->envelope.stanzas[0].kek_version, day + 1);
		f->now_s += DAY_S;
	}
	for (unsigned int round = 0; round < 2; round++) {
		assert_int_equal(keystore_keks(ks, keks, 8), 4);
		for (unsigned int i = 0; i < 4; i++) {
			assert_int_equal(keks[i].version, i + 1);
			assert_int_equal(keks[i].created_s, NOW_S + (int64_t)i * DAY_S);
			assert_int_equal(keks[i].current, i == 3);
			assert_true(keks[i].has_private);
			assert_unwraps(f, ks, &envelopes[i], &deks[i]);
		}
		keystore_close(ks);
		ks = open_file(f, false);
	}
	assert_int_equal(keystore_keks(ks, keks, 2), 2);
	assert_int_equal(keks[1].version, 4);	/* the newest, when not all fit */
	keystore_close(ks);
}

static void
failed_rotation_keeps_the_old_key(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);

	folder_remove(f->path);		/* the disk is gone under us */
	f->now_s += DAY_S;
	create_dek(f, ks);
	assert_int_equal(f->envelope.stanzas[0].kek_version, 1);
	assert_unwraps(f, ks, &f->envelope, &f->dek);
	assert_int_equal(mkdir(f->path, 0700), 0);
	f->now_s += KEYSTORE_INTERVAL_S;
	create_dek(f, ks);
	assert_int_equal(f->envelope.stanzas[0].kek_version, 2);
	keystore_close(ks);
}

static void
any_changed_bit_of_the_wrapping_is_found(void **state)
{
	static const struct dek none;
	struct fixture *f = *state;
	struct keystore *ks;
	struct reel_envelope *e = &f->envelope;

	assert_int_equal(try_open(f, &ks, "memory", true), SRS_OK);
	create_dek(f, ks);
	const struct { uint8_t *at; size_t len; } covered[] = {
		{ e->interval_id, sizeof(e->interval_id) }, { e->nonce, sizeof(e->nonce) },
		{ e->wrapped_dek, sizeof(e->wrapped_dek) }, { e->stanzas[0].kek_id, REEL_ID_SIZE },
		{ e->stanzas[0].wrapped, sizeof(e->stanzas[0].wrapped) },
	};
	for (unsigned int i = 0; i < sizeof(covered) / sizeof(covered[0]); i++) {
		for (size_t bit = 0; bit < covered[i].len * 8; bit += 5) {
			covered[i].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			f->now_s += KEYSTORE_INTERVAL_S;	/* so that no opened interval key helps */
			assert_int_equal(keystore_dek_unwrap(ks, e, &f->again), SRS_ERR_AUTH);
			assert_memory_equal(&f->again, &none, sizeof(none));
			covered[i].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	f->now_s += KEYSTORE_INTERVAL_S;
	e->stanzas[0].ephemeral[5] ^= 0x10;
	assert_int_equal(keystore_dek_unwrap(ks, e, &f->again), SRS_ERR_AUTH);
	e->stanzas[0].ephemeral[5] ^= 0x10;
	e->stanzas[0].kek_version++;
	assert_int_equal(keystore_dek_unwrap(ks, e, &f->again), SRS_ERR_AUTH);
	e->stanzas[0].kek_version--;
	e->suite = REEL_SUITE_CHACHA20_POLY1305;
	assert_int_equal(keystore_dek_unwrap(ks, e, &f->again), SRS_ERR_AUTH);
	e->suite = REEL_SUITE_AES_256_GCM;
	e->n_stanzas = 0;	/* erased */
	f->now_s += KEYSTORE_INTERVAL_S;
	assert_int_equal(keystore_dek_unwrap(ks, e, &f->again), SRS_ERR_AUTH);
	e->n_stanzas = REEL_STANZAS_MAX + 1;
	assert_int_equal(keystore_dek_unwrap(ks, e, &f->again), SRS_ERR_INVALID);
	e->n_stanzas = 1;
	assert_unwraps(f, ks, e, &f->dek);
	keystore_close(ks);
}

static void
ephemeral_key_of_small_order_is_refused(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks;

	assert_int_equal(try_open(f, &ks, "memory", true), SRS_OK);
	create_dek(f, ks);
	memset(f->envelope.stanzas[0].ephemeral, 0, 32);
	assert_int_equal(keystore_dek_unwrap(ks, &f->envelope, &f->again), SRS_ERR_AUTH);
	keystore_close(ks);
}

static void
stanza_of_another_store_beside_ours_does_not_hinder(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks;

	assert_int_equal(try_open(f, &ks, "memory", true), SRS_OK);
	create_dek(f, ks);
	f->envelope.stanzas[1] = f->envelope.stanzas[0];
	memset(f->envelope.stanzas[0].kek_id, 0x11, REEL_ID_SIZE);
	f->envelope.n_stanzas = 2;
	assert_unwraps(f, ks, &f->envelope, &f->dek);
	keystore_close(ks);
}

static void
unknown_suite_gets_no_key(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks;

	assert_int_equal(try_open(f, &ks, "memory", true), SRS_OK);
	assert_int_equal(keystore_dek_create(ks, (enum reel_suite)9, &f->dek, &f->envelope), SRS_ERR_UNSUPPORTED);
	keystore_close(ks);
}

static void
signature_verifies_with_the_public_half_alone(void **state)
{
	struct fixture *f = *state;
	struct keystore *ks = open_file(f, true);
	struct keystore_signer *signer;
	struct span message = span_of_text("capstan commit v1");
	uint8_t id[REEL_ID_SIZE], id2[REEL_ID_SIZE], key[32], signature[64];
	char path[256];

	assert_int_equal(keystore_signer_create(&signer, ks), SRS_OK);
	keystore_node_public(ks, id, key);
	keystore_close(ks);		/* the signer's copy is its own */
	keystore_signer_id(signer, id2);
	assert_memory_equal(id, id2, sizeof(id));
	keystore_key_id(key, id2);
	assert_memory_equal(id, id2, sizeof(id));
	assert_int_equal(keystore_sign(signer, message, signature), SRS_OK);
	keystore_signer_destroy(signer);
	keystore_signer_destroy(NULL);

	file_path(f, "node.pub", path);
	memset(key, 0, sizeof(key));
	assert_int_equal(keystore_public_read(path, key), SRS_OK);
	assert_int_equal(keystore_verify(key, message, signature), SRS_OK);
	for (unsigned int bit = 0; bit < 512; bit += 3) {
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(keystore_verify(key, message, signature), SRS_ERR_AUTH);
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(keystore_verify(key, span_of_text("capstan commit v2"), signature), SRS_ERR_AUTH);
}

static void
public_key_file_with_nonsense_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t key[32];
	char path[256];

	keystore_close(open_file(f, true));
	file_path(f, "root.key", path);
	assert_int_equal(keystore_public_read(path, key), SRS_ERR_INVALID);	/* private, and X25519 */
	file_path(f, "none", path);
	assert_int_equal(keystore_public_read(path, key), SRS_ERR_IO);
}

/* RFC 8032 §7.1, test 2. */
static void
published_signature_verifies(void **state)
{
	static const uint8_t key[32] = {
		0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc,
		0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
	};
	static const uint8_t signature[64] = {
		0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40,
		0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda,
		0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c,
		0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00,
	};
	static const uint8_t message[] = { 0x72 };

	assert_int_equal(keystore_verify(key, span_of(message, 1), signature), SRS_OK);
}

int
main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(first_start_makes_private_files),
		ROW(tool_finds_no_store_and_makes_none),
		ROW(store_opened_again_reads_old_envelopes_and_is_the_same_node),
		ROW(open_permissions_are_refused_with_the_remedy),
		ROW(lost_root_is_never_replaced),
		ROW(lost_node_key_is_never_replaced),
		ROW(interrupted_first_start_is_completed),
		ROW(damaged_period_key_is_left_out_and_recording_goes_on),
		ROW(foreign_root_leaves_old_keys_closed),
		ROW(key_files_with_nonsense_are_refused_by_name),
		ROW(stores_that_do_not_exist_are_refused),
		ROW(memory_store_wraps_and_writes_nothing),
		ROW(interval_key_serves_a_minute_and_no_dek_comes_twice),
		ROW(period_key_rotates_and_old_envelopes_stay_readable),
		ROW(failed_rotation_keeps_the_old_key),
		ROW(any_changed_bit_of_the_wrapping_is_found),
		ROW(ephemeral_key_of_small_order_is_refused),
		ROW(stanza_of_another_store_beside_ours_does_not_hinder),
		ROW(unknown_suite_gets_no_key),
		ROW(signature_verifies_with_the_public_half_alone),
		ROW(public_key_file_with_nonsense_is_refused),
		ROW(published_signature_verifies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
