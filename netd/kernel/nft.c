/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our table, written as text for `nft -f -`: made, emptied and filled in one
 * transaction, so there is no moment without it.
 *
 * The tunnel's outer packets skip connection tracking: every VXLAN source
 * port would become an unreplied entry, and nothing may translate them. They
 * have to come by the way their sender is reached, as ebpf/origin.bpf.h says;
 * here that is asked where no program of ours did, and by the best route
 * alone, which is all that `fib` knows. The DNS server's answers skip
 * connection tracking as well, one entry per query otherwise; only where this
 * host is the server, because queries to servers outside are masqueraded. The
 * drop counters are objects beside their rules: rules then read back the same
 * whatever has been counted.
 */
#include "nft.h"

#include "netd/util.h"
#include "nft_read.h"
#include "run.h"

#define NFT_TABLE "netd"
#define NFT_OUTPUT_LEN 4096

/* What nft_put() left in the kernel; 0: nothing was put. */
static uint64_t nft_print;

static void nft_write_set(FILE *f, const struct nft_config *config, bool v4)
{
	const char *sep = "elements = { ";
	char text[PREFIX_STRLEN];

	fprintf(f, "set pools%d { type ipv%d_addr; flags interval; auto-merge;",
		v4 ? 4 : 6, v4 ? 4 : 6);
	for (size_t i = 0; i < config->pools_len; i++) {
		const struct ip_prefix *p = &config->pools[i];
		struct ip_prefix net = prefix_make(&p->addr, p->len);

		if (ip_is_v4(&p->addr) != v4)
			continue;
		fprintf(f, " %s%s", sep, prefix_str(&net, text));
		sep = ", ";
	}
	fprintf(f, "%s }\n", *sep == ',' ? " }" : "");
}

static void nft_write(FILE *f, const struct nft_config *config)
{
	const char *tun = config->tunnel;
	const char *family = ip_is_v4(&config->vtep) ? "ip" : "ip6";
	unsigned int port = config->port;
	char vtep[IP_STRLEN];

	fprintf(f, "table inet %s\ndelete table inet %s\n", NFT_TABLE,
		NFT_TABLE);
	fprintf(f,
		"table inet %s {\ncounter from_outside { }\n"
		"counter tunnel_astray { }\n",
		NFT_TABLE);
	nft_write_set(f, config, true);
	nft_write_set(f, config, false);
	/* The node has no tunnel to itself, and no fib is asked on lo. */
	fprintf(f,
		"chain raw_in {\n"
		"type filter hook prerouting priority raw;\n"
		"udp dport %u %s daddr %s notrack\n"
		"udp dport %u iif lo counter name tunnel_astray drop\n"
		"udp dport %u meta mark != %u fib daddr type local "
		"fib saddr . iif oif missing counter name tunnel_astray drop\n"
		"iifname \"%s\" udp dport 53 fib daddr type local notrack\n"
		"}\n"
		"chain raw_out {\n"
		"type filter hook output priority raw;\n"
		"udp dport %u notrack\n"
		"oifname \"%s\" udp sport 53 notrack\n"
		"}\n",
		port, family, ip_str(&config->vtep, vtep), port, port,
		config->member_mark, tun, port, tun);
	/* Pods are reached through published ports, not by a route to them. */
	fprintf(f,
		"chain forward {\n"
		"type filter hook forward priority filter;\n"
		"iifname != \"%s\" oifname \"%s\" "
		"ct state != { established, related } "
		"counter name from_outside drop\n"
		"}\n",
		tun, tun);
	fprintf(f,
		"chain egress {\n"
		"type nat hook postrouting priority srcnat;\n"
		"oifname != \"%s\" ip saddr @pools4 "
		"ip daddr != @pools4 masquerade\n"
		"oifname != \"%s\" ip6 saddr @pools6 "
		"ip6 daddr != @pools6 masquerade\n"
		"}\n}\n",
		tun, tun);
}

static int nft_run(const char *script, char *error, size_t size)
{
	static const char *const argv[] = { "nft", "-f", "-", NULL };
	int ret = run_program(argv, script, error, size);

	if (ret == -ENOENT)
		snprintf(error, size, "no nft program on this host");
	return ret > 0 ? -EIO : ret;
}

int nft_put(const struct nft_config *config, char *error, size_t size)
{
	AUTO(str_freep) char *script = NULL;
	size_t len;
	FILE *f = open_memstream(&script, &len);
	int err;

	if (!f)
		return -errno;
	nft_write(f, config);
	if (fclose(f))
		return -ENOMEM;
	nft_print = 0;
	err = nft_run(script, error, size);
	if (err)
		return err;
	return nft_read_print(NFT_TABLE, &nft_print);
}

bool nft_is_put(void)
{
	uint64_t print;

	return nft_print && !nft_read_print(NFT_TABLE, &print) &&
	       print == nft_print;
}

int nft_del(void)
{
	char error[NFT_OUTPUT_LEN];
	uint64_t print;
	int err;

	nft_print = 0;
	err = nft_read_print(NFT_TABLE, &print);
	if (err == -ENOENT)
		return 0;
	/* Making it first turns "delete" into an idempotent one. */
	return nft_run("table inet " NFT_TABLE "\ndelete table inet " NFT_TABLE
		       "\n",
		       error, sizeof(error));
}
