/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - what the kernel has now, whatever was put: the tables remember what
 * it accepted, and somebody else may have taken it away since.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.h"
#include "load.h"
#include "netd.skel.h"

static bool has_addrs(const struct abi_pod *pod, const struct want_pod *want)
{
	for (uint32_t i = 0; i < want->addrs_len; i++) {
		const struct ip_addr *a = &want->addrs[i].addr;
		struct abi_addr addr = abi_addr(a);

		if (memcmp(&pod->addrs[abi_family(a)], &addr, sizeof(addr)))
			return false;
	}
	return true;
}

static int check_pod(struct ebpf *bpf, const struct want_pod *want,
		     uint32_t ifindex)
{
	struct abi_pod pod;

	if (bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.pods), &ifindex,
				&pod) ||
	    pod.vni != want->vni || !has_addrs(&pod, want) ||
	    memcmp(pod.mac, want->mac.b, sizeof(pod.mac)))
		return ebpf_fail(bpf, -ENOENT,
				 "the map of pods has not what it should have");
	return 0;
}

static int check_endpoint(struct ebpf *bpf, const struct want_pod *want,
			  const struct ip_addr *addr, uint32_t ifindex)
{
	struct abi_endpoint_key key = { .vni = want->vni,
					.addr = abi_addr(addr) };
	struct abi_endpoint ep;

	if (bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.endpoints), &key,
				&ep) ||
	    ep.ifindex != ifindex)
		return ebpf_fail(bpf, -ENOENT,
				 "the map of endpoints leads elsewhere");
	return 0;
}

int ebpf_pod_check(struct ebpf *bpf, const struct want_pod *want,
		   uint32_t ifindex)
{
	int err;

	ebpf_begin();
	if (!attach_pod_is(bpf, ifindex))
		return ebpf_fail(bpf, -ENOENT,
				 "the program is not on the pod's link");
	err = check_pod(bpf, want, ifindex);
	for (uint32_t i = 0; !err && i < want->addrs_len; i++)
		err = check_endpoint(bpf, want, &want->addrs[i].addr, ifindex);
	return err;
}

int ebpf_frontend_check(struct ebpf *bpf, const struct want_frontend *want)
{
	struct abi_frontend_key key = ebpf_frontend_key(want);
	struct abi_frontend fe;

	ebpf_begin();
	if (bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.frontends), &key,
				&fe) ||
	    !fe.count)
		return ebpf_fail(bpf, -ENOENT,
				 "port %u leads nowhere in the map of "
				 "frontends",
				 want->port);
	return 0;
}
