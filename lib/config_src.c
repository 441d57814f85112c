/* Profiles of recording clients: the list `src`, and who matches which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/config_fields.h"

#define FIELD_ROW(section, key, kind, env, preset, least, largest, choices) \
	{ #section, #key, kind, env, preset, least, largest, choices },
const struct config_field config_src_fields[CONFIG_SRC_FIELDS_N] = { CONFIG_SRC_FIELDS(FIELD_ROW) };

#define FIELD_PLACE(section, key, kind, ...) \
	{ offsetof(struct config_src, key), CONFIG_LIST_##kind(offsetof(struct config_src, n_##key)) },
static const struct { size_t at, n_at; } places[CONFIG_SRC_FIELDS_N] = { CONFIG_SRC_FIELDS(FIELD_PLACE) };

static unsigned int *
n_of(struct config_src *p, unsigned int field_i)
{
	return (unsigned int *)(void *)((char *)p + places[field_i].n_at);
}

static void
src_release(struct config_src *p)
{
	for (unsigned int i = 0; i < CONFIG_SRC_FIELDS_N; i++)
		config_value_free(&config_src_fields[i], (char *)p + places[i].at, places[i].n_at != 0 ? *n_of(p, i) : 0);
}

void
config_srcs_free(struct config *c)
{
	for (unsigned int i = 0; i < c->n_srcs; i++)
		src_release(&c->srcs[i]);
	free(c->srcs);
	if (c->src_default != NULL)
		src_release(c->src_default);
	free(c->src_default);
}

void
config_src_drafts_clear(struct config_draft *d)
{
	for (unsigned int i = 0; i < d->n_srcs; i++)
		for (unsigned int j = 0; j < CONFIG_SRC_FIELDS_N; j++)
			free(d->srcs[i].settings[j].text);
	free(d->srcs);
}

/* The host of a certificate name: behind "sip:" or "sips:", up to parameters. No user: a URI with one names a
 * person, not a domain (RFC 5922 §7.1). @return its length, 0: names no host */
static size_t
host_of(const char *name, const char **host)
{
	bool uri = strncasecmp(name, "sip:", 4) == 0 || strncasecmp(name, "sips:", 5) == 0;
	size_t len;

	*host = uri ? strchr(name, ':') + 1 : name;
	len = strcspn(*host, ";?");
	if (memchr(*host, '@', len) != NULL || memchr(*host, '*', len) != NULL)
		return 0;
	return len;
}

static bool
same_host(const char *a, const char *b)
{
	const char *host_a, *host_b;
	size_t len = host_of(a, &host_a);

	return len != 0 && len == host_of(b, &host_b) && strncasecmp(host_a, host_b, len) == 0;
}

/* One text into a profile; `preset` when the entry does not say it. */
static enum srs_err
src_value(struct config_src *p, unsigned int field_i, const struct config_setting *said, char *why, size_t why_len)
{
	const struct config_field *f = &config_src_fields[field_i];
	char preset_text[64];
	const struct config_setting preset = { .text = preset_text, .origin = CONFIG_ORIGIN_PRESET };

	if (said != NULL && said->text != NULL)
		return config_value_set(f, said, (char *)p + places[field_i].at, n_of(p, field_i), why, why_len);
	if (f->preset == NULL)
		return SRS_OK;
	snprintf(preset_text, sizeof(preset_text), "%s", f->preset);
	return config_value_set(f, &preset, (char *)p + places[field_i].at, n_of(p, field_i), why, why_len);
}

static enum srs_err
src_make(const struct config *c, struct config_src *p, const struct config_src_draft *d, char *why, size_t why_len)
{
	enum srs_err err = SRS_OK;

	p->accept = c->sip.accept;
	for (unsigned int i = 0; i < CONFIG_SRC_FIELDS_N && !err; i++)
		err = src_value(p, i, &d->settings[i], why, why_len);
	return err;
}

/* What a profile must hold, and what must not be there twice. */
static enum srs_err
src_check(const struct config *c, const struct config_src *p, unsigned int entry_i, char *why, size_t why_len)
{
	const char *host;

	for (unsigned int i = 0; i < p->n_identities; i++) {
		if (host_of(p->identities[i], &host) != 0)
			continue;
		snprintf(why, why_len, "src, entry %u (%s): the identity '%.80s' must be a host name as in a certificate's "
		         "subjectAltName, like sbc.example.com: wildcards and users never match (RFC 5922 §7)", entry_i + 1,
		         p->name, p->identities[i]);
		return SRS_ERR_INVALID;
	}
	if (p->n_identities == 0 && p->n_addresses == 0) {
		snprintf(why, why_len, "src, entry %u (%s): holds for nobody: give identities or addresses, or name it "
		         "default", entry_i + 1, p->name);
		return SRS_ERR_INVALID;
	}
	for (unsigned int i = 0; i < c->n_srcs; i++) {
		if (&c->srcs[i] == p || strcmp(c->srcs[i].name, p->name) != 0)
			continue;
		snprintf(why, why_len, "src, entry %u: the name %s is there twice; give each profile its own", entry_i + 1,
		         p->name);
		return SRS_ERR_INVALID;
	}
	return SRS_OK;
}

static enum srs_err
src_add(struct config *c, const struct config_src_draft *d, unsigned int entry_i, char *why, size_t why_len)
{
	const char *name = d->settings[CONFIG_FIELD_src_name].text;
	struct config_src *p = &c->srcs[c->n_srcs];
	enum srs_err err;

	if (name == NULL) {
		snprintf(why, why_len, "src, entry %u: has no name; give it one, it stands in logs and answers", entry_i + 1);
		return SRS_ERR_INVALID;
	}
	if (strcmp(name, "default") == 0) {
		if (c->src_default->name != NULL) {
			snprintf(why, why_len, "src, entry %u: the name default is there twice; keep one", entry_i + 1);
			return SRS_ERR_INVALID;
		}
		err = src_make(c, c->src_default, d, why, why_len);
		if (err || (c->src_default->n_identities == 0 && c->src_default->n_addresses == 0))
			return err;
		snprintf(why, why_len, "src, entry %u (default): holds for who matches no other profile: take its identities "
		         "and addresses out", entry_i + 1);
		return SRS_ERR_INVALID;
	}
	c->n_srcs++;
	err = src_make(c, p, d, why, why_len);
	return err ? err : src_check(c, p, entry_i, why, why_len);
}

enum srs_err
config_srcs_make(struct config *c, const struct config_draft *d, char *why, size_t why_len)
{
	static const struct config_src_draft empty = { .settings = { [CONFIG_FIELD_src_name] = { .text = NULL } } };
	struct config_src_draft fallback = empty;
	enum srs_err err = SRS_OK;
	char name[] = "default";

	c->src_default = calloc(1, sizeof(*c->src_default));
	c->srcs = calloc(d->n_srcs + 1, sizeof(*c->srcs));
	if (c->src_default == NULL || c->srcs == NULL)
		return SRS_ERR_NOMEM;
	for (unsigned int i = 0; i < d->n_srcs && !err; i++)
		err = src_add(c, &d->srcs[i], i, why, why_len);
	if (err || c->src_default->name != NULL)
		return err;
	fallback.settings[CONFIG_FIELD_src_name].text = name;
	return src_make(c, c->src_default, &fallback, why, why_len);
}

/* @return index into `identities`, -1: none */
static int
identity_index(const struct config_src *p, const char *const *identities, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < p->n_identities; j++)
			if (same_host(identities[i], p->identities[j]))
				return (int)i;
	return -1;
}

const struct config_src *
config_src_find(const struct config *c, const char *const *identities, unsigned int n, int ip_version,
                const uint8_t *ip, int *which)
{
	int unused;

	which = which != NULL ? which : &unused;
	for (int by_identity = 1; by_identity >= 0; by_identity--) {
		for (unsigned int i = 0; i < c->n_srcs; i++) {
			const struct config_src *p = &c->srcs[i];

			if ((p->n_identities != 0) != (by_identity != 0))
				continue;
			*which = identity_index(p, identities, n);
			if (p->n_identities != 0 && *which < 0)
				continue;
			if (p->n_addresses == 0 || config_prefixes_hold(p->addresses, p->n_addresses, ip_version, ip))
				return p;
		}
	}
	*which = -1;
	return c->src_default;
}
