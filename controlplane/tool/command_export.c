#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "controlplane/tool/export.h"
#include "controlplane/tool/tool.h"

struct exporting {
	const struct tool *tool;
	cJSON *notes;
	unsigned int n_damage, n_notes;
};

static void
say(struct exporting *e, const char *sentence)
{
	fprintf(stderr, "capstan: %s\n", sentence);
	cJSON_AddItemToArray(e->notes, cJSON_CreateString(sentence));
}

static void
on_damage(void *ctx, const char *sentence)
{
	struct exporting *e = ctx;

	e->n_damage++;
	say(e, sentence);
}

static void
on_note(void *ctx, const char *sentence)
{
	struct exporting *e = ctx;

	e->n_notes++;
	say(e, sentence);
}

static enum srs_err
export_audio(struct exporting *e, const struct tape *tape, struct keystore *ks, char *why, size_t why_len)
{
	struct tool_progress bar = { .tool = e->tool, .what = "Exporting" };
	struct export_progress progress = { .on_step = tool_progress_step, .ctx = &bar };
	struct timeline *time;
	enum srs_err err = timeline_make(&time, tape, ks, on_damage, e);

	if (err != SRS_OK) {
		snprintf(why, why_len, "it does not open with the keys in %s", e->tool->config->keys.path);
		return SRS_ERR_AUTH;
	}
	err = export_wav(time, e->tool->output, on_note, e, &progress, why, why_len);
	tool_progress_end(&bar);
	timeline_free(time);
	return err;
}

static int
exit_of(enum srs_err err)
{
	switch (err) {
	case SRS_OK:
		return TOOL_OK;
	case SRS_ERR_AUTH:
	case SRS_ERR_STATE:
		return TOOL_NO_KEY;
	case SRS_ERR_UNSUPPORTED:
	case SRS_ERR_LIMIT:
		return TOOL_DAMAGED;
	default:
		return TOOL_FAILED;
	}
}

/* Exports are written beside and renamed into place, which would put a plain file where a device or a pipe was. */
static bool
output_is_plain(const char *path)
{
	struct stat st;

	return stat(path, &st) != 0 || S_ISREG(st.st_mode);
}

/* What a tape alone cannot say while it plays: that it ends before the recording did. */
static void
note_what_is_not_here(struct exporting *e, const struct tape *tape)
{
	char sentence[128];

	for (unsigned int i = 0; i < tape->n_parts; i++) {
		const struct tape_part *p = &tape->parts[i];

		if (!p->sealed)
			snprintf(sentence, sizeof(sentence), "part %u has no seal: it is still being recorded, or its end is lost",
			         p->part);
		else if (p->n_chunks < p->seal.n_chunks)
			snprintf(sentence, sizeof(sentence), "part %u: %u of its %llu sealed chunks are here", p->part,
			         p->n_chunks, (unsigned long long)p->seal.n_chunks);
		else
			continue;
		on_note(e, sentence);
	}
}

int
command_export(struct tool *t, const char *name)
{
	struct exporting e = { .tool = t };
	char why[CONFIG_WHY_MAX] = "no memory";
	struct keystore *ks = NULL;
	struct vault *vault;
	struct tape *tape;
	enum srs_err err;
	cJSON *document;
	int status;

	if (t->output == NULL || t->format == NULL ||
	    (strcmp(t->format, "wav") != 0 && strcmp(t->format, "reel") != 0 && strcmp(t->format, "pcapng") != 0))
		return tool_fail(t, TOOL_USAGE, "export needs --format wav|reel|pcapng and --output PATH");
	if (!output_is_plain(t->output))
		return tool_fail(t, TOOL_USAGE, "%s is no plain file: give --output the name of a new file", t->output);
	status = tool_find(t, name, &vault, &tape);
	if (status != TOOL_OK)
		return status;
	(void)umask(077);	/* a call in clear is for the one who exports it */
	e.notes = cJSON_CreateArray();
	for (unsigned int i = 0; i < tape->n_parts; i++)
		(void)tape_holes(&tape->parts[i], on_damage, &e);
	if (strcmp(t->format, "reel") == 0) {
		err = export_reel(tape, t->output, why, sizeof(why));
		for (unsigned int i = 0; i < tape->n_damaged; i++)
			on_damage(&e, "a damaged slot was left out");
	} else if ((ks = tool_keystore(t, why, sizeof(why))) == NULL) {
		err = SRS_ERR_AUTH;
	} else if (strcmp(t->format, "wav") == 0) {
		err = export_audio(&e, tape, ks, why, sizeof(why));
	} else {
		err = export_pcapng(tape, ks, t->output, on_damage, &e, why, sizeof(why));
	}
	if (err == SRS_OK)
		note_what_is_not_here(&e, tape);
	keystore_close(ks);
	tape_free(tape);
	vault_close(vault);
	if (err != SRS_OK) {
		cJSON_Delete(e.notes);
		return tool_fail(t, exit_of(err), "%s: %s", name, why);
	}
	status = e.n_damage + e.n_notes > 0 ? TOOL_DAMAGED : TOOL_OK;
	if (!t->json) {
		cJSON_Delete(e.notes);
		printf("%s%s\n", t->output, status == TOOL_OK ? "" : " (not everything could be exported: see above)");
		return status;
	}
	document = cJSON_CreateObject();
	cJSON_AddStringToObject(document, "output", t->output);
	cJSON_AddStringToObject(document, "format", t->format);
	cJSON_AddNumberToObject(document, "damaged", e.n_damage);
	cJSON_AddItemToObject(document, "notes", e.notes);
	return tool_print_json(document, status);
}
