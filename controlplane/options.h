/* The command line of capstand. @thread main */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

#include "lib/srs_err.h"

#define OPTIONS_SETTINGS_MAX 256

enum options_task { OPTIONS_RUN, OPTIONS_CHECK, OPTIONS_VERSION, OPTIONS_HELP };

struct options {
	enum options_task task;
	const char *yaml_path;	/* NULL: built-in defaults */
	const char *env_path;	/* NULL: ./.env when there is one */
	const char *settings[OPTIONS_SETTINGS_MAX + 1];	/* name=value, NULL-terminated */
};

/** Read argv; the strings are borrowed. @param why one sentence when it is wrong */
SRS_MUST_CHECK enum srs_err options_read(struct options *o, int argc, char **argv, char *why, unsigned long why_len);
const char *options_help(void);

#endif
