#include "controlplane/keys.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "lib/spsc.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define KEYS_WAKE_MS 1000	/* without demand: what expires is wiped, what failed is tried again */

struct keys {
	struct keystore *keystore;
	enum reel_suite suite;
	bool clear_media, clear_documents;
	struct part_key *pool;	/* KEYS_READY_MAX, secret memory */
	struct spsc *ready;	/* keys thread -> control */
	struct spsc *empty;	/* control -> keys thread */
	struct part_key *in_hand;	/* keys thread: a place whose key could not be made yet */
	int wake_fd;		/* control writes when the ring is half empty, and to stop */
	_Atomic bool stop;	/* release by keys_stop(), acquire in keys_run() */
	pthread_t thread;
	bool running;
};

/* Make keys until the ring is full. @thread keys (and the starter, before the thread exists) */
static enum srs_err
keys_fill(struct keys *k)
{
	for (;;) {
		struct part_key *key = k->in_hand != NULL ? k->in_hand : spsc_pop(k->empty);
		enum srs_err err;
		bool pushed;

		if (key == NULL)
			return SRS_OK;
		k->in_hand = NULL;
		err = keystore_dek_create(k->keystore, k->suite, &key->dek, &key->envelope);
		if (err) {
			secret_wipe(key, sizeof(*key));
			k->in_hand = key;	/* only control gives back to `empty` */
			return err;
		}
		key->suite = k->suite;
		key->clear_media = k->clear_media;
		key->clear_documents = k->clear_documents;
		pushed = spsc_push(k->ready, key);
		srs_assert(pushed);	/* the ring is as large as the pool */
	}
}

static void *
keys_run(void *arg)
{
	struct keys *k = arg;

	for (;;) {
		struct pollfd p = { .fd = k->wake_fd, .events = POLLIN };
		uint64_t n;
		enum srs_err err;

		if (poll(&p, 1, KEYS_WAKE_MS) > 0 && read(k->wake_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
			log_error("keys", "wake_failed", "errno=%d", errno);
		if (atomic_load_explicit(&k->stop, memory_order_acquire))	/* pairs with keys_stop() */
			return NULL;
		keystore_expire(k->keystore);
		err = keys_fill(k);
		if (err)
			log_error("keys", "dek_create_failed", "err=%s ready=%u", srs_err_name(err),
			          spsc_len(k->ready));
	}
}

static void
keys_wake(struct keys *k)
{
	uint64_t one = 1;

	if (write(k->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)	/* EAGAIN: it is awake already */
		log_error("keys", "wake_failed", "errno=%d", errno);
}

static enum srs_err
keys_init(struct keys *k)
{
	enum srs_err err;

	k->pool = secret_alloc(KEYS_READY_MAX * sizeof(*k->pool));
	if (k->pool == NULL)
		return SRS_ERR_NOMEM;
	err = spsc_create(&k->ready, KEYS_READY_MAX);
	if (err)
		return err;
	err = spsc_create(&k->empty, KEYS_READY_MAX);
	if (err)
		return err;
	k->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->wake_fd < 0)
		return SRS_ERR_IO;
	for (uint32_t i = 0; i < KEYS_READY_MAX; i++) {
		bool pushed = spsc_push(k->empty, &k->pool[i]);

		srs_assert(pushed);
	}
	return SRS_OK;
}

enum srs_err
keys_start(struct keys **out, struct keystore *ks, const struct config *c, char *why, size_t why_len)
{
	struct keys *k = calloc(1, sizeof(*k));
	enum srs_err err = SRS_ERR_NOMEM;

	*out = NULL;
	if (k == NULL)
		goto failed;
	k->keystore = ks;
	k->suite = (enum reel_suite)c->keys.suite;
	k->clear_media = !c->keys.encrypt_recordings;
	k->clear_documents = !c->keys.encrypt_metadata;
	k->wake_fd = -1;
	err = keys_init(k);
	if (err)
		goto failed;
	err = keys_fill(k);
	if (err)
		goto failed;
	if (pthread_create(&k->thread, NULL, keys_run, k) != 0) {
		err = SRS_ERR_IO;
		goto failed;
	}
	k->running = true;
	(void)pthread_setname_np(k->thread, "keys");
	*out = k;
	return SRS_OK;
failed:
	(void)snprintf(why, why_len, "the keystore cannot make recording keys (%s): check keys.path and its space",
	               srs_err_name(err));
	keys_stop(k);
	return err;
}

void
keys_stop(struct keys *k)
{
	if (k == NULL)
		return;
	if (k->running) {
		atomic_store_explicit(&k->stop, true, memory_order_release);	/* pairs with keys_run() */
		keys_wake(k);
		(void)pthread_join(k->thread, NULL);
	}
	spsc_destroy(k->ready);
	spsc_destroy(k->empty);
	if (k->wake_fd >= 0)
		(void)close(k->wake_fd);
	secret_free(k->pool, KEYS_READY_MAX * sizeof(*k->pool));
	free(k);
}

enum srs_err
keys_take(struct keys *k, const uint8_t recording[REEL_ID_SIZE], uint32_t part, struct part_key *out)
{
	struct part_key *key = spsc_pop(k->ready);
	bool pushed;

	if (key == NULL) {
		keys_wake(k);
		return SRS_ERR_LIMIT;
	}
	*out = *key;
	memcpy(out->envelope.recording, recording, REEL_ID_SIZE);
	out->envelope.part = part;
	secret_wipe(key, sizeof(*key));
	pushed = spsc_push(k->empty, key);
	srs_assert(pushed);
	if (spsc_len(k->ready) < KEYS_READY_LOW)
		keys_wake(k);
	return SRS_OK;
}

uint32_t
keys_ready(const struct keys *k)
{
	return spsc_len(k->ready);
}
