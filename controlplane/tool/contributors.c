#include "controlplane/tool/contributors.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/rtp.h"

#define CNAMES_MAX 31	/* chunks of one SDES packet */

static struct contributor *
find(struct contributors *c, uint8_t stream, uint32_t id)
{
	for (unsigned int i = 0; i < c->n; i++) {
		unsigned int at = (c->last + i) % c->n;

		if (c->rows[at].stream == stream && c->rows[at].id == id) {
			c->last = at;
			return &c->rows[at];
		}
	}
	return NULL;
}

/* @param out  NULL when the bound is reached */
static enum srs_err
find_or_add(struct contributors *c, uint8_t stream, uint32_t id, struct contributor **out)
{
	*out = find(c, stream, id);
	if (*out != NULL || c->n == CONTRIBUTORS_MAX)
		return SRS_OK;
	if (c->n == c->room) {
		unsigned int room = c->room != 0 ? 2 * c->room : 16;
		struct contributor *rows = realloc(c->rows, room * sizeof(*rows));

		if (rows == NULL)
			return SRS_ERR_NOMEM;
		c->rows = rows;
		c->room = room;
	}
	*out = &c->rows[c->n++];
	memset(*out, 0, sizeof(**out));
	(*out)->stream = stream;
	(*out)->id = id;
	return SRS_OK;
}

static void
heard(struct contributor *r, uint64_t wall_ns)
{
	if (r->n_packets++ == 0 || wall_ns < r->first_wall_ns)
		r->first_wall_ns = wall_ns;
	if (wall_ns > r->last_wall_ns)
		r->last_wall_ns = wall_ns;
}

enum srs_err
contributors_rtp(struct contributors *c, uint8_t stream, struct span packet, uint64_t wall_ns)
{
	struct contributor *r;
	struct rtp_header h;
	enum srs_err err;

	if (rtp_header_read(&h, packet) != SRS_OK)
		return SRS_OK;
	err = find_or_add(c, stream, h.ssrc, &r);
	if (err == SRS_OK && r != NULL)
		heard(r, wall_ns);
	for (unsigned int i = 0; i < h.n_csrc && err == SRS_OK; i++) {
		err = find_or_add(c, stream, rtp_csrc(packet, i), &r);
		if (err || r == NULL)
			continue;
		r->mixed = c->any_mixed = true;
		heard(r, wall_ns);
	}
	return err;
}

/* Names stand also for sources of which no packet comes: those are no rows. */
enum srs_err
contributors_rtcp(struct contributors *c, uint8_t stream, struct span packet)
{
	struct rtp_cname names[CNAMES_MAX];
	unsigned int n = rtp_cnames_find(names, CNAMES_MAX, packet);
	struct contributor *r;
	enum srs_err err = SRS_OK;

	for (unsigned int i = 0; i < n && err == SRS_OK; i++) {
		size_t len = names[i].cname.len < sizeof(r->cname) ? names[i].cname.len : sizeof(r->cname) - 1;

		err = find_or_add(c, stream, names[i].ssrc, &r);
		if (err || r == NULL)
			continue;
		for (size_t k = 0; k < len; k++)	/* UTF-8 by RFC 3550, and shown on terminals: the printable ASCII of it */
			r->cname[k] = isprint(names[i].cname.bytes[k]) ? (char)names[i].cname.bytes[k] : '?';
		r->cname[len] = '\0';
	}
	return err;
}

bool
contributor_is(const struct contributor *c, const char *aor)
{
	const char *colon = strchr(aor, ':');
	size_t len;

	if (colon != NULL && strcspn(aor, "@") > (size_t)(colon - aor))
		aor = colon + 1;
	len = strcspn(aor, ";?>:");
	return len != 0 && strlen(c->cname) == len && strncasecmp(c->cname, aor, len) == 0;
}

void
contributors_release(struct contributors *c)
{
	free(c->rows);
	*c = (struct contributors){ 0 };
}
