/* Reading XML nodes into texts and items, with deviations. */
#include "controlplane/metadata/metadata_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATH_MAX_BYTES 256
#define CLOCK_SET_NS   946684800000000000 /* 2000-01-01: a clock before it was never set */

/* ---- deviations ---- */

const char *
node_name(const xmlNode *node)
{
	const char *name = (const char *)node->name;
	const char *colon = node->ns ? NULL : strchr(name, ':'); /* a prefix that nobody declared */

	return colon ? colon + 1 : name;
}

/* /recording/participant[2]; the position only where the name stands there more than once */
static char *
node_path(const xmlNode *node)
{
	char path[PATH_MAX_BYTES];
	size_t start = sizeof(path);

	for (; node != NULL && node->type == XML_ELEMENT_NODE; node = node->parent) {
		unsigned int before = 0, after = 0;
		char step[PATH_MAX_BYTES];
		int n;

		for (const xmlNode *s = node->prev; s; s = s->prev)
			before += s->type == XML_ELEMENT_NODE && strcmp(node_name(s), node_name(node)) == 0;
		for (const xmlNode *s = node->next; s && !after; s = s->next)
			after += s->type == XML_ELEMENT_NODE && strcmp(node_name(s), node_name(node)) == 0;
		if (before || after)
			n = snprintf(step, sizeof(step), "/%s[%u]", node_name(node), before + 1);
		else
			n = snprintf(step, sizeof(step), "/%s", node_name(node));
		if (n < 0 || (size_t)n >= sizeof(step) || (size_t)n > start)
			break;
		start -= (size_t)n;
		memcpy(path + start, step, (size_t)n);
	}
	return metadata_text_copy(path + start, sizeof(path) - start);
}

void
reading_deviate(struct reading *r, const xmlNode *node, const char *rule)
{
	char *path;

	if (!metadata_deviation_fits(r->m, rule))
		return; /* before the path, which is dear among many siblings */
	path = node_path(node);
	if (path == NULL)
		r->nomem = true;
	metadata_deviate(r->m, r->line_first + (unsigned int)xmlGetLineNo(node), path, rule);
}

/* ---- texts ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

char *
reading_keep(struct reading *r, const char *text, size_t len)
{
	char *copy = metadata_text_copy(text, len);

	if (copy == NULL) {
		r->nomem = true;
		return metadata_no_text;
	}
	return copy;
}

static char *
keep_trimmed(struct reading *r, const char *text)
{
	size_t len = strlen(text);

	while (len != 0 && is_blank(text[len - 1]))
		len--;
	while (len != 0 && is_blank(*text)) {
		text++;
		len--;
	}
	return reading_keep(r, text, len);
}

void
reading_set(char **field, char *value)
{
	metadata_text_free(*field);
	*field = value;
}

void
reading_append(struct reading *r, char **field, const char *separator, const char *more, size_t max)
{
	size_t a = strlen(*field), s = a ? strlen(separator) : 0, b = strlen(more);
	char *joined;

	if (a + s + b > max) {
		metadata_deviate(r->m, 0, metadata_no_text, "a list longer than we keep; the rest left out");
		return;
	}
	joined = malloc(a + s + b + 1);
	if (joined == NULL) {
		r->nomem = true;
		return;
	}
	memcpy(joined, *field, a);
	memcpy(joined + a, separator, s);
	memcpy(joined + a + s, more, b + 1);
	reading_set(field, joined);
}

char *
node_text(struct reading *r, const xmlNode *node)
{
	xmlChar *content = xmlNodeGetContent(node);
	char *text;

	if (content == NULL) {
		r->nomem = true;
		return metadata_no_text;
	}
	text = keep_trimmed(r, (const char *)content);
	xmlFree(content);
	return text;
}

static const xmlAttr *
find_attribute(const xmlNode *node, const char *name)
{
	for (const xmlAttr *a = node->properties; a; a = a->next)
		if (strcasecmp(node_name((const xmlNode *)a), name) == 0)
			return a;
	return NULL;
}

bool
node_has_attribute(const xmlNode *node, const char *name)
{
	return find_attribute(node, name) != NULL;
}

char *
node_attribute(struct reading *r, const xmlNode *node, const char *name)
{
	const xmlAttr *a = find_attribute(node, name);

	return a ? node_text(r, (const xmlNode *)a) : metadata_no_text;
}

/* The first of the names that is there; names[0] is RFC 7865's, `rule` says so for the others. */
char *
node_attribute_of(struct reading *r, const xmlNode *node, const char *const names[], const char *rule)
{
	for (unsigned int i = 0; names[i] != NULL; i++)
		if (node_has_attribute(node, names[i])) {
			if (i != 0)
				reading_deviate(r, node, rule);
			return node_attribute(r, node, names[i]);
		}
	return metadata_no_text;
}

/* ---- times ---- */

static void
node_read_time(struct reading *r, const xmlNode *node, struct metadata_time *t)
{
	bool zoned = true;

	reading_set(&t->text, node_text(r, node));
	t->wall_ns = 0;
	if (!metadata_time_read(t->text, &t->wall_ns, &zoned))
		reading_deviate(r, node, "not a date and time as xs:dateTime; kept as text (RFC 7865 §6.9)");
	else if (!zoned)
		reading_deviate(r, node, "time without a zone; taken as UTC (RFC 7865 §6.9)");
	else if (t->wall_ns < CLOCK_SET_NS)
		reading_deviate(r, node, "time before the year 2000: the clock of the sender was not set");
}

/* ---- extensions (RFC 7865 §5, xs:any) ---- */

/* What foreign elements of one parent are written into. */
struct foreign {
	xmlBuffer *bytes;
	xmlOutputBuffer *out;	/* into `bytes` when flushed */
};

static bool
declares(const xmlNode *node, const xmlNs *ns)
{
	for (const xmlNs *own = node->nsDef; own != NULL; own = own->next)
		if (own == ns)
			return true;
	return ns == NULL;
}

/* Without children and with each of its namespaces declared in its own tag, as most are. */
static bool
stands_alone(const xmlNode *node)
{
	for (const xmlNode *child = node->children; child != NULL; child = child->next)
		if (child->type == XML_ELEMENT_NODE)
			return false;
	for (const xmlAttr *a = node->properties; a != NULL; a = a->next)
		if (!declares(node, a->ns))
			return false;
	return declares(node, node->ns);
}

static bool
foreign_write(struct foreign *f, xmlNode *node)
{
	if (f->out == NULL) {
		f->bytes = xmlBufferCreate();
		f->out = f->bytes == NULL ? NULL : xmlOutputBufferCreateBuffer(f->bytes, NULL);
		if (f->out == NULL)
			return false;
	} else {
		xmlBufferCat(f->bytes, (const xmlChar *)"\n");
	}
	xmlNodeDumpOutput(f->out, node->doc, node, 0, 0, NULL);
	return xmlOutputBufferFlush(f->out) >= 0;
}

/* Verbatim, with the namespace declarations it needs to stand alone. Together bounded like the document: a long
 * namespace name would otherwise be multiplied by every element that uses it. */
static void
dump_extension(struct reading *r, xmlNode *node, struct foreign *foreign)
{
	xmlNode *copy = NULL;
	int before;

	if (r->extension_bytes >= METADATA_BYTES_MAX) {
		reading_deviate(r, node,
				"extension elements together larger than 256 KiB; the rest left out");
		return;
	}
	if (!stands_alone(node)) {
		copy = xmlDocCopyNode(node, node->doc, 1);	/* takes declarations along */
		if (copy == NULL) {
			r->nomem = true;
			return;
		}
	}
	before = foreign->bytes == NULL ? 0 : xmlBufferLength(foreign->bytes);
	if (!foreign_write(foreign, copy != NULL ? copy : node))
		r->nomem = true;
	else
		r->extension_bytes += (size_t)(xmlBufferLength(foreign->bytes) - before);
	xmlFreeNode(copy);
}

/* ---- child elements by name ---- */

bool
node_is_ours(const struct reading *r, const xmlNode *node)
{
	const char *href = node->ns ? (const char *)node->ns->href : NULL;
	const xmlNode *root = xmlDocGetRootElement(node->doc);

	if (href == NULL || (root->ns != NULL && strcmp(href, (const char *)root->ns->href) == 0))
		return true;
	return strcmp(href, "urn:ietf:params:xml:ns:recording:1") == 0 ||
	       strcmp(href, "urn:ietf:params:xml:ns:recording") == 0 ||
	       strcmp(href, "urn:ietf:params:xml:ns:siprec") == 0;
}

static const struct node_field *
find_field(const struct reading *r, const xmlNode *node, const struct node_field *fields)
{
	if (!node_is_ours(r, node))
		return NULL;
	for (; fields->name != NULL; fields++)
		if (strcasecmp(node_name(node), fields->name) == 0)
			return fields;
	return NULL;
}

static void
read_field(struct reading *r, xmlNode *node, const struct node_field *f, void *item)
{
	char *place = (char *)item + f->offset;

	switch (f->kind) {
	case NODE_TIME:
		node_read_time(r, node, (struct metadata_time *)(void *)place);
		break;
	case NODE_TEXT:
		reading_set((char **)(void *)place, node_text(r, node));
		break;
	case NODE_CALL:
		f->read(r, node, item);
		break;
	}
}

void
node_read_children(struct reading *r, const xmlNode *parent, const struct node_field *fields, void *item,
		   char **extension)
{
	struct foreign foreign = { 0 };

	for (xmlNode *node = parent->children; node != NULL; node = node->next) {
		const struct node_field *f;

		if (node->type != XML_ELEMENT_NODE)
			continue;
		f = find_field(r, node, fields);
		if (f == NULL) {
			if (node_is_ours(r, node) && r->m->dialect != METADATA_SIPREC)
				reading_deviate(r, node,
						"element that RFC 7865 does not have in this place; kept as "
						"an extension");
			dump_extension(r, node, &foreign);
			continue;
		}
		if (strcmp(node_name(node), f->name) != 0)
			reading_deviate(r, node, "element name in other case than RFC 7865 writes it");
		if (f->rule != NULL)
			reading_deviate(r, node, f->rule);
		read_field(r, node, f, item);
	}
	if (foreign.bytes != NULL)
		reading_append(r, extension, "\n", (const char *)xmlBufferContent(foreign.bytes), SIZE_MAX);
	if (foreign.out != NULL)
		xmlOutputBufferClose(foreign.out);
	if (foreign.bytes != NULL)
		xmlBufferFree(foreign.bytes);
}

/* An array is full at METADATA_ITEMS_MAX; what comes then is left out and said. */
void *
reading_add(struct reading *r, const xmlNode *node, void *items, unsigned int *n, size_t size)
{
	void *item;

	if (*n == METADATA_ITEMS_MAX) {
		reading_deviate(r, node, "more than 256 of this element; the rest left out");
		return NULL;
	}
	item = metadata_item_add(items, n, size);
	if (item == NULL)
		r->nomem = true;
	return item;
}
