/* Bytes as one value for libosip2's own parsers, called as they are called here: From, To and their tag, Via and its
 * branch, a URI and its transport. The first byte chooses. What is read can be written, and what was written is read
 * again as the same text. */
#include <osipparser2/osip_parser.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define VALUE_MAX 65536u	/* a page's multiple */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
from_value(const char *value)
{
	osip_from_t *first = NULL, *second = NULL;
	osip_generic_param_t *tag = NULL;
	char *text = NULL, *again = NULL, *uri = NULL;

	if (osip_from_init(&first) != OSIP_SUCCESS || osip_from_init(&second) != OSIP_SUCCESS)
		abort();
	if (osip_from_parse(first, value) == OSIP_SUCCESS && first->url != NULL) {
		osip_from_param_get_byname(first, (char[]){ "tag" }, &tag);
		if (tag != NULL && tag->gvalue != NULL && strlen(tag->gvalue) > strlen(value))
			abort();
		osip_uri_to_str(first->url, &uri);
		/* a quoted name that libosip2 takes and does not write well is not ours: the bytes are kept beside it */
		if (osip_from_to_str(first, &text) == OSIP_SUCCESS && osip_from_parse(second, text) == OSIP_SUCCESS &&
		    osip_from_to_str(second, &again) == OSIP_SUCCESS && strlen(again) > 4 * strlen(value) + 64)
			abort();
	}
	osip_free(uri);
	osip_free(text);
	osip_free(again);
	osip_from_free(first);
	osip_from_free(second);
}

static void
via_value(const char *value)
{
	osip_via_t *via = NULL;
	osip_generic_param_t *branch = NULL;
	char *text = NULL;

	if (osip_via_init(&via) != OSIP_SUCCESS)
		abort();
	if (osip_via_parse(via, value) == OSIP_SUCCESS && via->host != NULL && via->protocol != NULL) {
		osip_via_param_get_byname(via, (char[]){ "branch" }, &branch);
		if (branch != NULL && branch->gvalue != NULL && strlen(branch->gvalue) > strlen(value))
			abort();
		osip_via_to_str(via, &text);
	}
	osip_free(text);
	osip_via_free(via);
}

static void
uri_value(const char *value)
{
	osip_uri_t *uri = NULL;
	osip_uri_param_t *transport = NULL;
	char *text = NULL;

	if (osip_uri_init(&uri) != OSIP_SUCCESS)
		abort();
	if (osip_uri_parse(uri, value) == OSIP_SUCCESS) {
		if (uri->host != NULL && strlen(uri->host) > strlen(value))
			abort();
		osip_uri_uparam_get_byname(uri, (char[]){ "transport" }, &transport);
		osip_uri_to_str(uri, &text);
	}
	osip_free(text);
	osip_uri_free(uri);
}

/* Ends where readable memory ends: the library is not built with a sanitizer, and a look behind the text is seen all the
 * same. */
static char *
value_at_an_edge(const uint8_t *bytes, size_t len)
{
	static char *edge;

	if (edge == NULL) {
		char *pages = mmap(NULL, 2 * VALUE_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (pages == MAP_FAILED || mprotect(pages + VALUE_MAX, VALUE_MAX, PROT_NONE) != 0)
			abort();
		edge = pages + VALUE_MAX;
	}
	if (len != 0)
		memcpy(edge - 1 - len, bytes, len);
	edge[-1] = '\0';
	for (char *c = edge - 1 - len; c < edge - 1; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return edge - 1 - len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const char *value;
	char kind;

	if (len == 0 || len > VALUE_MAX)
		return 0;
	parser_init();
	kind = (char)(bytes[0] % 3);
	for (bytes++, len--; len != 0 && bytes[len - 1] <= ' ';)	/* values come trimmed (controlplane/sip/message.c) */
		len--;
	value = value_at_an_edge(bytes, len);
	if (kind == 0)
		from_value(value);
	else if (kind == 1)
		via_value(value);
	else
		uri_value(value);
	return 0;
}
