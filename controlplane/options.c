#include "controlplane/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "env", required_argument, NULL, 'e' },
	{ "set", required_argument, NULL, 's' },
	{ "check", no_argument, NULL, 'k' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

enum srs_err
options_read(struct options *o, int argc, char **argv, char *why, unsigned long why_len)
{
	unsigned int n = 0;
	int c;

	memset(o, 0, sizeof(*o));
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, ":c:e:s:h", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->yaml_path = optarg;
			break;
		case 'e':
			o->env_path = optarg;
			break;
		case 's':
			if (n == OPTIONS_SETTINGS_MAX) {
				(void)snprintf(why, why_len, "more than %d --set options: put them into a file",
				               OPTIONS_SETTINGS_MAX);
				return SRS_ERR_LIMIT;
			}
			o->settings[n++] = optarg;
			break;
		case 'k':
			o->task = OPTIONS_CHECK;
			break;
		case 'V':
			o->task = OPTIONS_VERSION;
			return SRS_OK;
		case 'h':
			o->task = OPTIONS_HELP;
			return SRS_OK;
		case ':':
			(void)snprintf(why, why_len, "%s needs a value: see capstand --help", argv[optind - 1]);
			return SRS_ERR_INVALID;
		default:
			(void)snprintf(why, why_len, "unknown option %s: see capstand --help", argv[optind - 1]);
			return SRS_ERR_INVALID;
		}
	}
	if (optind < argc) {
		(void)snprintf(why, why_len, "unexpected argument %s: a file is named by --config FILE", argv[optind]);
		return SRS_ERR_INVALID;
	}
	return SRS_OK;
}

const char *
options_help(void)
{
	return "Usage: capstand [--config FILE] [--env FILE] [--set NAME=VALUE]... [--check]\n"
	       "The SIPREC recorder (RFC 7866): takes calls by SIP, media through DPDK, and keeps each call as a\n"
	       "sealed, encrypted recording. Runs in the foreground; Ctrl-C or SIGTERM ends calls with BYE, seals\n"
	       "them and exits within 5 seconds.\n"
	       "\n"
	       "  -c, --config FILE     settings in YAML (deploy/capstan.yaml is a commented sample of all)\n"
	       "  -e, --env FILE        settings as NAME=VALUE lines (default: ./.env when there is one)\n"
	       "  -s, --set NAME=VALUE  one setting, for example --set sip.accept=strict; may be repeated\n"
	       "      --check           read and check the settings, print the arithmetic, run nothing\n"
	       "      --version         print the version\n"
	       "  -h, --help            this page\n"
	       "\n"
	       "Later wins: built-in defaults, --config, --env, the environment, --set.\n"
	       "docs/configuration.md describes every name. Without any, SIP listens on UDP and TCP port 5060, REST\n"
	       "on 127.0.0.1:8080, media on a tap port that this host alone reaches, recordings go to ./recordings.\n"
	       "\n"
	       "Exit status: 0 stopped, all sealed; 1 it could not start, or something was left unsealed (the next\n"
	       "start seals it); 2 the command line or the settings are wrong.\n"
	       "\n"
	       "Test call: capstan-src --local 198.18.254.1 127.0.0.1:5060\n"
	       "Recordings: capstan recordings ls; capstan export ID --format wav --output call.wav\n";
}
