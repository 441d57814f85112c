#include "crypto/keystore.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "crypto/digest.h"
#include "crypto/envelope.h"
#include "crypto/kek.h"
#include "crypto/keyfile.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define ROOT_FILE	 "root.key"
#define NODE_FILE	 "node.key"
#define NODE_PUBLIC_FILE "node.pub"
#define WHY_MAX		 256

struct interval {
	bool active;
	int64_t started_s;
	uint8_t id[REEL_ID_SIZE];
	uint8_t key[SECRET_KEY_SIZE];
};

/* Lives in secret memory whole. */
struct keystore {
	char *path; /* NULL: memory */
	bool create;
	uint32_t rotation_interval_s;
	int64_t (*now_s)(void *ctx);
	void *now_ctx;

	bool has_root;
	struct envelope_pair root;
	uint8_t root_id[REEL_ID_SIZE];
	bool has_node_public;
	bool has_node_private;
	struct envelope_pair node; /* Ed25519 */
	uint8_t node_id[REEL_ID_SIZE];

	struct kek *keks; /* in the order of their versions */
	unsigned int n_keks;
	unsigned int keks_room;
	uint32_t version_max; /* also of files that are damaged: a version is never given twice */

	struct interval current; /* wraps new DEKs */
	uint16_t n_stanzas;
	struct reel_stanza stanzas[REEL_STANZAS_MAX]; /* of `current` */
	struct interval opened; /* the one unwrapped last: recordings of a minute share it */
};

struct keystore_signer {
	uint8_t private_key[SECRET_KEY_SIZE];
	uint8_t id[REEL_ID_SIZE];
};

static int64_t
system_now_s(void *ctx)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

/* Has the time since `from_s` reached `len_s`? A clock set back by as much counts like one that went on. */
static bool
time_is_over(int64_t now_s, int64_t from_s, int64_t len_s)
{
	return now_s - from_s >= len_s || from_s - now_s >= len_s;
}

void
keystore_key_id(const uint8_t public_key[32], uint8_t id[REEL_ID_SIZE])
{
	uint8_t digest[DIGEST_SIZE];

	digest_sha256(public_key, 32, digest);
	memcpy(id, digest, REEL_ID_SIZE);
}

/* ---- period keys ---- */

/* Kept in the order of versions, so that the last one is the current one. */
static enum srs_err
keks_add(struct keystore *ks, const struct kek *k)
{
	unsigned int at = ks->n_keks;

	if (ks->n_keks == KEYSTORE_KEKS_MAX)
		return SRS_ERR_LIMIT;
	if (ks->n_keks == ks->keks_room) {
		unsigned int room = ks->keks_room ? 2 * ks->keks_room : 16;
		struct kek *keks = realloc(ks->keks, room * sizeof(*keks));

		if (keks == NULL)
			return SRS_ERR_NOMEM;
		ks->keks = keks;
		ks->keks_room = room;
	}
	while (at > 0 && ks->keks[at - 1].version > k->version)
		at--;
	memmove(&ks->keks[at + 1], &ks->keks[at], (ks->n_keks - at) * sizeof(*k));
	ks->keks[at] = *k;
	ks->n_keks++;
	return SRS_OK;
}

static const struct kek *
keks_find(const struct keystore *ks, const uint8_t id[REEL_ID_SIZE], uint32_t version)
{
	for (unsigned int i = 0; i < ks->n_keks; i++)
		if (ks->keks[i].version == version && memcmp(ks->keks[i].id, id, REEL_ID_SIZE) == 0)
			return &ks->keks[i];
	return NULL;
}

static bool
kek_is_readable(const struct keystore *ks, const struct kek *k)
{
	return ks->has_root && memcmp(k->root_id, ks->root_id, REEL_ID_SIZE) == 0;
}

/* The current KEK: the newest that the root of this store seals. NULL: none. */
static const struct kek *
keks_current(const struct keystore *ks)
{
	for (unsigned int i = ks->n_keks; i-- > 0;)
		if (kek_is_readable(ks, &ks->keks[i]))
			return &ks->keks[i];
	return NULL;
}

/* Write to the folder, under its lock. */
static enum srs_err
kek_save(struct keystore *ks, const struct kek *k, char *why, size_t why_len)
{
	struct keyfile_folder folder = { .fd = -1, .path = ks->path, .why = why, .why_len = why_len };
	uint8_t bytes[KEK_FILE_LEN];
	char name[KEK_NAME_MAX];
	enum srs_err err = keyfile_folder_open(&folder, false);

	if (err)
		goto out;
	kek_encode(k, bytes);
	kek_name(k, name);
	err = keyfile_folder_lock(&folder);
	if (!err)
		err = keyfile_write(&folder, name, span_of(bytes, sizeof(bytes)));
out:
	keyfile_folder_close(&folder); /* and with it the lock */
	return err;
}

/* A new current KEK, durable before its first use. */
static enum srs_err
keks_rotate(struct keystore *ks, int64_t now_s, char *why, size_t why_len)
{
	struct kek k = { .created_s = now_s, .version = ks->version_max + 1 };
	enum srs_err err;

	snprintf(why, why_len, "keystore: cannot make a period key");
	if (ks->n_keks == KEYSTORE_KEKS_MAX || ks->version_max == UINT32_MAX)
		return SRS_ERR_LIMIT;
	err = kek_create(&k, ks->root.public_key);
	if (!err && ks->path != NULL)
		err = kek_save(ks, &k, why, why_len);
	if (!err)
		err = keks_add(ks, &k);
	if (!err)
		ks->version_max = k.version;
	return err;
}

/* ---- interval keys ---- */

static void
interval_wipe(struct interval *i)
{
	secret_wipe(i, sizeof(*i));
}

static enum srs_err
interval_wrap(struct keystore *ks, struct interval *i, const struct kek *k)
{
	struct reel_stanza *stanza = &ks->stanzas[ks->n_stanzas];
	struct envelope_label label = {
		.text = "capstan interval v1",
		.kek_id = k->id,
		.kek_version = k->version,
		.aad = i->id,
	};
	enum srs_err err = envelope_seal(&label, k->public_key, i->key, stanza->ephemeral, stanza->wrapped);

	if (err)
		return err;
	memcpy(stanza->kek_id, k->id, sizeof(stanza->kek_id));
	stanza->kek_version = k->version;
	ks->n_stanzas++;
	return SRS_OK;
}

static enum srs_err
interval_begin(struct keystore *ks, int64_t now_s)
{
	const struct kek *k = keks_current(ks);
	char why[WHY_MAX];
	enum srs_err err = SRS_OK;

	interval_wipe(&ks->current);
	ks->n_stanzas = 0;
	if (k == NULL ||
	    (ks->rotation_interval_s != 0 && time_is_over(now_s, k->created_s, ks->rotation_interval_s))) {
		snprintf(why, sizeof(why), "opened for reading, or without root.key");
		err = ks->create && ks->has_root ? keks_rotate(ks, now_s, why, sizeof(why)) : SRS_ERR_STATE;
		k = keks_current(ks);
		if (err && k == NULL)
			return err;
		if (err) /* recording goes on under the old key; the next interval tries again */
			log_error("keystore", "rotation_failed", "err=%s why=\"%s\"", srs_err_name(err), why);
		else
			log_info("keystore", "rotated", "kek_version=%" PRIu32, k->version);
	}
	ks->current.started_s = now_s;
	err = secret_random(ks->current.id, sizeof(ks->current.id));
	if (!err)
		err = secret_random(ks->current.key, sizeof(ks->current.key));
	if (!err)
		err = interval_wrap(ks, &ks->current, k);
	if (err)
		interval_wipe(&ks->current);
	else
		ks->current.active = true;
	return err;
}

void
keystore_expire(struct keystore *ks)
{
	int64_t now_s = ks->now_s(ks->now_ctx);

	if (ks->current.active && time_is_over(now_s, ks->current.started_s, KEYSTORE_INTERVAL_S))
		interval_wipe(&ks->current);
	if (ks->opened.active && time_is_over(now_s, ks->opened.started_s, KEYSTORE_INTERVAL_S))
		interval_wipe(&ks->opened);
}

/* ---- data keys ---- */

enum srs_err
keystore_dek_create(struct keystore *ks, enum reel_suite suite, struct dek *dek,
		    struct reel_envelope *envelope)
{
	enum srs_err err = SRS_OK;

	if (suite != REEL_SUITE_AES_256_GCM && suite != REEL_SUITE_CHACHA20_POLY1305)
		return SRS_ERR_UNSUPPORTED;
	keystore_expire(ks);
	if (!ks->current.active)
		err = interval_begin(ks, ks->now_s(ks->now_ctx));
	if (err)
		return err;
	memset(envelope, 0, sizeof(*envelope));
	envelope->suite = suite;
	memcpy(envelope->interval_id, ks->current.id, sizeof(envelope->interval_id));
	memcpy(envelope->stanzas, ks->stanzas, ks->n_stanzas * sizeof(ks->stanzas[0]));
	envelope->n_stanzas = ks->n_stanzas;
	err = secret_random(dek->bytes, sizeof(dek->bytes));
	if (!err)
		err = envelope_dek_wrap(envelope, ks->current.key, dek);
	if (err)
		secret_wipe(dek, sizeof(*dek));
	return err;
}

/* The interval key of an envelope, into ks->opened, by the first stanza that this store can open. */
static enum srs_err
interval_open(struct keystore *ks, const struct reel_envelope *e)
{
	enum srs_err err = SRS_ERR_AUTH; /* no stanza names a key of this store */

	interval_wipe(&ks->opened);
	for (uint16_t i = 0; i < e->n_stanzas; i++) {
		const struct reel_stanza *stanza = &e->stanzas[i];
		const struct kek *k = keks_find(ks, stanza->kek_id, stanza->kek_version);
		struct envelope_label label = {
			.text = "capstan interval v1",
			.kek_id = stanza->kek_id,
			.kek_version = stanza->kek_version,
			.aad = e->interval_id,
		};
		struct envelope_pair pair;

		if (k == NULL)
			continue;
		err = kek_is_readable(ks, k) ? kek_open(k, &ks->root, &pair) : SRS_ERR_STATE;
		if (!err)
			err =
			    envelope_open(&label, &pair, stanza->ephemeral, stanza->wrapped, ks->opened.key);
		secret_wipe(&pair, sizeof(pair));
		if (!err)
			break;
	}
	if (err)
		return err;
	memcpy(ks->opened.id, e->interval_id, sizeof(ks->opened.id));
	ks->opened.started_s = ks->now_s(ks->now_ctx);
	ks->opened.active = true;
	return SRS_OK;
}

enum srs_err
keystore_dek_unwrap(struct keystore *ks, const struct reel_envelope *envelope, struct dek *dek)
{
	const struct interval *i = &ks->opened;

	if (envelope->n_stanzas > REEL_STANZAS_MAX)
		return SRS_ERR_INVALID;
	keystore_expire(ks);
	if (!i->active || memcmp(i->id, envelope->interval_id, REEL_ID_SIZE) != 0) {
		enum srs_err err = interval_open(ks, envelope);

		if (err)
			return err;
	}
	return envelope_dek_unwrap(envelope, i->key, dek);
}

unsigned int
keystore_keks(const struct keystore *ks, struct keystore_kek *out, unsigned int max)
{
	const struct kek *current = keks_current(ks);
	unsigned int n = ks->n_keks < max ? ks->n_keks : max;

	for (unsigned int i = 0; i < n; i++) {
		const struct kek *k = &ks->keks[ks->n_keks - n + i]; /* the newest, when not all fit */

		out[i] = (struct keystore_kek){
			.version = k->version,
			.created_s = k->created_s,
			.current = k == current,
			.has_private = kek_is_readable(ks, k),
		};
		memcpy(out[i].id, k->id, sizeof(out[i].id));
	}
	return n;
}

/* ---- the node's identity ---- */

static enum srs_err
node_complete(struct keystore *ks)
{
	EVP_PKEY *key =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, ks->node.private_key, SECRET_KEY_SIZE);
	size_t len = SECRET_KEY_SIZE;
	int ok = key != NULL && EVP_PKEY_get_raw_public_key(key, ks->node.public_key, &len) == 1;

	EVP_PKEY_free(key);
	if (!ok)
		return SRS_ERR_NOMEM;
	keystore_key_id(ks->node.public_key, ks->node_id);
	ks->has_node_private = ks->has_node_public = true;
	return SRS_OK;
}

static enum srs_err
node_create(struct keystore *ks)
{
	enum srs_err err = secret_random(ks->node.private_key, sizeof(ks->node.private_key));

	return err ? err : node_complete(ks);
}

static enum srs_err
root_complete(struct keystore *ks)
{
	enum srs_err err = envelope_pair_complete(&ks->root);

	if (err)
		return err;
	keystore_key_id(ks->root.public_key, ks->root_id);
	ks->has_root = true;
	return SRS_OK;
}

static enum srs_err
root_create(struct keystore *ks)
{
	enum srs_err err = secret_random(ks->root.private_key, sizeof(ks->root.private_key));

	return err ? err : root_complete(ks);
}

enum srs_err
keystore_signer_create(struct keystore_signer **out, const struct keystore *ks)
{
	struct keystore_signer *s;

	if (!ks->has_node_private)
		return SRS_ERR_STATE;
	s = secret_alloc(sizeof(*s));
	if (s == NULL)
		return SRS_ERR_NOMEM;
	memcpy(s->private_key, ks->node.private_key, sizeof(s->private_key));
	memcpy(s->id, ks->node_id, sizeof(s->id));
	*out = s;
	return SRS_OK;
}

void
keystore_signer_destroy(struct keystore_signer *s)
{
	secret_free(s, sizeof(*s));
}

void
keystore_signer_id(const struct keystore_signer *s, uint8_t id[REEL_ID_SIZE])
{
	memcpy(id, s->id, REEL_ID_SIZE);
}

/* The expanded key lives for one signature only: OpenSSL's heap is neither locked nor left out of dumps. */
enum srs_err
keystore_sign(struct keystore_signer *s, struct span message, uint8_t signature[64])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, s->private_key, SECRET_KEY_SIZE);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = 64;
	enum srs_err err = SRS_ERR_NOMEM;

	if (key != NULL && ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(ctx, signature, &len, message.bytes, message.len) == 1 && len == 64)
		err = SRS_OK;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return err;
}

enum srs_err
keystore_verify(const uint8_t public_key[32], struct span message, const uint8_t signature[64])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	enum srs_err err = SRS_ERR_NOMEM;

	if (key != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1)
		err = EVP_DigestVerify(ctx, signature, 64, message.bytes, message.len) == 1 ? SRS_OK
											    : SRS_ERR_AUTH;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return err;
}

void
keystore_node_public(const struct keystore *ks, uint8_t id[REEL_ID_SIZE], uint8_t key[32])
{
	memcpy(id, ks->node_id, REEL_ID_SIZE);
	memcpy(key, ks->node.public_key, SECRET_KEY_SIZE);
}

enum srs_err
keystore_public_read(const char *pem_path, uint8_t public_key[32])
{
	uint8_t pem[KEYFILE_LEN_MAX];
	FILE *file = fopen(pem_path, "re");
	size_t len;
	bool failed;

	if (file == NULL)
		return SRS_ERR_IO;
	len = fread(pem, 1, sizeof(pem), file);
	failed = ferror(file) != 0;
	fclose(file);
	return failed ? SRS_ERR_IO : keyfile_pem_public(span_of(pem, len), KEYFILE_ED25519, public_key);
}

/* ---- opening ---- */

/* One sentence: the file, and what is wrong with it and its remedy. */
static enum srs_err
open_fail(struct keyfile_folder *folder, enum srs_err err, const char *name, const char *what)
{
	snprintf(folder->why, folder->why_len, "keystore: %s/%s %s", folder->path, name, what);
	return err;
}

/* root.key or node.key: a raw private key from PEM. `found` false: no such file. */
static enum srs_err
load_private(struct keyfile_folder *folder, const char *name, enum keyfile_pem kind,
	     uint8_t key[SECRET_KEY_SIZE], uint8_t *room, bool *found)
{
	size_t len;
	enum srs_err err = keyfile_read(folder, name, true, room, &len);

	*found = len != 0;
	if (err || len == 0)
		return err;
	err = keyfile_pem_private(span_of(room, len), kind, key);
	secret_wipe(room, len);
	if (err)
		return open_fail(folder, err, name,
				 "is no private key of its kind; restore it from the backup");
	return SRS_OK;
}

static enum srs_err
load_node_public(struct keystore *ks, struct keyfile_folder *folder, uint8_t *room)
{
	uint8_t key[SECRET_KEY_SIZE];
	size_t len;
	enum srs_err err = keyfile_read(folder, NODE_PUBLIC_FILE, false, room, &len);

	if (err || len == 0)
		return err;
	err = keyfile_pem_public(span_of(room, len), KEYFILE_ED25519, key);
	if (err)
		return open_fail(folder, err, NODE_PUBLIC_FILE,
				 "is no Ed25519 public key; restore it, or remove it when node.key is there");
	if (ks->has_node_private && memcmp(key, ks->node.public_key, sizeof(key)) != 0)
		return open_fail(folder, SRS_ERR_INVALID, NODE_PUBLIC_FILE,
				 "does not belong to node.key; restore the pair from the backup");
	memcpy(ks->node.public_key, key, sizeof(key));
	keystore_key_id(key, ks->node_id);
	ks->has_node_public = true;
	return SRS_OK;
}

static enum srs_err
load_kek(struct keystore *ks, struct keyfile_folder *folder, const char *name, uint32_t version,
	 uint8_t *room)
{
	char expected[KEK_NAME_MAX];
	struct kek k;
	size_t len;
	enum srs_err err = keyfile_read(folder, name, true, room, &len);

	if (version > ks->version_max)
		ks->version_max = version;
	if (err == SRS_ERR_AUTH || err == SRS_ERR_IO)
		return err;
	if (!err)
		err = kek_decode(&k, span_of(room, len));
	if (!err) {
		kek_name(&k, expected);
		if (strcmp(name, expected) != 0)
			err = SRS_ERR_INVALID;
	}
	if (err) { /* new calls must not wait for an old key: what it sealed stays closed until it is restored */
		log_error("keystore", "kek_damaged",
			  "file=%s/%s err=%s remedy=\"restore it from the backup\"", folder->path, name,
			  srs_err_name(err));
		return SRS_OK;
	}
	err = keks_add(ks, &k);
	if (err == SRS_ERR_LIMIT)
		return open_fail(folder, err, name,
				 "is one period key too many; move old ones to an archive");
	return err;
}

static enum srs_err
load_keks(struct keystore *ks, struct keyfile_folder *folder, uint8_t *room)
{
	int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	enum srs_err err = SRS_OK;
	struct dirent *entry;
	uint32_t version;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return open_fail(folder, SRS_ERR_IO, ".", "cannot be listed");
	}
	while (!err && (entry = readdir(dir)) != NULL)
		if (kek_name_read(entry->d_name, &version))
			err = load_kek(ks, folder, entry->d_name, version, room);
	closedir(dir);
	return err;
}

static enum srs_err
save_private(struct keyfile_folder *folder, const char *name, enum keyfile_pem kind,
	     const uint8_t key[SECRET_KEY_SIZE], uint8_t *room)
{
	size_t len = 0;
	enum srs_err err = keyfile_pem_private_write(kind, key, room, KEYFILE_LEN_MAX, &len);

	if (!err)
		err = keyfile_write(folder, name, span_of(room, len));
	secret_wipe(room, KEYFILE_LEN_MAX);
	return err;
}

/* What an interrupted first start left out is made now; what was lost later is never silently replaced. */
static enum srs_err
make_missing(struct keystore *ks, struct keyfile_folder *folder, uint8_t *room)
{
	enum srs_err err;
	size_t len;

	if (!ks->has_root) {
		if (ks->n_keks != 0 || ks->version_max != 0)
			return open_fail(
			    folder, SRS_ERR_INVALID, ROOT_FILE,
			    "is missing, and period keys sealed to it are here; restore it from the backup");
		err = root_create(ks);
		if (!err)
			err = save_private(folder, ROOT_FILE, KEYFILE_X25519, ks->root.private_key, room);
		if (err)
			return err;
	}
	if (!ks->has_node_private) {
		if (ks->has_node_public)
			return open_fail(folder, SRS_ERR_INVALID, NODE_FILE,
					 "is missing beside node.pub; restore it, or move node.pub away for "
					 "a new identity");
		err = node_create(ks);
		if (!err)
			err = save_private(folder, NODE_FILE, KEYFILE_ED25519, ks->node.private_key, room);
		if (err)
			return err;
	}
	err = keyfile_read(folder, NODE_PUBLIC_FILE, false, room, &len);
	if (err || len != 0)
		return err;
	err = keyfile_pem_public_write(KEYFILE_ED25519, ks->node.public_key, room, KEYFILE_LEN_MAX, &len);
	return err ? err : keyfile_write(folder, NODE_PUBLIC_FILE, span_of(room, len));
}

static enum srs_err
load_all(struct keystore *ks, struct keyfile_folder *folder, uint8_t *room)
{
	bool found;
	enum srs_err err;

	err = load_private(folder, ROOT_FILE, KEYFILE_X25519, ks->root.private_key, room, &found);
	if (!err && found)
		err = root_complete(ks);
	if (err)
		return err;
	err = load_private(folder, NODE_FILE, KEYFILE_ED25519, ks->node.private_key, room, &found);
	if (!err && found)
		err = node_complete(ks);
	if (err)
		return err;
	err = load_node_public(ks, folder, room);
	if (err)
		return err;
	err = load_keks(ks, folder, room);
	if (err)
		return err;
	if (ks->has_root && ks->n_keks != 0 && keks_current(ks) == NULL)
		log_error("keystore", "root_is_foreign",
			  "path=%s n_keks=%u remedy=\"restore root.key from the backup\"", ks->path,
			  ks->n_keks);
	if (ks->create)
		return make_missing(ks, folder, room);
	if (!ks->has_root && ks->n_keks == 0 && !ks->has_node_public)
		return open_fail(folder, SRS_ERR_STATE, ROOT_FILE,
				 "is missing: there is no keystore here yet");
	return SRS_OK;
}

static enum srs_err
open_file_store(struct keystore *ks, char *why, size_t why_len)
{
	struct keyfile_folder folder = { .fd = -1, .path = ks->path, .why = why, .why_len = why_len };
	uint8_t *room = secret_alloc(KEYFILE_LEN_MAX);
	enum srs_err err = SRS_ERR_NOMEM;

	if (room == NULL)
		goto out;
	err = keyfile_folder_open(&folder, ks->create);
	if (!err && ks->create)
		err = keyfile_folder_lock(&folder);
	if (!err)
		err = load_all(ks, &folder, room);
out:
	keyfile_folder_close(&folder); /* and with it the lock */
	secret_free(room, KEYFILE_LEN_MAX);
	return err;
}

static enum srs_err
open_memory_store(struct keystore *ks, char *why, size_t why_len)
{
	enum srs_err err;

	if (!ks->create) {
		snprintf(
		    why, why_len,
		    "keystore: the memory store lives in the recorder alone; nothing can be opened here");
		return SRS_ERR_STATE;
	}
	err = root_create(ks);
	return err ? err : node_create(ks);
}

static enum srs_err
store_open(struct keystore *ks, const struct keystore_spec *spec, char *why, size_t why_len)
{
	enum srs_err err;

	if (strcmp(spec->store, "memory") == 0) {
		err = open_memory_store(ks, why, why_len);
	} else if (strcmp(spec->store, "file") == 0 && spec->path != NULL && spec->path[0] != '\0') {
		ks->path = strdup(spec->path);
		err = ks->path != NULL ? open_file_store(ks, why, why_len) : SRS_ERR_NOMEM;
	} else {
		snprintf(why, why_len, "keystore: the store must be \"memory\", or \"file\" with a path");
		return SRS_ERR_INVALID;
	}
	/* The first period key now, so that a full disk shows at start and not in a call. */
	if (!err && ks->create && keks_current(ks) == NULL)
		err = keks_rotate(ks, ks->now_s(ks->now_ctx), why, why_len);
	return err;
}

enum srs_err
keystore_open(struct keystore **out, const struct keystore_spec *spec, char *why, size_t why_len)
{
	struct keystore *ks = secret_alloc(sizeof(*ks));
	enum srs_err err;

	snprintf(why, why_len, "keystore: no memory");
	if (ks == NULL)
		return SRS_ERR_NOMEM;
	ks->create = spec->create;
	ks->rotation_interval_s = spec->rotation_interval_s;
	ks->now_s = spec->now_s != NULL ? spec->now_s : system_now_s;
	ks->now_ctx = spec->now_ctx;
	err = store_open(ks, spec, why, why_len);
	if (err) {
		keystore_close(ks);
		return err;
	}
	why[0] = '\0';
	*out = ks;
	return SRS_OK;
}

void
keystore_close(struct keystore *ks)
{
	if (ks == NULL)
		return;
	free(ks->keks);
	free(ks->path);
	secret_free(ks, sizeof(*ks));
}
