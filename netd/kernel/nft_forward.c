/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accepts in iptables' FORWARD.
 *
 * A verdict "accept" in our table would not help: every table's chain at a
 * hook is asked, and one DROP is final. So the accept must stand where the
 * DROP is, and Docker keeps DOCKER-USER for that. Listing starts a program,
 * so it is done again only after the rules' generation changed or a while
 * later (iptables-legacy's rules have no generation).
 */
#include "nft.h"

#include <linux/netfilter.h>

#include "netd/util.h"
#include "nft_read.h"
#include "run.h"

#define FORWARD_LIST_LEN (256 * 1024)
#define FORWARD_AGAIN_MS 10000
#define FORWARD_DEL_MAX 8

static const struct forward_rule {
	const char *direction;
	const char *state;
} forward_rules[] = {
	{ "-i", NULL },
	{ "-o", "RELATED,ESTABLISHED" },
};

static const char *const forward_chains[] = { "DOCKER-USER", "FORWARD" };

/* Each family has tables and a program of its own. */
static const struct forward_family {
	uint8_t nfproto;
	const char *program;
	const char *legacy;
} forward_families[] = {
	{ NFPROTO_IPV4, "iptables", "/proc/self/net/ip_tables_names" },
	{ NFPROTO_IPV6, "ip6tables", "/proc/self/net/ip6_tables_names" },
};

/* When everything was in place, and at which generation. */
static struct {
	uint32_t generation;
	int64_t at;
} forward_good;

/* Legacy tables are listed once their module is in use here. */
static bool forward_has_legacy(const struct forward_family *family)
{
	AUTO(str_freep) char *names = NULL;

	return !file_read(family->legacy, 4096, &names) &&
	       strstr(names, "filter");
}

static bool forward_has_chain(const struct forward_family *family)
{
	bool drop;

	return !nft_read_policy(family->nfproto, "filter", "FORWARD", &drop) ||
	       forward_has_legacy(family);
}

static int forward_list(const struct forward_family *family, char **ret)
{
	const char *const argv[] = { family->program, "-w", "5", "-S", NULL };
	AUTO(str_freep) char *text = xzalloc(FORWARD_LIST_LEN);
	int err = run_program(argv, NULL, text, FORWARD_LIST_LEN);

	if (err)
		return err > 0 ? -EIO : err;
	*ret = take_ptr(text);
	return 0;
}

/* Calls for each line of `text`; the line ends with a space here. */
static bool forward_find(const char *text, const char *const parts[],
			 size_t parts_len)
{
	char line[512];

	while (*text) {
		size_t len = strcspn(text, "\n");
		size_t hits = 0;

		if (len + 2 < sizeof(line)) {
			memcpy(line, text, len);
			memcpy(line + len, " ", 2);
			while (hits < parts_len && strstr(line, parts[hits]))
				hits++;
			if (hits == parts_len)
				return true;
		}
		text += len + (text[len] == '\n');
	}
	return false;
}

static bool forward_has_rule(const char *text, const char *chain,
			     const struct forward_rule *rule,
			     const char *tunnel)
{
	char head[64], device[64];
	const char *parts[] = { head, device, " netd ", " ACCEPT " };

	snprintf(head, sizeof(head), "-A %s ", chain);
	snprintf(device, sizeof(device), " %s %s ", rule->direction, tunnel);
	return forward_find(text, parts, ARRAY_LEN(parts));
}

static int forward_change(const struct forward_family *family, const char *verb,
			  const char *chain, const struct forward_rule *rule,
			  const char *tunnel, char *error, size_t size)
{
	const char *argv[24] = { family->program, "-w",	 "5", verb, chain,
				 rule->direction, tunnel };
	size_t n = 7;
	int ret;

	if (rule->state) {
		argv[n++] = "-m";
		argv[n++] = "conntrack";
		argv[n++] = "--ctstate";
		argv[n++] = rule->state;
	}
	argv[n++] = "-m";
	argv[n++] = "comment";
	argv[n++] = "--comment";
	argv[n++] = "netd";
	argv[n++] = "-j";
	argv[n++] = "ACCEPT";
	ret = run_program(argv, NULL, error, size);
	return ret > 0 ? -EIO : ret;
}

/* DOCKER-USER if packets get there. */
static const char *forward_chain(const char *text)
{
	static const char *const parts[] = { "-A FORWARD ", " DOCKER-USER " };

	return forward_find(text, parts, ARRAY_LEN(parts)) ? "DOCKER-USER"
							   : "FORWARD";
}

static bool forward_is_drop(const char *text)
{
	static const char *const part = "-P FORWARD DROP ";

	return forward_find(text, &part, 1);
}

static int forward_put(const struct forward_family *family, const char *tunnel,
		       char *error, size_t size)
{
	AUTO(str_freep) char *text = NULL;
	const char *chain;
	int err;

	err = forward_list(family, &text);
	/* Rules made without the program are nobody's we know. */
	if (err == -ENOENT)
		return 0;
	if (err) {
		snprintf(error, size, "%s -S failed", family->program);
		return err;
	}
	if (!forward_is_drop(text))
		return 0;
	chain = forward_chain(text);
	for (size_t i = 0; i < ARRAY_LEN(forward_rules); i++) {
		if (forward_has_rule(text, chain, &forward_rules[i], tunnel))
			continue;
		err = forward_change(family, "-I", chain, &forward_rules[i],
				     tunnel, error, size);
		if (err)
			return err;
	}
	return 0;
}

int nft_forward_put(const char *tunnel, char *error, size_t size)
{
	uint32_t generation = 0;
	bool known = !nft_read_generation(&generation);
	int err;

	if (known && forward_good.at && generation == forward_good.generation &&
	    mono_ms() - forward_good.at < FORWARD_AGAIN_MS)
		return 0;
	forward_good.at = 0;
	for (size_t i = 0; i < ARRAY_LEN(forward_families); i++) {
		if (!forward_has_chain(&forward_families[i]))
			continue;
		err = forward_put(&forward_families[i], tunnel, error, size);
		if (err)
			return err;
	}
	if (!nft_read_generation(&forward_good.generation))
		forward_good.at = mono_ms();
	return 0;
}

static int forward_del(const struct forward_family *family, const char *tunnel)
{
	AUTO(str_freep) char *text = NULL;
	char error[512];
	int err;

	if (!forward_has_chain(family))
		return 0;
	err = forward_list(family, &text);
	if (err)
		return err == -ENOENT ? 0 : err;
	for (size_t c = 0; c < ARRAY_LEN(forward_chains); c++) {
		for (size_t i = 0; i < ARRAY_LEN(forward_rules); i++) {
			if (!forward_has_rule(text, forward_chains[c],
					      &forward_rules[i], tunnel))
				continue;
			/* Until it says that there is no such rule. */
			for (int n = 0; n < FORWARD_DEL_MAX; n++) {
				if (forward_change(family, "-D",
						   forward_chains[c],
						   &forward_rules[i], tunnel,
						   error, sizeof(error)))
					break;
			}
		}
	}
	return 0;
}

int nft_forward_del(const char *tunnel)
{
	int ret = 0;

	forward_good.at = 0;
	for (size_t i = 0; i < ARRAY_LEN(forward_families); i++) {
		int err = forward_del(&forward_families[i], tunnel);

		ret = ret ? ret : err;
	}
	return ret;
}

void nft_forward_policy(char *ret, size_t size)
{
	const struct forward_family *v4 = &forward_families[0];
	AUTO(str_freep) char *text = NULL;
	bool drop = false;

	ret[0] = 0;
	if (nft_read_policy(v4->nfproto, "filter", "FORWARD", &drop)) {
		if (!forward_has_legacy(v4) || forward_list(v4, &text))
			return;
		drop = forward_is_drop(text);
	}
	snprintf(ret, size, "%s", drop ? "DROP" : "ACCEPT");
}
