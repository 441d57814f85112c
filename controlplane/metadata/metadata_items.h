/* The memory of metadata documents: texts, growing arrays, deviations. Only metadata*.c include this.
 * A text is never NULL; "" is one static byte, so that nothing needs an allocation to be empty. @thread any */
#ifndef METADATA_ITEMS_H
#define METADATA_ITEMS_H

#include <stddef.h>

#include "controlplane/metadata/metadata.h"

/* The same rule is listed so often, then no more: one odd SRC should not push other findings out of the list. */
#define METADATA_RULE_REPEATS_MAX 8

extern char metadata_no_text[1];

/** A copy of `len` bytes. @return NULL: no memory */
char *metadata_text_copy(const char *text, size_t len);
void metadata_text_free(char *text);

/** Makes room for one more item and returns it zeroed with `*n` counted up; NULL: no memory. `items` is `struct x **` */
void *metadata_item_add(void *items, unsigned int *n, size_t item_size);

void metadata_group_free(struct metadata_group *g);
void metadata_session_free(struct metadata_session *s);
void metadata_participant_free(struct metadata_participant *p);
void metadata_stream_free(struct metadata_stream *s);
void metadata_participant_session_free(struct metadata_participant_session *a);
void metadata_participant_stream_free(struct metadata_participant_stream *a);
void metadata_time_free(struct metadata_time *t);

/** Items whose texts are all "". */
void metadata_group_init(struct metadata_group *g);
void metadata_session_init(struct metadata_session *s);
void metadata_participant_init(struct metadata_participant *p);
void metadata_stream_init(struct metadata_stream *s);
void metadata_participant_session_init(struct metadata_participant_session *a);
void metadata_participant_stream_init(struct metadata_participant_stream *a);

/** Is there room for one more deviation of this rule? */
bool metadata_deviation_fits(const struct metadata *m, const char *rule);
/** `path` is taken over; NULL stands for no memory and becomes "" */
void metadata_deviate(struct metadata *m, unsigned int line, char *path, const char *rule);
void metadata_deviations_free(struct metadata *m);

/** metadata_parse() of bytes that have `line_first` lines before them */
SRS_MUST_CHECK enum srs_err metadata_parse_at(struct metadata **out, struct span xml, unsigned int line_first,
					      char *why, size_t why_len);

/** xs:dateTime to unix ns. `zoned` false: no zone was given and UTC was taken. @return false: unreadable */
bool metadata_time_read(const char *text, int64_t *wall_ns, bool *zoned);

/** Forget what is over: sessions that ended, and what only they had. What `update` names stays. */
void metadata_prune(struct metadata *state, const struct metadata *update);

#endif
