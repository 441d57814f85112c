#include <stdio.h>
#include <time.h>

#include "controlplane/tool/tool.h"

#define KEKS_MAX 4096

int
command_keys_ls(struct tool *t)
{
	static struct keystore_kek keks[KEKS_MAX];
	char why[CONFIG_WHY_MAX], hex[2 * REEL_ID_SIZE + 1], at[32];
	uint8_t node_id[REEL_ID_SIZE], node[32];
	struct keystore *ks = tool_keystore(t, why, sizeof(why));
	cJSON *document, *rows;
	unsigned int n;

	if (ks == NULL)
		return tool_fail(t, TOOL_NO_KEY, "%s", why);
	n = keystore_keks(ks, keks, KEKS_MAX);
	keystore_node_public(ks, node_id, node);
	keystore_close(ks);
	document = cJSON_CreateObject();
	rows = cJSON_AddArrayToObject(document, "keks");
	cJSON_AddStringToObject(document, "node_key", tool_hex(node_id, REEL_ID_SIZE, hex));
	if (!t->json)
		printf("Node key (Ed25519) %s, public half in %s/node.pub\n%-32s %7s  %-19s  %s\n", hex,
		       t->config->keys.path, "KEY ENCRYPTION KEY", "VERSION", "SINCE (UTC)", "STATE");
	for (unsigned int i = 0; i < n; i++) {
		cJSON *row = cJSON_CreateObject();

		tool_hex(keks[i].id, REEL_ID_SIZE, hex);
		tool_time((uint64_t)keks[i].created_s * 1000000000u, at);
		cJSON_AddStringToObject(row, "id", hex);
		cJSON_AddNumberToObject(row, "version", keks[i].version);
		cJSON_AddNumberToObject(row, "created_s", (double)keks[i].created_s);
		cJSON_AddBoolToObject(row, "current", keks[i].current);
		cJSON_AddBoolToObject(row, "private_half_here", keks[i].has_private);
		cJSON_AddItemToArray(rows, row);
		if (!t->json)
			printf("%-32s %7u  %.19s  %s%s\n", hex, keks[i].version, at, keks[i].current ? "current" : "older",
			       keks[i].has_private ? "" : ", public half only");
	}
	if (t->json)
		return tool_print_json(document, TOOL_OK);
	cJSON_Delete(document);
	return TOOL_OK;
}
