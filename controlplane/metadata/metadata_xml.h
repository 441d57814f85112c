/* Reading XML nodes into the texts and items of a metadata document. Only metadata*.c include this. Whatever fails for
 * want of memory sets `nomem` and goes on with ""; the reader looks at it once, at its end. @thread any */
#ifndef METADATA_XML_H
#define METADATA_XML_H

#include <libxml/tree.h>

#include "controlplane/metadata/metadata_items.h"

struct reading {
	struct metadata *m;
	unsigned int line_first; /* lines of the caller's bytes before the document */
	size_t extension_bytes;
	bool nomem;
};

/** `path` and line are the node's. */
void reading_deviate(struct reading *r, const xmlNode *node, const char *rule);
char *reading_keep(struct reading *r, const char *text, size_t len);
/** Puts `value` in the place of a text, which is freed. */
void reading_set(char **field, char *value);
/** Appends to a list held in one text, which may grow to `max` bytes. */
void reading_append(struct reading *r, char **field, const char *separator, const char *more, size_t max);
/** One more item of an array, zeroed; NULL: no memory, or METADATA_ITEMS_MAX, which becomes a deviation. */
void *reading_add(struct reading *r, const xmlNode *node, void *items, unsigned int *n, size_t size);

/** Without prefix, also without one that nobody declared. */
const char *node_name(const xmlNode *node);
/** In one of the namespaces of recording metadata, or in none. */
bool node_is_ours(const struct reading *r, const xmlNode *node);
/** Content without blanks around it. */
char *node_text(struct reading *r, const xmlNode *node);
bool node_has_attribute(const xmlNode *node, const char *name);
char *node_attribute(struct reading *r, const xmlNode *node, const char *name);
/** The first of the names that is there; names[0] is RFC 7865's, `rule` is said for the others. */
char *node_attribute_of(struct reading *r, const xmlNode *node, const char *const names[], const char *rule);

enum node_field_kind { NODE_TIME, NODE_TEXT, NODE_CALL };

/* A child element that a reader knows, and where its content goes. */
struct node_field {
	const char *name;
	enum node_field_kind kind;
	size_t offset;
	void (*read)(struct reading *r, xmlNode *node, void *item);
	const char *rule; /* why a document should not have it here; NULL: RFC 7865 has it */
};
#define NODE_TIME_FIELD(name, type, member, rule)                                                            \
	{                                                                                                    \
		name, NODE_TIME, offsetof(type, member), NULL, rule                                          \
	}
#define NODE_TEXT_FIELD(name, type, member, rule)                                                            \
	{                                                                                                    \
		name, NODE_TEXT, offsetof(type, member), NULL, rule                                          \
	}
#define NODE_CALL_FIELD(name, read, rule)                                                                    \
	{                                                                                                    \
		name, NODE_CALL, 0, read, rule                                                               \
	}

/** Reads the children that `fields` names (ended by an empty row) into `item`, the others into `extension`. */
void node_read_children(struct reading *r, const xmlNode *parent, const struct node_field *fields, void *item,
			char **extension);

/** References from one element to another that lead nowhere, as deviations (RFC 7865 §6). For complete documents. */
void metadata_references_check(struct reading *r, const xmlNode *root);

#endif
