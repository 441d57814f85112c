/* The YAML file: libcyaml reads every scalar as text, so that all sources share one set of rules. */
#include <cyaml/cyaml.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config_fields.h"

#define CONFIG_YAML_MAX (256u * 1024)

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

#define RAW_STRUCT(section, fields)   struct raw_##section { fields(RAW_MEMBER) };
#define RAW_POINTER(section, fields)  struct raw_##section *section;
CONFIG_SECTIONS(RAW_STRUCT)
RAW_STRUCT(src, CONFIG_SRC_FIELDS)
struct raw {
	CONFIG_SECTIONS(RAW_POINTER)
	struct raw_src *src;
	uint32_t src_count;
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

#define SCHEMA_FIELDS(section, fields) \
	static const cyaml_schema_field_t section##_schema[] = { fields(SCHEMA_MEMBER) CYAML_FIELD_END };
CONFIG_SECTIONS(SCHEMA_FIELDS)
SCHEMA_FIELDS(src, CONFIG_SRC_FIELDS)

static const cyaml_schema_value_t src_item_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_src, src_schema) };

/* NULL is allowed for a section: that is one whose lines are all commented out. */
#define SCHEMA_SECTION(name, fields) \
	CYAML_FIELD_MAPPING_PTR(#name, CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL, struct raw, name, name##_schema),
static const cyaml_schema_field_t raw_schema[] = {
	CONFIG_SECTIONS(SCHEMA_SECTION)
	CYAML_FIELD_SEQUENCE("src", CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL, struct raw, src, &src_item_schema, 0,
	                     CONFIG_SRC_MAX),
	CYAML_FIELD_END
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

const struct config_field *
config_field_nearest(const char *section, const char *key)
{
	const struct config_field *nearest = NULL;
	unsigned int best = 4;

	for (unsigned int i = 0; i < CONFIG_FIELDS_N + CONFIG_SRC_FIELDS_N; i++) {
		const struct config_field *f = i < CONFIG_FIELDS_N ? &config_fields[i] : &config_src_fields[i - CONFIG_FIELDS_N];
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
	const struct config_field *near = config_field_nearest(section, key);
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

/* A list as settings hold it: one item a line. malloc'ed; NULL: no memory */
static char *
texts_join(char **items, uint32_t n)
{
	size_t len = 1;
	char *joined, *at;

	for (uint32_t i = 0; i < n; i++)
		len += strlen(items[i]) + 1;
	joined = malloc(len);
	if (joined == NULL)
		return NULL;
	at = joined;
	*at = '\0';
	for (uint32_t i = 0; i < n; i++)
		at += snprintf(at, len - (size_t)(at - joined), "%s%s", i != 0 ? "\n" : "", items[i]);
	return joined;
}

static enum srs_err
take_texts(const struct yaml_file *file, unsigned int field_i, char **items, uint32_t n)
{
	char *joined = items != NULL ? texts_join(items, n) : NULL;
	enum srs_err err;

	if (items == NULL)
		return SRS_OK;
	err = joined != NULL ? take_text(file, field_i, joined) : SRS_ERR_NOMEM;
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

/* ---- the list `src`: entries have no name in the environment, so they are copied as they are ---- */

static enum srs_err
src_text(struct config_src_draft *d, const char *path, unsigned int entry_i, unsigned int field_i, const char *text)
{
	struct config_setting *s = &d->settings[field_i];

	if (text == NULL)
		return SRS_OK;
	s->text = strdup(text);
	snprintf(s->origin, sizeof(s->origin), "%.160s: src, entry %u: %s", path, entry_i + 1,
	         config_src_fields[field_i].key);
	return s->text != NULL ? SRS_OK : SRS_ERR_NOMEM;
}

static enum srs_err
src_texts(struct config_src_draft *d, const char *path, unsigned int entry_i, unsigned int field_i, char **items,
          uint32_t n)
{
	char *joined = items != NULL ? texts_join(items, n) : NULL;
	enum srs_err err;

	if (items == NULL)
		return SRS_OK;
	err = joined != NULL ? src_text(d, path, entry_i, field_i, joined) : SRS_ERR_NOMEM;
	free(joined);
	return err;
}

#define SRC_TEXT(section, key)  src_text(entry, path, i, CONFIG_FIELD_src_##key, raw->src[i].key)
#define SRC_TEXTS(section, key) \
	src_texts(entry, path, i, CONFIG_FIELD_src_##key, raw->src[i].key, raw->src[i].key##_count)
#define SRC_CONFIG_TEXT   SRC_TEXT
#define SRC_CONFIG_BOOL   SRC_TEXT
#define SRC_CONFIG_U32    SRC_TEXT
#define SRC_CONFIG_CHOICE SRC_TEXT
#define SRC_CONFIG_TEXTS  SRC_TEXTS
#define SRC_CONFIG_PREFIXES SRC_TEXTS
#define SRC_MEMBER(section, key, kind, ...) \
	if (!err) \
		err = SRC_##kind(section, key);

static enum srs_err
take_srcs(struct config_draft *d, const char *path, const struct raw *raw)
{
	enum srs_err err = SRS_OK;

	d->srcs = calloc(raw->src_count + 1, sizeof(*d->srcs));
	if (d->srcs == NULL)
		return SRS_ERR_NOMEM;
	d->n_srcs = raw->src_count;
	for (unsigned int i = 0; i < raw->src_count && !err; i++) {
		struct config_src_draft *entry = &d->srcs[i];

		CONFIG_SRC_FIELDS(SRC_MEMBER)
	}
	return err;
}

enum srs_err
config_yaml_apply(struct config_draft *d, const char *path, char *why, size_t why_len)
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
		if (!err)
			err = take_srcs(d, path, raw);
	}
	cyaml_free(&cyaml, &yaml_schema, raw, 0);
	free(text);
	return err;
}
