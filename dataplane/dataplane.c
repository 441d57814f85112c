/* Life of the data plane, and what can be asked of it at any time. */
#include "dataplane/dataplane.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "crypto/secret.h"
#include "dataplane/dataplane_state.h"
#include "lib/srs_log.h"

#define COMMANDS_MIN 256
#define COMMANDS_MAX 65536
#define NOTES_MIN    1024	/* 4 MiB: 14 documents of the greatest length */
#define NOTES_MAX    16384

static uint32_t
clamp(uint64_t v, uint32_t min, uint32_t max)
{
	return v < min ? min : v > max ? max : (uint32_t)v;
}

/* ---- start ---- */

static uint64_t
memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	if (f == NULL)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	fclose(f);
	return kib != 0 ? kib * 1024 : UINT64_MAX;
}

static uint32_t
chunks_of(const struct dataplane *dp)
{
	return chunk_pool_need(dp->config, dp->n_lcores);
}

/* The arithmetic of docs/architecture.md: all of it is taken now, or none. */
static enum srs_err
memory_check(const struct dataplane *dp, char *why, size_t why_len)
{
	uint64_t chunks = (uint64_t)chunks_of(dp) * dp->n_lcores;
	uint64_t need = chunks * (REEL_SLOT_SIZE + sizeof(struct chunk)) +
	                (uint64_t)dp->streams_max * (sizeof(struct stream) + sizeof(struct ssrc) + 4 * sizeof(struct totals)) +
	                (uint64_t)dp->recordings_max * sizeof(struct recording) +
	                (uint64_t)dp->steer.n_addresses * sizeof(uint32_t) * 65536 +
	                (dp->config->srtp.enabled ? (uint64_t)keyset_pool_need(dp->streams_max) * sizeof(struct keyset) : 0);
	uint64_t have = memory_available();

	if (need <= have)
		return SRS_OK;
	snprintf(why, why_len, "No memory for %u streams and %u recordings: %llu chunks of 4 KiB for a stall of %u ms and the "
	         "tables need %llu MiB, %llu MiB are free; lower limits.sessions_max or limits.stall_ms_max.",
	         dp->streams_max, dp->recordings_max, (unsigned long long)chunks, dp->config->limits.stall_ms_max,
	         (unsigned long long)(need >> 20), (unsigned long long)(have >> 20));
	return SRS_ERR_NOMEM;
}

static enum srs_err
desk_create(struct dataplane *dp)
{
	uint32_t n_commands = clamp(4ull * dp->recordings_max + 2ull * dp->streams_max, COMMANDS_MIN, COMMANDS_MAX);
	enum srs_err err = command_pool_create(&dp->commands, n_commands,
	                                       clamp(2ull * dp->recordings_max, NOTES_MIN, NOTES_MAX));

	if (!err)
		err = stream_table_create(&dp->streams, dp->streams_max, dp->steer.n_addresses, dp->eal.huge,
		                          dp->config->srtp.enabled);
	if (err)
		return err;
	if (!memory_take(&dp->recording_memory, (size_t)dp->recordings_max * sizeof(struct recording), dp->eal.huge))
		return SRS_ERR_NOMEM;
	dp->recordings = dp->recording_memory.at;
	dp->desk_recordings = calloc(dp->recordings_max, sizeof(*dp->desk_recordings));
	dp->desk_streams = calloc(dp->streams_max + 1ul, sizeof(*dp->desk_streams));
	dp->free_recordings = calloc(dp->recordings_max, sizeof(uint32_t));
	dp->free_streams = calloc(dp->streams_max, sizeof(uint32_t));
	dp->port_used = calloc(dp->steer.n_addresses, sizeof(dp->port_used[0]));
	if (dp->desk_recordings == NULL || dp->desk_streams == NULL || dp->free_recordings == NULL ||
	    dp->free_streams == NULL || dp->port_used == NULL)
		return SRS_ERR_NOMEM;
	for (uint32_t i = dp->recordings_max; i-- > 0;)
		dp->free_recordings[dp->n_free_recordings++] = i;
	for (uint32_t i = dp->streams_max; i > 0; i--)
		dp->free_streams[dp->n_free_streams++] = i;
	return SRS_OK;
}

static enum srs_err
writers_start(struct dataplane *dp, const struct keystore *ks, char *why, size_t why_len)
{
	for (unsigned int i = 0; i < dp->config->storage.n_devices; i++) {
		const struct writer_spec spec = {
			.writer_id = i, .path = dp->config->storage.devices[i], .config = dp->config, .keystore = ks,
			.recordings_max = dp->recordings_max, .n_lcores = dp->n_lcores, .ring_len = chunks_of(dp), .cpu = -1,
		};
		enum srs_err err = writer_create(&dp->writers[i], &spec, why, why_len);

		if (err)
			return err;
		dp->n_writers++;
		err = writer_start(dp->writers[i], why, why_len);
		if (err)
			return err;
	}
	return SRS_OK;
}

static enum srs_err
lcores_start(struct dataplane *dp, char *why, size_t why_len)
{
	struct lcore_spec spec = {
		.port_id = dp->port.port_id, .pool = dp->config->media.profile != CONFIG_PROFILE_PCAP ? dp->port.pool : NULL,
		.file = dp->config->media.profile == CONFIG_PROFILE_PCAP,
		.answers = dp->config->media.profile != CONFIG_PROFILE_PCAP, .steer = &dp->steer, .selftest = &dp->selftest,
		.streams = &dp->streams, .clock = &dp->clock, .writers = dp->writers, .n_writers = dp->n_writers,
		.config = dp->config, .n_chunks = chunks_of(dp), .n_commands = dp->commands.n,
		.cname = dp->cname, .n_keysets = dp->keysets.n, .engine = dp->engine_kind,
		.streams_max = dp->streams_max, .recordings_max = dp->recordings_max, .huge = dp->eal.huge,
		.one_cpu = dp->eal.n_cpus == 1,
	};
	uint16_t n = dp->n_lcores;

	memcpy(spec.mac, dp->port.mac, sizeof(spec.mac));
	dp->n_lcores = 0;
	for (uint16_t i = 0; i < n; i++) {
		enum srs_err err;

		spec.lcore_i = spec.queue_id = i;
		spec.answers = spec.answers && i == 0;	/* ARP and ND match no address: queue 0 has them */
		spec.cpu = dp->eal.n_cpus > 1 ? dp->eal.cpus[i % dp->eal.n_cpus] : -1;
		err = lcore_create(&dp->lcores[i], &spec);
		if (err) {
			snprintf(why, why_len, "No memory for lcore %u (%u chunks of 4 KiB); lower limits.sessions_max.", i,
			         spec.n_chunks);
			return err;
		}
		dp->n_lcores++;
		err = lcore_start(dp->lcores[i]);
		if (err) {
			snprintf(why, why_len, "lcore %u did not begin to work within 5 s; is its CPU taken?", i);
			return err;
		}
	}
	return SRS_OK;
}

/* Polling lcores have their CPUs for themselves; the caller, and what it starts later, shares the rest. */
static void
affinity_share(const struct dataplane *dp)
{
	cpu_set_t set;

	if (dp->config->media.idle_sleep_us != 0 || dp->eal.n_cpus <= dp->n_lcores)
		return;
	CPU_ZERO(&set);
	for (int i = dp->n_lcores; i < dp->eal.n_cpus; i++)
		CPU_SET((unsigned int)dp->eal.cpus[i], &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void
describe(struct dataplane *dp)
{
	static const char *const profiles[] = { "tap", "ring", "pcap" };
	const struct config *c = dp->config;
	char where[48] = "", srtp[24] = "", remedy[80] = "";

	if (dp->eal.huge_remedy != 0)
		snprintf(remedy, sizeof(remedy), "; no large pages are free: sysctl vm.nr_hugepages=%lu", dp->eal.huge_remedy);
	if (dp->eal.n_cpus == 1)
		snprintf(where, sizeof(where), ", one CPU");
	else if (dp->n_lcores == 1)
		snprintf(where, sizeof(where), " on CPU %d", dp->eal.cpus[0]);
	if (dp->engine != NULL)
		snprintf(srtp, sizeof(srtp), ", SRTP by %s", dp->engine_kind == UNPROTECT_IPSEC_MB ? "ipsec-mb" : "libsrtp2");
	snprintf(dp->description, sizeof(dp->description), "%s %.60s, %s pages, %u lcore%s%s, %u writer%s%s%s",
	         profiles[c->media.profile], c->media.device != NULL ? c->media.device : "",
	         dp->eal.huge ? "large" : "4 KiB", dp->n_lcores, dp->n_lcores == 1 ? "" : "s", where, dp->n_writers,
	         dp->n_writers == 1 ? "" : "s", srtp, remedy);
}

/* @rfc 7022 §4.2 */
static enum srs_err
cname_make(struct dataplane *dp)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t random[REPORT_CNAME_SIZE];
	enum srs_err err = secret_random(random, sizeof(random));

	for (unsigned int i = 0; i < REPORT_CNAME_SIZE && !err; i++)
		dp->cname[i] = digits[random[i] & 63];
	return err;
}

enum srs_err
dataplane_start(struct dataplane **out, const struct config *c, const struct keystore *ks, char *why, size_t why_len)
{
	struct dataplane *dp = calloc(1, sizeof(*dp));
	enum srs_err err;

	if (dp == NULL)
		return SRS_ERR_NOMEM;
	snprintf(why, why_len, "No memory for the tables of streams and recordings; lower limits.sessions_max.");
	dp->config = c;
	dp->streams_max = c->limits.streams_max;
	dp->recordings_max = c->limits.recordings_max;
	dp->n_lcores = (uint16_t)clamp(c->media.lcores, 1, DATAPLANE_LCORES_MAX);
	if (c->media.profile != CONFIG_PROFILE_RING)
		dp->n_lcores = 1;	/* tap and pcap have one queue */
	err = steer_init(&dp->steer, c->media.addresses, c->media.n_addresses, dp->n_lcores, why, why_len);
	if (!err)
		err = memory_check(dp, why, why_len);
	if (!err)
		err = eal_start(&dp->eal, c, port_memory_mib(dp->n_lcores), why, why_len);
	if (err)
		goto out;
	err = selftest_init(&dp->selftest);
	if (err)
		goto out;
	clock_init(&dp->clock, rte_get_tsc_hz());
	dataplane_clock_publish(dp);
	err = cname_make(dp);
	if (!err)
		err = desk_create(dp);
	if (!err)
		err = desk_keys_create(dp, why, why_len);
	if (!err)
		err = port_open(&dp->port, c, dp->n_lcores, why, why_len);
	affinity_share(dp);
	if (!err)
		err = writers_start(dp, ks, why, why_len);
	if (!err)
		err = lcores_start(dp, why, why_len);
	if (!err)
		err = selftest_run(&dp->selftest, &dp->port, &dp->steer, dp->lcores, c->media.device, why, why_len);
	describe(dp);
out:
	if (err)
		dataplane_stop(dp);
	else
		*out = dp;
	return err;
}

/* Commands that never came back still own the order of a seal. */
static void
orders_free(struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->commands.n; i++) {
		struct command *c = &dp->commands.commands[i];

		if (c->kind == COMMAND_PART || c->kind == COMMAND_RECORDING_SEAL)
			free(c->u.seal.order);
	}
}

void
dataplane_quiesce(struct dataplane *dp)
{
	for (uint16_t i = 0; i < dp->n_lcores; i++)
		if (dp->lcores[i] != NULL)
			lcore_stop(dp->lcores[i]);
	for (uint16_t w = 0; w < dp->n_writers; w++)
		writer_stop(dp->writers[w]);
}

void
dataplane_stop(struct dataplane *dp)
{
	if (dp == NULL)
		return;
	dataplane_quiesce(dp);
	port_close(&dp->port);
	orders_free(dp);
	for (uint16_t w = 0; w < dp->n_writers; w++)
		writer_destroy(dp->writers[w]);
	for (uint16_t i = 0; i < dp->n_lcores; i++)
		lcore_destroy(dp->lcores[i]);
	command_pool_destroy(&dp->commands);
	stream_table_destroy(&dp->streams);
	desk_keys_destroy(dp);
	memory_give(&dp->recording_memory);
	free(dp->desk_recordings);
	free(dp->desk_streams);
	free(dp->free_recordings);
	free(dp->free_streams);
	free(dp->port_used);
	free(dp);
}

const char *
dataplane_describe(const struct dataplane *dp)
{
	return dp->description;
}

/* ---- places, room, counters ---- */

unsigned int
dataplane_n_addresses(const struct dataplane *dp)
{
	return dp->steer.n_addresses;
}

void
dataplane_place(const struct dataplane *dp, unsigned int address_i, struct dataplane_place *out)
{
	memset(out, 0, sizeof(*out));
	if (address_i >= dp->steer.n_addresses)
		return;
	out->address = dp->steer.address[address_i];
	out->lcore_i = dp->steer.lcore_of[address_i];
	out->n_streams = dp->streams_of[address_i];
}

void
dataplane_clock_publish(struct dataplane *dp)
{
	clock_publish(&dp->clock);
	clock_read(&dp->clock, &dp->clock_sequence, &dp->clock_map);
}

void
dataplane_room(const struct dataplane *dp, struct dataplane_room *out)
{
	*out = (struct dataplane_room){ .sessions_free = dp->n_free_recordings, .streams_free = dp->n_free_streams,
		                        .chunks_free_percent = 100 };
	for (uint16_t i = 0; i < dp->n_lcores; i++) {
		uint32_t percent = atomic_load_explicit(&dp->lcores[i]->chunks.free_percent, memory_order_relaxed);

		if (percent < out->chunks_free_percent)
			out->chunks_free_percent = percent;
	}
	for (uint16_t w = 0; w < dp->n_writers; w++)
		out->storage_ok |= writer_has_room(dp->writers[w]);
}

#define WRITER_COUNTER_LIST(X) \
	X(chunks_in, "chunks", INFO, "taken from lcores") \
	X(chunks_durable, "chunks", INFO, "written and flushed") \
	X(frames_durable, "frames", INFO, "in those chunks") \
	X(chunks_lost_full, "chunks", ERROR, "given up: no room on the device") \
	X(chunks_lost_error, "chunks", ERROR, "given up: the device failed") \
	X(frames_lost, "frames", ERROR, "in the chunks given up") \
	X(bytes_durable, "bytes", INFO, "written and flushed") \
	X(commits, "commits", INFO, "group commits") \
	X(commit_ns_max, "ns", INFO, "the longest commit") \
	X(ns_busy, "ns", INFO, "the writers' busy time") \
	X(segments_finished, "segments", INFO, "finished with a footer") \
	X(seals, "seals", INFO, "signed") \
	X(recovered, "recordings", WARN, "of an earlier process, sealed as interrupted")

static void
writers_walk(const struct dataplane *dp, void (*on_counter)(void *ctx, const struct dataplane_counter *c), void *ctx)
{
	struct writer_counters sum = { 0 };

	for (uint16_t w = 0; w < dp->n_writers; w++) {
		struct writer_counters one;

		writer_counters_read(dp->writers[w], &one);
#define X(name, unit, severity, sentence) sum.name += one.name;
		WRITER_COUNTER_LIST(X)
#undef X
	}
#define X(cell, cell_unit, cell_severity, cell_sentence) \
	on_counter(ctx, &(struct dataplane_counter){ .name = "writer_" #cell, .unit = cell_unit, \
	                                             .severity = COUNTER_##cell_severity, .sentence = cell_sentence, \
	                                             .value = sum.cell });
	WRITER_COUNTER_LIST(X)
#undef X
}

void
dataplane_counters(const struct dataplane *dp, void (*on_counter)(void *ctx, const struct dataplane_counter *c),
                   void *ctx)
{
	struct counters sum = { 0 };

	for (uint16_t i = 0; i < dp->n_lcores; i++)
		counters_sum(&sum, &dp->lcores[i]->counters);
	port_lost(&dp->port, &sum.nic_missed, &sum.nic_no_buffer, &sum.nic_errors);
	counters_walk(&sum, on_counter, ctx);
	writers_walk(dp, on_counter, ctx);
}

unsigned int
dataplane_inject(struct dataplane *dp, unsigned int lcore_i, const struct span *frames, unsigned int n)
{
	if (dp->config->media.profile != CONFIG_PROFILE_RING || lcore_i >= dp->n_lcores)
		return 0;
	return port_inject(&dp->port, (uint16_t)lcore_i, frames, n);
}
