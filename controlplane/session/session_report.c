/* What REST says of sessions: the list, the totals, the health. The api thread asks by message; this answers. */
#include "controlplane/session/session.h"
#include "controlplane/session/session_state.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/srs_log.h"

#define NS_PER_MS UINT64_C(1000000)
#define SESSION_PREFIX_MIN 8

static void
add_u64(cJSON *json, const char *name, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	cJSON_AddRawToObject(json, name, text);	/* exact beyond 2^53 */
}

static cJSON *
stream_json(const struct session *s, const struct session_stream *st)
{
	static const char *const protections[] = {
		[OFFER_KEYING_NONE] = "none", [OFFER_KEYING_SDES] = "sdes", [OFFER_KEYING_DTLS] = "dtls",
	};
	cJSON *row = cJSON_CreateObject();
	enum srtp_suite suite = st->dtls.suite;	/* NONE with SDES, and until a handshake is complete */
	struct stream_view v = { 0 };
	char ip[48], id[2 * REEL_ID_SIZE + 1];
	uint8_t ip_version;

	if (st->state == STREAM_LIVE)
		dataplane_stream_view(s->all->floor.dataplane, st->handle, &v);
	media_text(s->all->floor.media, &st->port, s->beyond_nat, ip, sizeof(ip), &ip_version);
	session_hex(st->recording->id, id);
	cJSON_AddStringToObject(row, "recording", id);
	cJSON_AddNumberToObject(row, "number", st->number);
	session_text_add(row, "label", st->label);
	cJSON_AddStringToObject(row, "address", ip);
	cJSON_AddNumberToObject(row, "port", st->port.udp_port);
	cJSON_AddBoolToObject(row, "inactive", st->inactive);
	cJSON_AddStringToObject(row, "protection", protections[st->protection]);
	if (st->protection == OFFER_KEYING_SDES && st->keying != NULL)
		suite = (enum srtp_suite)st->keying->keys.ours.suite;
	cJSON_AddStringToObject(row, "suite", srtp_suite_shape(suite)->name);
	cJSON_AddNumberToObject(row, "payload_type", v.payload_type);
	add_u64(row, "frames", v.frames);
	add_u64(row, "bytes", v.bytes);
	add_u64(row, "drops", v.drops);
	add_u64(row, "lost", v.lost);
	if (v.last_packet_mono_ns == 0)
		cJSON_AddNullToObject(row, "last_packet_age_ms");
	else
		add_u64(row, "last_packet_age_ms", (reactor_mono_ns() - v.last_packet_mono_ns) / NS_PER_MS);
	return row;
}

static cJSON *
session_json(const struct session *s)
{
	cJSON *row = cJSON_CreateObject(), *list;
	char id[2 * REEL_ID_SIZE + 1];

	session_hex(s->rs_id, id);
	cJSON_AddStringToObject(row, "id", id);
	cJSON_AddStringToObject(row, "call_id", s->call_id);
	cJSON_AddStringToObject(row, "state", session_state_name(s->state));
	cJSON_AddBoolToObject(row, "paused", (s->holds & SESSION_HOLD_PAUSE) != 0);
	cJSON_AddBoolToObject(row, "silent", s->silent);
	cJSON_AddBoolToObject(row, "masked", (s->holds & SESSION_HOLD_MASK) != 0);
	cJSON_AddStringToObject(row, "src", s->source);
	cJSON_AddStringToObject(row, "agent", s->agent);
	cJSON_AddStringToObject(row, "identity", s->identity);
	cJSON_AddStringToObject(row, "profile", s->profile->name);
	add_u64(row, "started_wall_ns", s->started_wall_ns);
	add_u64(row, "age_ms", (reactor_mono_ns() - s->started_mono_ns) / NS_PER_MS);
	list = cJSON_AddArrayToObject(row, "recordings");
	for (unsigned int i = 0; i < SESSION_RECORDINGS_MAX; i++) {
		const struct session_recording *r = s->recordings[i];
		cJSON *item;

		if (r == NULL)
			continue;
		item = cJSON_CreateObject();
		session_hex(r->id, id);
		cJSON_AddStringToObject(item, "id", id);
		cJSON_AddStringToObject(item, "cs_id", r->cs_id);
		cJSON_AddNumberToObject(item, "part", r->part);
		cJSON_AddItemToArray(list, item);
	}
	list = cJSON_AddArrayToObject(row, "streams");
	for (unsigned int i = 0; i < SESSION_STREAMS_MAX; i++) {
		if (s->streams[i] != NULL)
			cJSON_AddItemToArray(list, stream_json(s, s->streams[i]));
	}
	return row;
}

static cJSON *
list_json(const struct sessions *all)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *rows = cJSON_AddArrayToObject(json, "sessions");

	for (uint32_t i = 0; i < all->n_slots; i++) {
		if (all->slots[i] != NULL)
			cJSON_AddItemToArray(rows, session_json(all->slots[i]));
	}
	cJSON_AddNumberToObject(json, "count", cJSON_GetArraySize(rows));
	return json;
}

static cJSON *
stats_json(const struct sessions *all)
{
	cJSON *json = cJSON_CreateObject(), *states, *counters;
	unsigned int n_of[SESSION_N_STATES] = { 0 }, n_streams = 0, n_recordings = 0;

	for (uint32_t i = 0; i < all->n_slots; i++) {
		const struct session *s = all->slots[i];

		if (s == NULL)
			continue;
		n_of[s->state]++;
		n_streams += session_streams_n(s);
		n_recordings += session_recordings_n(s);
	}
	cJSON_AddNumberToObject(json, "sessions", sessions_n(all));
	cJSON_AddNumberToObject(json, "sessions_max", all->floor.config->limits.sessions_max);
	cJSON_AddNumberToObject(json, "streams", n_streams);
	cJSON_AddNumberToObject(json, "recordings", n_recordings);
	states = cJSON_AddObjectToObject(json, "states");
	for (unsigned int i = 0; i < SESSION_N_STATES; i++)
		cJSON_AddNumberToObject(states, session_state_name((enum session_state)i), n_of[i]);
	counters = cJSON_AddObjectToObject(json, "counters");
#define SESSION_COUNTER_ADD(symbol, name, unit, severity, sentence) \
	add_u64(counters, #name, sessions_counter_read(all, symbol));
	SESSION_COUNTER_LIST(SESSION_COUNTER_ADD)
#undef SESSION_COUNTER_ADD
	return json;
}

static cJSON *
health_json(struct sessions *all)
{
	cJSON *json = cJSON_CreateObject();
	struct sip_refusal why = { 0 };
	bool ready = sessions_ready(all, &why);
	struct dataplane_room room;

	dataplane_room(all->floor.dataplane, &room);
	cJSON_AddStringToObject(json, "status", ready ? "ok" : all->stopping ? "stopping" : all->draining || all->leaving ? "draining" : "refusing");
	cJSON_AddStringToObject(json, "reason", ready ? "" : why.warning);
	cJSON_AddStringToObject(json, "version", SRS_VERSION);
	cJSON_AddStringToObject(json, "node", all->floor.config->node.name);
	cJSON_AddNumberToObject(json, "sessions", sessions_n(all));
	cJSON_AddNumberToObject(json, "sessions_max", all->floor.config->limits.sessions_max);
	cJSON_AddNumberToObject(json, "recordings_free", room.sessions_free);
	cJSON_AddNumberToObject(json, "streams_free", room.streams_free);
	cJSON_AddNumberToObject(json, "chunks_free_percent", room.chunks_free_percent);
	cJSON_AddBoolToObject(json, "storage_ok", room.storage_ok);
	cJSON_AddNumberToObject(json, "loop_lag_ms", reactor_lag_ms(all->floor.reactor));
	cJSON_AddNumberToObject(json, "keys_ready", keys_ready(all->floor.keys));
	cJSON_AddNumberToObject(json, "catalog_queue", catalog_queue_len(all->floor.catalog));
	return json;
}

/* The session whose id begins so; a prefix must be long enough not to be a slip, and of one session alone. */
static struct session *
session_named(struct sessions *all, const char *prefix, size_t len, bool *several)
{
	struct session *found = NULL;

	*several = false;
	if (len < SESSION_PREFIX_MIN || len > 2 * REEL_ID_SIZE)
		return NULL;
	for (uint32_t i = 0; i < all->n_slots; i++) {
		char id[2 * REEL_ID_SIZE + 1];

		if (all->slots[i] == NULL)
			continue;
		session_hex(all->slots[i]->rs_id, id);
		if (strncasecmp(id, prefix, len) != 0 || session_edge_of(all->slots[i]->state, EV_HANG_UP) == NULL)
			continue;
		*several = found != NULL;
		found = all->slots[i];
	}
	return found;
}

static cJSON *
refusal_json(const char *why)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "error", why);
	return json;
}

static cJSON *
command_json(struct sessions *all, const struct rest_question *q, unsigned int *status)
{
	size_t len = strcspn(q->argument, "/");
	const char *why = "no call that is being recorded has an id that begins so: `capstan sessions ls` shows them";
	bool several;
	struct session *s = session_named(all, q->argument, len, &several);
	uint32_t slot;

	*status = several ? 409 : 404;
	if (several)
		why = "the ids of several calls begin so: give more of it";
	else if (s != NULL && q->argument[len] == '/')
		*status = session_command(s, q->argument + len + 1, q->body, &why);
	if (*status != 200)
		return refusal_json(why);
	slot = s->slot;
	session_settle(s);	/* may free it */
	return all->slots[slot] == s ? session_json(s) : cJSON_CreateObject();
}

static void
text_copy(const cJSON *body, const char *name, char out[SESSION_TEXT_MAX])
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, name);

	(void)snprintf(out, SESSION_TEXT_MAX, "%s", cJSON_IsString(item) ? item->valuestring : "");
	session_text_clean(out);
}

/* The operator takes the recorder out of service, and puts it back: calls in progress go on either way. */
static cJSON *
node_json(struct sessions *all, const struct rest_question *q, unsigned int *status)
{
	bool drain = strcmp(q->argument, "drain") == 0;
	char by[SESSION_TEXT_MAX], reason[SESSION_TEXT_MAX];
	cJSON *json;

	*status = 404;
	if (!drain && strcmp(q->argument, "undrain") != 0)
		return refusal_json("the recorder knows drain and undrain");
	*status = 409;
	if (all->stopping || all->leaving)
		return refusal_json("the recorder got a signal to stop: start it again");
	*status = 200;
	json = cJSON_ParseWithOpts(q->body, NULL, true);
	text_copy(json, "by", by);
	text_copy(json, "reason", reason);
	cJSON_Delete(json);
	if (all->draining != drain)
		log_warn("session", drain ? "drained" : "undrained", "by=\"%s\" reason=\"%s\" sessions=%u", by, reason, sessions_n(all));
	all->draining = drain;
	json = cJSON_CreateObject();
	cJSON_AddBoolToObject(json, "draining", drain);
	cJSON_AddNumberToObject(json, "sessions", sessions_n(all));
	return json;
}

void
sessions_answer(void *ctx, const struct rest_question *q, struct rest_answer *a)
{
	struct sessions *all = ctx;
	cJSON *json = NULL;

	a->status = 200;
	switch (q->what) {
	case REST_ASK_SESSIONS:
		json = list_json(all);
		break;
	case REST_ASK_SESSION_STATS:
		json = stats_json(all);
		break;
	case REST_ASK_HEALTH:
		json = health_json(all);
		break;
	case REST_ASK_STUN:
	case REST_ASK_SRCS:
	case REST_ASK_REFUSALS:
		break;		/* not ours */
	case REST_ASK_NODE:
		json = node_json(all, q, &a->status);
		break;
	case REST_ASK_COMMAND:
		json = command_json(all, q, &a->status);
		break;
	}
	a->json = json != NULL ? cJSON_PrintUnformatted(json) : NULL;
	cJSON_Delete(json);
}

uint64_t
sessions_counter_read(const struct sessions *all, enum session_counter which)
{
	return atomic_load_explicit(&all->counters[which], memory_order_relaxed);
}

void
sessions_counters(const struct sessions *all, void (*on_counter)(void *ctx, const struct dataplane_counter *c),
                  void *ctx)
{
#define SESSION_COUNTER_WALK(symbol, cname, cunit, cseverity, csentence) \
	on_counter(ctx, &(struct dataplane_counter){ .name = #cname, .unit = cunit, .severity = cseverity, \
		.sentence = csentence, .value = sessions_counter_read(all, symbol) });
	SESSION_COUNTER_LIST(SESSION_COUNTER_WALK)
#undef SESSION_COUNTER_WALK
}
