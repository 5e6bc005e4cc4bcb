/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod - the endpoints of this node, and whose sockets are translated.
 */
#include <uthash.h>

#include "attach.h"
#include "load.h"

struct pod {
	UT_hash_handle hh;
	char id[ENDPOINT_ID_LEN];
	uint32_t vni;
	struct want_pod_addr addrs[RANGES_MAX];
	uint32_t addrs_len;
	uint32_t ifindex;
	uint64_t cookie;
	bool asks_host;
	uint32_t epoch;
};

static struct pod *pod_find(const struct ebpf *bpf, const char *id)
{
	struct pod *pod;

	HASH_FIND(hh, bpf->pods, id, (unsigned int)strlen(id), pod);
	return pod;
}

static struct abi_endpoint_key endpoint_key(uint32_t vni,
					    const struct ip_addr *addr)
{
	struct abi_endpoint_key key = { .vni = vni, .addr = abi_addr(addr) };

	return key;
}

static int socket_put(struct ebpf *bpf, uint64_t cookie, uint32_t vni,
		      uint32_t role)
{
	struct abi_socket_key key = { .cookie = cookie, .vni = vni };

	return cookie ? ebpf_table_put(bpf, TABLE_SOCKETS, &key, &role) : 0;
}

static int socket_del(struct ebpf *bpf, uint64_t cookie, uint32_t vni)
{
	struct abi_socket_key key = { .cookie = cookie, .vni = vni };

	return ebpf_table_del(bpf, TABLE_SOCKETS, &key);
}

/* The namespace goes with its last endpoint, a network with its last there. */
static int sockets_erase(struct ebpf *bpf, const struct pod *gone)
{
	const struct pod *pod, *next;
	bool net_stays = false, stays = gone->cookie == bpf->host_cookie;
	int err;

	HASH_ITER (hh, bpf->pods, pod, next) {
		if (pod->cookie != gone->cookie)
			continue;
		stays = true;
		net_stays = net_stays || pod->vni == gone->vni;
	}
	err = net_stays ? 0 : socket_del(bpf, gone->cookie, gone->vni);
	if (!err && !stays)
		err = socket_del(bpf, gone->cookie, 0);
	return err;
}

static int resolver_put(struct ebpf *bpf, const struct ip_addr *resolver,
			uint64_t cookie, const struct ip_addr *gateway)
{
	struct abi_resolver_key key = { cookie, abi_addr(resolver) };
	struct abi_addr value = abi_addr(gateway);

	return ebpf_table_put(bpf, TABLE_RESOLVERS, &key, &value);
}

static int resolver_del(struct ebpf *bpf, const struct ip_addr *resolver,
			uint64_t cookie)
{
	struct abi_resolver_key key = { cookie, abi_addr(resolver) };

	return ebpf_table_del(bpf, TABLE_RESOLVERS, &key);
}

static bool asks(const struct pod *pod)
{
	return pod && pod->asks_host && pod->cookie;
}

static int resolvers_erase(struct ebpf *bpf, const struct pod *had,
			   const struct pod *have)
{
	int err = 0;

	if (!asks(had) || (asks(have) && have->cookie == had->cookie))
		return 0;
	for (size_t i = 0; !err && i < bpf->resolvers_len; i++)
		err = resolver_del(bpf, &bpf->resolvers[i], had->cookie);
	return err;
}

/* The gateway that a socket which asks this resolver can talk to. */
static const struct ip_addr *gateway_for(const struct pod *pod,
					 const struct ip_addr *resolver)
{
	for (uint32_t i = 0; i < pod->addrs_len; i++) {
		const struct ip_addr *gateway = &pod->addrs[i].gateway;

		if (ip_is_v4(gateway) == ip_is_v4(resolver))
			return gateway;
	}
	return NULL;
}

static int resolvers_write(struct ebpf *bpf, const struct pod *pod)
{
	int err = 0;

	for (size_t i = 0; asks(pod) && !err && i < bpf->resolvers_len; i++) {
		const struct ip_addr *resolver = &bpf->resolvers[i];
		const struct ip_addr *gateway = gateway_for(pod, resolver);

		if (gateway)
			err = resolver_put(bpf, resolver, pod->cookie, gateway);
	}
	return err;
}

int ebpf_resolvers_put(struct ebpf *bpf, const struct ip_addr *addrs,
		       size_t len)
{
	struct pod *pod, *next;
	int err = 0;

	len = MIN(len, EBPF_RESOLVERS_MAX);
	if (len == bpf->resolvers_len &&
	    !memcmp(addrs, bpf->resolvers, len * sizeof(*addrs)))
		return 0;
	ebpf_begin();
	HASH_ITER (hh, bpf->pods, pod, next) {
		int rc = resolvers_erase(bpf, pod, NULL);

		err = err ? err : rc;
	}
	memcpy(bpf->resolvers, addrs, len * sizeof(*addrs));
	bpf->resolvers_len = len;
	HASH_ITER (hh, bpf->pods, pod, next) {
		int rc = resolvers_write(bpf, pod);

		err = err ? err : rc;
	}
	return err;
}

int ebpf_pod_attach(struct ebpf *bpf, const char *id, uint32_t ifindex)
{
	ebpf_begin();
	return attach_pod(bpf, id, ifindex);
}

static uint32_t addrs_len(const struct want_pod *want)
{
	return MIN(want->addrs_len, RANGES_MAX);
}

static void pod_addrs(struct abi_pod *pod, const struct want_pod *want)
{
	abi_ranges_clear(pod->ranges);
	for (uint32_t i = 0; i < addrs_len(want); i++) {
		const struct want_pod_addr *at = &want->addrs[i];
		int family = abi_family(&at->addr);

		pod->addrs[family] = abi_addr(&at->addr);
		pod->ranges[family] =
			abi_range(&at->addr, at->prefix_len, &at->gateway);
	}
}

/* First what it may send as, then that it gets traffic. */
static int pod_write(struct ebpf *bpf, const struct want_pod *want,
		     uint32_t ifindex, uint64_t cookie)
{
	struct abi_endpoint ep = { .cookie = cookie, .ifindex = ifindex };
	struct abi_pod pod = { .cookie = cookie, .vni = want->vni };
	uint32_t role =
		cookie == bpf->host_cookie ? ABI_SOCKET_HOST : ABI_SOCKET_POD;
	int err;

	memcpy(ep.mac, want->mac.b, sizeof(ep.mac));
	memcpy(pod.mac, want->mac.b, sizeof(pod.mac));
	pod_addrs(&pod, want);
	err = ebpf_table_put(bpf, TABLE_PODS, &ifindex, &pod);
	if (!err)
		err = socket_put(bpf, cookie, want->vni, ABI_SOCKET_POD);
	if (!err)
		err = socket_put(bpf, cookie, 0, role);
	for (uint32_t i = 0; !err && i < addrs_len(want); i++) {
		struct abi_endpoint_key key =
			endpoint_key(want->vni, &want->addrs[i].addr);

		err = ebpf_table_put(bpf, TABLE_ENDPOINTS, &key, &ep);
	}
	return err;
}

static bool has_endpoint(const struct pod *pod, uint32_t vni,
			 const struct ip_addr *addr)
{
	for (uint32_t i = 0; pod && i < pod->addrs_len; i++) {
		if (ip_eq(&pod->addrs[i].addr, addr))
			return pod->vni == vni;
	}
	return false;
}

/* What `had` has and `have` (NULL: nothing) has not. */
static int pod_erase(struct ebpf *bpf, const struct pod *had,
		     const struct pod *have)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < had->addrs_len; i++) {
		const struct ip_addr *addr = &had->addrs[i].addr;
		struct abi_endpoint_key key = endpoint_key(had->vni, addr);

		if (!has_endpoint(have, had->vni, addr))
			err = ebpf_table_del(bpf, TABLE_ENDPOINTS, &key);
	}
	if (!err && (!have || had->ifindex != have->ifindex))
		err = ebpf_table_del(bpf, TABLE_PODS, &had->ifindex);
	if (!err)
		err = resolvers_erase(bpf, had, have);
	return err ? err : sockets_erase(bpf, had);
}

int ebpf_pod_put(struct ebpf *bpf, const struct want_pod *want,
		 uint32_t ifindex, uint64_t cookie)
{
	struct pod *pod = pod_find(bpf, want->id);
	struct pod had;
	int err;

	ebpf_begin();
	err = pod_write(bpf, want, ifindex, cookie);
	if (err)
		return err;
	if (!pod) {
		pod = xzalloc(sizeof(*pod));
		str_copy(pod->id, sizeof(pod->id), want->id);
		HASH_ADD_STR(bpf->pods, id, pod);
		had = (struct pod){ .cookie = 0 };
	} else {
		had = *pod;
	}
	pod->vni = want->vni;
	pod->addrs_len = addrs_len(want);
	memcpy(pod->addrs, want->addrs, sizeof(pod->addrs));
	pod->ifindex = ifindex;
	pod->cookie = cookie;
	pod->asks_host = want->asks_host;
	pod->epoch = bpf->epoch;
	err = resolvers_write(bpf, pod);
	if (err)
		return err;
	return had.ifindex ? pod_erase(bpf, &had, pod) : 0;
}

static int pod_drop(struct ebpf *bpf, struct pod *pod)
{
	struct pod gone = *pod;
	int err;

	HASH_DEL(bpf->pods, pod);
	err = pod_erase(bpf, &gone, NULL);
	if (err) {
		HASH_ADD_STR(bpf->pods, id, pod);
		return err;
	}
	free(pod);
	return 0;
}

int ebpf_pod_del(struct ebpf *bpf, const char *id)
{
	struct pod *pod = pod_find(bpf, id);

	ebpf_begin();
	return pod ? pod_drop(bpf, pod) : 0;
}

int ebpf_host_put(struct ebpf *bpf, uint64_t cookie)
{
	uint64_t had = bpf->host_cookie;
	int err;

	ebpf_begin();
	err = socket_put(bpf, cookie, 0, ABI_SOCKET_HOST);
	if (!err && had && had != cookie)
		err = socket_del(bpf, had, 0);
	if (!err)
		bpf->host_cookie = cookie;
	return err;
}

int pod_audit_end(struct ebpf *bpf)
{
	struct pod *pod, *next;
	int err = socket_put(bpf, bpf->host_cookie, 0, ABI_SOCKET_HOST);

	HASH_ITER (hh, bpf->pods, pod, next) {
		int rc = pod->epoch == bpf->epoch ? 0 : pod_drop(bpf, pod);

		err = err ? err : rc;
	}
	return err;
}

void pod_free_all(struct ebpf *bpf)
{
	struct pod *pod, *next;

	HASH_ITER (hh, bpf->pods, pod, next) {
		HASH_DEL(bpf->pods, pod);
		free(pod);
	}
}
