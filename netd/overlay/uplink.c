/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uplinks: where clients of published ports come from. Every interface with
 * a global address is one, a container engine's bridge too, unless the
 * configuration names them; never what netd made itself.
 */
#include "netd/ebpf.h"
#include "netd/log.h"
#include "netd/util.h"
#include "state.h"

static bool uplink_is_named(const struct overlay *ov, const char *name)
{
	if (!ov->config.uplinks_len)
		return true;
	for (size_t i = 0; i < ov->config.uplinks_len; i++) {
		if (str_eq(ov->config.uplinks[i], name))
			return true;
	}
	return false;
}

static bool uplink_is_one(const struct overlay *ov, const struct nl_link *l)
{
	return l->is_up && !l->is_loopback && !ov_is_ours(l) &&
	       !str_eq(l->name, TUNNEL_NAME) && uplink_is_named(ov, l->name);
}

static void uplink_add_addr(struct overlay *ov, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < ov->addrs_len; i++) {
		if (ip_eq(&ov->addrs[i], a))
			return;
	}
	if (ov->addrs_len < NODE_ADDRS_MAX)
		ov->addrs[ov->addrs_len++] = *a;
	else
		log_warn_limited("overlay: more than %d addresses, the rest "
				 "is not served",
				 NODE_ADDRS_MAX);
}

static int uplink_put(struct overlay *ov, const struct nl_link *l)
{
	struct ov_uplink *up;
	int err;

	HASH_FIND_STR(ov->uplinks, l->name, up);
	if (!up) {
		up = xzalloc(sizeof(*up));
		str_copy(up->name, sizeof(up->name), l->name);
		HASH_ADD_STR(ov->uplinks, name, up);
		log_info("overlay: uplink link=%s", l->name);
	}
	up->seen = true;
	up->ifindex = l->ifindex;
	if (!ov->bpf)
		return 0;
	err = ebpf_uplink_put(ov->bpf, l->name, l->ifindex);
	/* It vanished meanwhile; its event is on the way. */
	if (err == -ENODEV)
		return 0;
	return err ? ov_say(ov, err, "%s: %s", l->name, ebpf_error(ov->bpf))
		   : 0;
}

static int uplink_drop_unseen(struct overlay *ov)
{
	struct ov_uplink *up, *next;
	int err, ret = 0;

	HASH_ITER (hh, ov->uplinks, up, next) {
		if (up->seen)
			continue;
		err = ov->bpf ? ebpf_uplink_del(ov->bpf, up->name) : 0;
		if (err) {
			ret = ov_say(ov, err, "%s: %s", up->name,
				     ebpf_error(ov->bpf));
			continue;
		}
		log_info("overlay: no uplink any more link=%s", up->name);
		HASH_DEL(ov->uplinks, up);
		free(up);
	}
	return ret;
}

int uplink_see(struct overlay *ov, const struct ov_scan *scan)
{
	struct ov_uplink *up, *next;
	int err, ret = 0;

	HASH_ITER (hh, ov->uplinks, up, next)
		up->seen = false;
	ov->addrs_len = 0;
	uplink_add_addr(ov, &ov->config.vtep);
	for (size_t i = 0; i < scan->addrs_len; i++) {
		const struct nl_ifaddr *a = &scan->addrs[i];
		const struct nl_link *l = ov_scan_link(scan, a->ifindex);

		if (!l || !a->is_global || !uplink_is_one(ov, l))
			continue;
		uplink_add_addr(ov, &a->addr.addr);
		err = uplink_put(ov, l);
		ret = ret ? ret : err;
	}
	err = uplink_drop_unseen(ov);
	return ret ? ret : err;
}

void ov_uplinks_free(struct overlay *ov)
{
	struct ov_uplink *up, *next;

	HASH_ITER (hh, ov->uplinks, up, next) {
		HASH_DEL(ov->uplinks, up);
		free(up);
	}
}
