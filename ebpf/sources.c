/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources - who may ask a published port.
 *
 * New prefixes come before the old ones go, so that a change never shuts out
 * who is in both. The families' lists are two: no prefix of IPv6, however
 * short, lets in who comes by IPv4.
 */
#include "load.h"

static struct abi_source_key source_key(const struct want_frontend *fe,
					const struct ip_prefix *prefix)
{
	return (struct abi_source_key){
		/* Port and protocol are part of the prefix. */
		.prefixlen = 32U + prefix->len,
		.port = __builtin_bswap16(fe->port),
		.proto = fe->proto,
		.v6 = fe->v6,
		.src = abi_addr(&prefix->addr),
	};
}

struct sweep {
	struct ebpf *bpf;
	const struct want_frontend *fe;
	const struct ip_prefix *list;
	size_t len;
	int err;
};

/* Of this port, and not in the list any more? */
static void sweep_one(void *arg, const void *key, const void *value)
{
	struct sweep *sweep = arg;
	struct abi_source_key have;
	int err;

	(void)value;
	memcpy(&have, key, sizeof(have));
	if (have.port != __builtin_bswap16(sweep->fe->port) ||
	    have.proto != sweep->fe->proto || have.v6 != sweep->fe->v6)
		return;
	for (size_t i = 0; i < sweep->len; i++) {
		struct abi_source_key want =
			source_key(sweep->fe, &sweep->list[i]);

		if (memcmp(&want, &have, sizeof(have)) == 0)
			return;
	}
	err = ebpf_table_del(sweep->bpf, TABLE_SOURCES, &have);
	sweep->err = sweep->err ? sweep->err : err;
}

int ebpf_sources_put(struct ebpf *bpf, const struct want_frontend *fe,
		     const struct ip_prefix *list, size_t len)
{
	struct sweep sweep = { bpf, fe, list, len, 0 };
	const uint32_t yes = 1;

	ebpf_begin();
	for (size_t i = 0; i < len; i++) {
		struct abi_source_key key = source_key(fe, &list[i]);
		int err;

		if (ip_is_v4(&list[i].addr) == fe->v6)
			continue;
		err = ebpf_table_put(bpf, TABLE_SOURCES, &key, &yes);
		if (err)
			return err;
	}
	table_each(bpf->tables[TABLE_SOURCES], sweep_one, &sweep);
	return sweep.err;
}
