#include "controlplane/sip/observatory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sip/conn.h"
#include "crypto/secret.h"
#include "lib/srs_log.h"

#define BUCKETS     1024u	/* a power of two */
#define PLACE_BITS  9u
#define NS_PER_S    UINT64_C(1000000000)

static_assert(OBSERVATORY_SRCS_MAX == 1u << PLACE_BITS, "a handle's lowest bits are a place");

enum srs_err
observatory_create(struct observatory **out)
{
	struct observatory *o = calloc(1, sizeof(*o));

	*out = NULL;
	if (o == NULL)
		return SRS_ERR_NOMEM;
	o->srcs = calloc(OBSERVATORY_SRCS_MAX, sizeof(*o->srcs));
	o->buckets = calloc(BUCKETS, sizeof(struct observatory_src *));
	o->refusals = calloc(OBSERVATORY_REFUSALS_MAX, sizeof(*o->refusals));
	if (o->srcs == NULL || o->buckets == NULL || o->refusals == NULL || secret_random(&o->seed, sizeof(o->seed))) {
		observatory_destroy(o);
		return SRS_ERR_NOMEM;
	}
	*out = o;
	return SRS_OK;
}

void
observatory_destroy(struct observatory *o)
{
	if (o == NULL)
		return;
	free(o->srcs);
	free(o->buckets);
	free(o->refusals);
	free(o);
}

/* ---- texts of others ---- */

/* They become JSON and a terminal's line: anything but printable ASCII is '?'. */
static void
text_keep(char *out, size_t out_len, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < out_len; text++)
		out[n++] = *text >= ' ' && *text < 0x7f ? *text : '?';
	out[n] = '\0';
}

/* ---- rows of clients ---- */

static const char *
name_make(const struct observatory_who *w, char name[OBSERVATORY_NAME_MAX])
{
	char text[OBSERVATORY_NAME_MAX], host[INET6_ADDRSTRLEN];

	if (w->src->n_identities + w->src->n_addresses != 0) {	/* the default profile has neither */
		text_keep(name, OBSERVATORY_NAME_MAX, w->src->name);
		return "profile";
	}
	if (w->identity[0] != '\0') {
		text_keep(name, OBSERVATORY_NAME_MAX, w->identity);
		return "certificate";
	}
	snprintf(text, sizeof(text), "%s%s%.*s", conn_host_text(w->address, host), w->agent[0] != '\0' ? " " : "",
	         OBSERVATORY_TEXT_MAX - 1, w->agent);
	text_keep(name, OBSERVATORY_NAME_MAX, text);
	return "address";
}

static uint64_t
hash_of(const struct observatory *o, const char *known_by, const char *name)
{
	uint64_t hash = o->seed ^ (uint8_t)known_by[0];

	for (; *name != '\0'; name++) {
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
		hash ^= hash >> 29;
	}
	return hash;
}

static struct observatory_src **
bucket_of(const struct observatory *o, uint64_t hash)
{
	return &o->buckets[hash & (BUCKETS - 1)];
}

static bool
is_stranger(const struct observatory_src *s)
{
	return s->facts[OBSERVED_CALLS] == 0 && strcmp(s->known_by, "address") == 0;
}

/* Whom to forget: strangers first, so that a crowd of made-up addresses drives no real client out. */
static struct observatory_src *
place_take(struct observatory *o)
{
	struct observatory_src *worst = &o->srcs[0], **at;

	if (o->n_srcs < OBSERVATORY_SRCS_MAX)
		return &o->srcs[o->n_srcs++];
	for (uint32_t i = 1; i < OBSERVATORY_SRCS_MAX; i++) {
		struct observatory_src *s = &o->srcs[i];
		bool s_strange = is_stranger(s), worst_strange = is_stranger(worst);

		if (s_strange != worst_strange ? s_strange : s->last_wall_ns < worst->last_wall_ns)
			worst = s;
	}
	for (at = bucket_of(o, worst->hash); *at != worst; at = &(*at)->next)
		continue;
	*at = worst->next;
	return worst;
}

static struct observatory_src *
src_find(const struct observatory *o, uint64_t hash, const char *known_by, const char *name)
{
	for (struct observatory_src *s = *bucket_of(o, hash); s != NULL; s = s->next) {
		if (s->hash == hash && s->known_by == known_by && strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

static struct observatory_src *
src_add(struct observatory *o, uint64_t hash, const char *known_by, const char *name, uint64_t wall_ns)
{
	struct observatory_src *s = place_take(o), **bucket = bucket_of(o, hash);

	o->generation = (o->generation + 1) & (UINT32_MAX >> PLACE_BITS);
	o->generation += o->generation == 0;	/* no handle is NOBODY */
	*s = (struct observatory_src){
		.handle = o->generation << PLACE_BITS | (uint32_t)(s - o->srcs),
		.next = *bucket, .hash = hash, .known_by = known_by, .first_wall_ns = wall_ns,
	};
	snprintf(s->name, sizeof(s->name), "%s", name);
	*bucket = s;
	return s;
}

static struct observatory_src *
src_of(const struct observatory *o, uint32_t handle)
{
	struct observatory_src *s = &o->srcs[handle & (OBSERVATORY_SRCS_MAX - 1)];

	return handle != OBSERVATORY_NOBODY && s->handle == handle ? s : NULL;
}

static void
heard(struct observatory_src *s, enum config_transport transport, uint64_t wall_ns)
{
	static const enum observatory_fact over[] = {
		[CONFIG_UDP] = OBSERVED_OVER_UDP, [CONFIG_TCP] = OBSERVED_OVER_TCP, [CONFIG_TLS] = OBSERVED_OVER_TLS,
	};

	s->last_wall_ns = wall_ns;
	s->facts[OBSERVED_REQUESTS]++;
	s->facts[over[transport]]++;
}

bool
observatory_hear(struct observatory *o, uint32_t src, enum config_transport transport, uint64_t wall_ns)
{
	struct observatory_src *s = src_of(o, src);

	if (s != NULL)
		heard(s, transport, wall_ns);
	return s != NULL;
}

uint32_t
observatory_see(struct observatory *o, const struct observatory_who *w, uint64_t wall_ns)
{
	char name[OBSERVATORY_NAME_MAX];
	const char *known_by = name_make(w, name);
	uint64_t hash = hash_of(o, known_by, name);
	struct observatory_src *s = src_find(o, hash, known_by, name);

	if (s == NULL)
		s = src_add(o, hash, known_by, name, wall_ns);
	heard(s, w->transport, wall_ns);
	s->profile = w->src;
	conn_host_text(w->address, s->address);
	if (w->agent[0] != '\0')
		text_keep(s->agent, sizeof(s->agent), w->agent);
	return s->handle;
}

void
observatory_count(struct observatory *o, uint32_t src, enum observatory_fact fact)
{
	struct observatory_src *s = src_of(o, src);

	if (s != NULL)
		s->facts[fact]++;
}

static bool
tally(struct observatory_tally *rows, unsigned int n, const char *what, uint64_t wall_ns)
{
	for (unsigned int i = 0; i < n; i++) {
		if (rows[i].what != NULL && strcmp(rows[i].what, what) != 0)
			continue;
		rows[i].what = what;
		rows[i].n++;
		rows[i].last_wall_ns = wall_ns;
		return true;
	}
	return false;
}

void
observatory_deviation(struct observatory *o, uint32_t src, const char *rule)
{
	struct observatory_src *s = src_of(o, src);

	if (s != NULL && !tally(s->rules, OBSERVATORY_RULES_MAX, rule, s->last_wall_ns))
		s->rules_left_out++;
}

void
observatory_dialect(struct observatory *o, uint32_t src, const char *dialect)
{
	struct observatory_src *s = src_of(o, src);

	if (s != NULL)
		(void)tally(s->dialects, OBSERVATORY_DIALECTS_MAX, dialect, s->last_wall_ns);
}

/* ---- switches ---- */

bool
observatory_is_closed(const struct observatory_src *s, enum observatory_switch which, uint64_t wall_ns)
{
	uint64_t closed = s->switches[which].closed_wall_ns;

	return closed != 0 && wall_ns < closed + OBSERVATORY_REST_S * NS_PER_S;
}

bool
observatory_allows(const struct observatory *o, uint32_t src, enum observatory_switch which, uint64_t wall_ns)
{
	const struct observatory_src *s = src_of(o, src);

	return s == NULL || !observatory_is_closed(s, which, wall_ns);
}

void
observatory_outcome(struct observatory *o, uint32_t src, enum observatory_switch which, bool took, uint64_t wall_ns)
{
	static const struct { enum observatory_fact took, refused; const char *what; } kinds[OBSERVATORY_N_SWITCHES] = {
		[OBSERVATORY_REFRESH] = { OBSERVED_REFRESHED, OBSERVED_REFRESH_REFUSED, "refresh" },
		[OBSERVATORY_SNAPSHOT] = { OBSERVED_SNAPSHOT, OBSERVED_SNAPSHOT_REFUSED, "snapshot" },
	};
	struct observatory_src *s = src_of(o, src);

	if (s == NULL)
		return;
	s->facts[took ? kinds[which].took : kinds[which].refused]++;
	if (took) {
		s->switches[which].strikes = 0;
		s->switches[which].closed_wall_ns = 0;
		return;
	}
	/* after its rest one more refusal closes the switch again: strikes stay */
	if (++s->switches[which].strikes < OBSERVATORY_STRIKES || observatory_is_closed(s, which, wall_ns))
		return;
	s->switches[which].closed_wall_ns = wall_ns;
	log_warn("sip", "switch_closed", "src=\"%s\" switch=%s refusals=%u hours=%u: capstan srcs show", s->name,
	         kinds[which].what, s->switches[which].strikes, OBSERVATORY_REST_S / 3600);
}

/* ---- refusals ---- */

static struct observatory_row *
row_of(const struct observatory *o, uint64_t number)
{
	return &o->refusals[number % OBSERVATORY_REFUSALS_MAX];
}

/* Has this client's second its share of rows, and is this more of the same? */
static bool
is_repeated(const struct observatory *o, struct observatory_src *s, const struct observatory_refusal *r, uint64_t wall_ns)
{
	struct observatory_row *row = row_of(o, s->refused_last);
	char rule[OBSERVATORY_RULE_MAX];

	if (wall_ns >= s->refused_since_wall_ns + NS_PER_S || wall_ns < s->refused_since_wall_ns) {
		s->refused_since_wall_ns = wall_ns;
		s->refused_n = 0;
	}
	if (s->refused_n++ < OBSERVATORY_REFUSALS_PER_S || row->number != s->refused_last || row->status != r->status)
		return false;
	text_keep(rule, sizeof(rule), r->rule);
	if (strcmp(row->rule, rule) != 0)
		return false;
	row->repeats++;
	row->last_wall_ns = wall_ns;
	return true;
}

void
observatory_refused(struct observatory *o, const struct observatory_refusal *r, uint64_t wall_ns)
{
	struct observatory_src *s = src_of(o, r->src);
	char address[CONN_ADDRESS_TEXT_MAX];
	struct observatory_row *row;

	if (s != NULL) {
		s->facts[OBSERVED_REFUSED]++;
		if (is_repeated(o, s, r, wall_ns))
			return;
	}
	row = row_of(o, ++o->n_refusals);
	*row = (struct observatory_row){ .number = o->n_refusals, .wall_ns = wall_ns, .last_wall_ns = wall_ns,
		                         .src = r->src, .status = r->status };
	text_keep(row->method, sizeof(row->method), r->method);
	text_keep(row->call_id, sizeof(row->call_id), r->call_id);
	text_keep(row->rule, sizeof(row->rule), r->rule);
	snprintf(row->address, sizeof(row->address), "%s", conn_address_text(r->address, address));
	snprintf(row->name, sizeof(row->name), "%s", s != NULL ? s->name : row->address);
	if (s != NULL)
		s->refused_last = row->number;
}
