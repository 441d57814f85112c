#include "controlplane/tool/roll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/catalog/catalog.h"

#define PAGE_ROWS 1000

struct roll {
	uint8_t (*ids)[REEL_ID_SIZE];
	size_t n, room;
	unsigned int n_page;	/* rows of the page that is read */
	uint8_t last[REEL_ID_SIZE];
	bool nomem;
};

static void
on_row(void *ctx, const struct catalog_recording *row)
{
	struct roll *r = ctx;

	r->n_page++;
	memcpy(r->last, row->id, REEL_ID_SIZE);
	if (row->state == NULL || strcmp(row->state, "sealed") != 0)
		return;		/* an open one may have nothing on disk yet, an interrupted one never have had */
	if (r->n == r->room) {
		size_t room = r->room != 0 ? 2 * r->room : PAGE_ROWS;
		void *ids = realloc(r->ids, room * sizeof(*r->ids));

		if (ids == NULL) {
			r->nomem = true;
			return;
		}
		r->ids = ids;
		r->room = room;
	}
	memcpy(r->ids[r->n++], row->id, REEL_ID_SIZE);
}

static enum srs_err
pages_read(struct roll *r, struct catalog_reader *reader)
{
	char after[2 * REEL_ID_SIZE + 1];
	struct catalog_filter filter = { .limit = PAGE_ROWS };
	enum srs_err err;

	do {
		r->n_page = 0;
		err = catalog_list(reader, &filter, on_row, r);
		filter.after = tool_hex(r->last, REEL_ID_SIZE, after);
	} while (err == SRS_OK && !r->nomem && r->n_page == PAGE_ROWS);
	return r->nomem ? SRS_ERR_NOMEM : err;
}

enum srs_err
roll_take(struct roll **out, const struct tool *t, char *why, size_t why_len)
{
	struct catalog_reader *reader;
	struct roll *r;
	enum srs_err err = catalog_reader_open(&reader, t->config->storage.devices[0], why, why_len);

	if (err)
		return err;
	r = calloc(1, sizeof(*r));
	err = r == NULL ? SRS_ERR_NOMEM : pages_read(r, reader);
	catalog_reader_close(reader);
	if (err == SRS_OK) {
		*out = r;
		return SRS_OK;
	}
	snprintf(why, why_len, "the catalog cannot be read (%s): capstan fsck --rebuild makes it anew", srs_err_name(err));
	roll_free(r);
	return err;
}

static int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, REEL_ID_SIZE);
}

void
roll_call(const struct roll *r, uint8_t (*ids)[REEL_ID_SIZE], unsigned int n,
          void (*on_absent)(void *ctx, const char *sentence), void *ctx)
{
	char hex[2 * REEL_ID_SIZE + 1], sentence[256];

	if (n != 0)
		qsort(ids, n, sizeof(*ids), by_id);
	for (size_t i = 0; i < r->n; i++) {
		if (n != 0 && bsearch(r->ids[i], ids, n, sizeof(*ids), by_id) != NULL)
			continue;
		snprintf(sentence, sizeof(sentence), "recording %s was sealed and is in no file here: its segment was deleted, "
		         "or is on a device that storage.devices does not name", tool_hex(r->ids[i], REEL_ID_SIZE, hex));
		on_absent(ctx, sentence);
	}
}

void
roll_free(struct roll *r)
{
	if (r == NULL)
		return;
	free(r->ids);
	free(r);
}
