/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard - the store's endpoints, which pods do not reach.
 *
 * The programs look an address up once, under port 0: "all", or "see the
 * port". A store on this host listens on the gateway addresses as well, so
 * its port is shut for everything that is delivered to the host.
 */
#include <uthash.h>

#include "load.h"
#include "netd.skel.h"

struct guard_key {
	struct ip_addr addr;
	uint32_t port;
};

struct guard {
	UT_hash_handle hh;
	struct guard_key key;
	uint32_t epoch;
};

static struct guard_key guard_key(const struct want_guard *want)
{
	return (struct guard_key){ want->addr, want->port };
}

static struct guard *guard_find(const struct ebpf *bpf,
				const struct guard_key *key)
{
	struct guard *g;

	HASH_FIND(hh, bpf->guards, key, sizeof(*key), g);
	return g;
}

static int write_one(struct ebpf *bpf, const struct ip_addr *addr,
		     uint16_t port, uint32_t value)
{
	struct abi_guard_key key = { .addr = abi_addr(addr),
				     .port = __builtin_bswap16(port) };

	return ebpf_table_put(bpf, TABLE_GUARDS, &key, &value);
}

static int guard_write(struct ebpf *bpf, const struct guard *g)
{
	static const struct ip_addr host;
	struct guard_key all = { .addr = g->key.addr };
	uint16_t port = (uint16_t)g->key.port;
	int err;

	if (!port)
		return write_one(bpf, &g->key.addr, 0, ABI_GUARD_ALL);
	/* The port first: an address never says "see the port" too early. */
	err = write_one(bpf, &g->key.addr, port, ABI_GUARD_ALL);
	if (!err && !guard_find(bpf, &all))
		err = write_one(bpf, &g->key.addr, 0, ABI_GUARD_SEE_PORT);
	if (err ||
	    (!node_is_self(bpf, &g->key.addr) && !ip_is_loopback(&g->key.addr)))
		return err;
	err = write_one(bpf, &host, port, ABI_GUARD_ALL);
	return err ? err : write_one(bpf, &host, 0, ABI_GUARD_SEE_PORT);
}

/* A bit more than there are guards for costs a look-up, one less the guard. */
static void guard_sieve(struct ebpf *bpf)
{
	struct guard *g, *next;
	uint64_t sieve = 0;

	HASH_ITER (hh, bpf->guards, g, next)
		sieve |= 1ull << abi_guard_bit(abi_addr(&g->key.addr).w[3]);
	bpf->skel->bss->guards_sieve = sieve;
}

/* The map as the guards and this node's addresses say; few, so all at once. */
int guard_apply(struct ebpf *bpf)
{
	struct guard *g, *next;
	int err = 0;

	guard_sieve(bpf);
	if (!bpf->auditing)
		table_audit_begin(bpf->tables[TABLE_GUARDS]);
	HASH_ITER (hh, bpf->guards, g, next) {
		int rc = guard_write(bpf, g);

		err = err ? err : rc;
	}
	if (err || bpf->auditing)
		return err;
	err = table_audit_end(bpf->tables[TABLE_GUARDS]);
	return err ? ebpf_fail(bpf, err, "guards cannot be written") : 0;
}

int ebpf_guard_put(struct ebpf *bpf, const struct want_guard *want)
{
	struct guard_key key = guard_key(want);
	struct guard *g = guard_find(bpf, &key);

	ebpf_begin();
	if (!g) {
		g = xzalloc(sizeof(*g));
		g->key = key;
		HASH_ADD(hh, bpf->guards, key, sizeof(g->key), g);
	}
	g->epoch = bpf->epoch;
	return guard_apply(bpf);
}

int ebpf_guard_del(struct ebpf *bpf, const struct want_guard *want)
{
	struct guard_key key = guard_key(want);
	struct guard *g = guard_find(bpf, &key);

	ebpf_begin();
	if (!g)
		return 0;
	HASH_DEL(bpf->guards, g);
	free(g);
	return guard_apply(bpf);
}

int guard_audit_end(struct ebpf *bpf)
{
	struct guard *g, *next;

	HASH_ITER (hh, bpf->guards, g, next) {
		if (g->epoch == bpf->epoch)
			continue;
		HASH_DEL(bpf->guards, g);
		free(g);
	}
	return guard_apply(bpf);
}

void guard_free_all(struct ebpf *bpf)
{
	struct guard *g, *next;

	HASH_ITER (hh, bpf->guards, g, next) {
		HASH_DEL(bpf->guards, g);
		free(g);
	}
}
