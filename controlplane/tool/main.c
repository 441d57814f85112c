/* capstan: the operator's tool. Reads vaults and files without a running recorder and without DPDK. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tool/tool.h"
#include "lib/srs_log.h"

#define SETTINGS_MAX 64

extern char **environ;

static const char help[] =
        "Usage: capstan COMMAND [options]\n\n"
        "Recordings\n"
        "  recordings ls                    list them, newest first [--state S] [--text T] [--limit N]\n"
        "                                   [--group ID] [--session-id ID]: calls that were linked, or are the same\n"
        "  recordings show ID|FILE          one recording: who, when, which streams, what is missing, is it intact\n"
        "                                   --metadata-history: every metadata document that it holds\n"
        "  export ID|FILE --format F --output PATH\n"
        "                                   wav: decoded audio, a channel a stream; reel: still sealed;\n"
        "                                   pcapng: the RTP packets\n"
        "  verify [ID|FILE]                 is anything lost or changed? Without a name: the whole vault.\n"
        "                                   --no-keys: as somebody who may not listen\n"
        "Node\n"
        "  sessions ls                      calls of the running recorder\n"
        "  sessions pause|resume ID         stop recording, and ask the client to stop sending; go on\n"
        "  sessions mask|unmask ID          stop recording, without telling the client; go on\n"
        "  sessions drop ID --stream LABEL  refuse one stream from now on\n"
        "  sessions end ID                  hang up and seal. All take --reason TEXT and --by NAME\n"
        "  node drain|undrain               take no new calls, those in progress go on; take calls again\n"
        "  srcs ls                          recording clients as heard since the start, heard last first [--limit N]\n"
        "  srcs show NAME                   what one of them does: what it breaks, how often, which switches are closed\n"
        "  refusals ls                      the last requests that were refused, and why [--src NAME] [--status N]\n"
        "                                   [--limit N]\n"
        "  keys ls                          key encryption keys of this node\n"
        "  doctor                           is this machine fit? One line a check, with the remedy\n"
        "  fsck [--rebuild]                 check the vault's files; --rebuild makes the catalog anew from them\n"
        "Files\n"
        "  config check [FILE]              file, line and rule of what is wrong; ports and memory arithmetic\n"
        "  metadata check FILE              deviations of an rs-metadata document (or a SIP message holding one)\n\n"
        "Options\n"
        "  --config FILE  --env FILE  --set NAME=VALUE    as the recorder's\n"
        "  --node-pub FILE   public key of the node that sealed (default: the keystore's node.pub)\n"
        "  --json            one JSON document on standard output     --quiet   no progress bar\n"
        "  --help            this page                                --version\n\n"
        "Exit status: 0 all is well; 1 damaged or not all right; 2 wrong command line or configuration;\n"
        "3 not found; 4 the keys here do not open it; 5 the system failed.\n";

enum option_long {
	OPT_CONFIG = 256, OPT_ENV, OPT_SET, OPT_NODE_PUB, OPT_JSON, OPT_QUIET, OPT_FORMAT, OPT_OUTPUT, OPT_STATE,
	OPT_TEXT, OPT_LIMIT, OPT_REBUILD, OPT_NO_KEYS, OPT_HISTORY, OPT_GROUP, OPT_SESSION_ID, OPT_BY, OPT_REASON, OPT_STREAM, OPT_SRC, OPT_STATUS,
	OPT_VERSION,
};

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "env", required_argument, NULL, OPT_ENV },
	{ "set", required_argument, NULL, OPT_SET },
	{ "node-pub", required_argument, NULL, OPT_NODE_PUB },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "text", required_argument, NULL, OPT_TEXT },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "by", required_argument, NULL, OPT_BY },
	{ "reason", required_argument, NULL, OPT_REASON },
	{ "stream", required_argument, NULL, OPT_STREAM },
	{ "src", required_argument, NULL, OPT_SRC },
	{ "status", required_argument, NULL, OPT_STATUS },
	{ "rebuild", no_argument, NULL, OPT_REBUILD },
	{ "group", required_argument, NULL, OPT_GROUP },
	{ "session-id", required_argument, NULL, OPT_SESSION_ID },
	{ "metadata-history", no_argument, NULL, OPT_HISTORY },
	{ "no-keys", no_argument, NULL, OPT_NO_KEYS },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static struct tool tool;
static const char *settings[SETTINGS_MAX + 1];
static unsigned int n_settings;
static struct config_sources sources;

static int
take_options(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case OPT_CONFIG:
			sources.yaml_path = optarg;
			break;
		case OPT_ENV:
			sources.env_path = optarg;
			break;
		case OPT_SET:
			if (n_settings == SETTINGS_MAX)
				return tool_fail(&tool, TOOL_USAGE, "at most %d --set", SETTINGS_MAX);
			settings[n_settings++] = optarg;
			break;
		case OPT_NODE_PUB:
			tool.node_pub = optarg;
			break;
		case OPT_JSON:
			tool.json = true;
			break;
		case OPT_QUIET:
			tool.quiet = true;
			break;
		case OPT_FORMAT:
			tool.format = optarg;
			break;
		case OPT_OUTPUT:
			tool.output = optarg;
			break;
		case OPT_STATE:
			tool.state = optarg;
			break;
		case OPT_TEXT:
			tool.text = optarg;
			break;
		case OPT_LIMIT:
			tool.limit = optarg;
			break;
		case OPT_BY:
			tool.by = optarg;
			break;
		case OPT_REASON:
			tool.reason = optarg;
			break;
		case OPT_STREAM:
			tool.stream = optarg;
			break;
		case OPT_SRC:
			tool.src = optarg;
			break;
		case OPT_STATUS:
			tool.status = optarg;
			break;
		case OPT_REBUILD:
			tool.rebuild = true;
			break;
		case OPT_NO_KEYS:
			tool.no_keys = true;
			break;
		case OPT_GROUP:
			tool.group = optarg;
			break;
		case OPT_SESSION_ID:
			tool.session_id = optarg;
			break;
		case OPT_HISTORY:
			tool.history = true;
			break;
		case OPT_VERSION:
			puts("capstan " SRS_VERSION);
			exit(TOOL_OK);
		case 'h':
			fputs(help, stdout);
			exit(TOOL_OK);
		default:
			return TOOL_USAGE; /* getopt said why */
		}
	}
	return TOOL_OK;
}

/* The commands that need no valid configuration. @return -1: another command */
static int
run_file_command(const char *noun, const char *verb, const char *name)
{
	if (strcmp(noun, "config") == 0 && strcmp(verb, "check") == 0) {
		if (name != NULL)
			sources.yaml_path = name;
		return command_config_check(&tool, &sources);
	}
	if (strcmp(noun, "metadata") == 0 && strcmp(verb, "check") == 0) {
		if (name == NULL)
			return tool_fail(&tool, TOOL_USAGE, "metadata check: name the file");
		return command_metadata_check(&tool, name);
	}
	return -1;
}

/* By first word: what to say when the words behind it are too few, too many or others. */
static const char *const usages[] = {
	"recordings ls, or capstan recordings show ID|FILE",
	"export ID|FILE --format wav|reel|pcapng --output PATH",
	"verify [ID|FILE]",
	"fsck [--rebuild]",
	"doctor",
	"keys ls",
	"sessions ls, or capstan sessions pause|resume|mask|unmask|drop|end ID",
	"node drain|undrain",
	"srcs ls, or capstan srcs show NAME",
	"refusals ls",
	"config check [FILE]",
	"metadata check FILE",
};

static bool
is_session_verb(const char *verb)
{
	static const char *const verbs[] = { "pause", "resume", "mask", "unmask", "drop", "end" };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verb, verbs[i]) == 0)
			return true;
	}
	return false;
}

static int
run_command(char **words, int n)
{
	const char *noun = words[0];
	const char *verb = n > 1 ? words[1] : "";

	if (strcmp(noun, "recordings") == 0 && strcmp(verb, "ls") == 0 && n == 2)
		return command_recordings_ls(&tool);
	if (strcmp(noun, "recordings") == 0 && strcmp(verb, "show") == 0 && n == 3)
		return tool.history ? command_recordings_history(&tool, words[2]) : command_recordings_show(&tool, words[2]);
	if (strcmp(noun, "export") == 0 && n == 2)
		return command_export(&tool, words[1]);
	if (strcmp(noun, "verify") == 0 && n <= 2)
		return command_verify(&tool, n == 2 ? words[1] : NULL);
	if (strcmp(noun, "fsck") == 0 && n == 1)
		return command_fsck(&tool);
	if (strcmp(noun, "doctor") == 0 && n == 1)
		return command_doctor(&tool);
	if (strcmp(noun, "keys") == 0 && strcmp(verb, "ls") == 0 && n == 2)
		return command_keys_ls(&tool);
	if (strcmp(noun, "sessions") == 0 && strcmp(verb, "ls") == 0 && n == 2)
		return command_sessions_ls(&tool);
	if (strcmp(noun, "sessions") == 0 && n == 3 && is_session_verb(verb))
		return command_sessions_do(&tool, verb, words[2]);
	if (strcmp(noun, "node") == 0 && n == 2 && (strcmp(verb, "drain") == 0 || strcmp(verb, "undrain") == 0))
		return command_node_do(&tool, verb);
	if (strcmp(noun, "srcs") == 0 && strcmp(verb, "ls") == 0 && n == 2)
		return command_srcs_ls(&tool);
	if (strcmp(noun, "srcs") == 0 && strcmp(verb, "show") == 0 && n == 3)
		return command_srcs_show(&tool, words[2]);
	if (strcmp(noun, "refusals") == 0 && strcmp(verb, "ls") == 0 && n == 2)
		return command_refusals_ls(&tool);
	for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
		const char *u = usages[i];
		size_t len = strcspn(u, " ");

		if (strncmp(u, noun, len) == 0 && noun[len] == '\0')
			return tool_fail(&tool, TOOL_USAGE, "usage: capstan %s", u);
	}
	return tool_fail(&tool, TOOL_USAGE, "no such command: %s; `capstan --help` lists them", noun);
}

int
main(int argc, char **argv)
{
	char why[CONFIG_WHY_MAX];
	int status = take_options(argc, argv);
	int n;

	if (status != TOOL_OK)
		return status;
	n = argc - optind;
	if (n == 0) {
		fputs(help, stderr);
		return TOOL_USAGE;
	}
	srs_log_level_set(SRS_LOG_ERROR);
	sources.environ = environ;
	sources.flags = settings;
	status = n > 3 ? -1 : run_file_command(argv[optind], n > 1 ? argv[optind + 1] : "", n > 2 ? argv[optind + 2] : NULL);
	if (status >= 0)
		return status;
	if (config_load(&tool.config, &sources, why, sizeof(why)) != SRS_OK)
		return tool_fail(&tool, TOOL_USAGE, "%s", why);
	status = run_command(argv + optind, n);
	config_free(tool.config);
	return status;
}
