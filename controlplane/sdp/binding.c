#include "controlplane/sdp/binding.h"

#include <stdbool.h>
#include <string.h>

typedef bool binding_rule(const struct offer_media *m, int mline, const struct binding_stream *s);

static bool
by_label(const struct offer_media *m, int mline, const struct binding_stream *s)
{
	return m->label[0] != '\0' && strcmp(m->label, s->label) == 0;
}

static bool
labels_agree(const struct offer_media *m, const struct binding_stream *s)
{
	return m->label[0] == '\0' || s->label[0] == '\0' || strcmp(m->label, s->label) == 0;
}

static bool
by_mid(const struct offer_media *m, int mline, const struct binding_stream *s)
{
	return m->mid[0] != '\0' && strcmp(m->mid, s->mid) == 0 && labels_agree(m, s);
}

static bool
by_place(const struct offer_media *m, int mline, const struct binding_stream *s)
{
	bool mids_agree = m->mid[0] == '\0' || s->mid[0] == '\0' || strcmp(m->mid, s->mid) == 0;
	bool same_label = m->label[0] != '\0' && strcmp(m->label, s->label) == 0;

	return mline == s->mline && labels_agree(m, s) && (mids_agree || same_label);
}

void
binding_match(const struct offer *o, const struct binding_stream *streams, unsigned int n_streams,
              int of_mline[OFFER_MEDIA_MAX])
{
	static binding_rule *const rules[] = { by_label, by_mid, by_place };
	bool bound[OFFER_MEDIA_MAX] = { false };

	if (n_streams > OFFER_MEDIA_MAX)
		n_streams = OFFER_MEDIA_MAX;	/* live streams are never more than m-lines */
	for (unsigned int i = 0; i < o->n_media; i++)
		of_mline[i] = BINDING_NONE;
	for (unsigned int r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
		for (unsigned int i = 0; i < o->n_media; i++) {
			for (unsigned int k = 0; of_mline[i] == BINDING_NONE && k < n_streams; k++) {
				if (bound[k] || !rules[r](&o->media[i], (int)i, &streams[k]))
					continue;
				of_mline[i] = (int)k;
				bound[k] = true;
			}
		}
	}
}
