/* Keys of streams on the control thread: expanded here, given to lcores, taken back and wiped. Each stream is owed one
 * keyset; the rest of the pool is for streams between two generations. */
#include <stdio.h>
#include <string.h>

#include "crypto/secret.h"
#include "dataplane/dataplane_state.h"
#include "lib/srs_assert.h"

/* ---- start and stop ---- */

static enum srs_err
engine_choose(struct dataplane *dp, char *why, size_t why_len)
{
	bool ipsec_mb = unprotect_engine_runs(UNPROTECT_IPSEC_MB);

	dp->engine_kind = ipsec_mb ? UNPROTECT_IPSEC_MB : UNPROTECT_LIBSRTP2;
	if (dp->config->srtp.engine == CONFIG_SRTP_LIBSRTP2)
		dp->engine_kind = UNPROTECT_LIBSRTP2;
	if (dp->config->srtp.engine == CONFIG_SRTP_IPSEC_MB && !ipsec_mb) {
		snprintf(why, why_len, "srtp.engine is ipsec-mb, which this CPU does not run (no AES-NI); set it to auto.");
		return SRS_ERR_UNSUPPORTED;
	}
	if (!unprotect_engine_runs(dp->engine_kind)) {
		snprintf(why, why_len, "This build has no SRTP engine for this CPU; set srtp.engine to auto.");
		return SRS_ERR_UNSUPPORTED;
	}
	return SRS_OK;
}

enum srs_err
desk_keys_create(struct dataplane *dp, char *why, size_t why_len)
{
	enum srs_err err = engine_choose(dp, why, why_len);

	if (err || !dp->config->srtp.enabled)
		return err;
	dp->engine = unprotect_engine_create(dp->engine_kind);
	if (dp->engine == NULL)
		return SRS_ERR_NOMEM;
	return keyset_pool_create(&dp->keysets, keyset_pool_need(dp->streams_max), dp->eal.huge);
}

void
desk_keys_destroy(struct dataplane *dp)
{
	keyset_pool_destroy(&dp->keysets);
	unprotect_engine_destroy(dp->engine);
	dp->engine = NULL;
}

/* ---- which streams have keys that retire ---- */

static void
queue_leave(struct dataplane *dp, uint32_t stream)
{
	struct desk_stream *d = &dp->desk_streams[stream];

	if (!d->queued)
		return;
	d->queued = false;
	if (d->before != 0)
		dp->desk_streams[d->before].behind = d->behind;
	else
		dp->leaving_first = d->behind;
	if (d->behind != 0)
		dp->desk_streams[d->behind].before = d->before;
	else
		dp->leaving_last = d->before;
}

static void
queue_enter(struct dataplane *dp, uint32_t stream)
{
	struct desk_stream *d = &dp->desk_streams[stream];

	if (d->queued)
		return;
	d->queued = true;
	d->before = dp->leaving_last;
	d->behind = 0;
	if (dp->leaving_last != 0)
		dp->desk_streams[dp->leaving_last].behind = stream;
	else
		dp->leaving_first = stream;
	dp->leaving_last = stream;
}

/* The reserve is being used: the oldest retiring keys end at once. */
static void
hurry(struct dataplane *dp)
{
	uint32_t stream = dp->leaving_first;
	struct command *c = stream != 0 ? desk_stream_command(dp, stream, COMMAND_STREAM_HURRY, 0) : NULL;

	if (c == NULL)
		return;
	queue_leave(dp, stream);
	desk_post(dp, dp->desk_streams[stream].lcore_i, c);
}

/* ---- taking ---- */

/* Beyond the one that each stream without keys is owed; a stream that is being given its first counts as one of them. */
static int64_t
n_spare(const struct dataplane *dp)
{
	return (int64_t)dp->keysets.n_free - (dp->streams_max - dp->n_keyed);
}

static struct keyset *
take(struct dataplane *dp, bool owed)
{
	if (!owed) {
		if (n_spare(dp) <= KEYSETS_RESERVE)
			hurry(dp);
		if (n_spare(dp) <= 0)
			return NULL;
	}
	return keyset_take(&dp->keysets);
}

static bool
stands_in(const uint8_t ids[][KEYSET_ID_SIZE], unsigned int n, const uint8_t id[KEYSET_ID_SIZE])
{
	for (unsigned int i = 0; i < n; i++)
		if (memcmp(ids[i], id, KEYSET_ID_SIZE) == 0)
			return true;
	return false;
}

static void
give_all(struct dataplane *dp, struct keyset *list)
{
	while (list != NULL) {
		struct keyset *ks = list;

		list = ks->next;
		keyset_give(&dp->keysets, ks);
	}
}

enum srs_err
desk_keys_make(struct dataplane *dp, uint32_t stream, const struct stream_keys *keys,
               uint8_t ids[SRTP_MASTERS_MAX][KEYSET_ID_SIZE], unsigned int *n_ids, struct keyset **fresh)
{
	struct desk_stream *d = &dp->desk_streams[stream];
	struct keyset **link = fresh;
	enum srs_err err = SRS_OK;

	*fresh = NULL;
	*n_ids = 0;
	if (keys->n_theirs == 0 || keys->n_theirs > SRTP_MASTERS_MAX)
		return SRS_ERR_INVALID;
	for (unsigned int i = 0; i < keys->n_theirs && !err; i++) {
		uint8_t *id = ids[*n_ids];
		struct keyset *ks;

		keyset_id(&keys->theirs[i], id);
		if (stands_in((const uint8_t (*)[KEYSET_ID_SIZE])ids, *n_ids, id))
			continue;
		++*n_ids;
		if (stands_in((const uint8_t (*)[KEYSET_ID_SIZE])d->named, d->n_named, id))
			continue;
		ks = take(dp, !d->keyed && *fresh == NULL);
		if (ks == NULL) {
			err = SRS_ERR_LIMIT;
			break;
		}
		*link = ks;
		err = keyset_fill(ks, dp->engine, &keys->theirs[i]);
		ks->next = NULL;
		ks->stream = stream;
		ks->generation = d->next_generation++;
		ks->named = ks->pending = true;
		link = &ks->next;
	}
	if (err)
		give_all(dp, *fresh);
	return err;
}

static struct keyset *
carrier(struct dataplane *dp, uint32_t stream, const struct srtp_master *ours, enum srs_err *err)
{
	struct keyset *ks = take(dp, false);

	*err = SRS_ERR_LIMIT;
	if (ks == NULL)
		return NULL;
	*err = srtcp_keys_derive(&ks->rtcp, ours);
	if (*err) {
		keyset_give(&dp->keysets, ks);
		return NULL;
	}
	ks->stream = stream;
	ks->ours = true;
	return ks;
}

enum srs_err
desk_keys_ours(struct dataplane *dp, uint32_t stream, const struct srtp_master *ours, struct stream *slot,
               struct keyset **fresh)
{
	struct desk_stream *d = &dp->desk_streams[stream];
	uint8_t id[KEYSET_ID_SIZE];
	enum srs_err err = SRS_OK;

	if (ours->suite == SRTP_SUITE_NONE)
		return SRS_OK;
	keyset_id(ours, id);
	if (d->has_ours && memcmp(d->ours, id, KEYSET_ID_SIZE) == 0)
		return SRS_OK;
	if (slot != NULL) {
		err = srtcp_keys_derive(&slot->report.ours, ours);
	} else {
		struct keyset *ks = carrier(dp, stream, ours, &err);

		if (ks != NULL) {
			ks->next = *fresh;
			*fresh = ks;
			d->n_leaving++;	/* it comes back at once */
		}
	}
	if (err)
		return err;
	d->has_ours = true;
	memcpy(d->ours, id, KEYSET_ID_SIZE);
	return SRS_OK;
}

void
desk_keys_commit(struct dataplane *dp, uint32_t stream, uint8_t ids[SRTP_MASTERS_MAX][KEYSET_ID_SIZE],
                 unsigned int n_ids)
{
	struct desk_stream *d = &dp->desk_streams[stream];
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->n_named; i++)
		n += !stands_in((const uint8_t (*)[KEYSET_ID_SIZE])ids, n_ids, d->named[i]);
	d->n_leaving += n;
	if (n != 0)
		queue_enter(dp, stream);
	memcpy(d->named, ids, n_ids * KEYSET_ID_SIZE);
	d->n_named = (uint8_t)n_ids;
	dp->n_keyed += !d->keyed;
	d->keyed = true;
}

/* ---- taking back ---- */

void
desk_keys_poll(struct dataplane *dp)
{
	for (uint16_t i = 0; i < dp->n_lcores; i++) {
		struct keyset *ks;

		while ((ks = spsc_pop(dp->lcores[i]->generations.retired)) != NULL) {
			struct desk_stream *d = &dp->desk_streams[ks->stream];

			srs_assert(d->n_leaving != 0);
			if (--d->n_leaving == 0)
				queue_leave(dp, ks->stream);
			keyset_give(&dp->keysets, ks);
		}
	}
}

void
desk_keys_removing(struct dataplane *dp, uint32_t stream)
{
	queue_leave(dp, stream);
}

void
desk_keys_removed(struct dataplane *dp, uint32_t stream, struct keyset *keys)
{
	struct desk_stream *d = &dp->desk_streams[stream];

	desk_keys_poll(dp);	/* what it gave back before names this handle, which is free from now on */
	give_all(dp, keys);
	secret_wipe(&dp->streams.slots[stream].report.ours, sizeof(struct srtcp_keys));
	d->has_ours = false;
	dp->n_keyed -= d->keyed;
	d->keyed = false;
}

/* ---- calls ---- */

/* By trying: a library may have a suite, and have it wrong. */
bool
dataplane_takes_suite(struct dataplane *dp, enum srtp_suite suite)
{
	const struct srtp_master master = { .suite = (uint8_t)suite };
	struct keyset *ks = dp->engine != NULL ? keyset_take(&dp->keysets) : NULL;
	bool takes;

	if (ks == NULL)
		return false;
	takes = keyset_fill(ks, dp->engine, &master) == SRS_OK;
	keyset_give(&dp->keysets, ks);
	return takes;
}

enum srs_err
desk_keys_check(const struct dataplane *dp, const struct stream_spec *spec)
{
	if (!spec->secure)
		return spec->keys == NULL ? SRS_OK : SRS_ERR_INVALID;
	if (dp->engine == NULL)
		return SRS_ERR_UNSUPPORTED;
	if (spec->keys != NULL && dp->engine_kind == UNPROTECT_LIBSRTP2 &&
	    dp->n_keyed >= dp->config->srtp.libsrtp2_streams_max)
		return SRS_ERR_LIMIT;
	return SRS_OK;
}

enum srs_err
dataplane_stream_rekey(struct dataplane *dp, uint32_t stream, const struct stream_keys *keys, uint64_t cookie)
{
	struct desk_stream *d = desk_stream_of(dp, stream);
	struct command *c;
	enum srs_err err;

	if (d == NULL || !d->secure)
		return SRS_ERR_STATE;
	if (!d->keyed && dp->engine_kind == UNPROTECT_LIBSRTP2 && dp->n_keyed >= dp->config->srtp.libsrtp2_streams_max)
		return SRS_ERR_UNSUPPORTED;
	c = desk_stream_command(dp, stream, COMMAND_STREAM_REKEY, cookie);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	err = desk_keys_make(dp, stream, keys, c->u.rekey.ids, &c->u.rekey.n_ids, &c->u.rekey.fresh);
	if (!err) {
		err = desk_keys_ours(dp, stream, &keys->ours, NULL, &c->u.rekey.fresh);
		if (err)
			give_all(dp, c->u.rekey.fresh);
	}
	if (err) {
		dp->outstanding--;
		command_give(&dp->commands, c);
		return err;
	}
	desk_keys_commit(dp, stream, c->u.rekey.ids, c->u.rekey.n_ids);
	desk_post(dp, d->lcore_i, c);
	return SRS_OK;
}
