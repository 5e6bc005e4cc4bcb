/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a container of an engine asks when its own resolver does not know: the
 * resolvers of the host, as the engine reads them. It takes those behind
 * systemd-resolved when that is all there is, and Google's when there are
 * none but on the loopback (libnetwork's resolvconf).
 */
#include "rc.h"

#include "netd/ebpf.h"
#include "netd/util.h"
#include "resolv.h"

#define RESOLVED_PATH "/run/systemd/resolve/resolv.conf"

struct list {
	struct ip_addr addrs[EBPF_RESOLVERS_MAX];
	size_t len;
};

static void add(struct list *list, const struct ip_addr *addr)
{
	if (ip_is_loopback(addr) || list->len == ARRAY_LEN(list->addrs))
		return;
	for (size_t i = 0; i < list->len; i++)
		if (ip_eq(&list->addrs[i], addr))
			return;
	list->addrs[list->len++] = *addr;
}

static void add_file(struct list *list, const char *path)
{
	AUTO(str_freep) char *text = NULL;
	struct ip_addr addrs[EBPF_RESOLVERS_MAX];
	size_t len;

	if (file_read(path, 65536, &text))
		return;
	len = resolv_parse(text, addrs, ARRAY_LEN(addrs));
	for (size_t i = 0; i < len; i++)
		add(list, &addrs[i]);
}

static void add_google(struct list *list)
{
	struct ip_addr first = ip_from_v4(0x08080808);
	struct ip_addr second = ip_from_v4(0x08080404);

	add(list, &first);
	add(list, &second);
}

void rc_resolvers(struct reconcile *rc)
{
	struct list list = { .len = 0 };

	add_file(&list, RESOLV_PATH);
	if (!list.len)
		add_file(&list, RESOLVED_PATH);
	if (!list.len)
		add_google(&list);
	for (size_t i = 0; i < rc->cfg.upstreams_len; i++)
		add(&list, &rc->cfg.upstreams[i]);
	if (ebpf_resolvers_put(rc->cfg.bpf, list.addrs, list.len))
		rc_complain(rc, -EIO, "tell the host's resolvers", "",
			    ebpf_error(rc->cfg.bpf));
}
