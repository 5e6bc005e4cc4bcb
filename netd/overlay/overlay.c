/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay in the kernel: one tunnel device, a veth per endpoint, routes
 * of the host, an nft table.
 *
 * overlay_refresh() is the heart: it looks at the kernel once and lets every
 * part compare that with what it knows was wanted. It runs for kernel events,
 * for the audit and at start, so repair is no second way of doing things. It
 * puts back, but deletes nothing: only the end of an audit does, when all
 * that is wanted has been said.
 */
#include "overlay.h"

#include <stdarg.h>

#include "netd/ebpf.h"
#include "netd/log.h"
#include "netd/util.h"
#include "nft.h"
#include "reaper.h"
#include "state.h"

/* What the last overlay_open() failed with; its overlay is gone. */
static char overlay_open_error[512];

__attribute__((format(printf, 3, 0))) static void
ov_keep(struct overlay *ov, bool with_nl, const char *fmt, va_list args)
{
	int n = vsnprintf(ov->error, sizeof(ov->error), fmt, args);

	if (with_nl && n > 0 && (size_t)n < sizeof(ov->error))
		snprintf(ov->error + n, sizeof(ov->error) - (size_t)n, ": %s",
			 nl_error(ov->nl));
}

int ov_fail(struct overlay *ov, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	ov_keep(ov, true, fmt, args);
	va_end(args);
	return err;
}

int ov_say(struct overlay *ov, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	ov_keep(ov, false, fmt, args);
	va_end(args);
	return err;
}

bool ov_is_ours(const struct nl_link *link)
{
	return str_after(link->alias, ALIAS_PREFIX) != NULL;
}

int ov_links_del(struct overlay *ov, const uint32_t *ifindex, size_t len)
{
	if (!ov->config.reaper)
		return nl_link_del_many(ov->nl, ifindex, len);
	for (size_t i = 0; i < len; i++)
		reaper_add(ov->config.reaper, ifindex[i]);
	return 0;
}

bool ov_link_is_doomed(const struct overlay *ov, uint32_t ifindex)
{
	return ov->config.reaper && reaper_has(ov->config.reaper, ifindex);
}

uint64_t overlay_doomed(const struct overlay *ov)
{
	return ov->config.reaper ? reaper_given(ov->config.reaper) : 0;
}

uint64_t overlay_gone(const struct overlay *ov)
{
	return ov->config.reaper ? reaper_gone(ov->config.reaper) : 0;
}

void overlay_on_gone(struct overlay *ov, void (*fn)(void *arg), void *arg)
{
	if (ov->config.reaper)
		reaper_watch(ov->config.reaper, fn, arg);
}

static bool ov_scan_add_link(void *arg, const struct nl_link *l)
{
	struct ov_scan *scan = arg;

	/* Powers of two: grown at 1, 2, 4, 8 ... */
	if (!(scan->links_len & (scan->links_len - 1)))
		scan->links =
			xrealloc(scan->links, MAX(2 * scan->links_len, 1) *
						      sizeof(*scan->links));
	scan->links[scan->links_len++] = *l;
	return true;
}

static bool ov_scan_add_addr(void *arg, const struct nl_ifaddr *a)
{
	struct ov_scan *scan = arg;

	if (!(scan->addrs_len & (scan->addrs_len - 1)))
		scan->addrs =
			xrealloc(scan->addrs, MAX(2 * scan->addrs_len, 1) *
						      sizeof(*scan->addrs));
	scan->addrs[scan->addrs_len++] = *a;
	return true;
}

static int ov_scan_cmp(const void *a, const void *b)
{
	const struct nl_link *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

int ov_scan(struct overlay *ov, struct ov_scan *ret)
{
	int err;

	err = nl_link_each(ov->nl, ov_scan_add_link, ret);
	if (!err)
		err = nl_addr_each(ov->nl, ov_scan_add_addr, ret);
	if (err)
		return ov_fail(ov, err, "cannot read links and addresses");
	/* The kernel lists them by hash bucket. */
	qsort(ret->links, ret->links_len, sizeof(*ret->links), ov_scan_cmp);
	return 0;
}

void ov_scan_clear(struct ov_scan *scan)
{
	free(scan->links);
	free(scan->addrs);
}

const struct nl_link *ov_scan_link(const struct ov_scan *scan, uint32_t ifindex)
{
	struct nl_link key;

	key.ifindex = ifindex;
	return scan->links_len ? bsearch(&key, scan->links, scan->links_len,
					 sizeof(key), ov_scan_cmp)
			       : NULL;
}

static struct overlay *ov_new(struct nl *nl,
			      const struct overlay_config *config)
{
	struct overlay *ov = xzalloc(sizeof(*ov));

	ov->nl = nl;
	ov->config = *config;
	ov->pools = xzalloc((config->pools_len + 1) * sizeof(*ov->pools));
	for (size_t i = 0; i < config->pools_len; i++)
		ov->pools[i] = config->pools[i];
	ov->config.pools = ov->pools;
	ov->uplink_names = xzalloc((config->uplinks_len + 1) * sizeof(char *));
	for (size_t i = 0; i < config->uplinks_len; i++)
		ov->uplink_names[i] = xstrdup(config->uplinks[i]);
	ov->config.uplinks = (const char *const *)ov->uplink_names;
	ov->nft_is_old = true;
	return ov;
}

DEFINE_FREEP(struct overlay, overlay_close)

int overlay_open(struct nl *nl, const struct overlay_config *config,
		 struct overlay **ret)
{
	AUTO(overlay_closep) struct overlay *ov = ov_new(nl, config);
	AUTO(ov_scan_clear) struct ov_scan scan = { 0 };
	int err;

	err = ov_scan(ov, &scan);
	if (!err)
		err = tunnel_put(ov, &scan);
	if (err) {
		str_copy(overlay_open_error, sizeof(overlay_open_error),
			 ov->error);
		return err;
	}
	uplink_see(ov, &scan);
	/* Pods talk to each other without it: each refresh tries again. */
	if (net_put_nft(ov))
		log_warn("overlay: no egress: %s", ov->error);
	*ret = take_ptr(ov);
	return 0;
}

void overlay_set_ebpf(struct overlay *ov, struct ebpf *bpf)
{
	ov->bpf = bpf;
}

void overlay_close(struct overlay *ov)
{
	if (!ov)
		return;
	ov_nets_free(ov);
	ov_pods_free(ov);
	ov_uplinks_free(ov);
	for (size_t i = 0; i < ov->config.uplinks_len; i++)
		free(ov->uplink_names[i]);
	free(ov->uplink_names);
	free(ov->pools);
	free(ov);
}

const char *overlay_error(const struct overlay *ov)
{
	return ov ? ov->error : overlay_open_error;
}

struct overlay_tunnel overlay_tunnel(const struct overlay *ov)
{
	return ov->tunnel;
}

static int ov_refresh_nft(struct overlay *ov, const struct ov_scan *scan)
{
	char text[400] = "";
	int err;

	(void)scan;
	if (ov->nft_is_old || !nft_is_put()) {
		err = net_put_nft(ov);
		if (err)
			return err;
	}
	err = nft_forward_put(TUNNEL_NAME, text, sizeof(text));
	return err ? ov_say(ov, err, "iptables: %s", text) : 0;
}

/* What cannot be counted might be there. */
static int ov_choose_path(struct overlay *ov, const struct ov_scan *scan)
{
	uint32_t policies = 1;
	int err = nl_xfrm_policies(ov->nl, &policies);
	bool fast = ov->config.fast_path && !policies;

	(void)scan;
	if (fast != ov->fast_path)
		log_info("overlay: packets between nodes go %s",
			 fast ? "past the host's stack"
			      : "through the host's stack, as its IPsec "
				"policies want");
	ov->fast_path = fast;
	if (ov->bpf)
		ebpf_fast_path(ov->bpf, fast);
	return err ? ov_fail(ov, err, "cannot read the IPsec policies") : 0;
}

/* Each step repairs what it can, whatever became of those before it; the
 * first failure is the one that is told. */
int overlay_refresh(struct overlay *ov)
{
	static int (*const steps[])(struct overlay *,
				    const struct ov_scan *) = {
		tunnel_put, pod_see,	    uplink_see,
		net_repair, ov_refresh_nft, ov_choose_path,
	};
	AUTO(ov_scan_clear) struct ov_scan scan = { 0 };
	char first[sizeof(ov->error)] = "";
	int err, ret;

	ret = ov_scan(ov, &scan);
	if (ret)
		return ret;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		err = steps[i](ov, &scan);
		if (!err || ret)
			continue;
		ret = err;
		str_copy(first, sizeof(first), ov->error);
	}
	str_copy(ov->error, sizeof(ov->error), first);
	return ret;
}

bool overlay_has_fast_path(const struct overlay *ov)
{
	return ov->fast_path;
}

uint32_t overlay_addrs(const struct overlay *ov, struct ip_addr *ret,
		       uint32_t max)
{
	uint32_t n = MIN(ov->addrs_len, max);

	for (uint32_t i = 0; i < n; i++)
		ret[i] = ov->addrs[i];
	return n;
}

struct ov_routes {
	struct ip_prefix *list;
	size_t len;
};

static bool ov_routes_add(void *arg, const struct nl_route *r)
{
	struct ov_routes *routes = arg;

	if (r->protocol == OVERLAY_RTPROT || !prefix_shown_len(&r->dst))
		return true;
	if (!(routes->len & (routes->len - 1)))
		routes->list =
			xrealloc(routes->list, MAX(2 * routes->len, 1) *
						       sizeof(*routes->list));
	routes->list[routes->len++] = r->dst;
	return true;
}

size_t overlay_routes(struct overlay *ov, struct ip_prefix **ret)
{
	struct ov_routes routes = { 0 };
	int err = nl_route_each(ov->nl, 0, ov_routes_add, &routes);

	if (err)
		log_warn_limited("overlay: cannot read the routes: %s",
				 nl_error(ov->nl));
	*ret = routes.list;
	return routes.len;
}

int overlay_audit_begin(struct overlay *ov)
{
	struct ov_net *net, *next_net;
	struct ov_pod *pod, *next_pod;

	HASH_ITER (hh, ov->nets, net, next_net)
		net->seen = false;
	HASH_ITER (hh, ov->pods, pod, next_pod)
		pod->seen = false;
	ov->nft_waits = !ov->was_audited;
	return 0;
}

int overlay_audit_end(struct overlay *ov)
{
	AUTO(ov_scan_clear) struct ov_scan scan = { 0 };
	int err, ret;

	ov->nft_waits = false;
	ov->was_audited = true;
	ret = ov_scan(ov, &scan);
	if (ret)
		return ret;
	/* As wiring was made: pods first, then what they hang on. */
	ret = pod_sweep(ov, &scan);
	err = net_sweep(ov, &scan);
	return ret ? ret : err;
}

struct ov_links {
	uint32_t *ifindex;
	size_t len;
};

static bool ov_links_add(void *arg, const struct nl_link *l)
{
	struct ov_links *links = arg;

	if (!ov_is_ours(l))
		return true;
	links->ifindex =
		xrealloc(links->ifindex, (links->len + 1) * sizeof(uint32_t));
	links->ifindex[links->len++] = l->ifindex;
	return true;
}

static int ov_remove_links(struct nl *nl)
{
	struct ov_links links = { 0 };
	int err;

	err = nl_link_each(nl, ov_links_add, &links);
	if (!err)
		err = nl_link_del_many(nl, links.ifindex, links.len);
	free(links.ifindex);
	return err;
}

struct ov_removal {
	struct nl *nl;
	int err;
};

static bool ov_remove_route(void *arg, const struct nl_route *route)
{
	struct ov_removal *r = arg;
	int err = 0;

	if (route->protocol == OVERLAY_RTPROT)
		err = nl_route_del(r->nl, route);
	r->err = r->err ? r->err : err;
	return true;
}

static int ov_remove_routes(struct nl *nl)
{
	struct ov_removal removal = { .nl = nl };
	int err = nl_route_each(nl, 0, ov_remove_route, &removal);

	return err ? err : removal.err;
}

static int ov_remove_forward(struct nl *nl)
{
	(void)nl;
	return nft_forward_del(TUNNEL_NAME);
}

static int ov_remove_nft(struct nl *nl)
{
	(void)nl;
	return nft_del();
}

/* Everything is tried, the first failure is told. */
int overlay_remove(struct nl *nl)
{
	static int (*const steps[])(struct nl *) = {
		ov_remove_links,
		ov_remove_routes,
		ov_remove_forward,
		ov_remove_nft,
	};
	int err, ret = 0;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		err = steps[i](nl);
		ret = ret ? ret : err;
	}
	return ret;
}
