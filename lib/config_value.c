/* Texts into members of a configuration: one function for each kind of value. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/config_fields.h"

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
	unsigned int value;
	bool flag;

	if (i < 0 && config_bool_parse(s->text, &flag))		/* a switch that may be auto, too */
		i = choice_index(f->choices, flag ? "true" : "false");
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
	value = (unsigned int)i + f->least;
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
	if (strncmp(item, "udp:", 4) != 0 && strncmp(item, "tcp:", 4) != 0 && strncmp(item, "tls:", 4) != 0) {
		snprintf(why, why_len, "%s: '%.80s' must begin with udp:, tcp: or tls:; %s", s->origin, item, form);
		return SRS_ERR_INVALID;
	}
	out->transport = item[0] == 'u' ? CONFIG_UDP : item[1] == 'c' ? CONFIG_TCP : CONFIG_TLS;
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
set_listen(struct config_listen **out, unsigned int *n_out, const struct config_setting *s, char **items, unsigned int n,
           char *why, size_t why_len)
{
	struct config_listen *listen = calloc(n, sizeof(*listen));
	enum srs_err err = SRS_OK;

	if (listen == NULL)
		return SRS_ERR_NOMEM;
	*out = listen;
	*n_out = n;
	for (unsigned int i = 0; i < n && !err; i++)
		err = listen_parse(s, items[i], &listen[i], why, why_len);
	return err;
}

static enum srs_err
set_prefixes(struct config_prefix **out, unsigned int *n_out, const struct config_setting *s, char **items,
             unsigned int n, char *why, size_t why_len)
{
	struct config_prefix *prefixes = calloc(n != 0 ? n : 1, sizeof(*prefixes));

	if (prefixes == NULL)
		return SRS_ERR_NOMEM;
	*out = prefixes;
	*n_out = n;
	for (unsigned int i = 0; i < n; i++) {
		if (config_prefix_parse(items[i], &prefixes[i]))
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

static enum srs_err
set_list(const struct config_field *f, const struct config_setting *s, void *member, unsigned int *n_out, char *why,
         size_t why_len)
{
	char *items[CONFIG_ADDRESS_MAX] = { 0 };
	char **copy;
	unsigned int n;
	enum srs_err err = split_items(f, s, items, &n, why, why_len);

	static_assert(CONFIG_PREFIX_MAX <= CONFIG_ADDRESS_MAX, "items[] holds every list");
	static_assert(CONFIG_SUITE_MAX <= CONFIG_ADDRESS_MAX, "items[] holds every list");
	static_assert(CONFIG_LISTEN_MAX <= CONFIG_ADDRESS_MAX, "items[] holds every list");
	static_assert(CONFIG_DEVICE_MAX <= CONFIG_ADDRESS_MAX, "items[] holds every list");
	static_assert(CONFIG_IDENTITY_MAX <= CONFIG_ADDRESS_MAX, "items[] holds every list");
	if (!err && f->kind == CONFIG_LISTEN)
		err = set_listen(member, n_out, s, items, n, why, why_len);
	if (!err && f->kind == CONFIG_PREFIXES)
		err = set_prefixes(member, n_out, s, items, n, why, why_len);
	if (!err && f->choices != NULL)
		err = items_choose(f, s, items, n, why, why_len);
	if (err || f->kind != CONFIG_TEXTS)
		goto out;
	copy = calloc(n != 0 ? n : 1, sizeof(*copy));
	if (copy == NULL) {
		err = SRS_ERR_NOMEM;
		goto out;
	}
	memcpy(copy, items, n * sizeof(*copy));
	memset(items, 0, sizeof(items));
	*(char ***)member = copy;
	*n_out = n;
out:
	for (unsigned int i = 0; i < CONFIG_ADDRESS_MAX; i++)
		free(items[i]);
	return err;
}

enum srs_err
config_value_set(const struct config_field *f, const struct config_setting *s, void *member, unsigned int *n, char *why,
                 size_t why_len)
{
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
		return set_list(f, s, member, n, why, why_len);
	default:
		return set_number(f, s, member, why, why_len);
	}
}

void
config_value_free(const struct config_field *f, void *member, unsigned int n)
{
	struct config_listen *listen;
	char **texts;

	switch (f->kind) {
	case CONFIG_TEXTS:
		texts = *(char ***)member;
		for (unsigned int i = 0; i < n; i++)
			free(texts[i]);
		free(texts);
		break;
	case CONFIG_LISTEN:
		listen = *(struct config_listen **)member;
		for (unsigned int i = 0; i < n; i++)
			free(listen[i].address);
		free(listen);
		break;
	case CONFIG_TEXT:
	case CONFIG_WORD:
	case CONFIG_PREFIXES:
		free(*(void **)member);
		break;
	default:
		break;
	}
}
