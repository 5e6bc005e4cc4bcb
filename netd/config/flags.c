/* SPDX-License-Identifier: Apache-2.0 */
#include "flags.h"

#include <getopt.h>

#include "netd/util.h"
#include "netd/words.h"

const char flags_help[] =
	"Usage: netd [OPTION]...\n"
	"Networks, names and services for the pods of this host.\n\n"
	"  --root DIR         state, sockets and pins below DIR\n"
	"  --config FILE      instead of /etc/netd/netd.yaml (DIR/netd.yaml)\n"
	"  --node NAME        this node's name (default: the host's)\n"
	"  --address IP       this node's tunnel address\n"
	"  --store STORE      sqlite, etcd://HOST:PORT[,HOST:PORT...] or "
	"etcds://...\n"
	"  --adopt-store      take a store that is not the one known here\n"
	"  --log-level LEVEL  error, warning, info, debug\n"
	"  --check-config     check the configuration and end\n"
	"  --cleanup          take away what netd made, and end\n"
	"  --version, --help\n";

enum option_id {
	OPT_ROOT = 1000,
	OPT_FILE,
	OPT_NODE,
	OPT_ADDRESS,
	OPT_STORE,
	OPT_LOG_LEVEL,
	OPT_ADOPT,
	OPT_CHECK,
	OPT_CLEANUP,
};

static const struct option options[] = {
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "config", required_argument, NULL, OPT_FILE },
	{ "node", required_argument, NULL, OPT_NODE },
	{ "address", required_argument, NULL, OPT_ADDRESS },
	{ "store", required_argument, NULL, OPT_STORE },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "adopt-store", no_argument, NULL, OPT_ADOPT },
	{ "check-config", no_argument, NULL, OPT_CHECK },
	{ "cleanup", no_argument, NULL, OPT_CLEANUP },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int refuse(const char *word, char *error, size_t size)
{
	struct word_near near = word_near(word + strspn(word, "-"));
	const char *meant;

	for (size_t i = 0; options[i].name; i++)
		word_offer(&near, options[i].name);
	meant = word_meant(&near);
	snprintf(error, size, "unknown flag %s%s%s%s", word,
		 meant ? "; did you mean --" : "", meant ? meant : "",
		 meant ? "?" : "");
	return -EINVAL;
}

static int flag_set(struct flags *f, int id)
{
	switch (id) {
	case OPT_ROOT:
		f->root = optarg;
		break;
	case OPT_FILE:
		f->file = optarg;
		break;
	case OPT_NODE:
		f->node = optarg;
		break;
	case OPT_ADDRESS:
		f->address = optarg;
		break;
	case OPT_STORE:
		f->store = optarg;
		break;
	case OPT_LOG_LEVEL:
		f->log_level = optarg;
		break;
	case OPT_ADOPT:
		f->adopt_store = true;
		break;
	case OPT_CHECK:
		f->verb = FLAGS_CHECK;
		break;
	case OPT_CLEANUP:
		f->verb = FLAGS_CLEANUP;
		break;
	case 'V':
		f->verb = FLAGS_VERSION;
		break;
	case 'h':
		f->verb = FLAGS_HELP;
		break;
	default:
		return -EINVAL;
	}
	return 0;
}

int flags_parse(int argc, char **argv, struct flags *ret, char *error,
		size_t size)
{
	struct flags f = { 0 };
	int id;

	/* 0 makes glibc begin anew; the messages are ours. */
	optind = 0;
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (id == ':') {
			snprintf(error, size, "%s wants a value", word);
			return -EINVAL;
		}
		if (flag_set(&f, id))
			return refuse(word, error, size);
	}
	if (optind < argc) {
		snprintf(error, size, "\"%s\" is no flag", argv[optind]);
		return -EINVAL;
	}
	*ret = f;
	return 0;
}
