/* SPDX-License-Identifier: Apache-2.0 */
#include "stub.h"

#include <errno.h>
#include <utlist.h>

#include "netd/util.h"

struct stubs {
	struct stub *list;
	uint64_t last_id;
};

struct stubs *stubs_new(void)
{
	return xzalloc(sizeof(struct stubs));
}

static void stub_drop(struct stubs *s, struct stub *stub)
{
	DL_DELETE(s->list, stub);
	free(stub);
}

void stubs_free(struct stubs *s)
{
	if (!s)
		return;
	while (s->list)
		stub_drop(s, s->list);
	free(s);
}

static struct stub *stub_of(const struct stubs *s, uint32_t vni,
			    const struct dns_name *zone)
{
	struct stub *stub;

	DL_FOREACH (s->list, stub)
		if (stub->want.vni == vni && dns_name_eq(&stub->zone, zone))
			return stub;
	return NULL;
}

static bool same_servers(const struct want_upstream *a,
			 const struct want_upstream *b)
{
	if (a->servers_len != b->servers_len)
		return false;
	for (uint32_t i = 0; i < a->servers_len; i++)
		if (!ip_eq(&a->servers[i].addr, &b->servers[i].addr) ||
		    a->servers[i].port != b->servers[i].port)
			return false;
	return true;
}

int stubs_put(struct stubs *s, const struct want_upstream *want)
{
	struct dns_name zone;
	struct stub *stub;

	if (!want->servers_len || want->servers_len > UPSTREAM_SERVERS_MAX ||
	    dns_name_parse(want->zone, &zone))
		return -EINVAL;
	stub = stub_of(s, want->vni, &zone);
	if (stub && same_servers(&stub->want, want)) {
		stub->stale = false;
		return 0;
	}
	if (stub)
		stub_drop(s, stub);
	stub = xzalloc(sizeof(*stub));
	stub->id = ++s->last_id;
	stub->want = *want;
	stub->zone = zone;
	DL_APPEND(s->list, stub);
	return 0;
}

void stubs_del(struct stubs *s, uint32_t vni, const char *text)
{
	struct dns_name zone;
	struct stub *stub;

	if (dns_name_parse(text, &zone))
		return;
	stub = stub_of(s, vni, &zone);
	if (stub)
		stub_drop(s, stub);
}

void stubs_sync_begin(struct stubs *s)
{
	struct stub *stub;

	DL_FOREACH (s->list, stub)
		stub->stale = true;
}

void stubs_sync_end(struct stubs *s)
{
	struct stub *stub, *tmp;

	DL_FOREACH_SAFE (s->list, stub, tmp)
		if (stub->stale)
			stub_drop(s, stub);
}

const struct stub *stubs_first(const struct stubs *s)
{
	return s->list;
}

/* 0: not for this asker. Else the lower the nearer: a pod's first network. */
static uint32_t nearness(const struct stub *stub, const struct view *view)
{
	if (!stub->want.vni)
		return CLIENT_NETS_MAX + 1;
	for (uint32_t i = 0; i < view->len; i++)
		if (view->zones[i]->want.vni == stub->want.vni)
			return i + 1;
	return view->host ? CLIENT_NETS_MAX : 0;
}

const struct stub *stubs_find(const struct stubs *s, const struct view *view,
			      const struct dns_name *name)
{
	const struct stub *stub, *best = NULL;
	uint32_t best_near = 0;

	if (!s)
		return NULL;
	DL_FOREACH (s->list, stub) {
		uint32_t near = nearness(stub, view);
		unsigned first;

		if (!near || !dns_name_below(name, &stub->zone, &first))
			continue;
		if (best && (stub->zone.labels < best->zone.labels ||
			     (stub->zone.labels == best->zone.labels &&
			      near >= best_near)))
			continue;
		best = stub;
		best_near = near;
	}
	return best;
}
