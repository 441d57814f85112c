#include "controlplane/tool/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/secret.h"

struct reel_out {
	FILE *file;
	struct reel_container head;
	uint64_t slot_no;
	bool failed;
};

static void
put_slot(struct reel_out *o, const uint8_t *from)
{
	uint8_t slot[REEL_SLOT_SIZE];

	memcpy(slot, from, sizeof(slot));
	reel_slot_finish(o->head.uuid, o->slot_no, slot, REEL_SLOT_SIZE - REEL_CRC_SIZE);
	if (fwrite(slot, sizeof(slot), 1, o->file) != 1)
		o->failed = true;
	o->slot_no++;
}

static uint64_t
slots_of(const struct tape *t)
{
	uint64_t n = 1;

	for (unsigned int i = 0; i < t->n_parts; i++) {
		const struct tape_part *p = &t->parts[i];

		n += p->n_envelopes;
		for (unsigned int k = 0; k < p->n_chunks; k++)
			n += !p->chunks[k].damaged;
		for (unsigned int k = 0; k < p->n_pieces; k++)
			n += p->pieces[k] != NULL;
	}
	return n;
}

/* A damaged slot cannot be copied: under a new crc it would pass for good. It is left out, and its absence shows. */
static void
put_parts(struct reel_out *o, const struct tape *t)
{
	for (unsigned int i = 0; i < t->n_parts; i++) {
		const struct tape_part *p = &t->parts[i];

		for (unsigned int k = 0; k < p->n_envelopes; k++)
			put_slot(o, p->envelopes[k]);
		for (unsigned int k = 0; k < p->n_chunks; k++)
			if (!p->chunks[k].damaged)
				put_slot(o, p->chunks[k].slot);
		for (unsigned int k = 0; k < p->n_pieces; k++)
			if (p->pieces[k] != NULL)
				put_slot(o, p->pieces[k]);
	}
}

enum srs_err
export_reel(const struct tape *t, const char *path, char *why, size_t why_len)
{
	struct reel_out o = { .head.kind = REEL_CONTAINER_REEL };
	uint8_t slot[REEL_SLOT_SIZE];
	struct timespec now;
	char part[4096];
	bool closed;

	if (secret_random(o.head.uuid, sizeof(o.head.uuid)) != SRS_OK) {
		snprintf(why, why_len, "the system's random generator failed");
		return SRS_ERR_IO;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	o.head.created_wall_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	o.head.n_slots = o.head.footer_slot = slots_of(t);
	snprintf(part, sizeof(part), "%s.part", path);
	o.file = fopen(part, "wb");
	if (o.file == NULL) {
		snprintf(why, why_len, "%s: %s", part, strerror(errno));
		return SRS_ERR_IO;
	}
	reel_container_write(&o.head, slot);
	put_slot(&o, slot);
	put_parts(&o, t);
	o.failed |= fflush(o.file) != 0 || fsync(fileno(o.file)) != 0;
	closed = fclose(o.file) == 0;
	if (o.failed || !closed || rename(part, path) != 0) {
		snprintf(why, why_len, "%s: %s", path, strerror(errno));
		remove(part);
		return SRS_ERR_IO;
	}
	return SRS_OK;
}
