/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lb - frontends, their backends and slots.
 *
 * Backends and slots lie in two arrays, mapped here as far as they are used. A
 * new set is written beside the old one with plain stores, then one update of
 * the frontend's entry makes every reader see it whole. The old slots and the
 * ids of backends that left rest for a while before they are used again.
 *
 * A backend's id belongs to one frontend, so "alive" means: in that one's
 * set. What a frontend had can be read back from the two arrays alone.
 */
#include "lb.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/in.h>
#include <uthash.h>

#include "places.h"
#include "load.h"
#include "maglev.h"
#include "netd.skel.h"
#include "slots.h"
#include "window.h"

/*
 * Slots of a VIP's run, so that weights are near enough; less when half of
 * the arena is in use, so that there is room for everybody.
 */
#define SLOTS_EACH 16
#define SLOTS_LEAST 1024
#define SLOTS_EACH_TIGHT 4
#define SLOTS_LEAST_TIGHT 64

struct member {
	struct want_backend want;
	uint32_t id;
};

/*
 * Backends without a slot take no new connection and keep those they have.
 * They stand behind the slots of the frontend's run, after their number, so
 * that a later process knows them: ABI_FRONTEND_PARKED.
 */
struct frontend {
	UT_hash_handle hh;
	struct abi_frontend_key key;
	struct abi_frontend value;
	uint32_t parked;
	/* How its connections age is known to this process alone: until it is
	 * told, none of them does. */
	struct lb_idle idle;
	bool is_told;
	struct member *members;
	size_t len;
	uint32_t epoch;
};

struct lb {
	struct frontend *frontends;
	struct window backends_window, slots_window;
	/* Where the windows begin. */
	struct abi_backend *backends;
	uint32_t *slots;
	struct places *ids;
	struct places *runs;
};

static void frontend_free(struct frontend *fe)
{
	if (!fe)
		return;
	free(fe->members);
	free(fe);
}

DEFINE_FREEP(struct frontend, frontend_free)

static uint32_t elements(uint32_t slots)
{
	return (slots + ABI_RUN_SLOTS - 1) / ABI_RUN_SLOTS;
}

/* Handed on between nodes, which have to choose the same. */
static bool is_published(const struct frontend *fe)
{
	static const struct abi_addr none;

	return memcmp(&fe->key.addr, &none, sizeof(none)) == 0 ||
	       (fe->value.flags & ABI_FRONTEND_BOUND);
}

static bool is_local(const struct want_backend *b)
{
	return b->vni && ip_is_none(&b->vtep);
}

/* Before an id or a run is used for the first time in this process. */
static int reach_id(struct lb *lb, uint32_t id)
{
	return window_reach(&lb->backends_window,
			    (id + 1) * sizeof(struct abi_backend));
}

static int reach_run(struct lb *lb, uint32_t first, uint32_t len)
{
	return window_reach(&lb->slots_window,
			    (first + len) * sizeof(struct abi_run));
}

/* ---- sets of backends ---- */

static int cmp_member(const void *a, const void *b)
{
	const struct want_backend *x = &((const struct member *)a)->want;
	const struct want_backend *y = &((const struct member *)b)->want;
	int c = ip_cmp(&x->addr, &y->addr);

	return c ? c : (x->port > y->port) - (x->port < y->port);
}

/* The same backend, whatever its weight. */
static bool same_backend(const struct want_backend *x,
			 const struct want_backend *y)
{
	return ip_eq(&x->addr, &y->addr) && x->port == y->port &&
	       ip_eq(&x->vtep, &y->vtep) && x->vni == y->vni;
}

/* Flags that are asked for; the others come from the set. */
static uint32_t settings(const struct frontend *fe)
{
	return fe->value.flags & ~ABI_FRONTEND_PARKED;
}

static bool same_set(const struct frontend *x, const struct frontend *y)
{
	if (x->len != y->len || x->value.vni != y->value.vni ||
	    settings(x) != settings(y))
		return false;
	for (size_t i = 0; i < x->len; i++) {
		if (!same_backend(&x->members[i].want, &y->members[i].want) ||
		    x->members[i].want.weight != y->members[i].want.weight)
			return false;
	}
	return true;
}

struct abi_frontend_key ebpf_frontend_key(const struct want_frontend *want)
{
	struct abi_frontend_key key = {
		.addr = abi_addr(&want->addr),
		.port = __builtin_bswap16(want->port),
		.proto = want->proto,
	};
	struct ip_addr any = ip_from_v4(0);

	if (!ip_is_none(&want->addr))
		return key;
	key.v6 = want->v6;
	if (want->node)
		key.addr = abi_addr(&any);
	return key;
}

static uint32_t frontend_flags(const struct want_frontend *want)
{
	return (want->node ? ABI_FRONTEND_NODE : 0) |
	       (want->bound ? ABI_FRONTEND_BOUND : 0) |
	       (want->maglev ? ABI_FRONTEND_MAGLEV : 0) |
	       (want->reset_dead ? ABI_FRONTEND_RESET : 0) |
	       (want->has_sources ? ABI_FRONTEND_SOURCES : 0) |
	       want->affinity_s << ABI_FRONTEND_AFFINITY_SHIFT;
}

/* Sorted, each address and port once, this node's own VTEP left out. */
static struct frontend *frontend_new(const struct ebpf *bpf,
				     const struct want_frontend *want,
				     const struct want_backend *backends,
				     size_t len)
{
	struct frontend *fe = xzalloc(sizeof(*fe));

	fe->key = ebpf_frontend_key(want);
	fe->value.vni = want->vni;
	fe->value.flags = frontend_flags(want);
	fe->idle = (struct lb_idle){ want->idle_s, want->idle_half_s };
	fe->is_told = true;
	fe->members = xzalloc((len + 1) * sizeof(*fe->members));
	for (size_t i = 0; i < len; i++) {
		struct want_backend *b = &fe->members[i].want;

		*b = backends[i];
		if (ip_eq(&b->vtep, &bpf->config.vtep))
			memset(&b->vtep, 0, sizeof(b->vtep));
	}
	qsort(fe->members, len, sizeof(*fe->members), cmp_member);
	for (size_t i = 0; i < len; i++) {
		if (fe->len &&
		    cmp_member(&fe->members[fe->len - 1], &fe->members[i]) == 0)
			continue;
		fe->members[fe->len++] = fe->members[i];
	}
	return fe;
}

/* ---- ids ---- */

static void backend_write(struct lb *lb, const struct member *m)
{
	struct abi_backend *b = &lb->backends[m->id];

	b->addr = abi_addr(&m->want.addr);
	b->vtep = abi_addr(&m->want.vtep);
	b->vni = m->want.vni;
	b->port = __builtin_bswap16(m->want.port);
	b->weight = m->want.weight;
	b->generation++;
	b->flags = ABI_BACKEND_ALIVE |
		   (is_local(&m->want) ? ABI_BACKEND_LOCAL : 0);
}

static void backend_drop(struct lb *lb, uint32_t id)
{
	lb->backends[id].flags = 0;
	places_put(lb->ids, id, 1, mono_ms());
}

#define NO_ID UINT32_MAX

/* The id that an equal backend of a sorted set has, or NO_ID. */
static uint32_t id_in(const struct frontend *fe, const struct member *m)
{
	const struct member *found =
		fe && fe->len ? bsearch(m, fe->members, fe->len,
					sizeof(*fe->members), cmp_member)
			      : NULL;

	return found && same_backend(&found->want, &m->want) ? found->id
							     : NO_ID;
}

/* Backends of `fe` that are not in `other`. */
static void drop_missing(struct lb *lb, const struct frontend *fe,
			 const struct frontend *other)
{
	for (size_t i = 0; i < fe->len; i++) {
		if (fe->members[i].id != NO_ID &&
		    id_in(other, &fe->members[i]) != fe->members[i].id)
			backend_drop(lb, fe->members[i].id);
	}
}

static int assign_ids(struct lb *lb, struct frontend *fe,
		      const struct frontend *old)
{
	int64_t now = mono_ms();

	for (size_t i = 0; i < fe->len; i++)
		fe->members[i].id = id_in(old, &fe->members[i]);
	for (size_t i = 0; i < fe->len; i++) {
		struct member *m = &fe->members[i];

		if (m->id != NO_ID) {
			lb->backends[m->id].weight = m->want.weight;
			continue;
		}
		if (places_get(lb->ids, 1, now, &m->id) || reach_id(lb, m->id))
			return -ENOSPC;
		backend_write(lb, m);
	}
	return 0;
}

/* ---- slots ---- */

static bool is_tight(const struct lb *lb)
{
	return places_used(lb->runs) > ABI_ARENA_MAX / 2;
}

static uint32_t slots_most(const struct lb *lb, size_t n)
{
	size_t most = is_tight(lb)
			      ? MAX(SLOTS_LEAST_TIGHT, n * SLOTS_EACH_TIGHT)
			      : MAX(SLOTS_LEAST, n * SLOTS_EACH);

	return (uint32_t)MIN(most, SLOTS_MAX);
}

/* Every backend as often as its weight says; returns the slots used. */
static uint32_t fill_uniform(const struct lb *lb, const struct frontend *fe,
			     bool local_only, uint32_t *slots)
{
	static uint32_t counts[MAGLEV_BACKENDS_MAX];
	static uint16_t weights[MAGLEV_BACKENDS_MAX];
	uint32_t n = 0;

	for (size_t i = 0; i < fe->len; i++) {
		const struct want_backend *b = &fe->members[i].want;

		weights[i] = !local_only || is_local(b) ? b->weight : 0;
	}
	slots_share(weights, fe->len, slots_most(lb, fe->len), counts);
	for (size_t i = 0; i < fe->len; i++)
		while (counts[i]--)
			slots[n++] = fe->members[i].id;
	return n;
}

/*
 * Nodes have to agree on the table of a published port alone; a VIP's may be
 * a tenth of that where room is scarce.
 */
static uint32_t fill_maglev(const struct lb *lb, const struct frontend *fe,
			    uint32_t *slots)
{
	bool small = !is_published(fe) && is_tight(lb);
	uint32_t size = maglev_size(small ? fe->len / 10 : fe->len);
	struct maglev_backend *backends =
		xzalloc((fe->len + 1) * sizeof(*backends));
	uint32_t n;

	for (size_t i = 0; i < fe->len; i++) {
		const struct want_backend *b = &fe->members[i].want;

		backends[i] =
			(struct maglev_backend){ b->addr, b->port, b->weight,
						 fe->members[i].id };
	}
	n = maglev_fill(backends, fe->len, slots, size);
	free(backends);
	return n;
}

static int run_write(struct lb *lb, const uint32_t *slots, uint32_t count,
		     uint32_t *offset)
{
	uint32_t first = 0;

	if (count &&
	    (places_get(lb->runs, elements(count), mono_ms(), &first) ||
	     reach_run(lb, first, elements(count))))
		return -ENOSPC;
	*offset = first * ABI_RUN_SLOTS;
	memcpy(lb->slots + *offset, slots, count * sizeof(*slots));
	return 0;
}

static void run_drop(struct lb *lb, uint32_t offset, uint32_t count)
{
	places_put(lb->runs, offset / ABI_RUN_SLOTS, elements(count),
		   mono_ms());
}

/* What the run takes up with the backends that have no slot. */
static uint32_t run_len(uint32_t count, uint32_t parked)
{
	return count + (parked ? 1 + parked : 0);
}

static void runs_drop(struct lb *lb, const struct frontend *fe)
{
	run_drop(lb, fe->value.offset, run_len(fe->value.count, fe->parked));
	run_drop(lb, fe->value.local_offset, fe->value.local_count);
}

/* Behind the first n slots; returns how many slots there are now. */
static uint32_t fill_parked(struct frontend *fe, uint32_t *slots, uint32_t n)
{
	uint32_t at = n + 1;

	for (size_t i = 0; i < fe->len; i++)
		if (!fe->members[i].want.weight)
			slots[at++] = fe->members[i].id;
	fe->parked = at - n - 1;
	slots[n] = fe->parked;
	if (fe->parked)
		fe->value.flags |= ABI_FRONTEND_PARKED;
	return run_len(n, fe->parked);
}

static int runs_write(struct lb *lb, struct frontend *fe)
{
	static uint32_t slots[SLOTS_MAX + 1 + MAGLEV_BACKENDS_MAX];
	struct abi_frontend *v = &fe->value;
	bool published = is_published(fe);
	bool maglev = published || (v->flags & ABI_FRONTEND_MAGLEV);
	uint32_t n;
	int err;

	_Static_assert(MAGLEV_SIZE_MAX <= SLOTS_MAX, "room for both");
	n = maglev ? fill_maglev(lb, fe, slots)
		   : fill_uniform(lb, fe, false, slots);
	err = run_write(lb, slots, fill_parked(fe, slots, n), &v->offset);
	if (err) {
		fe->parked = 0;
		return err;
	}
	v->count = n;
	if (!published)
		return 0;
	n = fill_uniform(lb, fe, true, slots);
	err = run_write(lb, slots, n, &v->local_offset);
	if (!err)
		v->local_count = n;
	return err;
}

/* ---- put and del ---- */

static struct frontend *frontend_find(struct lb *lb,
				      const struct abi_frontend_key *key)
{
	struct frontend *fe;

	HASH_FIND(hh, lb->frontends, key, sizeof(*key), fe);
	return fe;
}

struct lb_idle lb_idle(struct lb *lb, const struct abi_addr *addr, __be16 port,
		       uint8_t proto)
{
	struct want_frontend want = { .port = __builtin_bswap16(port),
				      .proto = proto };
	struct frontend *fe = NULL;
	struct ip_addr asked;

	memcpy(&asked, addr, sizeof(asked));
	want.v6 = !ip_is_v4(&asked);
	/* As the programs look: its address, the node's any, the cluster's. */
	for (int i = 0; !fe && i < 3; i++) {
		struct abi_frontend_key key;

		want.addr = i ? (struct ip_addr){ 0 } : asked;
		want.node = i == 1;
		key = ebpf_frontend_key(&want);
		fe = frontend_find(lb, &key);
	}
	if (!fe)
		return (struct lb_idle){ 0 };
	return fe->is_told ? fe->idle
			   : (struct lb_idle){ UINT32_MAX, UINT32_MAX };
}

/* The new set's slots and ids are written, then the entry is flipped. */
static int frontend_flip(struct ebpf *bpf, struct frontend *fe,
			 const struct frontend *old)
{
	struct lb *lb = bpf->lb;
	int err = assign_ids(lb, fe, old);

	if (!err)
		err = runs_write(lb, fe);
	if (err)
		ebpf_fail(bpf, err, "no room for backends or slots");
	else
		err = ebpf_table_put(bpf, TABLE_FRONTENDS, &fe->key,
				     &fe->value);
	if (err) {
		runs_drop(lb, fe);
		drop_missing(lb, fe, old);
	}
	return err;
}

static int check(struct ebpf *bpf, const struct want_frontend *want,
		 const struct want_backend *backends, size_t len)
{
	ebpf_begin();
	if (len > MAGLEV_BACKENDS_MAX)
		return ebpf_fail(bpf, -E2BIG, "more than %d backends",
				 MAGLEV_BACKENDS_MAX);
	for (size_t i = 0; i < len; i++) {
		if ((ip_is_none(&want->addr) || want->node) && !backends[i].vni)
			return ebpf_fail(bpf, -EINVAL,
					 "published backend "
					 "outside the overlay");
	}
	return 0;
}

int ebpf_frontend_put(struct ebpf *bpf, const struct want_frontend *want,
		      const struct want_backend *backends, size_t len)
{
	AUTO(frontend_freep) struct frontend *fe = NULL;
	struct lb *lb = bpf->lb;
	struct frontend *old;
	int err = check(bpf, want, backends, len);

	if (err)
		return err;
	if (want->node)
		bpf->skel->bss->node_ports_used = 1;
	fe = frontend_new(bpf, want, backends, len);
	fe->epoch = bpf->epoch;
	old = frontend_find(lb, &fe->key);
	if (old && same_set(old, fe)) {
		old->epoch = bpf->epoch;
		old->idle = fe->idle;
		old->is_told = true;
		return ebpf_table_put(bpf, TABLE_FRONTENDS, &old->key,
				      &old->value);
	}
	err = frontend_flip(bpf, fe, old);
	if (err)
		return err;
	if (old) {
		runs_drop(lb, old);
		drop_missing(lb, old, fe);
		HASH_DEL(lb->frontends, old);
		frontend_free(old);
	}
	HASH_ADD(hh, lb->frontends, key, sizeof(fe->key), fe);
	fe = NULL;
	return 0;
}

static int frontend_drop(struct ebpf *bpf, struct frontend *fe)
{
	int err = ebpf_table_del(bpf, TABLE_FRONTENDS, &fe->key);

	if (err)
		return err;
	runs_drop(bpf->lb, fe);
	drop_missing(bpf->lb, fe, NULL);
	HASH_DEL(bpf->lb->frontends, fe);
	frontend_free(fe);
	return 0;
}

int ebpf_frontend_del(struct ebpf *bpf, const struct want_frontend *want)
{
	struct abi_frontend_key key = ebpf_frontend_key(want);
	struct frontend *fe = frontend_find(bpf->lb, &key);

	ebpf_begin();
	return fe ? frontend_drop(bpf, fe) : 0;
}

int lb_audit_end(struct ebpf *bpf)
{
	struct frontend *fe, *next;
	int err = 0;

	HASH_ITER (hh, bpf->lb->frontends, fe, next) {
		int rc = fe->epoch == bpf->epoch ? 0 : frontend_drop(bpf, fe);

		err = err ? err : rc;
	}
	return err;
}

/* ---- what an earlier process left ---- */

static int cmp_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static struct want_backend backend_read(const struct abi_backend *b)
{
	struct want_backend want = {
		.vni = b->vni,
		.port = __builtin_bswap16(b->port),
		.weight = b->weight,
	};

	memcpy(&want.addr, &b->addr, sizeof(want.addr));
	memcpy(&want.vtep, &b->vtep, sizeof(want.vtep));
	return want;
}

/* What the run says of backends without a slot; false: it makes no sense. */
static bool parked_read(struct lb *lb, struct frontend *fe)
{
	uint32_t at = fe->value.offset + fe->value.count;

	if (!(fe->value.flags & ABI_FRONTEND_PARKED))
		return true;
	if (at >= ABI_ARENA_MAX * ABI_RUN_SLOTS ||
	    reach_run(lb, at / ABI_RUN_SLOTS, 1))
		return false;
	fe->parked = lb->slots[at];
	return fe->parked && fe->parked <= MAGLEV_BACKENDS_MAX;
}

/* The backends that a run names; false: it makes no sense. */
static bool members_read(struct lb *lb, struct frontend *fe)
{
	uint32_t len = run_len(fe->value.count, fe->parked);
	AUTO(str_freep) char *copy = xzalloc((len + 1) * sizeof(uint32_t));
	uint32_t *ids = (uint32_t *)(void *)copy;

	memcpy(ids, lb->slots + fe->value.offset, len * sizeof(*ids));
	/* Their number stands between the slots and those without. */
	if (fe->parked)
		ids[fe->value.count] = ids[--len];
	qsort(ids, len, sizeof(*ids), cmp_id);
	fe->members = xzalloc((len + 1) * sizeof(*fe->members));
	for (uint32_t i = 0; i < len; i++) {
		struct member *m = &fe->members[fe->len];

		if (i && ids[i] == ids[i - 1])
			continue;
		if (ids[i] >= ABI_BACKENDS_MAX ||
		    !places_take(lb->ids, ids[i], 1) || reach_id(lb, ids[i]))
			return false;
		m->id = ids[i];
		m->want = backend_read(&lb->backends[m->id]);
		fe->len++;
	}
	qsort(fe->members, fe->len, sizeof(*fe->members), cmp_member);
	return true;
}

static bool run_take(struct lb *lb, uint32_t offset, uint32_t count)
{
	return offset % ABI_RUN_SLOTS == 0 &&
	       count <= SLOTS_MAX + 1 + MAGLEV_BACKENDS_MAX &&
	       places_take(lb->runs, offset / ABI_RUN_SLOTS, elements(count)) &&
	       !reach_run(lb, offset / ABI_RUN_SLOTS, elements(count));
}

static void frontend_read(void *arg, const void *key, const void *value)
{
	struct lb *lb = arg;
	struct frontend *fe = xzalloc(sizeof(*fe));
	const struct abi_frontend *v = value;

	memcpy(&fe->key, key, sizeof(fe->key));
	memcpy(&fe->value, v, sizeof(*v));
	/* What cannot be read is written anew when it is wanted. */
	if (!parked_read(lb, fe) ||
	    !run_take(lb, v->offset, run_len(v->count, fe->parked)) ||
	    !run_take(lb, v->local_offset, v->local_count) ||
	    !members_read(lb, fe)) {
		frontend_free(fe);
		return;
	}
	HASH_ADD(hh, lb->frontends, key, sizeof(fe->key), fe);
}

/*
 * Ids that a process wrote and did not come to use, or to drop. They are
 * handed out lowest first: beyond the first that never was there is none, and
 * pages that nobody touched cost nothing.
 */
static void backends_clean(struct lb *lb)
{
	for (uint32_t id = 0; id < ABI_BACKENDS_MAX; id++) {
		if (reach_id(lb, id) || !lb->backends[id].generation)
			return;
		if (!(lb->backends[id].flags & ABI_BACKEND_ALIVE))
			continue;
		if (places_take(lb->ids, id, 1)) {
			lb->backends[id].flags = 0;
			places_put(lb->ids, id, 1, mono_ms());
		}
	}
}

#define BACKENDS_SIZE (ABI_BACKENDS_MAX * sizeof(struct abi_backend))
#define SLOTS_SIZE (ABI_ARENA_MAX * sizeof(struct abi_run))

DEFINE_FREEP(struct lb, lb_close)

int lb_open(struct ebpf *bpf, struct lb **ret)
{
	AUTO(lb_closep) struct lb *lb = xzalloc(sizeof(*lb));
	int err;

	lb->ids = places_new(ABI_BACKENDS_MAX);
	lb->runs = places_new(ABI_ARENA_MAX);
	err = window_open(&lb->backends_window,
			  bpf_map__fd(bpf->skel->maps.backends), BACKENDS_SIZE);
	if (!err)
		err = window_open(&lb->slots_window,
				  bpf_map__fd(bpf->skel->maps.slots),
				  SLOTS_SIZE);
	if (err)
		return err;
	lb->backends = lb->backends_window.base;
	lb->slots = lb->slots_window.base;
	table_each(bpf->tables[TABLE_FRONTENDS], frontend_read, lb);
	backends_clean(lb);
	*ret = take_ptr(lb);
	return 0;
}

void lb_close(struct lb *lb)
{
	struct frontend *fe, *next;

	if (!lb)
		return;
	HASH_ITER (hh, lb->frontends, fe, next) {
		HASH_DEL(lb->frontends, fe);
		frontend_free(fe);
	}
	places_free(lb->ids);
	places_free(lb->runs);
	window_close(&lb->backends_window);
	window_close(&lb->slots_window);
	free(lb);
}
