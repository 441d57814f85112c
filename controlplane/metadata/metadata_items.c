#include "controlplane/metadata/metadata_items.h"

#include <stdlib.h>
#include <string.h>

char metadata_no_text[1] = "";

char *
metadata_text_copy(const char *text, size_t len)
{
	char *copy;

	if (len == 0)
		return metadata_no_text;
	copy = malloc(len + 1);
	if (copy != NULL) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

void
metadata_text_free(char *text)
{
	if (text != metadata_no_text)
		free(text);
}

void *
metadata_item_add(void *items, unsigned int *n, size_t item_size)
{
	void *base;
	char *item;

	memcpy(&base, items, sizeof(base)); /* `struct x **` and `void **` may not alias */
	if ((*n & (*n - 1)) == 0) {	    /* at 0 and each power of two the array is full */
		base = realloc(base, item_size * (*n ? 2 * (size_t)*n : 1));
		if (base == NULL)
			return NULL;
		memcpy(items, &base, sizeof(base));
	}
	item = (char *)base + item_size * *n;
	memset(item, 0, item_size);
	++*n;
	return item;
}

static void
time_init(struct metadata_time *t)
{
	*t = (struct metadata_time){ .text = metadata_no_text };
}

void
metadata_time_free(struct metadata_time *t)
{
	metadata_text_free(t->text);
	time_init(t);
}

void
metadata_group_init(struct metadata_group *g)
{
	*g = (struct metadata_group){ .id = metadata_no_text, .extension = metadata_no_text };
	time_init(&g->associated);
	time_init(&g->disassociated);
}

void
metadata_group_free(struct metadata_group *g)
{
	metadata_text_free(g->id);
	metadata_text_free(g->extension);
	metadata_time_free(&g->associated);
	metadata_time_free(&g->disassociated);
}

void
metadata_session_init(struct metadata_session *s)
{
	*s = (struct metadata_session){
		.id = metadata_no_text,
		.group_ref = metadata_no_text,
		.sip_session_id = metadata_no_text,
		.reason = metadata_no_text,
		.extension = metadata_no_text,
	};
	time_init(&s->start);
	time_init(&s->stop);
	time_init(&s->associated);
	time_init(&s->disassociated);
}

void
metadata_session_free(struct metadata_session *s)
{
	metadata_text_free(s->id);
	metadata_text_free(s->group_ref);
	metadata_text_free(s->sip_session_id);
	metadata_text_free(s->reason);
	metadata_text_free(s->extension);
	metadata_time_free(&s->start);
	metadata_time_free(&s->stop);
	metadata_time_free(&s->associated);
	metadata_time_free(&s->disassociated);
}

void
metadata_participant_init(struct metadata_participant *p)
{
	*p = (struct metadata_participant){ .id = metadata_no_text, .extension = metadata_no_text };
}

void
metadata_participant_free(struct metadata_participant *p)
{
	metadata_text_free(p->id);
	metadata_text_free(p->extension);
	for (unsigned int i = 0; i < p->n_names; i++) {
		metadata_text_free(p->names[i].aor);
		metadata_text_free(p->names[i].name);
		metadata_text_free(p->names[i].lang);
	}
	free(p->names);
}

void
metadata_stream_init(struct metadata_stream *s)
{
	*s = (struct metadata_stream){
		.id = metadata_no_text,
		.session = metadata_no_text,
		.label = metadata_no_text,
		.mode = metadata_no_text,
		.extension = metadata_no_text,
	};
	time_init(&s->associated);
	time_init(&s->disassociated);
}

void
metadata_stream_free(struct metadata_stream *s)
{
	metadata_text_free(s->id);
	metadata_text_free(s->session);
	metadata_text_free(s->label);
	metadata_text_free(s->mode);
	metadata_text_free(s->extension);
	metadata_time_free(&s->associated);
	metadata_time_free(&s->disassociated);
}

void
metadata_participant_session_init(struct metadata_participant_session *a)
{
	*a = (struct metadata_participant_session){
		.participant = metadata_no_text,
		.session = metadata_no_text,
		.params = metadata_no_text,
	};
	time_init(&a->associated);
	time_init(&a->disassociated);
}

void
metadata_participant_session_free(struct metadata_participant_session *a)
{
	metadata_text_free(a->participant);
	metadata_text_free(a->session);
	metadata_text_free(a->params);
	metadata_time_free(&a->associated);
	metadata_time_free(&a->disassociated);
}

void
metadata_participant_stream_init(struct metadata_participant_stream *a)
{
	*a = (struct metadata_participant_stream){ .participant = metadata_no_text };
	time_init(&a->associated);
	time_init(&a->disassociated);
}

static void
texts_free(char **texts, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		metadata_text_free(texts[i]);
	free(texts);
}

void
metadata_participant_stream_free(struct metadata_participant_stream *a)
{
	metadata_text_free(a->participant);
	texts_free(a->send, a->n_send);
	texts_free(a->recv, a->n_recv);
	metadata_time_free(&a->associated);
	metadata_time_free(&a->disassociated);
}

bool
metadata_deviation_fits(const struct metadata *m, const char *rule)
{
	unsigned int n_same = 0;

	for (unsigned int i = 0; i < m->n_deviations; i++)
		n_same += m->deviations[i].rule == rule;
	return n_same < METADATA_RULE_REPEATS_MAX && m->n_deviations < METADATA_DEVIATIONS_MAX;
}

void
metadata_deviate(struct metadata *m, unsigned int line, char *path, const char *rule)
{
	if (!metadata_deviation_fits(m, rule)) {
		metadata_text_free(path);
		return;
	}
	m->deviations[m->n_deviations++] = (struct metadata_deviation){
		.line = line,
		.path = path ? path : metadata_no_text,
		.rule = rule,
	};
}

void
metadata_deviations_free(struct metadata *m)
{
	for (unsigned int i = 0; i < m->n_deviations; i++)
		metadata_text_free(m->deviations[i].path);
	m->n_deviations = 0;
}
