/* What the operator sees of the observatory: rows as JSON, by name, filter and page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "controlplane/sip/observatory.h"
#include "lib/json.h"
#include "lib/span.h"

#define NS_PER_S      UINT64_C(1000000000)
#define SRC_ROOM      4096
#define REFUSAL_ROOM  512
#define LIMIT_USUAL   100u
#define LIMIT_MAX     1000u

static void
add_time(struct json *j, const char *name, uint64_t wall_ns)
{
	time_t second = (time_t)(wall_ns / NS_PER_S);
	char text[40] = "";
	struct tm tm;
	size_t len;

	if (wall_ns != 0 && gmtime_r(&second, &tm) != NULL) {
		len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
		snprintf(text + len, sizeof(text) - len, ".%03uZ", (unsigned int)(wall_ns / 1000000 % 1000));
	}
	json_text(j, name, text);
}

/* ---- the query ---- */

struct filter {
	char src[OBSERVATORY_NAME_MAX], call_id[OBSERVATORY_TEXT_MAX];
	uint64_t status, before, limit;
};

static bool
number_set(uint64_t *out, struct span value, uint64_t least, uint64_t largest)
{
	uint64_t n = 0;

	if (value.len == 0 || value.len > 18)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (value.bytes[i] < '0' || value.bytes[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(value.bytes[i] - '0');
	}
	*out = n;
	return n >= least && n <= largest;
}

static bool
text_set(char *out, size_t out_len, struct span value)
{
	if (value.len == 0 || value.len >= out_len)
		return false;
	memcpy(out, value.bytes, value.len);
	out[value.len] = '\0';
	return true;
}

static bool
name_is(struct span name, const char *word)
{
	return name.len == strlen(word) && memcmp(name.bytes, word, name.len) == 0;
}

/* @return what is wrong, or NULL */
static const char *
filter_set(struct filter *f, struct span name, struct span value, bool refusals)
{
	if (name_is(name, refusals ? "src" : "name"))
		return text_set(f->src, sizeof(f->src), value) ? NULL : "the client's name is empty or too long";
	if (name_is(name, "limit"))
		return number_set(&f->limit, value, 1, LIMIT_MAX) ? NULL : "limit must be a number from 1 to 1000";
	if (refusals && name_is(name, "call_id"))
		return text_set(f->call_id, sizeof(f->call_id), value) ? NULL : "call_id is empty or too long";
	if (refusals && name_is(name, "status"))
		return number_set(&f->status, value, 400, 699) ? NULL : "status must be a number from 400 to 699";
	if (refusals && name_is(name, "before"))
		return number_set(&f->before, value, 1, UINT64_MAX) ? NULL : "before must be the number of a refusal";
	return refusals ? "filters are src, call_id, status, before and limit" : "filters are name and limit";
}

static const char *
filter_read(struct filter *f, const char *query, bool refusals)
{
	*f = (struct filter){ .limit = LIMIT_USUAL };
	while (*query != '\0') {
		size_t len = strcspn(query, "\n"), name_len = strcspn(query, "=\n");
		const char *why;

		if (query[name_len] != '=')
			return "a filter is name=value";
		why = filter_set(f, span_of(query, name_len), span_of(query + name_len + 1, len - name_len - 1), refusals);
		if (why != NULL)
			return why;
		query += len + (query[len] == '\n');
	}
	return NULL;
}

static char *
error_json(unsigned int *status, unsigned int is, const char *error, const char *remedy)
{
	struct json j;

	*status = is;
	json_begin(&j, 256);
	json_object(&j, NULL);
	json_text(&j, "error", error);
	json_text(&j, "remedy", remedy);
	json_object_end(&j);
	return json_end(&j);
}

/* ---- clients ---- */

static void
tallies_add(struct json *j, const char *name, const char *what, const struct observatory_tally *rows, unsigned int n)
{
	json_array(j, name);
	for (unsigned int i = 0; i < n && rows[i].what != NULL; i++) {
		json_object(j, NULL);
		json_text(j, what, rows[i].what);
		json_number(j, "count", rows[i].n);
		add_time(j, "last_seen", rows[i].last_wall_ns);
		json_object_end(j);
	}
	json_array_end(j);
}

/* What is asked of this client, and who decided it. */
static void
switch_add(struct json *j, const struct observatory_src *s, enum observatory_switch which, uint64_t wall_ns)
{
	static const char *const names[] = { [OBSERVATORY_REFRESH] = "refresh", [OBSERVATORY_SNAPSHOT] = "snapshot" };
	enum config_ask said = which == OBSERVATORY_REFRESH ? s->profile->refresh : s->profile->snapshot;
	bool closed = observatory_is_closed(s, which, wall_ns);

	json_object(j, names[which]);
	json_text(j, "configured", said == CONFIG_ASK_NEVER ? "never" : "auto");
	json_text(j, "now", said == CONFIG_ASK_NEVER || closed ? "never" : "auto");
	json_text(j, "decided_by", said == CONFIG_ASK_NEVER ? "profile" : closed ? "observatory" : "default");
	json_number(j, "refused_in_a_row", s->switches[which].strikes);
	add_time(j, "until", said != CONFIG_ASK_NEVER && closed ?
	         s->switches[which].closed_wall_ns + OBSERVATORY_REST_S * NS_PER_S : 0);
	json_object_end(j);
}

/* Whom to let in is the operator's to say: this is never changed by itself, but what strict would cost is shown. */
static void
accept_add(struct json *j, const struct observatory_src *s)
{
	static const char *const words[] = {
		[CONFIG_ACCEPT_STRICT] = "strict", [CONFIG_ACCEPT_TOLERANT] = "tolerant", [CONFIG_ACCEPT_ANY] = "any",
	};
	uint64_t without = s->facts[OBSERVED_NO_REQUIRE] > s->facts[OBSERVED_NO_SRC_PARAMETER] ?
	                   s->facts[OBSERVED_NO_REQUIRE] : s->facts[OBSERVED_NO_SRC_PARAMETER];

	json_object(j, "accept");
	json_text(j, "configured", words[s->profile->accept]);
	json_text(j, "now", words[s->profile->accept]);
	json_text(j, "decided_by", "profile");
	json_number(j, "strict_would_refuse_at_least", without);
	json_object_end(j);
}

static void
src_add(struct json *j, const struct observatory_src *s, uint64_t wall_ns, bool whole)
{
	uint64_t n_deviations = s->rules_left_out;

	for (unsigned int i = 0; i < OBSERVATORY_RULES_MAX; i++)
		n_deviations += s->rules[i].n;
	json_object(j, NULL);
	json_text(j, "name", s->name);
	json_text(j, "known_by", s->known_by);
	json_text(j, "profile", s->profile->name);
	json_text(j, "address", s->address);
	json_text(j, "agent", s->agent);
	add_time(j, "first_seen", s->first_wall_ns);
	add_time(j, "last_seen", s->last_wall_ns);
	json_number(j, "calls", s->facts[OBSERVED_CALLS]);
	json_number(j, "refused", s->facts[OBSERVED_REFUSED]);
	json_number(j, "deviations", n_deviations);
	if (whole) {
		json_object(j, "facts");
#define FACT_ADD(symbol, name, sentence) json_number(j, #name, s->facts[symbol]);
		OBSERVATORY_FACT_LIST(FACT_ADD)
#undef FACT_ADD
		json_object_end(j);
		tallies_add(j, "dialects", "dialect", s->dialects, OBSERVATORY_DIALECTS_MAX);
		tallies_add(j, "rules", "rule", s->rules, OBSERVATORY_RULES_MAX);
		json_number(j, "deviations_of_other_rules", s->rules_left_out);
	}
	json_object(j, "switches");
	accept_add(j, s);
	switch_add(j, s, OBSERVATORY_REFRESH, wall_ns);
	switch_add(j, s, OBSERVATORY_SNAPSHOT, wall_ns);
	json_object_end(j);
	json_object_end(j);
}

static int
heard_last_first(const void *a, const void *b)
{
	const struct observatory_src *x = *(const struct observatory_src *const *)a;
	const struct observatory_src *y = *(const struct observatory_src *const *)b;

	return x->last_wall_ns < y->last_wall_ns ? 1 : x->last_wall_ns > y->last_wall_ns ? -1 : 0;
}

static unsigned int
srcs_called(const struct observatory *o, const char *name, size_t len, const struct observatory_src **found)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < o->n_srcs; i++) {
		if (strncasecmp(o->srcs[i].name, name, len) == 0)
			found[n++] = &o->srcs[i];
	}
	qsort(found, n, sizeof(*found), heard_last_first);
	return n;
}

/* A whole name wins over beginnings of others. */
static unsigned int
srcs_select(const struct observatory *o, const char *name, const struct observatory_src **found)
{
	unsigned int n = srcs_called(o, name, strlen(name) + 1, found);

	return n != 0 ? n : srcs_called(o, name, strlen(name), found);
}

char *
observatory_srcs_json(const struct observatory *o, const char *query, uint64_t wall_ns, unsigned int *status)
{
	const struct observatory_src *found[OBSERVATORY_SRCS_MAX];
	struct filter f;
	const char *why = filter_read(&f, query, false);
	bool whole = f.src[0] != '\0';
	unsigned int n;
	struct json j;

	if (why != NULL)
		return error_json(status, 400, why, "see docs/operations.md, \"Recording clients\"");
	n = srcs_select(o, f.src, found);
	if (whole && n == 0)
		return error_json(status, 404, "no recording client of that name was heard since the start", "`capstan srcs ls` lists them");
	*status = 200;
	json_begin(&j, SRC_ROOM);
	json_object(&j, NULL);
	json_array(&j, "srcs");
	for (unsigned int i = 0; i < n && i < f.limit; i++)
		src_add(&j, found[i], wall_ns, whole);
	json_array_end(&j);
	json_number(&j, "count", n);
	json_object_end(&j);
	return json_end(&j);
}

/* ---- refusals ---- */

static bool
is_wanted(const struct filter *f, const struct observatory_row *row)
{
	return (f->status == 0 || row->status == f->status) &&
	       (f->src[0] == '\0' || strncasecmp(row->name, f->src, strlen(f->src)) == 0) &&
	       (f->call_id[0] == '\0' || strcmp(row->call_id, f->call_id) == 0);
}

static void
row_add(struct json *j, const struct observatory_row *row)
{
	json_object(j, NULL);
	json_number(j, "number", row->number);
	add_time(j, "time", row->wall_ns);
	json_text(j, "src", row->name);
	json_text(j, "address", row->address);
	json_text(j, "method", row->method);
	json_text(j, "call_id", row->call_id);
	json_number(j, "status", row->status);
	json_text(j, "rule", row->rule);
	json_number(j, "repeats", row->repeats);
	add_time(j, "last_time", row->last_wall_ns);
	json_object_end(j);
}

char *
observatory_refusals_json(const struct observatory *o, const char *query, unsigned int *status)
{
	uint64_t oldest = o->n_refusals > OBSERVATORY_REFUSALS_MAX ? o->n_refusals - OBSERVATORY_REFUSALS_MAX + 1 : 1;
	uint64_t number = o->n_refusals, n = 0, next = 0;
	struct filter f;
	const char *why = filter_read(&f, query, true);
	struct json j;

	if (why != NULL)
		return error_json(status, 400, why, "see docs/operations.md, \"Recording clients\"");
	*status = 200;
	if (f.before != 0 && f.before <= number)
		number = f.before - 1;
	json_begin(&j, REFUSAL_ROOM);
	json_object(&j, NULL);
	json_array(&j, "refusals");
	for (; number >= oldest && n < f.limit; number--) {
		const struct observatory_row *row = &o->refusals[number % OBSERVATORY_REFUSALS_MAX];

		if (!is_wanted(&f, row))
			continue;
		row_add(&j, row);
		next = row->number;
		n++;
	}
	json_array_end(&j);
	json_number(&j, "kept", o->n_refusals - oldest + 1);
	json_number(&j, "ever", o->n_refusals);
	json_number(&j, "next_before", n == f.limit && next > oldest ? next : 0);
	json_object_end(&j);
	return json_end(&j);
}
