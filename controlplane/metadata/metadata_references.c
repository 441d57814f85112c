/* References that lead nowhere. A second walk over the XML, so that line and path are those of the reference; element
 * order does not matter, since the model is whole by then. */
#include <string.h>
#include <strings.h>

#include "controlplane/metadata/metadata_xml.h"

static bool
knows_session(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_sessions; i++)
		if (m->sessions[i].declared && strcmp(m->sessions[i].id, id) == 0)
			return true;
	return false;
}

static bool
knows_participant(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_participants; i++)
		if (strcmp(m->participants[i].id, id) == 0)
			return true;
	return false;
}

static bool
knows_stream(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_streams; i++)
		if (strcmp(m->streams[i].id, id) == 0)
			return true;
	return false;
}

static bool
knows_group(const struct metadata *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_groups; i++)
		if (strcmp(m->groups[i].id, id) == 0)
			return true;
	return false;
}

typedef bool knows_what(const struct metadata *m, const char *id);

/* Takes `id` over. "" refers to nothing. */
static void
check(struct reading *r, const xmlNode *node, char *id, knows_what *knows, const char *rule)
{
	if (id[0] != '\0' && !knows(r->m, id))
		reading_deviate(r, node, rule);
	metadata_text_free(id);
}

static void
check_attributes(struct reading *r, const xmlNode *node)
{
	static const char *const sessions[] = { "session_id", "session", "sessionid" };
	static const char *const participants[] = { "participant_id", "participant" };
	static const struct {
		const char *element;
		bool session, participant;
	} referring[] = {
		{ "stream", true, false },
		{ "participant", true, false },
		{ "sessionrecordingassoc", true, false },
		{ "participantsessionassoc", true, true },
		{ "participantstreamassoc", false, true },
	};

	for (size_t e = 0; e < sizeof(referring) / sizeof(referring[0]); e++) {
		if (strcasecmp(node_name(node), referring[e].element) != 0)
			continue;
		for (size_t i = 0; referring[e].session && i < 3; i++)
			check(r, node, node_attribute(r, node, sessions[i]), knows_session,
			      "refers to a session that the document does not have");
		for (size_t i = 0; referring[e].participant && i < 2; i++)
			check(r, node, node_attribute(r, node, participants[i]), knows_participant,
			      "refers to a participant that the document does not have");
	}
	if (strcasecmp(node_name(node), "session") == 0)
		check(r, node, node_attribute(r, node, "group"), knows_group,
		      "refers to a group that the document does not have");
}

static void
check_children(struct reading *r, const xmlNode *parent)
{
	for (const xmlNode *node = parent->children; node != NULL; node = node->next) {
		if (node->type != XML_ELEMENT_NODE || !node_is_ours(r, node))
			continue;
		if (strcasecmp(node_name(node), "send") == 0 || strcasecmp(node_name(node), "recv") == 0)
			check(r, node, node_text(r, node), knows_stream,
			      "refers to a stream that the document does not have");
		else if (strcasecmp(node_name(node), "group-ref") == 0)
			check(r, node, node_text(r, node), knows_group,
			      "refers to a group that the document does not have");
	}
}

void
metadata_references_check(struct reading *r, const xmlNode *root)
{
	for (const xmlNode *node = root->children; node != NULL; node = node->next) {
		if (node->type != XML_ELEMENT_NODE || !node_is_ours(r, node))
			continue;
		check_attributes(r, node);
		check_children(r, node);
	}
}
