/* What the commands of `capstan` share: options, output, and how a recording is found. Each command is a function of
 * its own file; main.c only chooses. @thread tool */
#ifndef TOOL_H
#define TOOL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/tool/tape.h"
#include "controlplane/tool/vault.h"
#include "crypto/keystore.h"
#include "lib/config.h"
#include "lib/srs_err.h"

/* Exit statuses; the manual page names the same. */
enum tool_exit {
	TOOL_OK = 0,
	TOOL_DAMAGED = 1,	/* the command ran, and what it looked at is damaged, incomplete or not all right */
	TOOL_USAGE = 2,		/* the command line or the configuration is wrong */
	TOOL_NOT_FOUND = 3,	/* no such recording, file or recorder */
	TOOL_NO_KEY = 4,	/* the keys here do not open it */
	TOOL_FAILED = 5,	/* the system failed: disk, memory */
};

struct tool {
	struct config *config;
	bool json;
	bool quiet;		/* no progress bar */
	const char *node_pub;	/* PEM; NULL: the keystore's */
	/* options of single commands */
	const char *format, *output;
	const char *state, *text, *limit, *group, *session_id;
	const char *by, *reason, *stream;	/* of commands to a session */
	const char *src, *status;		/* filters of refusals */
	bool rebuild, no_keys, history;
};

/** "capstan: " and a sentence on stderr; with --json also {"error": ...} on stdout. @return `status` */
int tool_fail(const struct tool *t, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/** Print a document and free it. @return `status` */
int tool_print_json(cJSON *document, int status);

char *tool_hex(const uint8_t *bytes, unsigned int n, char *out);	/* out: 2 n + 1 */
bool tool_unhex(const char *text, uint8_t *bytes, unsigned int n);
/** "2026-11-23 08:15:30.123" UTC, or "-" for 0. @param out at least 32 */
char *tool_time(uint64_t wall_ns, char *out);
/** "1:02:03.5" @param out at least 32 */
char *tool_duration(uint64_t ns, char *out);

/** A recording named by a hex prefix of its id, or by a file that holds just one. Prints why on failure.
 * @return TOOL_OK, with vault and tape to be closed by the caller; or an exit status */
int tool_find(const struct tool *t, const char *name, struct vault **vault, struct tape **tape);
/** Ask the running recorder by an HTTP request (or GET this path), and read the JSON of its answer. @return NULL after a message,
 * `*status` is our exit status then; else HTTP's */
cJSON *tool_ask(const struct tool *t, const char *request, int *status);
cJSON *tool_get(const struct tool *t, const char *path, int *status);
void tool_url_encode(const char *text, char *out, size_t out_len);
/** The keystore of the configuration; NULL when there is none here (then `why` says so). */
struct keystore *tool_keystore(const struct tool *t, char *why, size_t why_len);
/** The node's public key: --node-pub, else the keystore's folder. @return false: none here */
bool tool_node_public(const struct tool *t, uint8_t key[32]);

/* A progress bar on a terminal's stderr; silent elsewhere. */
struct tool_progress {
	const struct tool *tool;
	const char *what;
	int shown;
};
void tool_progress_step(void *progress, uint64_t done, uint64_t of);
void tool_progress_end(struct tool_progress *p);

int command_recordings_ls(struct tool *t);
int command_recordings_show(struct tool *t, const char *name);
int command_recordings_history(struct tool *t, const char *name);
int command_export(struct tool *t, const char *name);
int command_verify(struct tool *t, const char *name);	/* NULL: the whole vault */
int command_fsck(struct tool *t);
int command_config_check(struct tool *t, const struct config_sources *from);
int command_metadata_check(struct tool *t, const char *path);
int command_doctor(struct tool *t);
int command_keys_ls(struct tool *t);
int command_srcs_ls(struct tool *t);
int command_srcs_show(struct tool *t, const char *name);
int command_refusals_ls(struct tool *t);
int command_sessions_ls(struct tool *t);
/** pause, resume, mask, unmask, drop or end a call of the running recorder. */
int command_sessions_do(struct tool *t, const char *verb, const char *id);
/** drain or undrain the running recorder. */
int command_node_do(struct tool *t, const char *verb);

#endif
