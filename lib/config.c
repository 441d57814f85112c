#include "lib/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/config_fields.h"

#define FIELD_ROW(section, key, kind, env, preset, least, largest, choices) \
	{ #section, #key, kind, env, preset, least, largest, choices },
const struct config_field config_fields[CONFIG_FIELDS_N] = { CONFIG_FIELDS(FIELD_ROW) };

#define FIELD_OFFSET(section, key, kind, ...) \
	{ offsetof(struct config, section.key), CONFIG_LIST_##kind(offsetof(struct config, section.n_##key)) },
static const struct { size_t at, n_at; } places[CONFIG_FIELDS_N] = { CONFIG_FIELDS(FIELD_OFFSET) };

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
	config_src_drafts_clear(d);
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
	near = config_field_nearest(dot != NULL ? section : NULL, dot != NULL ? dot + 1 : name);
	if (near != NULL)
		snprintf(why, why_len, "flag %s: no such setting; did you mean %s.%s?", name, near->section, near->key);
	else
		snprintf(why, why_len, "flag %s: no such setting; deploy/capstan.yaml shows every one", name);
	return SRS_ERR_INVALID;
}

static unsigned int *
n_of(struct config *c, unsigned int field_i)
{
	return (unsigned int *)(void *)((char *)c + places[field_i].n_at);
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (unsigned int i = 0; i < CONFIG_FIELDS_N; i++)
		config_value_free(&config_fields[i], (char *)c + places[i].at,
		                  places[i].n_at != 0 ? *n_of(c, i) : 0);
	config_srcs_free(c);
	free(c);
}

static enum srs_err
draft_fill(struct config_draft *d, const struct config_sources *from, char *why, size_t why_len)
{
	enum srs_err err = draft_presets(d);

	if (!err && from->yaml_path != NULL)
		err = config_yaml_apply(d, from->yaml_path, why, why_len);
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
		err = config_value_set(&config_fields[i], &d->settings[i], (char *)c + places[i].at, n_of(c, i), why,
		                       why_len);
	if (!err)
		err = config_srcs_make(c, d, why, why_len);
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
