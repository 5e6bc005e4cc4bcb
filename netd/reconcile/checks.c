/* SPDX-License-Identifier: Apache-2.0 */
/* Is the host fit for netd? One row per thing that can be wrong. */
#include "rc.h"

#include "event.h"
#include "json.h"
#include "netd/dns.h"
#include "netd/ebpf.h"
#include "netd/log.h"
#include "netd/util.h"
#include "nft.h"
#include "overlay.h"

struct check {
	struct reconcile *rc;
	bool ok;
	char value[320];
	char hint[200];
};

static void read_sysctl(const char *path, char *buf, size_t size)
{
	AUTO(str_freep) char *text = NULL;

	buf[0] = '\0';
	if (file_read(path, 256, &text))
		return;
	text[strcspn(text, "\n")] = '\0';
	str_copy(buf, size, text);
}

static void check_hooks(struct check *c)
{
	size_t xdp = ebpf_xdp_links(c->rc->cfg.bpf);

	c->ok = true;
	str_copy(c->value, sizeof(c->value),
		 ebpf_has_tcx(c->rc->cfg.bpf) ? "tcx" : "clsact");
	if (xdp)
		str_format(c->value + strlen(c->value),
			   sizeof(c->value) - strlen(c->value),
			   ", XDP on %zu uplinks", xdp);
}

/* Neither is wrong. */
static void check_path(struct check *c)
{
	bool fast = overlay_has_fast_path(c->rc->cfg.overlay);

	c->ok = true;
	str_copy(c->value, sizeof(c->value),
		 fast ? "past the host's stack"
		      : "through it (overlay.fast_path, or IPsec policies)");
}

static void check_cgroup(struct check *c)
{
	c->ok = ebpf_has_cgroup(c->rc->cfg.bpf);
	str_copy(c->value, sizeof(c->value), c->ok ? "cgroup2" : "none");
	str_copy(c->hint, sizeof(c->hint),
		 "mount cgroup2 (systemd does): without it every packet to a "
		 "VIP is translated");
}

static void check_forward(struct check *c)
{
	read_sysctl("/proc/sys/net/ipv4/ip_forward", c->value,
		    sizeof(c->value));
	c->ok = str_eq(c->value, "1");
	str_copy(c->hint, sizeof(c->hint),
		 "sysctl -w net.ipv4.ip_forward=1: pods have no way out "
		 "without it");
}

static void check_rp_filter(struct check *c)
{
	char tunnel[16];

	read_sysctl("/proc/sys/net/ipv4/conf/all/rp_filter", c->value,
		    sizeof(c->value));
	read_sysctl("/proc/sys/net/ipv4/conf/netd0/rp_filter", tunnel,
		    sizeof(tunnel));
	/* Both strict and loose work: the way back is the way in. */
	c->ok = *c->value && *tunnel;
	str_copy(c->hint, sizeof(c->hint),
		 "is /proc/sys mounted, netd0 there?");
}

static void check_policy(struct check *c)
{
	nft_forward_policy(c->value, sizeof(c->value));
	c->ok = true;
	if (!*c->value)
		str_copy(c->value, sizeof(c->value), "none");
	else if (str_eq(c->value, "DROP"))
		str_copy(c->value, sizeof(c->value), "DROP, with our accepts");
}

static void check_nft(struct check *c)
{
	c->ok = nft_is_put();
	str_copy(c->value, sizeof(c->value), c->ok ? "in place" : "missing");
	str_copy(c->hint, sizeof(c->hint),
		 "is the nft program installed? see the log of netd");
}

static void check_tunnel(struct check *c)
{
	struct overlay_tunnel t = overlay_tunnel(c->rc->cfg.overlay);
	const char *error = overlay_error(c->rc->cfg.overlay);

	c->ok = t.ifindex && !*error;
	/* Cut where it is too long: the log has it all. */
	snprintf(c->value, sizeof(c->value), "netd0 mtu %u%s%.250s", t.mtu,
		 c->ok ? "" : ": ", error);
	str_copy(c->hint, sizeof(c->hint), "see the log of netd");
}

/* An alarm at 80 %: then there still is time to raise the limit. */
#define CROWDED_PERCENT 80
#define NORMAL_PERCENT 70

static void check_flows(struct check *c)
{
	struct ebpf_flows f = ebpf_flows(c->rc->cfg.bpf);

	c->ok = f.established * 100 < f.room * CROWDED_PERCENT;
	str_format(c->value, sizeof(c->value),
		   "%llu of %llu entries, %llu packets found it full",
		   (unsigned long long)f.established,
		   (unsigned long long)f.room, (unsigned long long)f.full);
	str_copy(c->hint, sizeof(c->hint),
		 "connections beyond it are balanced, but floods may move "
		 "them: raise overlay.flows");
}

void rc_flows_watch(struct reconcile *rc)
{
	struct ebpf_flows f = ebpf_flows(rc->cfg.bpf);
	unsigned int limit = rc->is_crowded ? NORMAL_PERCENT : CROWDED_PERCENT;
	bool is_crowded = f.established * 100 >= f.room * limit;

	if (is_crowded == rc->is_crowded)
		return;
	rc->is_crowded = is_crowded;
	if (is_crowded)
		log_warn("ebpf: the table of connections is nearly full "
			 "entries=%llu room=%llu",
			 (unsigned long long)f.established,
			 (unsigned long long)f.room);
	event_tell(is_crowded ? EVENT_CONNECTIONS_CROWDED
			      : EVENT_CONNECTIONS_NORMAL,
		   NULL, NULL, NULL, "%llu of %llu entries",
		   (unsigned long long)f.established,
		   (unsigned long long)f.room);
}

static void check_dns(struct check *c)
{
	int pid = dns_pid(c->rc->cfg.dns);

	c->ok = pid > 0;
	str_format(c->value, sizeof(c->value), "pid %d", pid);
	str_copy(c->hint, sizeof(c->hint), "see the log of netd");
}

static void check_dns_host(struct check *c)
{
	int err = dns_listen_error(c->rc->cfg.dns);

	c->ok = !err;
	str_format(c->value, sizeof(c->value), "%s",
		   err ? strerror(-err) : "listens");
	str_copy(c->hint, sizeof(c->hint),
		 "pods are served; for this host's programs set dns.listen to "
		 "another loopback address, or to off");
}

static void check_store(struct check *c)
{
	struct store_status st = store_status(c->rc->store);

	c->ok = st.state == STORE_UP && !st.error[0];
	if (c->ok)
		str_format(c->value, sizeof(c->value), "up, revision %lld",
			   (long long)st.rev);
	else if (st.state == STORE_UP)
		str_format(c->value, sizeof(c->value), "revision %lld: %.200s",
			   (long long)st.rev, st.error);
	else
		str_format(c->value, sizeof(c->value),
			   "mirror of revision %lld, %lld s old: %.200s",
			   (long long)st.rev, (long long)st.age_ms / 1000,
			   st.error);
	str_copy(c->hint, sizeof(c->hint),
		 st.state == STORE_FOREIGN ? "if this store is meant: restart "
					     "netd with --adopt-store"
					   : "packets and names go on; changes "
					     "wait for the store");
}

static void check_name(struct check *c)
{
	c->ok = !c->rc->name_is_taken;
	str_copy(c->value, sizeof(c->value), c->ok ? "ours" : "another host's");
	str_copy(c->hint, sizeof(c->hint),
		 "restart netd with another --node: nothing of this node is "
		 "published");
}

static const struct {
	const char *name;
	void (*run)(struct check *c);
} checks[] = {
	{ "store", check_store },
	{ "node name", check_name },
	{ "tunnel", check_tunnel },
	{ "tc hook", check_hooks },
	{ "connections", check_flows },
	{ "node to node", check_path },
	{ "cgroup2", check_cgroup },
	{ "dns server", check_dns },
	{ "dns for the host", check_dns_host },
	{ "nft table", check_nft },
	{ "ip_forward", check_forward },
	{ "rp_filter", check_rp_filter },
	{ "FORWARD policy", check_policy },
};

json_t *reconcile_checks(struct reconcile *rc)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		struct check c = { .rc = rc };

		checks[i].run(&c);
		json_array_append_new(
			list, json_pack("{s:s, s:b, s:s, s:s}", "name",
					checks[i].name, "ok", c.ok, "value",
					c.value, "hint", c.ok ? "" : c.hint));
	}
	return list;
}
