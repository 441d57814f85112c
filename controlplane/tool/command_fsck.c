/* `fsck`: the vault's files, their footers and the catalog; `--rebuild` makes the catalog anew from the segments, with
 * the recorder stopped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include <unistd.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/tool/roll.h"
#include "controlplane/tool/timeline.h"
#include "controlplane/tool/tool.h"
#include "crypto/digest.h"

struct fsck {
	struct tool *tool;
	struct keystore *ks;
	cJSON *findings;
	unsigned int n_findings, n_recordings, n_files;
};

static void
on_finding(void *ctx, const char *sentence)
{
	struct fsck *f = ctx;

	f->n_findings++;
	cJSON_AddItemToArray(f->findings, cJSON_CreateString(sentence));
	if (!f->tool->json)
		printf("! %s\n", sentence);
}

static void
ignore(void *ctx, const char *sentence)
{
}

static bool
is_locked(const char *folder, const char *name)
{
	char path[4096];
	bool locked;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
	close(fd);
	return locked;
}

/* The recorder locks its run folder and its vault; a catalog must not be replaced under it. The vault's lock counts
 * also where this command line names another run folder. */
static bool
recorder_runs(const struct config *c)
{
	bool runs = is_locked(c->node.run_dir, "capstand.lock");

	for (unsigned int i = 0; i < c->storage.n_devices && !runs; i++)
		runs = is_locked(c->storage.devices[i], "lock");
	return runs;
}

/* ---- rebuild ---- */

struct placing {
	struct catalog_rebuild *rebuild;
	uint8_t last[REEL_ID_SIZE];
	const struct vault_file *file;
	enum srs_err err;
};

static bool
place_row(void *ctx, const struct vault_row *row)
{
	struct placing *p = ctx;

	if (row->entry.kind == REEL_SLOT_DAMAGED ||
	    (p->file == row->file && memcmp(p->last, row->entry.recording, REEL_ID_SIZE) == 0))
		return true;
	memcpy(p->last, row->entry.recording, REEL_ID_SIZE);
	p->file = row->file;
	p->err = catalog_rebuild_placed(p->rebuild, row->entry.recording, row->file->head.uuid);
	return p->err == SRS_OK;
}

static enum srs_err
rebuild_segments(struct catalog_rebuild *b, const struct vault *v)
{
	enum srs_err err = SRS_OK;

	for (unsigned int i = 0; i < vault_n_files(v) && err == SRS_OK; i++) {
		const struct vault_file *f = vault_file(v, i);
		struct catalog_segment s = { .path = f->path, .state = f->footer ? "finished" : "open" };

		if (f->bad != NULL)
			continue;
		memcpy(s.uuid, f->head.uuid, REEL_ID_SIZE);
		s.device_i = f->head.writer_id;
		s.sequence = f->head.sequence;
		s.n_slots_used = f->n_data;
		err = catalog_rebuild_segment(b, &s);
	}
	return err;
}

static char *
participants_json(const struct description *d)
{
	cJSON *all = cJSON_CreateArray();
	char *text;

	for (unsigned int i = 0; d != NULL && i < d->n_participants; i++) {
		const struct description_participant *dp = &d->participants[i];
		cJSON *p = cJSON_CreateObject(), *labels;

		cJSON_AddStringToObject(p, "id", d->participants[i].id);
		cJSON_AddStringToObject(p, "aor", d->participants[i].aor);
		cJSON_AddStringToObject(p, "name", d->participants[i].name);
		labels = cJSON_AddArrayToObject(p, "labels");
		for (unsigned int k = 0; k < d->n_streams; k++) {
			if (d->streams[k].label[0] != '\0' && description_sends(dp, k))
				cJSON_AddItemToArray(labels, cJSON_CreateString(d->streams[k].label));
		}
		cJSON_AddItemToArray(all, p);
	}
	text = cJSON_PrintUnformatted(all);
	cJSON_Delete(all);
	return text;
}

static char *
streams_json(const struct description *d)
{
	cJSON *all = cJSON_CreateArray();
	char *text;

	for (unsigned int i = 0; d != NULL && i < d->n_streams; i++) {
		const struct description_stream *ds = &d->streams[i];
		cJSON *s = cJSON_CreateObject();

		cJSON_AddNumberToObject(s, "number", ds->number);
		cJSON_AddStringToObject(s, "label", ds->label);
		cJSON_AddStringToObject(s, "codec", ds->n_codecs > 0 ? ds->codecs[0].name : "");
		cJSON_AddNumberToObject(s, "payload_type", ds->n_codecs > 0 ? ds->codecs[0].payload_type : 0);
		cJSON_AddItemToArray(all, s);
	}
	text = cJSON_PrintUnformatted(all);
	cJSON_Delete(all);
	return text;
}

static void
sum_tape(const struct tape *t, struct catalog_recording *r)
{
	const struct tape_part *last = &t->parts[t->n_parts - 1];
	uint64_t first_wall_ns, last_wall_ns;

	memcpy(r->id, t->id, REEL_ID_SIZE);
	tape_times(t, &first_wall_ns, &last_wall_ns);
	r->started_wall_ns = (int64_t)first_wall_ns;
	r->ended_wall_ns = (int64_t)last_wall_ns;
	r->n_parts = t->n_parts;
	r->state = !last->sealed ? "recording" : last->seal.interrupted ? "interrupted" : "sealed";
	r->reason = last->sealed ? last->seal.reason : "";
	for (unsigned int i = 0; i < t->n_parts; i++) {
		const struct tape_part *p = &t->parts[i];

		for (unsigned int k = 0; k < p->n_chunks; k++) {
			r->n_frames += p->chunks[k].head.n_frames;
			r->bytes += p->chunks[k].head.body_len;	/* as the recorder counts */
		}
		for (unsigned int k = 0; p->sealed && k < p->seal.n_streams; k++) {
			const struct reel_seal_stream *s = &p->streams[k];
			uint64_t expected = s->recorded > 0 ? s->highest_index - s->first_index + 1 : 0;
			uint64_t known = s->recorded;

			for (unsigned int m = 0; m < REEL_REASONS_MAX; m++) {
				known += s->missing[m];
				r->missing += m == REEL_REASON_PAUSED ? 0 : s->missing[m];
			}
			r->lost_upstream += expected > known ? expected - known : 0;
		}
		if (p->sealed && p->seal.n_streams > r->n_streams)
			r->n_streams = p->seal.n_streams;
	}
	if (last->sealed)
		digest_sha256(last->seal_body.bytes, (uint32_t)last->seal_body.len, r->seal_digest);
}

static enum srs_err
rebuild_recording(struct fsck *f, struct catalog_rebuild *b, const struct vault *v, const uint8_t id[REEL_ID_SIZE])
{
	struct catalog_recording r = { 0 };
	const struct description *d = NULL;
	struct timeline *time = NULL;
	struct tape *tape;
	char *participants, *streams;
	enum srs_err err = tape_load(&tape, v, id);

	if (err != SRS_OK)
		return err;
	if (f->ks != NULL && timeline_make(&time, tape, f->ks, ignore, NULL) == SRS_OK)
		d = timeline_last_description(time);
	sum_tape(tape, &r);
	participants = participants_json(d);
	streams = streams_json(d);
	r.participants_json = participants;
	r.streams_json = streams;
	if (d != NULL) {
		r.rs_id = d->rs_id;
		r.cs_id = d->cs_id;
		r.group_id = d->group_id;
		r.session_ids = d->session_ids;
		r.n_deviations = d->n_deviations;
		if (d->n_streams_ever != 0)
			r.n_streams = d->n_streams_ever;
		if (d->started_wall_ns != 0)
			r.started_wall_ns = (int64_t)d->started_wall_ns;
		r.call_id = d->call_id;
		r.src_address = d->src;
		r.src_agent = d->agent;
	}
	err = catalog_rebuild_recording(b, &r);
	cJSON_free(participants);
	cJSON_free(streams);
	timeline_free(time);
	tape_free(tape);
	return err;
}

static int
rebuild(struct fsck *f, const struct vault *v)
{
	const char *dir = f->tool->config->storage.devices[0];
	struct tool_progress bar = { .tool = f->tool, .what = "Rebuilding" };
	struct placing placing = { .err = SRS_OK };
	struct catalog_rebuild *b;
	char why[CONFIG_WHY_MAX];
	uint8_t(*ids)[REEL_ID_SIZE];
	unsigned int n;
	enum srs_err err;

	if (recorder_runs(f->tool->config))
		return tool_fail(f->tool, TOOL_USAGE, "the recorder is running: stop it before --rebuild");
	if (vault_recordings(v, &ids, &n) != SRS_OK)
		return tool_fail(f->tool, TOOL_FAILED, "no memory for the list of recordings");
	if (catalog_rebuild_begin(&b, dir, why, sizeof(why)) != SRS_OK) {
		free(ids);
		return tool_fail(f->tool, TOOL_FAILED, "%s", why);
	}
	err = rebuild_segments(b, v);
	for (unsigned int i = 0; i < n && err == SRS_OK; i++) {
		err = rebuild_recording(f, b, v, ids[i]);
		tool_progress_step(&bar, i + 1, n);
	}
	tool_progress_end(&bar);
	placing.rebuild = b;
	if (err == SRS_OK) {
		vault_walk(v, place_row, &placing);
		err = placing.err;
	}
	f->n_recordings = n;
	free(ids);
	if (err == SRS_OK)
		err = catalog_rebuild_commit(b);
	if (err != SRS_OK)
		return tool_fail(f->tool, TOOL_FAILED, "the new catalog could not be written in %s (%s); the old one is untouched",
		                 dir, srs_err_name(err));
	return TOOL_OK;
}

/* ---- check ---- */

static void
count_row(void *ctx, const struct catalog_recording *row)
{
	++*(unsigned int *)ctx;
}

/* Does the catalog know every recording that the files hold, and do they hold every one that it knows? */
static void
check_catalog(struct fsck *f, const struct vault *v, const struct roll *roll)
{
	struct catalog_reader *r;
	char why[CONFIG_WHY_MAX], hex[2 * REEL_ID_SIZE + 1], sentence[256];
	uint8_t(*ids)[REEL_ID_SIZE];
	unsigned int n;

	if (catalog_reader_open(&r, f->tool->config->storage.devices[0], why, sizeof(why)) != SRS_OK) {
		on_finding(f, why);
		return;
	}
	if (vault_recordings(v, &ids, &n) == SRS_OK) {
		f->n_recordings = n;
		for (unsigned int i = 0; i < n; i++) {
			unsigned int rows = 0;

			if (catalog_find(r, tool_hex(ids[i], REEL_ID_SIZE, hex), count_row, &rows) == SRS_OK && rows == 1)
				continue;
			snprintf(sentence, sizeof(sentence), "recording %s is in the vault, not in the catalog; `capstan fsck --rebuild`", hex);
			on_finding(f, sentence);
		}
		if (roll != NULL)
			roll_call(roll, ids, n, on_finding, f);
		free(ids);
	}
	catalog_reader_close(r);
}

int
command_fsck(struct tool *t)
{
	struct fsck f = { .tool = t };
	const struct config *c = t->config;
	char why[CONFIG_WHY_MAX], sentence[4608];
	struct roll *roll = NULL;
	struct vault *v;
	int status = TOOL_OK;

	if (!t->rebuild && roll_take(&roll, t, why, sizeof(why)) != SRS_OK)
		roll = NULL;	/* check_catalog() says why */
	if (vault_open(&v, (const char *const *)c->storage.devices, c->storage.n_devices, why, sizeof(why)) != SRS_OK) {
		roll_free(roll);
		return tool_fail(t, TOOL_NOT_FOUND, "%s", why);
	}
	f.findings = cJSON_CreateArray();
	f.ks = tool_keystore(t, why, sizeof(why));
	for (unsigned int i = 0; i < vault_n_files(v); i++) {
		const struct vault_file *file = vault_file(v, i);

		if (file->bad != NULL) {
			snprintf(sentence, sizeof(sentence), "%s: %s", file->path, file->bad);
			on_finding(&f, sentence);
		}
		vault_check_footer(file, on_finding, &f);
	}
	f.n_files = vault_n_files(v);
	if (t->rebuild)
		status = rebuild(&f, v);
	else
		check_catalog(&f, v, roll);
	roll_free(roll);
	keystore_close(f.ks);
	vault_close(v);
	if (status != TOOL_OK) {
		cJSON_Delete(f.findings);
		return status;
	}
	status = f.n_findings > 0 ? TOOL_DAMAGED : TOOL_OK;
	if (t->json) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddBoolToObject(document, "ok", status == TOOL_OK);
		cJSON_AddNumberToObject(document, "files", f.n_files);
		cJSON_AddNumberToObject(document, "recordings", f.n_recordings);
		cJSON_AddBoolToObject(document, "rebuilt", t->rebuild);
		cJSON_AddItemToObject(document, "findings", f.findings);
		return tool_print_json(document, status);
	}
	cJSON_Delete(f.findings);
	printf("%u files, %u recordings%s, %u findings\n", f.n_files, f.n_recordings, t->rebuild ? ", catalog rebuilt" : "",
	       f.n_findings);
	return status;
}
