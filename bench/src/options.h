/* The command line of capstan-src, as what the calls are to do. */
#ifndef SRC_OPTIONS_H
#define SRC_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "transport.h"

struct options {
	struct call_plan plan;
	unsigned int n_calls;
	double rate;			/* new calls a second */
	bool as_json;
	struct transport_spec transport;
	bool replaces;			/* calls are replaced by others in the middle */
	uint32_t seed;
	/* media files wait until the codec is known */
	struct {
		const char *path;
		bool pcap;
	} files[CALL_STREAMS_MAX];
	unsigned int n_files;
	enum media_codec codec;
	struct media_source sources[CALL_STREAMS_MAX];
	const char *profiles;		/* of DTLS; NULL: no DTLS */
	struct dtls_identity *identity;
	bool engine_given;
	uint64_t forge;			/* forged packets of the whole run */
};

/** Read it, load what it names; ends the program with status 2 and a sentence when it is wrong, 0 for --help. The plan
 * keeps pointers into `o` and into argv. */
void options_read(struct options *o, int argc, char **argv);
void options_free(struct options *o);

/** One sentence to stderr; exit status 2. */
_Noreturn void usage(const char *what);

#endif
