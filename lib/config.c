#include "lib/config.h"

#include <assert.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/config_fields.h"

#define CONFIG_YAML_MAX (256u * 1024)

#define FIELD_ROW(section, key, kind, env, preset, least, largest, choices) \
	{ #section, #key, kind, env, preset, least, largest, choices },
const struct config_field config_fields[CONFIG_FIELDS_N] = { CONFIG_FIELDS(FIELD_ROW) };

#define FIELD_OFFSET(section, key, ...) offsetof(struct config, section.key),
static const size_t field_offsets[CONFIG_FIELDS_N] = { CONFIG_FIELDS(FIELD_OFFSET) };

/* ---- the draft ---- */

enum srs_err
config_draft_set(struct config_draft *d, unsigned int field_i, const char *text, const char *origin)
{
	struct config_setting *s = &d->settings[field_i];
	char *copy = strdup(text);

	if (copy == NULL)
		return SRS_ERR_NOMEM;
	free(s->text);
	s->text = copy;
	snprintf(s->origin, sizeof(s->origin), "%s", origin);
	return SRS_OK;
}

void
config_draft_clear(struct config_draft *d)
{
	for (unsigned int i = 0; i < CONFIG_FIELDS_N; i++)
		free(d->settings[i].text);
	memset(d, 0, sizeof(*d));
}

static enum srs_err
draft_presets(struct config_draft *d)
{
	enum srs_err err = SRS_OK;

	for (unsigned int i = 0; i < CONFIG_FIELDS_N && !err; i++)
		err = config_draft_set(d, i, config_fields[i].preset, CONFIG_ORIGIN_PRESET);
	return err;
}

enum srs_err
config_file_read(const char *path, size_t len_max, char **out, char *why, size_t why_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	size_t len = 0;
	ssize_t n = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		snprintf(why, why_len, "%s: cannot be read (%s): give the path of a readable file", path, strerror(errno));
		goto failed;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > len_max) {
		snprintf(why, why_len, "%s: not a regular file of at most %zu bytes", path, len_max);
		goto failed;
	}
	text = malloc(len_max + 1);
	if (text == NULL) {
		snprintf(why, why_len, "%s: no memory to read it", path);
		goto failed;
	}
	while (len < len_max && (n = read(fd, text + len, len_max - len)) > 0)
		len += (size_t)n;
	if (n < 0) {
		snprintf(why, why_len, "%s: cannot be read (%s): give the path of a readable file", path, strerror(errno));
		goto failed;
	}
	close(fd);
	text[len] = '\0';
	if (strlen(text) != len) {
		snprintf(why, why_len, "%s: holds a zero byte: it must be a text file", path);
		free(text);
		return SRS_ERR_INVALID;
	}
	*out = text;
	return SRS_OK;
failed:
	if (fd >= 0)
		close(fd);
	free(text);
	return SRS_ERR_IO;
}

/* ---- YAML: every scalar is read as text, so that all sources share one set of rules ---- */

#define RAW_TEXT(key)  char *key;
#define RAW_TEXTS(key) char **key; uint32_t key##_count;
#define RAW_CONFIG_TEXT    RAW_TEXT
#define RAW_CONFIG_BOOL    RAW_TEXT
#define RAW_CONFIG_U16     RAW_TEXT
#define RAW_CONFIG_U32     RAW_TEXT
#define RAW_CONFIG_TIME_US RAW_TEXT
#define RAW_CONFIG_TIME_MS RAW_TEXT
#define RAW_CONFIG_TIME_S  RAW_TEXT
#define RAW_CONFIG_CHOICE  RAW_TEXT
#define RAW_CONFIG_WORD    RAW_TEXT
#define RAW_CONFIG_LISTEN  RAW_TEXTS
#define RAW_CONFIG_TEXTS   RAW_TEXTS
#define RAW_CONFIG_PREFIXES RAW_TEXTS
#define RAW_MEMBER(section, key, kind, ...) RAW_##kind(key)

struct raw_node { CONFIG_NODE_FIELDS(RAW_MEMBER) };
struct raw_sip { CONFIG_SIP_FIELDS(RAW_MEMBER) };
struct raw_media { CONFIG_MEDIA_FIELDS(RAW_MEMBER) };
struct raw_limits { CONFIG_LIMITS_FIELDS(RAW_MEMBER) };
struct raw_storage { CONFIG_STORAGE_FIELDS(RAW_MEMBER) };
struct raw_keys { CONFIG_KEYS_FIELDS(RAW_MEMBER) };
struct raw_http { CONFIG_HTTP_FIELDS(RAW_MEMBER) };
struct raw_srtp { CONFIG_SRTP_FIELDS(RAW_MEMBER) };
struct raw {
	struct raw_node *node;
	struct raw_sip *sip;
	struct raw_media *media;
	struct raw_limits *limits;
	struct raw_storage *storage;
	struct raw_keys *keys;
	struct raw_http *http;
	struct raw_srtp *srtp;
};

static const cyaml_schema_value_t item_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CONFIG_TEXT_MAX)
};

#define LEAF (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define SCHEMA_TEXT(section, key)  CYAML_FIELD_STRING_PTR(#key, LEAF, struct raw_##section, key, 0, CONFIG_TEXT_MAX),
#define SCHEMA_TEXTS(section, key) \
	CYAML_FIELD_SEQUENCE(#key, LEAF, struct raw_##section, key, &item_schema, 0, CONFIG_ADDRESS_MAX),
#define SCHEMA_CONFIG_TEXT    SCHEMA_TEXT
#define SCHEMA_CONFIG_BOOL    SCHEMA_TEXT
#define SCHEMA_CONFIG_U16     SCHEMA_TEXT
#define SCHEMA_CONFIG_U32     SCHEMA_TEXT
#define SCHEMA_CONFIG_TIME_US SCHEMA_TEXT
#define SCHEMA_CONFIG_TIME_MS SCHEMA_TEXT
#define SCHEMA_CONFIG_TIME_S  SCHEMA_TEXT
#define SCHEMA_CONFIG_CHOICE  SCHEMA_TEXT
#define SCHEMA_CONFIG_WORD    SCHEMA_TEXT
#define SCHEMA_CONFIG_LISTEN  SCHEMA_TEXTS
#define SCHEMA_CONFIG_TEXTS   SCHEMA_TEXTS
#define SCHEMA_CONFIG_PREFIXES SCHEMA_TEXTS
#define SCHEMA_MEMBER(section, key, kind, ...) SCHEMA_##kind(section, key)

static const cyaml_schema_field_t node_schema[] = { CONFIG_NODE_FIELDS(SCHEMA_MEMBER) CYAML_FIELD_END };
static const cyaml_schema_field_t sip_schema[] = { CONFIG_SIP_FIELDS(SCHEMA_MEMBER) CYAML_FIELD_END };
static const cyaml_schema_field_t media_schema[] = { CONFIG_MEDIA_FIELDS(SCHEMA_MEMBER) CYAML_FIELD_END };
static const cyaml_schema_field_t limits_schema[] = { CONFIG_LIMITS_FIELDS(SCHEMA_MEMBER) CYAML_FIELD_END };
static const cyaml_schema_field_t storage_schema[] = { CONFIG_STORAGE_FIELDS(SCHEMA_MEMBER) CYAML_FIELD_END };
static const cyaml_schema_field_t keys_schema[] = { CONFIG_KEYS_FIELDS(SCHEMA_MEMBER) CYAML_FIELD_END };
static const cyaml_schema_field_t http_schema[] = { CONFIG_HTTP_FIELDS(SCHEMA_MEMBER) CYAML_FIELD_END };
static const cyaml_schema_field_t srtp_schema[] = { CONFIG_SRTP_FIELDS(SCHEMA_MEMBER) CYAML_FIELD_END };

/* NULL is allowed for a section: that is one whose lines are all commented out. */
#define SCHEMA_SECTION(name) \
	CYAML_FIELD_MAPPING_PTR(#name, CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL, struct raw, name, name##_schema)
static const cyaml_schema_field_t raw_schema[] = {
	SCHEMA_SECTION(node),   SCHEMA_SECTION(sip),     SCHEMA_SECTION(media), SCHEMA_SECTION(limits),
	SCHEMA_SECTION(storage), SCHEMA_SECTION(keys),   SCHEMA_SECTION(http),  SCHEMA_SECTION(srtp), CYAML_FIELD_END
};
static const cyaml_schema_value_t yaml_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, raw_schema) };

/* What libcyaml says: a sentence, then a backtrace from the inside out. */
struct yaml_complaint {
	char message[160];
	char inner[64], outer[64]; /* keys: innermost field, and the section around it */
	unsigned int line;
};

static void
complaint_backtrace(struct yaml_complaint *c, const char *row)
{
	const char *line = strstr(row, "(line: ");
	const char *field = strstr(row, "field '");

	if (line != NULL && c->line == 0)
		c->line = (unsigned int)strtoul(line + 7, NULL, 10);
	if (field != NULL) {
		if (c->outer[0] != '\0')
			memcpy(c->inner, c->outer, sizeof(c->inner));
		snprintf(c->outer, sizeof(c->outer), "%.*s", (int)strcspn(field + 7, "'"), field + 7);
	}
}

static void __attribute__((format(printf, 3, 0)))
on_yaml_log(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
	struct yaml_complaint *c = ctx;
	char row[256];

	if (level < CYAML_LOG_ERROR)
		return;
	vsnprintf(row, sizeof(row), format, args);
	row[strcspn(row, "\r\n")] = '\0';
	for (char *p = row; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	}
	if (strncmp(row, "Load: ", 6) == 0 && c->message[0] == '\0')
		snprintf(c->message, sizeof(c->message), "%.150s", row + 6);
	else if (strstr(row, "  in ") != NULL)
		complaint_backtrace(c, row);
}

static unsigned int
edit_distance(const char *a, const char *b)
{
	unsigned int row[64];
	size_t len = strlen(b);

	if (strlen(a) > 60 || len > 60)
		return UINT_MAX;
	for (unsigned int j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned int i = 1; a[i - 1] != '\0'; i++) {
		unsigned int corner = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= len; j++) {
			unsigned int best = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[len];
}

/* The known setting nearest to section.key, when near enough to be a slip; else NULL. */
static const struct config_field *
field_nearest(const char *section, const char *key)
{
	const struct config_field *nearest = NULL;
	unsigned int best = 4;

	for (unsigned int i = 0; i < CONFIG_FIELDS_N; i++) {
		const struct config_field *f = &config_fields[i];
		unsigned int d = edit_distance(key, f->key);

		if (d == UINT_MAX)
			continue;
		if (section != NULL && strcmp(section, f->section) != 0)
			d += 2; /* the right key in another section beats a bad guess in this one */
		if (d < best) {
			best = d;
			nearest = f;
		}
	}
	return nearest;
}

static void
yaml_unknown_key(const char *path, const struct yaml_complaint *c, const char *key, char *why, size_t why_len)
{
	const char *section = c->outer[0] != '\0' ? c->outer : NULL;
	const struct config_field *near = field_nearest(section, key);
	char name[160];

	snprintf(name, sizeof(name), "%s%s%.80s", section != NULL ? section : "", section != NULL ? "." : "", key);
	if (near != NULL)
		snprintf(why, why_len, "%s, line %u: %s: no such setting; did you mean %s.%s?", path, c->line, name,
		         near->section, near->key);
	else
		snprintf(why, why_len, "%s, line %u: %s: no such setting; deploy/capstan.yaml shows every one", path,
		         c->line, name);
}

static void
yaml_why(const char *path, const struct yaml_complaint *c, cyaml_err_t err, char *why, size_t why_len)
{
	static const char unexpected[] = "Unexpected key: ";
	const char *remedy = "deploy/capstan.yaml shows the form";
	const char *message = c->message[0] != '\0' ? c->message : cyaml_strerror(err);

	if (strncmp(c->message, unexpected, sizeof(unexpected) - 1) == 0) {
		yaml_unknown_key(path, c, c->message + sizeof(unexpected) - 1, why, why_len);
		return;
	}
	if (strncmp(message, "Expecting SEQUENCE", 18) == 0)
		message = "must be a list", remedy = "write [one, two]";
	else if (strncmp(message, "Expecting STRING", 16) == 0)
		message = "must be one value", remedy = "write it without brackets or an indented block";
	else if (strncmp(message, "Expecting MAPPING", 17) == 0)
		message = "must be a group of settings", remedy = "write its keys on indented lines below it";
	else if (strncmp(message, "Mapping field already seen", 26) == 0)
		message = "is set twice", remedy = "keep one of the two";
	else if (err == CYAML_ERR_ALIAS)
		message = "YAML aliases are not taken here", remedy = "write the value out";
	else if (strncmp(message, "libyaml: ", 9) == 0)
		message += 9, remedy = "look for a tab, a quote or a bracket left open at or below this line";
	snprintf(why, why_len, "%s, line %u: %s%s%s%s%s; %s", path, c->line != 0 ? c->line : 1, c->outer,
	         c->outer[0] != '\0' && c->inner[0] != '\0' ? "." : "", c->inner,
	         c->outer[0] != '\0' || c->inner[0] != '\0' ? ": " : "", message, remedy);
}

/* libcyaml keeps no lines, so a value that breaks a rule is found again in the text. In flow style ("sip: {...}")
 * that is the section's line. 0: not found. */
static unsigned int
yaml_line_of(const char *text, const char *section, const char *key)
{
	unsigned int line = 1, section_line = 0;
	size_t section_len = strlen(section), key_len = strlen(key);

	for (const char *at = text; at != NULL && *at != '\0'; line++) {
		size_t indent = strspn(at, " ");
		const char *word = at + indent;

		if (indent == 0 && *word != '#' && *word != '\r' && *word != '\n') {
			bool here = strncmp(word, section, section_len) == 0 && word[section_len] == ':';

			if (section_line != 0 && !here)
				break;
			section_line = here ? line : section_line;
		} else if (section_line != 0 && strncmp(word, key, key_len) == 0 && word[key_len] == ':') {
			return line;
		}
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : NULL;
	}
	return section_line;
}

struct yaml_file {
	const char *path;
	const char *text;
	struct config_draft *draft;
};

static enum srs_err
take_text(const struct yaml_file *file, unsigned int field_i, const char *text)
{
	const struct config_field *f = &config_fields[field_i];
	char origin[CONFIG_ORIGIN_MAX];

	if (text == NULL)
		return SRS_OK;
	snprintf(origin, sizeof(origin), "%.160s, line %u: %s.%s", file->path,
	         yaml_line_of(file->text, f->section, f->key), f->section, f->key);
	return config_draft_set(file->draft, field_i, text, origin);
}

static enum srs_err
take_texts(const struct yaml_file *file, unsigned int field_i, char **items, uint32_t n)
{
	size_t len = 1;
	char *joined, *at;
	enum srs_err err;

	if (items == NULL)
		return SRS_OK;
	for (uint32_t i = 0; i < n; i++)
		len += strlen(items[i]) + 1;
	joined = malloc(len);
	if (joined == NULL)
		return SRS_ERR_NOMEM;
	at = joined;
	*at = '\0';
	for (uint32_t i = 0; i < n; i++)
		at += snprintf(at, len - (size_t)(at - joined), "%s%s", i != 0 ? "\n" : "", items[i]);
	err = take_text(file, field_i, joined);
	free(joined);
	return err;
}

#define TAKE_TEXT(section, key)  take_text(&file, CONFIG_FIELD_##section##_##key, raw->section->key)
#define TAKE_TEXTS(section, key) \
	take_texts(&file, CONFIG_FIELD_##section##_##key, raw->section->key, raw->section->key##_count)
#define TAKE_CONFIG_TEXT    TAKE_TEXT
#define TAKE_CONFIG_BOOL    TAKE_TEXT
#define TAKE_CONFIG_U16     TAKE_TEXT
#define TAKE_CONFIG_U32     TAKE_TEXT
#define TAKE_CONFIG_TIME_US TAKE_TEXT
#define TAKE_CONFIG_TIME_MS TAKE_TEXT
#define TAKE_CONFIG_TIME_S  TAKE_TEXT
#define TAKE_CONFIG_CHOICE  TAKE_TEXT
#define TAKE_CONFIG_WORD    TAKE_TEXT
#define TAKE_CONFIG_LISTEN  TAKE_TEXTS
#define TAKE_CONFIG_TEXTS   TAKE_TEXTS
#define TAKE_CONFIG_PREFIXES TAKE_TEXTS
#define TAKE_MEMBER(section, key, kind, ...) \
	if (!err && raw->section != NULL) \
		err = TAKE_##kind(section, key);

static enum srs_err
draft_yaml(struct config_draft *d, const char *path, char *why, size_t why_len)
{
	struct yaml_complaint complaint = { 0 };
	cyaml_config_t cyaml = { .log_fn = on_yaml_log, .log_ctx = &complaint, .mem_fn = cyaml_mem,
		                 .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS };
	struct yaml_file file = { .path = path, .draft = d };
	struct raw *raw = NULL;
	cyaml_err_t cyaml_err;
	char *text;
	enum srs_err err = config_file_read(path, CONFIG_YAML_MAX, &text, why, why_len);

	if (err)
		return err;
	file.text = text;
	cyaml_err = cyaml_load_data((const uint8_t *)text, strlen(text), &cyaml, &yaml_schema, (cyaml_data_t **)&raw, NULL);
	if (cyaml_err != CYAML_OK) {
		yaml_why(path, &complaint, cyaml_err, why, why_len);
		err = cyaml_err == CYAML_ERR_OOM ? SRS_ERR_NOMEM : SRS_ERR_INVALID;
	} else if (raw != NULL) { /* NULL: a file of comments only */
		CONFIG_FIELDS(TAKE_MEMBER)
	}
	cyaml_free(&cyaml, &yaml_schema, raw, 0);
	free(text);
	return err;
}

/* ---- flags: "section.key=value" ---- */

static enum srs_err
draft_flag(struct config_draft *d, const char *flag, char *why, size_t why_len)
{
	const char *value = strchr(flag, '=');
	char name[64], section[64], origin[CONFIG_ORIGIN_MAX];
	const struct config_field *near;
	char *dot;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(flag, "="), flag);
	for (unsigned int i = 0; i < CONFIG_FIELDS_N && value != NULL; i++) {
		const struct config_field *f = &config_fields[i];
		char own[64];

		snprintf(own, sizeof(own), "%s.%s", f->section, f->key);
		if (strcmp(own, name) != 0)
			continue;
		snprintf(origin, sizeof(origin), "flag %s", name);
		return config_draft_set(d, i, value + 1, origin);
	}
	if (value == NULL) {
		snprintf(why, why_len, "flag %s: has no value; write it as section.key=value", name);
		return SRS_ERR_INVALID;
	}
	memcpy(section, name, sizeof(section));
	dot = strchr(section, '.');
	if (dot != NULL)
		*dot = '\0';
	near = field_nearest(dot != NULL ? section : NULL, dot != NULL ? dot + 1 : name);
	if (near != NULL)
		snprintf(why, why_len, "flag %s: no such setting; did you mean %s.%s?", name, near->section, near->key);
	else
		snprintf(why, why_len, "flag %s: no such setting; deploy/capstan.yaml shows every one", name);
	return SRS_ERR_INVALID;
}

/* ---- texts into the struct ---- */

static void __attribute__((format(printf, 4, 5)))
refuse(char *why, size_t why_len, const struct config_setting *s, const char *rule, ...)
{
	va_list args;
	int n = snprintf(why, why_len, "%s: '%.80s' ", s->origin, s->text);

	if (n < 0 || (size_t)n >= why_len)
		return;
	va_start(args, rule);
	vsnprintf(why + n, why_len - (size_t)n, rule, args);
	va_end(args);
}

static const char *
unit_words(enum config_kind kind)
{
	switch (kind) {
	case CONFIG_TIME_US:
		return " microseconds, or with a unit like 200us";
	case CONFIG_TIME_MS:
		return " milliseconds, or with a unit like 500ms or 10s";
	case CONFIG_TIME_S:
		return " seconds, or with a unit like 30s, 15m or 24h";
	default:
		return "";
	}
}

static enum srs_err
set_number(const struct config_field *f, const struct config_setting *s, void *member, char *why, size_t why_len)
{
	uint64_t value = 0;
	bool automatic = strcmp(f->preset, "auto") == 0;

	if (automatic && strcmp(s->text, "auto") == 0)
		value = 0;
	else if (!config_number_parse(f, s->text, &value) || value < f->least || value > f->largest) {
		refuse(why, why_len, s, "must be %sa whole number from %u to %u%s", automatic ? "auto or " : "", f->least,
		       f->largest, unit_words(f->kind));
		return SRS_ERR_INVALID;
	}
	if (f->kind == CONFIG_U16)
		*(uint16_t *)member = (uint16_t)value;
	else
		*(uint32_t *)member = (uint32_t)value;
	return SRS_OK;
}

/* Index of a word in "one|two|three", or -1. Case is not looked at: algorithms are written in many ways. */
static int
choice_index(const char *choices, const char *word)
{
	size_t len = strlen(word);
	int i = 0;

	for (const char *at = choices; len != 0; i++) {
		size_t n = strcspn(at, "|");

		if (n == len && strncasecmp(at, word, n) == 0)
			return i;
		if (at[n] == '\0')
			break;
		at += n + 1;
	}
	return -1;
}

static enum srs_err
set_choice(const struct config_field *f, const struct config_setting *s, void *member, char *why, size_t why_len)
{
	int i = choice_index(f->choices, s->text);
	unsigned int value = (unsigned int)i + f->least;

	if (i < 0) {
		refuse(why, why_len, s, "must be one of %s", f->choices);
		return SRS_ERR_INVALID;
	}
	if (f->kind == CONFIG_WORD) {
		char *word = strdup(s->text);

		for (char *p = word; p != NULL && *p != '\0'; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
		*(char **)member = word;
		return word != NULL ? SRS_OK : SRS_ERR_NOMEM;
	}
	static_assert(sizeof(enum config_suite) == sizeof(value), "enums of the config are as wide as unsigned int");
	memcpy(member, &value, sizeof(value));
	return SRS_OK;
}

static enum srs_err
set_text(const struct config_field *f, const struct config_setting *s, void *member, char *why, size_t why_len)
{
	size_t len = strlen(s->text);

	for (const char *p = s->text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			snprintf(why, why_len, "%s: holds a control character; write plain text on one line", s->origin);
			return SRS_ERR_INVALID;
		}
	}
	if (len < f->least || len > f->largest) {
		refuse(why, why_len, s, "must have %u to %u characters", f->least, f->largest);
		return SRS_ERR_INVALID;
	}
	*(char **)member = strdup(s->text);
	return *(char **)member != NULL ? SRS_OK : SRS_ERR_NOMEM;
}

/* Split at new lines and commas, without blanks around and empty items. `on_item` gets a copy it may keep. */
static enum srs_err
split_items(const struct config_field *f, const struct config_setting *s, char **items, unsigned int *n, char *why,
            size_t why_len)
{
	const char *separators = strchr(s->text, '\n') != NULL ? "\n" : "\n,";

	*n = 0;
	for (const char *at = s->text; *at != '\0';) {
		size_t len = strcspn(at, separators);
		const char *first = at + strspn(at, " \t");
		const char *last = at + len;

		while (last > first && (last[-1] == ' ' || last[-1] == '\t'))
			last--;
		if (last > first) {
			if (*n == f->largest) {
				snprintf(why, why_len, "%s: has more than %u entries", s->origin, f->largest);
				return SRS_ERR_INVALID;
			}
			items[*n] = strndup(first, (size_t)(last - first));
			if (items[*n] == NULL)
				return SRS_ERR_NOMEM;
			++*n;
		}
		at += len + (at[len] != '\0');
	}
	if (*n < f->least) {
		snprintf(why, why_len, "%s: must have at least one entry", s->origin);
		return SRS_ERR_INVALID;
	}
	return SRS_OK;
}

/* "udp:0.0.0.0:5060", "tcp:[::]:5060" */
static enum srs_err
listen_parse(const struct config_setting *s, const char *item, struct config_listen *out, char *why, size_t why_len)
{
	static const char form[] = "write transport:address:port, like udp:0.0.0.0:5060 or tcp:[::]:5060";
	static const struct config_field port_field = { .kind = CONFIG_U32 };
	const char *colon = strchr(item, ':'), *last = strrchr(item, ':');
	uint64_t port;
	size_t len;

	if (colon == NULL || last == colon) {
		snprintf(why, why_len, "%s: '%.80s' is no listener; %s", s->origin, item, form);
		return SRS_ERR_INVALID;
	}
	if (strncmp(item, "tls:", 4) == 0) {
		snprintf(why, why_len, "%s: '%.80s': SIP over TLS is not there yet; use udp: or tcp:", s->origin, item);
		return SRS_ERR_INVALID;
	}
	if (strncmp(item, "udp:", 4) != 0 && strncmp(item, "tcp:", 4) != 0) {
		snprintf(why, why_len, "%s: '%.80s' must begin with udp: or tcp:; %s", s->origin, item, form);
		return SRS_ERR_INVALID;
	}
	out->transport = item[0] == 'u' ? CONFIG_UDP : CONFIG_TCP;
	if (!config_number_parse(&port_field, last + 1, &port) || port == 0 || port > 65535) {
		snprintf(why, why_len, "%s: '%.80s' must end in a port from 1 to 65535; %s", s->origin, item, form);
		return SRS_ERR_INVALID;
	}
	out->port = (uint16_t)port;
	len = (size_t)(last - colon - 1);
	if (len >= 2 && colon[1] == '[' && last[-1] == ']') {
		colon++;
		len -= 2;
	}
	out->address = strndup(colon + 1, len);
	if (out->address == NULL)
		return SRS_ERR_NOMEM;
	if (config_address_parse(out->address, NULL) == 0) {
		snprintf(why, why_len, "%s: '%.80s' needs a numeric address; %s", s->origin, item, form);
		return SRS_ERR_INVALID;
	}
	return SRS_OK;
}

static enum srs_err
set_listen(struct config *c, const struct config_setting *s, char **items, unsigned int n, char *why, size_t why_len)
{
	enum srs_err err = SRS_OK;

	c->sip.listen = calloc(n, sizeof(*c->sip.listen));
	if (c->sip.listen == NULL)
		return SRS_ERR_NOMEM;
	c->sip.n_listen = n;
	for (unsigned int i = 0; i < n && !err; i++)
		err = listen_parse(s, items[i], &c->sip.listen[i], why, why_len);
	return err;
}

static enum srs_err
set_prefixes(struct config *c, const struct config_setting *s, char **items, unsigned int n, char *why, size_t why_len)
{
	c->srtp.required_from = calloc(n != 0 ? n : 1, sizeof(*c->srtp.required_from));
	if (c->srtp.required_from == NULL)
		return SRS_ERR_NOMEM;
	c->srtp.n_required_from = n;
	for (unsigned int i = 0; i < n; i++) {
		if (config_prefix_parse(items[i], &c->srtp.required_from[i]))
			continue;
		snprintf(why, why_len, "%s: '%.80s' must be a numeric address, a prefix like 10.0.0.0/8 without bits behind it, "
		         "or all", s->origin, items[i]);
		return SRS_ERR_INVALID;
	}
	return SRS_OK;
}

/* Each item is one of the choices, in whatever case, and none comes twice. */
static enum srs_err
items_choose(const struct config_field *f, const struct config_setting *s, char **items, unsigned int n, char *why,
             size_t why_len)
{
	for (unsigned int i = 0; i < n; i++) {
		if (choice_index(f->choices, items[i]) < 0) {
			snprintf(why, why_len, "%s: '%.60s' must be one of %s", s->origin, items[i], f->choices);
			return SRS_ERR_INVALID;
		}
		for (unsigned int j = 0; j < i; j++) {
			if (strcasecmp(items[i], items[j]) == 0) {
				snprintf(why, why_len, "%s: %.60s is there twice; keep one", s->origin, items[i]);
				return SRS_ERR_INVALID;
			}
		}
	}
	return SRS_OK;
}

/* Where the texts of a list stand. */
static char ***
texts_of(struct config *c, unsigned int field_i, unsigned int **n)
{
	switch (field_i) {
	case CONFIG_FIELD_media_addresses:
		*n = &c->media.n_addresses;
		return &c->media.addresses;
	case CONFIG_FIELD_srtp_suites:
		*n = &c->srtp.n_suites;
		return &c->srtp.suites;
	default:
		*n = &c->storage.n_devices;
		return &c->storage.devices;
	}
}

static enum srs_err
set_list(struct config *c, unsigned int field_i, const struct config_setting *s, char *why, size_t why_len)
{
	const struct config_field *f = &config_fields[field_i];
	char *items[CONFIG_ADDRESS_MAX] = { 0 };
	char **copy;
	unsigned int n, *n_out;
	enum srs_err err = split_items(f, s, items, &n, why, why_len);

	static_assert(CONFIG_PREFIX_MAX <= CONFIG_ADDRESS_MAX, "items[] holds every list");
	static_assert(CONFIG_SUITE_MAX <= CONFIG_ADDRESS_MAX, "items[] holds every list");
	static_assert(CONFIG_LISTEN_MAX <= CONFIG_ADDRESS_MAX, "items[] holds every list");
	static_assert(CONFIG_DEVICE_MAX <= CONFIG_ADDRESS_MAX, "items[] holds every list");
	if (!err && f->kind == CONFIG_LISTEN)
		err = set_listen(c, s, items, n, why, why_len);
	if (!err && f->kind == CONFIG_PREFIXES)
		err = set_prefixes(c, s, items, n, why, why_len);
	if (!err && f->choices != NULL)
		err = items_choose(f, s, items, n, why, why_len);
	if (err || f->kind != CONFIG_TEXTS)
		goto out;
	copy = calloc(n, sizeof(*copy));
	if (copy == NULL) {
		err = SRS_ERR_NOMEM;
		goto out;
	}
	memcpy(copy, items, n * sizeof(*copy));
	memset(items, 0, sizeof(items));
	*texts_of(c, field_i, &n_out) = copy;
	*n_out = n;
out:
	for (unsigned int i = 0; i < CONFIG_ADDRESS_MAX; i++)
		free(items[i]);
	return err;
}

static enum srs_err
set_field(struct config *c, unsigned int field_i, const struct config_setting *s, char *why, size_t why_len)
{
	const struct config_field *f = &config_fields[field_i];
	void *member = (char *)c + field_offsets[field_i];

	switch (f->kind) {
	case CONFIG_TEXT:
		return set_text(f, s, member, why, why_len);
	case CONFIG_BOOL:
		if (config_bool_parse(s->text, member))
			return SRS_OK;
		refuse(why, why_len, s, "must be true or false");
		return SRS_ERR_INVALID;
	case CONFIG_CHOICE:
	case CONFIG_WORD:
		return set_choice(f, s, member, why, why_len);
	case CONFIG_LISTEN:
	case CONFIG_TEXTS:
	case CONFIG_PREFIXES:
		return set_list(c, field_i, s, why, why_len);
	default:
		return set_number(f, s, member, why, why_len);
	}
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (unsigned int i = 0; i < CONFIG_FIELDS_N; i++) {
		if (config_fields[i].kind == CONFIG_TEXT || config_fields[i].kind == CONFIG_WORD)
			free(*(char **)((char *)c + field_offsets[i]));
		if (config_fields[i].kind == CONFIG_TEXTS) {
			unsigned int *n;
			char **texts = *texts_of(c, i, &n);

			for (unsigned int j = 0; j < *n; j++)
				free(texts[j]);
			free(texts);
		}
	}
	for (unsigned int i = 0; i < c->sip.n_listen; i++)
		free(c->sip.listen[i].address);
	free(c->sip.listen);
	free(c->srtp.required_from);
	free(c);
}

static enum srs_err
draft_fill(struct config_draft *d, const struct config_sources *from, char *why, size_t why_len)
{
	enum srs_err err = draft_presets(d);

	if (!err && from->yaml_path != NULL)
		err = draft_yaml(d, from->yaml_path, why, why_len);
	if (!err)
		err = config_env_apply(d, from, why, why_len);
	for (const char *const *flag = from->flags; flag != NULL && *flag != NULL && !err; flag++)
		err = draft_flag(d, *flag, why, why_len);
	return err;
}

enum srs_err
config_load(struct config **out, const struct config_sources *from, char *why, size_t why_len)
{
	struct config_draft *d = calloc(1, sizeof(*d));
	struct config *c = calloc(1, sizeof(*c));
	enum srs_err err = d != NULL && c != NULL ? SRS_OK : SRS_ERR_NOMEM;

	if (why_len != 0)
		why[0] = '\0';
	if (!err)
		err = draft_fill(d, from, why, why_len);
	for (unsigned int i = 0; i < CONFIG_FIELDS_N && !err; i++)
		err = set_field(c, i, &d->settings[i], why, why_len);
	if (!err)
		err = config_rules_apply(c, d, why, why_len);
	if (err == SRS_ERR_NOMEM && why_len != 0 && why[0] == '\0')
		snprintf(why, why_len, "no memory to read the configuration");
	if (d != NULL)
		config_draft_clear(d);
	free(d);
	if (err) {
		config_free(c);
		return err;
	}
	*out = c;
	return SRS_OK;
}
