/* Names in `.env` files and in the environment. An empty value counts as not set, as container tools write it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/config_fields.h"

#define ENV_FILE_MAX (64u * 1024)

/* Names that operators know from elsewhere and that have no effect in this version, and why. Their values are
 * still checked: a typing error should not wait for the release that honours the name. */
struct env_note {
	const char *name;
	enum config_kind kind;
	const char *sentence;
};

static const struct env_note env_notes[] = {
	{ "SHARD_COUNT", CONFIG_U32, "sessions live on lcores, which need no shards" },
	{ "ENABLE_BUFFER_POOLING", CONFIG_BOOL, "buffers are always taken from pools of a fixed size" },
	{ "WORKER_POOL_SIZE", CONFIG_U32, "the work is done by lcores and writers: see media.lcores" },
	{ "CACHE_SIZE", CONFIG_U32, "there is no cache of closed sessions yet; SQLite keeps its own page cache" },
	{ "CACHE_TTL", CONFIG_TIME_S, "there is no cache of closed sessions yet; SQLite keeps its own page cache" },
	{ "AUDIO_PROCESSING_WORKERS", CONFIG_U32, "there are no playback and processing workers yet" },
	{ "ENABLE_REDUNDANCY", CONFIG_BOOL, "dialogs do not survive a restart yet; what was recorded does" },
	{ "REDUNDANCY_STORAGE_TYPE", CONFIG_TEXT, "there is no store of sessions yet" },
	{ "SESSION_STORAGE_DIR", CONFIG_TEXT, "there is no store of sessions yet" },
	{ "ENABLE_AUDIO_PROCESSING", CONFIG_BOOL, "there is no audio processing yet; recordings are always bit-exact" },
	{ "ENABLE_VAD", CONFIG_BOOL, "there is no voice activity detection yet; every packet is recorded" },
	{ "ENABLE_NOISE_REDUCTION", CONFIG_BOOL, "there is no noise reduction yet; exports are as received" },
	{ "MULTI_CHANNEL_SUPPORT", CONFIG_BOOL, "exports always have one channel a participant" },
	/* These two are settings already, so that files need not change later; their use is still to come. */
	{ "KEY_BACKUP_ENABLED", CONFIG_BOOL, "no backup of keys is made yet; copy the folder of keys.path yourself" },
	{ "PBKDF2_ITERATIONS", CONFIG_U32, "the root key has no passphrase yet; its file is readable by its owner only" },
};
#define ENV_NOTES_N (sizeof(env_notes) / sizeof(env_notes[0]))

static int
env_field_of(const char *name)
{
	for (unsigned int i = 0; i < CONFIG_FIELDS_N; i++) {
		if (strcmp(config_fields[i].env, name) == 0)
			return (int)i;
	}
	return -1;
}

static const struct env_note *
env_note_of(const char *name)
{
	for (size_t i = 0; i < ENV_NOTES_N; i++) {
		if (strcmp(env_notes[i].name, name) == 0)
			return &env_notes[i];
	}
	return NULL;
}

/* "5060,5061": UDP and TCP on every address for each port. A full listener (udp:10.0.0.1:5060) is taken as it is. */
static enum srs_err
ports_to_listeners(struct config_draft *d, const char *value, const char *origin, char *why, size_t why_len)
{
	static const struct config_field number = { .kind = CONFIG_U32 };
	char listeners[CONFIG_TEXT_MAX], item[96];
	size_t used = 0;

	for (const char *at = value; *at != '\0';) {
		size_t len = strcspn(at, ", \t");
		uint64_t port;

		snprintf(item, sizeof(item), "%.*s", (int)(len < sizeof(item) ? len : sizeof(item) - 1), at);
		at += len + (at[len] != '\0');
		if (len == 0)
			continue;
		if (used + 2 * sizeof(item) >= sizeof(listeners)) {
			snprintf(why, why_len, "%s: has more than %d listeners", origin, CONFIG_LISTEN_MAX);
			return SRS_ERR_INVALID;
		}
		if (strchr(item, ':') != NULL) {
			used += (size_t)snprintf(listeners + used, sizeof(listeners) - used, "%s\n", item);
		} else if (config_number_parse(&number, item, &port) && port >= 1 && port <= 65535) {
			used += (size_t)snprintf(listeners + used, sizeof(listeners) - used,
			                         "udp:0.0.0.0:%u\ntcp:0.0.0.0:%u\n", (unsigned int)port, (unsigned int)port);
		} else {
			snprintf(why, why_len, "%s: '%.80s' must be ports from 1 to 65535 with commas between, like 5060,5061",
			         origin, value);
			return SRS_ERR_INVALID;
		}
	}
	listeners[used] = '\0';
	return config_draft_set(d, CONFIG_FIELD_sip_listen, listeners, origin);
}

static enum srs_err
note_check(const struct env_note *note, const char *value, const char *origin, char *why, size_t why_len)
{
	const struct config_field field = { .kind = note->kind };
	const char *rule = NULL;
	uint64_t number = 0;
	bool flag;

	if (note->kind == CONFIG_BOOL && !config_bool_parse(value, &flag))
		rule = "must be true or false";
	else if (note->kind == CONFIG_TIME_S && !config_number_parse(&field, value, &number))
		rule = "must be a time like 30s, 15m or 24h";
	else if (note->kind == CONFIG_U16 && (!config_number_parse(&field, value, &number) || number == 0 || number > 65535))
		rule = "must be a port from 1 to 65535";
	else if (note->kind == CONFIG_U32 && strcmp(value, "auto") != 0 && !config_number_parse(&field, value, &number))
		rule = "must be a whole number or auto";
	if (rule == NULL)
		return SRS_OK;
	snprintf(why, why_len, "%s: '%.80s' %s", origin, value, rule);
	return SRS_ERR_INVALID;
}

static enum srs_err
env_set(struct config_draft *d, const char *name, const char *value, const char *where, char *why, size_t why_len)
{
	int field_i = env_field_of(name);
	const struct env_note *note = env_note_of(name);
	char origin[CONFIG_ORIGIN_MAX];

	if (*value == '\0')
		return SRS_OK;
	snprintf(origin, sizeof(origin), "%s: %s", where, name);
	if (strlen(value) >= CONFIG_TEXT_MAX / 2) {
		snprintf(why, why_len, "%s: longer than %d characters", origin, CONFIG_TEXT_MAX / 2);
		return SRS_ERR_INVALID;
	}
	if (field_i == CONFIG_FIELD_sip_listen)
		return ports_to_listeners(d, value, origin, why, why_len);
	if (field_i >= 0)
		return config_draft_set(d, (unsigned int)field_i, value, origin);
	return note != NULL ? note_check(note, value, origin, why, why_len) : SRS_OK;
}

/* ---- .env files: KEY=VALUE, `export`, quotes, comments ---- */

struct env_line {
	char *name;
	char *value;
};

static char *
blank_skip(char *at)
{
	return at + strspn(at, " \t\r");
}

static void
blank_trim(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
}

/* Value in place: 'as it is', "with \n \t \" \\ escapes", or bare up to " #". @return the broken rule, or NULL */
static const char *
env_value(char *at, char **value)
{
	char quote = *at, *out = at;
	char *in = at + 1;

	*value = at;
	if (quote != '"' && quote != '\'') {
		for (char *p = at; *p != '\0'; p++) {
			if (*p == '#' && (p == at || isspace((unsigned char)p[-1]))) {
				*p = '\0';
				break;
			}
		}
		blank_trim(at);
		return NULL;
	}
	for (; *in != quote; in++) {
		if (*in == '\0')
			return "has a quote left open; close it on the same line";
		if (quote == '"' && *in == '\\' && in[1] != '\0') {
			in++;
			*out++ = *in == 'n' ? '\n' : *in == 't' ? '\t' : *in;
		} else {
			*out++ = *in;
		}
	}
	in = blank_skip(in + 1);
	if (*in != '\0' && *in != '#')
		return "has text after the closing quote; put the whole value in quotes";
	*out = '\0';
	return NULL;
}

/* One line, changed in place. @return the broken rule, or NULL; an empty name for blank and comment lines */
static const char *
env_line_parse(char *line, struct env_line *out)
{
	char *at = blank_skip(line), *end;

	out->name = out->value = at;
	if (*at == '#' || *at == '\0') {
		*at = '\0';
		return NULL;
	}
	if (strncmp(at, "export", 6) == 0 && (at[6] == ' ' || at[6] == '\t'))
		at = blank_skip(at + 6);
	out->name = at;
	end = at;
	while (isalnum((unsigned char)*end) || *end == '_')
		end++;
	at = blank_skip(end);
	if (end == out->name || *at != '=')
		return "is not KEY=VALUE; write one setting a line, comments behind #";
	at = blank_skip(at + 1);
	*end = '\0';
	return env_value(at, &out->value);
}

/* Calls `on_line` for each setting of the file; stops at its first error. */
static enum srs_err
env_file_walk(const char *path, enum srs_err (*on_line)(void *ctx, const struct env_line *line, const char *where),
              void *ctx, char *why, size_t why_len)
{
	char *text, *at, where[CONFIG_ORIGIN_MAX];
	unsigned int line_no = 1;
	enum srs_err err = config_file_read(path, ENV_FILE_MAX, &text, why, why_len);

	if (err)
		return err;
	for (at = text; at != NULL && !err; line_no++) {
		char *next = strchr(at, '\n');
		struct env_line line;
		const char *rule;

		if (next != NULL)
			*next++ = '\0';
		rule = env_line_parse(at, &line);
		snprintf(where, sizeof(where), "%.160s, line %u", path, line_no);
		if (rule != NULL) {
			snprintf(why, why_len, "%s: %.60s %s", where, line.name, rule);
			err = SRS_ERR_INVALID;
		} else if (*line.name != '\0') {
			err = on_line(ctx, &line, where);
		}
		at = next;
	}
	free(text);
	return err;
}

/* The file to read, or NULL: ./.env only when there is one. */
static const char *
env_path_of(const struct config_sources *from)
{
	if (from->env_path != NULL)
		return from->env_path;
	return access("./.env", F_OK) == 0 ? "./.env" : NULL;
}

struct env_apply {
	struct config_draft *draft;
	char *why;
	size_t why_len;
};

static enum srs_err
on_apply_line(void *ctx, const struct env_line *line, const char *where)
{
	struct env_apply *a = ctx;

	return env_set(a->draft, line->name, line->value, where, a->why, a->why_len);
}

enum srs_err
config_env_apply(struct config_draft *d, const struct config_sources *from, char *why, size_t why_len)
{
	struct env_apply apply = { .draft = d, .why = why, .why_len = why_len };
	const char *path = env_path_of(from);
	enum srs_err err = SRS_OK;

	if (path != NULL)
		err = env_file_walk(path, on_apply_line, &apply, why, why_len);
	for (char **row = from->environ; row != NULL && *row != NULL && !err; row++) {
		const char *equals = strchr(*row, '=');
		char name[64];

		if (equals == NULL || (size_t)(equals - *row) >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(equals - *row), *row);
		err = env_set(d, name, equals + 1, "environment", why, why_len);
	}
	return err;
}

/* ---- names without effect ---- */

struct env_seen {
	bool noted[ENV_NOTES_N];
	void (*line)(void *ctx, const char *sentence);
	void *ctx;
};

static void
env_see(struct env_seen *seen, const char *name)
{
	const struct env_note *note = env_note_of(name);
	char sentence[CONFIG_WHY_MAX];

	if (note == NULL || seen->noted[note - env_notes])
		return;
	seen->noted[note - env_notes] = true;
	snprintf(sentence, sizeof(sentence), "%s has no effect: %s", name, note->sentence);
	seen->line(seen->ctx, sentence);
}

static enum srs_err
on_note_line(void *ctx, const struct env_line *line, const char *where)
{
	struct env_seen *seen = ctx;
	char sentence[CONFIG_WHY_MAX];

	if (env_field_of(line->name) < 0 && env_note_of(line->name) == NULL) {
		snprintf(sentence, sizeof(sentence), "%s: %.60s is no setting of this recorder and has no effect", where,
		         line->name);
		seen->line(seen->ctx, sentence);
	} else if (*line->value != '\0') {
		env_see(seen, line->name);
	}
	return SRS_OK;
}

/* Settings whose own meaning is not there yet, whatever source they came from. */
static void
notes_of_tls(const struct config *c, void (*line)(void *ctx, const char *sentence), void *ctx)
{
	char sentence[CONFIG_WHY_MAX];
	bool named = false;

	for (unsigned int i = 0; i < c->n_srcs; i++) {
		named |= c->srcs[i].n_identities != 0;
		if (*c->srcs[i].kek == '\0')
			continue;
		snprintf(sentence, sizeof(sentence), "src, profile %s: kek has no effect yet: its recordings are for the "
		         "recorder's own keys", c->srcs[i].name);
		line(ctx, sentence);
	}
	if (!c->tls.on) {
		snprintf(sentence, sizeof(sentence), c->tls.enabled == CONFIG_TLS_OFF ? "tls.enabled is false: no SIP over TLS" :
		         "no SIP over TLS: there is no certificate %.150s with its key %.150s, and no listener tls: asks for "
		         "them", c->tls.certificate, c->tls.key);
		line(ctx, sentence);
		return;
	}
	if (c->tls.enabled == CONFIG_TLS_AUTO) {
		snprintf(sentence, sizeof(sentence), "SIP over TLS is on, since %.200s is there or a listener tls: asks for it",
		         c->tls.certificate);
		line(ctx, sentence);
	}
	if (c->tls.client_verify == CONFIG_VERIFY_NONE && named)
		line(ctx, "src has profiles with identities, but tls.client_verify is none: no client is asked for a "
		     "certificate, and nobody matches them");
	else if (c->tls.client_verify == CONFIG_VERIFY_NONE && *c->tls.client_ca != '\0')
		line(ctx, "tls.client_ca is set, but tls.client_verify is none: it only serves connections that we open");
}

static void
notes_of_values(const struct config *c, void (*line)(void *ctx, const char *sentence), void *ctx)
{
	char sentence[CONFIG_WHY_MAX];

	if (!c->keys.encrypt_recordings)
		line(ctx, "keys.encrypt_recordings is false: recordings are sealed but lie on disk in clear");
	if (!c->keys.encrypt_metadata)
		line(ctx, "keys.encrypt_metadata is false: SIP bodies and metadata are sealed but lie on disk in clear");
	if (strcmp(c->keys.store, "memory") == 0)
		line(ctx, "keys.store is memory: after a restart nobody can open what was recorded before");
	if (c->srtp.enabled && c->srtp.sdes_unprotected == CONFIG_SDES_ALLOW)
		line(ctx, "srtp.sdes_unprotected is allow: who sees the signalling can read the keys of calls over UDP and TCP");
	if (c->http.enabled && strncmp(c->http.address, "127.", 4) != 0 && strcmp(c->http.address, "::1") != 0) {
		snprintf(sentence, sizeof(sentence), "http.address %s: other hosts can read the REST interface, which asks "
		         "for no password yet", c->http.address);
		line(ctx, sentence);
	}
}

void
config_notes(const struct config *c, const struct config_sources *from, void (*line)(void *ctx, const char *sentence),
             void *ctx)
{
	struct env_seen seen = { .line = line, .ctx = ctx };
	const char *path = env_path_of(from);
	char why[CONFIG_WHY_MAX];

	/* The file was read and checked by config_load; if it went away since, that is worth its line. */
	if (path != NULL && env_file_walk(path, on_note_line, &seen, why, sizeof(why)))
		line(ctx, why);
	for (char **row = from->environ; row != NULL && *row != NULL; row++) {
		const char *equals = strchr(*row, '=');
		char name[64];

		if (equals == NULL || equals[1] == '\0' || (size_t)(equals - *row) >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(equals - *row), *row);
		env_see(&seen, name);
	}
	notes_of_values(c, line, ctx);
	notes_of_tls(c, line, ctx);
}
