/* Bytes as XML: whatever the scan lets through stays inside the bounds when libxml2 reads it. The scan is there so that
 * libxml2 never sees more, so the two must count alike: depth, elements, attributes of a tag, no DTD, no entity but the
 * five of XML (RFC 7865 §10). Refusals have a sentence. */
#include <libxml/parser.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/metadata/metadata.h"
#include "controlplane/metadata/metadata_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static unsigned int n_elements;

static void
element_is_bounded(const xmlNode *node, unsigned int depth)
{
	unsigned int n = 0;

	if (depth > METADATA_DEPTH_MAX || ++n_elements > METADATA_ELEMENTS_MAX)
		abort();
	for (const xmlAttr *a = node->properties; a != NULL; a = a->next)
		n++;
	for (const xmlNs *ns = node->nsDef; ns != NULL; ns = ns->next)
		n++;
	if (n > METADATA_ATTRIBUTES_MAX)
		abort();
	for (const xmlNode *child = node->children; child != NULL; child = child->next) {
		if (child->type == XML_ENTITY_REF_NODE || child->type == XML_DTD_NODE || child->type == XML_ENTITY_DECL)
			abort();
		if (child->type == XML_ELEMENT_NODE)
			element_is_bounded(child, depth + 1);
	}
}

/* libxml2 must not ask for anything outside. */
static xmlParserInputPtr
nothing_is_loaded(const char *url, const char *id, xmlParserCtxtPtr parser)
{
	(void)url;
	(void)id;
	(void)parser;
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct span document = { 0 };
	char why[128] = "";
	uint8_t *copy = malloc(len ? len : 1);	/* no byte behind the last one */
	enum srs_err err;
	xmlDoc *doc;

	if (copy == NULL)
		return 0;
	if (len != 0)
		memcpy(copy, bytes, len);
	xmlSetExternalEntityLoader(nothing_is_loaded);
	err = metadata_scan(&document, span_of(copy, len), 0, why, sizeof(why));
	if (err != SRS_OK) {
		if (why[0] == '\0')
			abort();
		free(copy);
		return 0;
	}
	if (document.len == 0 || document.bytes < copy || document.bytes + document.len > copy + len ||
	    document.bytes[0] != '<' || document.bytes[document.len - 1] != '>')
		abort();
	doc = xmlReadMemory((const char *)document.bytes, (int)document.len, NULL, NULL,
	                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_COMPACT);
	if (doc != NULL) {
		if (doc->intSubset != NULL || doc->extSubset != NULL || xmlDocGetRootElement(doc) == NULL)
			abort();
		n_elements = 0;
		element_is_bounded(xmlDocGetRootElement(doc), 1);
		xmlFreeDoc(doc);
	}
	free(copy);
	return 0;
}
