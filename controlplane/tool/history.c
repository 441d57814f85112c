#include "controlplane/tool/history.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tool/description.h"

struct collecting {
	struct history *h;
	bool expected;	/* the last version waits for its document */
	bool nomem;
	void (*on_damage)(void *ctx, const char *sentence);
	void *ctx;
};

static void
take_text(char *out, size_t len, const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	(void)snprintf(out, len, "%s", cJSON_IsString(item) ? item->valuestring : "");
}

static struct history_version *
version_add(struct collecting *c, uint32_t number)
{
	struct history *h = c->h;
	struct history_version *v;

	if (h->n == HISTORY_VERSIONS_MAX) {
		h->cut = true;
		return NULL;
	}
	if (h->n % 64 == 0) {
		v = realloc(h->versions, (h->n + 64u) * sizeof(*v));
		if (v == NULL) {
			c->nomem = true;
			return NULL;
		}
		h->versions = v;
	}
	v = &h->versions[h->n++];
	*v = (struct history_version){ .version = number };
	return v;
}

static void
on_receipt(struct collecting *c, const struct tape_frame *f)
{
	cJSON *json = cJSON_ParseWithLength((const char *)f->frame.bytes.bytes, f->frame.bytes.len);
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, "version");
	const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(json, "bytes");
	const cJSON *reason = cJSON_GetObjectItemCaseSensitive(json, "reason");
	struct history_version *v;

	c->expected = false;
	if (cJSON_IsNumber(number) && cJSON_IsNumber(bytes) && number->valuedouble >= 1 &&
	    (c->h->n == 0 || number->valuedouble > c->h->versions[c->h->n - 1].version)) {
		v = version_add(c, (uint32_t)number->valuedouble);
		if (v != NULL) {
			v->received_wall_ns = description_wall_ns(f->frame.bytes, "\"received_wall_ns\":");
			v->bytes = (uint64_t)bytes->valuedouble;
			v->applied = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "applied"));
			take_text(v->datamode, sizeof(v->datamode), json, "datamode");
			take_text(v->dialect, sizeof(v->dialect), json, "dialect");
			v->reason = strdup(cJSON_IsString(reason) ? reason->valuestring : "");
			c->nomem |= v->reason == NULL;
			c->expected = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "kept"));
		}
	}
	cJSON_Delete(json);
}

static void
on_document(struct collecting *c, const struct tape_frame *f)
{
	struct history_version *v = c->h->n != 0 ? &c->h->versions[c->h->n - 1] : NULL;

	if (!c->expected || v == NULL || v->bytes != f->frame.bytes.len)
		return;
	c->expected = false;
	v->document = malloc(f->frame.bytes.len + 1);
	if (v->document == NULL) {
		c->nomem = true;
		return;
	}
	if (f->frame.bytes.len != 0)
		memcpy(v->document, f->frame.bytes.bytes, f->frame.bytes.len);
	v->document[f->frame.bytes.len] = '\0';
	v->len = f->frame.bytes.len;
	v->redacted = (f->frame.flags & REEL_FRAME_REDACTED) != 0;
}

static void
collect(void *ctx, const struct tape_frame *f)
{
	if (f->frame.kind == REEL_FRAME_RECEIPT)
		on_receipt(ctx, f);
	else if (f->frame.kind == REEL_FRAME_METADATA)
		on_document(ctx, f);
}

static void
collect_damage(void *ctx, const char *sentence)
{
	struct collecting *c = ctx;

	c->on_damage(c->ctx, sentence);
}

enum srs_err
history_make(struct history **out, const struct tape *t, struct keystore *ks,
             void (*on_damage)(void *ctx, const char *sentence), void *ctx)
{
	struct collecting c = { .h = calloc(1, sizeof(*c.h)), .on_damage = on_damage, .ctx = ctx };
	enum srs_err err;

	if (c.h == NULL)
		return SRS_ERR_NOMEM;
	err = tape_play(t, ks, collect, collect_damage, &c);
	if (c.nomem)
		err = SRS_ERR_NOMEM;
	if (err) {
		history_free(c.h);
		return err;
	}
	*out = c.h;
	return SRS_OK;
}

void
history_free(struct history *h)
{
	if (h == NULL)
		return;
	for (unsigned int i = 0; i < h->n; i++) {
		free(h->versions[i].reason);
		free(h->versions[i].document);
	}
	free(h->versions);
	free(h);
}
