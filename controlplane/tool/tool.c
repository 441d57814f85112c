#include "controlplane/tool/tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/catalog/catalog.h"

#define NS_PER_S 1000000000ull
#define PATHS_MAX 65536

int
tool_fail(const struct tool *t, int status, const char *format, ...)
{
	char sentence[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	fprintf(stderr, "capstan: %s\n", sentence);
	if (t->json) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddStringToObject(document, "error", sentence);
		tool_print_json(document, status);
	}
	return status;
}

int
tool_print_json(cJSON *document, int status)
{
	char *text = cJSON_Print(document);

	cJSON_Delete(document);
	if (text == NULL)
		return TOOL_FAILED;
	puts(text);
	cJSON_free(text);
	return status;
}

char *
tool_hex(const uint8_t *bytes, unsigned int n, char *out)
{
	for (unsigned int i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
	out[2 * n] = '\0';
	return out;
}

bool
tool_unhex(const char *text, uint8_t *bytes, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned int v;

		if (strspn(text + 2 * i, "0123456789abcdefABCDEF") < 2 || sscanf(text + 2 * i, "%2x", &v) != 1)
			return false;
		bytes[i] = (uint8_t)v;
	}
	return text[2 * n] == '\0';
}

char *
tool_time(uint64_t wall_ns, char *out)
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	struct tm tm;

	if (wall_ns == 0)
		return strcpy(out, "-");
	gmtime_r(&s, &tm);
	strftime(out, 24, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(out + strlen(out), 8, ".%03u", (unsigned int)(wall_ns % NS_PER_S / 1000000));
	return out;
}

char *
tool_duration(uint64_t ns, char *out)
{
	uint64_t tenths = ns / (NS_PER_S / 10);

	snprintf(out, 32, "%llu:%02u:%02u.%u", (unsigned long long)(tenths / 36000), (unsigned int)(tenths / 600 % 60),
	         (unsigned int)(tenths / 10 % 60), (unsigned int)(tenths % 10));
	return out;
}

/* ---- finding ---- */

struct path_list {
	char **paths;
	unsigned int n;
};

static void
take_path(void *ctx, const char *path)
{
	struct path_list *l = ctx;
	char **paths = l->n < PATHS_MAX ? realloc(l->paths, (l->n + 1) * sizeof(*paths)) : NULL;

	if (paths == NULL)
		return;
	l->paths = paths;
	l->paths[l->n] = strdup(path);
	if (l->paths[l->n] != NULL)
		l->n++;
}

static void
take_id(void *ctx, const struct catalog_recording *row)
{
	memcpy(ctx, row->id, REEL_ID_SIZE);
}

/* By the catalog: the files that it names, if all are still there. A file may have been finished and renamed since. */
static bool
find_in_catalog(const struct tool *t, const char *prefix, uint8_t id[REEL_ID_SIZE], struct vault **vault)
{
	struct catalog_reader *r;
	struct path_list l = { 0 };
	char why[CONFIG_WHY_MAX];
	bool found = false;

	if (catalog_reader_open(&r, t->config->storage.devices[0], why, sizeof(why)) != SRS_OK)
		return false;
	if (catalog_find(r, prefix, take_id, id) == SRS_OK && catalog_segments_of(r, id, take_path, &l) == SRS_OK && l.n > 0)
		found = vault_open(vault, (const char *const *)l.paths, l.n, why, sizeof(why)) == SRS_OK;
	for (unsigned int i = 0; i < l.n; i++)
		free(l.paths[i]);
	free(l.paths);
	catalog_reader_close(r);
	return found;
}

/* By the files themselves. @return TOOL_OK or an exit status */
static int
find_in_files(const struct tool *t, const char *name, bool is_file, struct vault *vault, uint8_t id[REEL_ID_SIZE])
{
	uint8_t(*ids)[REEL_ID_SIZE];
	unsigned int n, n_found = 0;
	char hex[2 * REEL_ID_SIZE + 1];

	if (vault_recordings(vault, &ids, &n) != SRS_OK)
		return tool_fail(t, TOOL_FAILED, "no memory for the list of recordings");
	for (unsigned int i = 0; i < n; i++) {
		if (is_file || strncasecmp(tool_hex(ids[i], REEL_ID_SIZE, hex), name, strlen(name)) == 0) {
			memcpy(id, ids[i], REEL_ID_SIZE);
			n_found++;
		}
	}
	free(ids);
	if (n_found == 1)
		return TOOL_OK;
	if (n_found == 0 && is_file && vault_file(vault, 0)->bad != NULL)
		return tool_fail(t, TOOL_DAMAGED, "%s: %s", name, vault_file(vault, 0)->bad);
	if (n_found == 0 && is_file)
		return tool_fail(t, TOOL_NOT_FOUND, "%s: holds no recording", name);
	if (n_found == 0)
		return tool_fail(t, TOOL_NOT_FOUND, "no recording %s; `capstan recordings ls` lists them", name);
	return tool_fail(t, TOOL_USAGE, is_file ? "%s holds %u recordings: name one by its id" : "%s fits %u recordings: give more of the id",
	                 name, n_found);
}

int
tool_find(const struct tool *t, const char *name, struct vault **vault, struct tape **tape)
{
	struct stat st;
	bool is_file = stat(name, &st) == 0 && S_ISREG(st.st_mode);
	const char *const *paths = is_file ? &name : (const char *const *)t->config->storage.devices;
	char why[CONFIG_WHY_MAX];
	uint8_t id[REEL_ID_SIZE];
	enum srs_err err;
	int status = TOOL_OK;

	if (!is_file && (strlen(name) > 2 * REEL_ID_SIZE || strspn(name, "0123456789abcdefABCDEF") != strlen(name)))
		return tool_fail(t, TOOL_NOT_FOUND, "%s is neither a file nor a recording id (hexadecimal digits)", name);
	if (is_file || !find_in_catalog(t, name, id, vault)) {
		if (vault_open(vault, paths, is_file ? 1 : t->config->storage.n_devices, why, sizeof(why)) != SRS_OK)
			return tool_fail(t, TOOL_NOT_FOUND, "%s", why);
		status = find_in_files(t, name, is_file, *vault, id);
	}
	if (status == TOOL_OK) {
		err = tape_load(tape, *vault, id);
		if (err != SRS_OK)
			status = tool_fail(t, err == SRS_ERR_INVALID ? TOOL_NOT_FOUND : TOOL_FAILED,
			                   "recording %s: %s", name,
			                   err == SRS_ERR_INVALID ? "no slot of it is in the vault" : "no memory");
	}
	if (status != TOOL_OK)
		vault_close(*vault);
	return status;
}

struct keystore *
tool_keystore(const struct tool *t, char *why, size_t why_len)
{
	struct keystore_spec spec = {
		.store = t->config->keys.store,
		.path = t->config->keys.path,
		.rotation_interval_s = t->config->keys.rotation_interval_s,
	};
	struct keystore *ks;

	if (strcmp(spec.store, "file") != 0) {
		snprintf(why, why_len, "keys.store is %s: its keys live in the recorder alone", spec.store);
		return NULL;
	}
	return keystore_open(&ks, &spec, why, why_len) == SRS_OK ? ks : NULL;
}

bool
tool_node_public(const struct tool *t, uint8_t key[32])
{
	char path[4096];

	if (t->node_pub != NULL)
		return keystore_public_read(t->node_pub, key) == SRS_OK;
	snprintf(path, sizeof(path), "%s/node.pub", t->config->keys.path);
	return keystore_public_read(path, key) == SRS_OK;
}

/* ---- progress ---- */

#define BAR_WIDTH 40

void
tool_progress_step(void *progress, uint64_t done, uint64_t of)
{
	struct tool_progress *p = progress;
	int percent = of > 0 ? (int)(done * 100 / of) : 100;
	char bar[BAR_WIDTH + 1];

	if (p->tool->quiet || p->tool->json || !isatty(STDERR_FILENO) || percent == p->shown - 1)
		return;
	p->shown = percent + 1;
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i * 100 < percent * BAR_WIDTH ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r%s [%s] %3d %%", p->what, bar, percent);
}

void
tool_progress_end(struct tool_progress *p)
{
	if (p->shown > 0)
		fprintf(stderr, "\r\033[K");
}
