#include "controlplane/sip/replaces.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sip/sip.h"
#include "lib/srs_log.h"

#define ENDED_ROWS_MAX 65536u	/* 1 MiB */

/* ---- the header ---- */

/* callid = word [ "@" word ] (RFC 3261 §25.1) */
static bool
is_call_id_byte(char c)
{
	return c > ' ' && c != ';' && c != ',' && (unsigned char)c < 0x7f;
}

static bool
is_token_byte(char c)
{
	return c > ' ' && (unsigned char)c < 0x7f && strchr("()<>@,;:\\\"/[]?={}", c) == NULL;
}

static const char *
blanks_skip(const char *at)
{
	return at + strspn(at, " \t");
}

static bool
take(const char **at, bool (*fits)(char c), struct span *out)
{
	const char *start = *at;

	while (fits(**at))
		(*at)++;
	*out = span_of(start, (size_t)(*at - start));
	return out->len != 0;
}

static bool
quoted_skip(const char **at)
{
	for ((*at)++; **at != '"'; (*at)++) {
		if (**at == '\\' && (*at)[1] != '\0')
			(*at)++;
		if (**at == '\0')
			return false;
	}
	(*at)++;
	return true;
}

/* One parameter behind its semicolon. Those of other documents are passed over. */
static bool
parameter_take(struct replaces *r, const char **at)
{
	struct span name, value = { 0 };

	*at = blanks_skip(*at);
	if (!take(at, is_token_byte, &name))
		return false;
	*at = blanks_skip(*at);
	if (**at == '=') {
		*at = blanks_skip(*at + 1);
		if (**at == '"' ? !quoted_skip(at) : !take(at, is_token_byte, &value))
			return false;
	}
	if (span_equal_nocase(name, "to-tag") || span_equal_nocase(name, "from-tag")) {
		struct span *tag = span_equal_nocase(name, "to-tag") ? &r->to_tag : &r->from_tag;

		if (value.len == 0 || tag->len != 0)
			return false;	/* exactly one of each */
		*tag = value;
	} else if (span_equal_nocase(name, "early-only")) {
		r->early_only = true;
	}
	return true;
}

enum srs_err
replaces_parse(struct replaces *out, const char *value)
{
	struct replaces r = { 0 };
	const char *at = blanks_skip(value);
	bool ok = take(&at, is_call_id_byte, &r.call_id);

	*out = (struct replaces){ 0 };
	at = blanks_skip(at);
	while (ok && *at == ';') {
		at++;
		ok = parameter_take(&r, &at);
		at = blanks_skip(at);
	}
	if (!ok || *at != '\0' || r.to_tag.len == 0 || r.from_tag.len == 0)
		return SRS_ERR_INVALID;		/* a comma above all: one dialog is named, not several */
	*out = r;
	return SRS_OK;
}

/* ---- dialogs that ended not long ago ---- */

enum srs_err
replaces_ended_init(struct replaces_ended *e, uint32_t dialogs_max, uint32_t t1_ms)
{
	uint32_t rows = 64;

	while (rows < dialogs_max && rows < ENDED_ROWS_MAX)
		rows *= 2;
	e->rows = calloc(rows, sizeof(*e->rows));
	e->mask = rows - 1;
	e->life_ns = (uint64_t)SIP_LIFE_OF_T1 * t1_ms * 1000000;
	return e->rows != NULL ? SRS_OK : SRS_ERR_NOMEM;
}

void
replaces_ended_release(struct replaces_ended *e)
{
	free(e->rows);
	e->rows = NULL;
}

void
replaces_ended_add(struct replaces_ended *e, uint64_t hash)
{
	e->rows[hash & e->mask] = (struct replaces_ended_row){ hash, reactor_mono_ns() + e->life_ns };
}

bool
replaces_ended_has(const struct replaces_ended *e, uint64_t hash)
{
	const struct replaces_ended_row *row = &e->rows[hash & e->mask];

	return row->hash == hash && row->until_mono_ns > reactor_mono_ns();
}

/* ---- finding ---- */

bool
replaces_served(const struct sip *s)
{
	return s->config->sip.replaces != CONFIG_REPLACES_OFF;
}

static unsigned int
headers_count(const struct message *m, const char **value)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < m->n_headers; i++) {
		if (strcasecmp(m->headers[i].name, "Replaces") != 0)
			continue;
		*value = m->headers[i].value;
		n++;
	}
	return n;
}

/* The dialog that has these tags. @param ended  that it was one, not long ago */
static struct dialog *
dialog_named(const struct sip *s, const struct replaces *r, struct span from_tag, bool *ended)
{
	struct dialog *d = NULL;
	char *key;

	/* as dialog.c writes its keys */
	if (asprintf(&key, "%.*s\n%.*s\n%.*s", (int)r->call_id.len, (const char *)r->call_id.bytes,
	             (int)r->to_tag.len, (const char *)r->to_tag.bytes, (int)from_tag.len,
	             (const char *)from_tag.bytes) < 0)
		return NULL;
	d = textmap_find(&s->dialogs, key);
	*ended |= replaces_ended_has(&s->ended, textmap_hash(&s->dialogs, key));
	free(key);
	return d;
}

/* RFC 3891 §3, §8: who replaces must be the equal of who began. A certificate that named the one must name the other; a
 * password likewise; else all that is known of it is the host that its INVITE came from, over nothing that is easier to forge. */
static bool
may_replace(const struct sip *s, const struct dialog *d, const struct conn_path *from, const char *user)
{
	if (d->identity[0] == '\0' && d->authenticated[0] != '\0')
		return strcmp(d->authenticated, user) == 0 && from->transport >= d->origin.transport &&
		       s->config->sip.replaces == CONFIG_REPLACES_SOURCE;
	if (d->identity[0] == '\0')
		return s->config->sip.replaces == CONFIG_REPLACES_SOURCE && from->transport >= d->origin.transport &&
		       conn_same_host(&d->origin.remote, &from->remote);
	return dialog_is_with(d, from);
}
static_assert(CONFIG_UDP < CONFIG_TCP && CONFIG_TCP < CONFIG_TLS, "in the order of what a forger needs");

static void
refuse(struct replaces_finding *out, unsigned int status, const char *warning)
{
	*out = (struct replaces_finding){ .status = status, .warning = warning };
}

void
replaces_find(struct replaces_finding *out, const struct sip *s, const struct message *m,
              const struct conn_path *from, const char *user)
{
	static const struct span none;
	const char *value = "";
	unsigned int n = replaces_served(s) ? headers_count(m, &value) : 0;
	struct dialog *d, *also = NULL;
	struct replaces r;
	bool ended = false;

	*out = (struct replaces_finding){ 0 };
	if (n == 0)
		return;
	if (strcmp(m->method, "INVITE") != 0 || m->to_tag[0] != '\0') {
		refuse(out, 400, "Replaces has its place in a new INVITE alone");
		return;
	}
	if (n > 1 || replaces_parse(&r, value)) {
		refuse(out, 400, "Replaces must stand once, as call-id;to-tag=..;from-tag=..");
		return;
	}
	d = dialog_named(s, &r, r.from_tag, &ended);
	if (r.from_tag.len == 1 && r.from_tag.bytes[0] == '0')	/* of who knows no tags: RFC 3891 §3, §6.1 */
		also = dialog_named(s, &r, none, &ended);
	if ((d == NULL) == (also == NULL) || (d != NULL ? d : also)->state == DIALOG_OFFERED) {
		bool known = d == NULL && also == NULL && ended;

		refuse(out, known ? 603 : 481, known ? "The dialog that Replaces names has ended"
		                                     : "Replaces names no dialog of this recorder, send an INVITE without it");
		return;
	}
	d = d != NULL ? d : also;
	if (!may_replace(s, d, from, user)) {
		log_warn("dialog", "replaces_refused", "call_id=%s replaces=%s", m->call_id, d->call_id);
		refuse(out, 403, "Replaces names a dialog of another client, see sip.replaces");
	} else if (d->state == DIALOG_ENDING || d->state == DIALOG_DEAD) {
		refuse(out, 603, "The dialog that Replaces names has ended");
	} else if (r.early_only) {
		refuse(out, 486, "The dialog that Replaces names is confirmed, and early-only was asked for");
	} else {
		out->dialog = d;
	}
}
