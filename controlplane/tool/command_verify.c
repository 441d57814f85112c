/* `verify`: one recording, or every recording and every footer of one file or of the vault. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "controlplane/tool/roll.h"
#include "controlplane/tool/tool.h"
#include "controlplane/tool/verify.h"

struct verification {
	struct tool *tool;
	struct keystore *ks;
	const uint8_t *node;
	cJSON *recordings, *findings;
	unsigned int n[VERIFY_DAMAGED + 1];
	unsigned int n_findings;
};

static void
on_finding(void *ctx, const char *sentence)
{
	struct verification *v = ctx;

	v->n_findings++;
	if (v->tool->json)
		cJSON_AddItemToArray(v->findings, cJSON_CreateString(sentence));
	else
		printf("! %s\n", sentence);
}

static int
verify_one(struct verification *v, const struct tape *tape, bool alone)
{
	struct verify_report r;
	char hex[2 * REEL_ID_SIZE + 1];
	unsigned int before = v->n_findings;
	cJSON *row;

	if (verify_tape(tape, v->node, v->ks, on_finding, v, &r) != SRS_OK)
		return tool_fail(v->tool, TOOL_FAILED, "no memory");
	v->n[r.verdict]++;
	tool_hex(tape->id, REEL_ID_SIZE, hex);
	if (v->tool->json) {
		row = cJSON_CreateObject();
		cJSON_AddStringToObject(row, "id", hex);
		cJSON_AddStringToObject(row, "verdict", verify_verdict_name(r.verdict));
		cJSON_AddNumberToObject(row, "parts", r.n_parts);
		cJSON_AddNumberToObject(row, "chunks", r.n_chunks);
		cJSON_AddNumberToObject(row, "opened", r.n_opened);
		cJSON_AddNumberToObject(row, "missing_chunks", (double)r.missing_chunks);
		cJSON_AddNumberToObject(row, "findings", v->n_findings - before);
		cJSON_AddItemToArray(v->recordings, row);
	} else if (alone || r.verdict == VERIFY_DAMAGED) {
		printf("%s: %s; %u chunk%s in %u part%s; %s; %s\n", hex, verify_verdict_name(r.verdict), r.n_chunks,
		       r.n_chunks == 1 ? "" : "s", r.n_parts, r.n_parts == 1 ? "" : "s",
		       r.signature_checked ? "signature checked" : "signature NOT checked (no node.pub: give --node-pub)",
		       !r.keys_used ? "not opened (no keys)" :
		       r.n_opened == r.n_chunks ? "every chunk opened" : "NOT every chunk opened");
	}
	return TOOL_OK;
}

/* @param roll  what has to be in them, or NULL; taken */
static int
verify_files(struct verification *v, const char *const *paths, unsigned int n_paths, struct roll *roll)
{
	struct tool_progress bar = { .tool = v->tool, .what = "Verifying" };
	char why[CONFIG_WHY_MAX], sentence[4608];
	uint8_t(*ids)[REEL_ID_SIZE];
	struct vault *vault;
	unsigned int n;
	int status = TOOL_OK;

	if (vault_open(&vault, paths, n_paths, why, sizeof(why)) != SRS_OK) {
		roll_free(roll);
		return tool_fail(v->tool, TOOL_NOT_FOUND, "%s", why);
	}
	for (unsigned int i = 0; i < vault_n_files(vault); i++) {
		const struct vault_file *f = vault_file(vault, i);

		if (f->bad != NULL) {
			snprintf(sentence, sizeof(sentence), "%s: %s", f->path, f->bad);
			on_finding(v, sentence);
		}
		vault_check_footer(f, on_finding, v);
	}
	if (vault_recordings(vault, &ids, &n) != SRS_OK) {
		roll_free(roll);
		vault_close(vault);
		return tool_fail(v->tool, TOOL_FAILED, "no memory for the list of recordings");
	}
	if (roll != NULL)
		roll_call(roll, ids, n, on_finding, v);
	roll_free(roll);
	for (unsigned int i = 0; i < n && status == TOOL_OK; i++) {
		struct tape *tape;

		if (tape_load(&tape, vault, ids[i]) != SRS_OK) {
			status = tool_fail(v->tool, TOOL_FAILED, "no memory");
			break;
		}
		status = verify_one(v, tape, n == 1);
		tape_free(tape);
		tool_progress_step(&bar, i + 1, n);
	}
	tool_progress_end(&bar);
	if (status == TOOL_OK && !v->tool->json)
		printf("%u recordings in %u files: %u intact, %u interrupted, %u open, %u damaged%s\n", n,
		       vault_n_files(vault), v->n[VERIFY_INTACT], v->n[VERIFY_INTERRUPTED], v->n[VERIFY_OPEN],
		       v->n[VERIFY_DAMAGED], v->node != NULL ? "" : "; signatures NOT checked (no node.pub: give --node-pub)");
	free(ids);
	vault_close(vault);
	return status;
}

int
command_verify(struct tool *t, const char *name)
{
	struct verification v = { .tool = t };
	char why[CONFIG_WHY_MAX];
	uint8_t node[32];
	struct stat st;
	bool with_keys;
	int status;

	if (t->node_pub != NULL && !tool_node_public(t, node))
		return tool_fail(t, TOOL_USAGE, "--node-pub %s: no Ed25519 public key in PEM", t->node_pub);
	v.node = tool_node_public(t, node) ? node : NULL;
	v.ks = t->no_keys ? NULL : tool_keystore(t, why, sizeof(why));
	v.recordings = cJSON_CreateArray();
	v.findings = cJSON_CreateArray();
	if (name != NULL && stat(name, &st) == 0 && S_ISREG(st.st_mode)) {
		status = verify_files(&v, &name, 1, NULL);
	} else if (name != NULL) {
		struct vault *vault;
		struct tape *tape;

		status = tool_find(t, name, &vault, &tape);
		if (status == TOOL_OK) {
			status = verify_one(&v, tape, true);
			tape_free(tape);
			vault_close(vault);
		}
	} else {
		struct roll *roll = NULL;

		if (roll_take(&roll, t, why, sizeof(why)) != SRS_OK)
			roll = NULL;	/* files without a catalog, a copy of a vault: they are checked by themselves */
		status = verify_files(&v, (const char *const *)t->config->storage.devices, t->config->storage.n_devices, roll);
	}
	with_keys = v.ks != NULL;
	keystore_close(v.ks);
	if (status == TOOL_OK && v.n_findings > 0)
		status = TOOL_DAMAGED;
	if (t->json && status <= TOOL_DAMAGED) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddBoolToObject(document, "ok", status == TOOL_OK);
		cJSON_AddBoolToObject(document, "signature_checked", v.node != NULL);
		cJSON_AddBoolToObject(document, "keys_used", with_keys);
		cJSON_AddItemToObject(document, "recordings", v.recordings);
		cJSON_AddItemToObject(document, "findings", v.findings);
		return tool_print_json(document, status);
	}
	cJSON_Delete(v.recordings);
	cJSON_Delete(v.findings);
	return status;
}
