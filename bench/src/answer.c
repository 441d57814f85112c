#include "answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value behind `name` when the line starts with it. */
static const char *
value_of(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncmp(line, name, len) == 0 ? line + len : NULL;
}

static void
read_media_line(struct answer_media *m, const char *value)
{
	char kind[32], port[16];

	if (sscanf(value, "%31s %15s %39s", kind, port, m->profile) == 3)
		m->port = (uint16_t)strtoul(port, NULL, 10);
}

static void
read_crypto(struct answer_media *m, const char *value)
{
	if (m->n_crypto < ANSWER_CRYPTO_MAX)
		snprintf(m->crypto[m->n_crypto], ANSWER_VALUE_MAX, "%s", value);
	m->n_crypto++;
}

static void
read_line(struct answer_media *m, const char *line)
{
	const char *value;

	if ((value = value_of(line, "c=IN IP4 ")) != NULL || (value = value_of(line, "c=IN IP6 ")) != NULL)
		snprintf(m->address, sizeof(m->address), "%.63s", value);
	else if ((value = value_of(line, "a=label:")) != NULL)
		m->label = (unsigned int)strtoul(value, NULL, 10);
	else if ((value = value_of(line, "a=crypto:")) != NULL)
		read_crypto(m, value);
	else if ((value = value_of(line, "a=fingerprint:")) != NULL)
		snprintf(m->fingerprint, sizeof(m->fingerprint), "%s", value);
	else if ((value = value_of(line, "a=setup:")) != NULL)
		snprintf(m->setup, sizeof(m->setup), "%.15s", value);
	else if ((value = value_of(line, "a=rtcp:")) != NULL)
		m->rtcp_port = (uint16_t)strtoul(value, NULL, 10);
	else if (strcmp(line, "a=rtcp-mux") == 0)
		m->rtcp_mux = true;
	else if (strcmp(line, "a=recvonly") == 0)
		m->recvonly = true;
	else if (strcmp(line, "a=inactive") == 0)
		m->inactive = true;
	else if (strcmp(line, "a=sendrecv") == 0 || strcmp(line, "a=sendonly") == 0)
		m->sends = true;
}

void
answer_read(struct answer *a, const char *sdp)
{
	struct answer_media session, spare;
	struct answer_media *m = &session;

	memset(a, 0, sizeof(*a));
	memset(&session, 0, sizeof(session));
	while (*sdp != '\0') {
		size_t len = strcspn(sdp, "\r\n");
		char line[ANSWER_VALUE_MAX];
		const char *value;

		snprintf(line, sizeof(line), "%.*s", (int)len, sdp);
		value = value_of(line, "m=");
		if (value != NULL) {
			m = a->n_media < ANSWER_MEDIA_MAX ? &a->media[a->n_media] : &spare;
			*m = session;
			a->n_media++;
			read_media_line(m, value);
		} else {
			read_line(m, line);
		}
		sdp += len + strspn(sdp + len, "\r\n");
	}
	for (unsigned int i = 0; i < a->n_media && i < ANSWER_MEDIA_MAX; i++)
		if (!a->media[i].recvonly && !a->media[i].inactive)
			a->media[i].sends = true; /* no direction means sendrecv (RFC 8866 §6.7) */
}
