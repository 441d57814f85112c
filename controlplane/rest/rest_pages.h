/* What the REST interface says, without the HTTP around it: each page is made by one function that returns a reply.
 * Pages that only control can answer are questions (rest.c). Not for other modules. @thread api */
#ifndef REST_PAGES_H
#define REST_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/rest/rest.h"

#define REST_ARGUMENTS_MAX 8
#define REST_ARGUMENT_MAX  256

struct rest_reply {
	unsigned int status;
	const char *type;	/* content type; constant */
	char *body;		/* malloc'd; NULL only when there is no memory */
};

/* The query, decoded: name=value pairs. */
struct rest_arguments {
	unsigned int n;
	struct {
		char *name, *value;
		char text[REST_ARGUMENT_MAX];
	} rows[REST_ARGUMENTS_MAX];
};

struct rest_view {
	const struct config *config;
	const struct rest_sources *from;
	bool ready;
	char reason[128];
	uint64_t started_mono_ns;
	struct catalog_reader *reader;	/* opened when first needed, closed on error */
};

struct rest_reply rest_error(unsigned int status, const char *error, const char *remedy);
struct rest_reply rest_page_live(struct rest_view *v, const struct rest_arguments *a);
struct rest_reply rest_page_ready(struct rest_view *v, const struct rest_arguments *a);
struct rest_reply rest_page_metrics(struct rest_view *v, const struct rest_arguments *a);
struct rest_reply rest_page_resources(struct rest_view *v, const struct rest_arguments *a);
struct rest_reply rest_page_cache(struct rest_view *v, const struct rest_arguments *a);
struct rest_reply rest_page_workers(struct rest_view *v, const struct rest_arguments *a);
struct rest_reply rest_page_recordings(struct rest_view *v, const struct rest_arguments *a);
struct rest_reply rest_page_recording(struct rest_view *v, const char *id);

#endif
