/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients - connections to a published port as frames through the programs:
 * clients on the uplink of world.h's node, the backend in pod b.
 */
#pragma once

#include "world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "load.h"
#include "netd.skel.h"
#include "packet.h"

#define DROP 2
#define NODE "192.0.2.1"
#define POD "10.1.0.11"

static struct world world;
static struct world *const w = &world;

/* A connection to port 8000 of the node; address and port from a number. */
struct tuple {
	char addr[16];
	uint16_t port;
};

static inline struct tuple tuple(uint32_t net, uint32_t i)
{
	struct tuple t = { .port = (uint16_t)(1024 + i % 60000) };

	snprintf(t.addr, sizeof(t.addr), "%u.%u.%u.%u", net, (i >> 16) & 255,
		 (i >> 8) & 255, i & 255);
	return t;
}

static inline struct spec from_client(const struct tuple *t, uint16_t flags,
				      uint32_t ack)
{
	return (struct spec){ .smac = WIRE_MAC,
			      .dmac = UPLINK_MAC,
			      .proto = TCP,
			      .src = t->addr,
			      .sport = t->port,
			      .dst = NODE,
			      .dport = 8000,
			      .flags = flags,
			      .seq = 1,
			      .ack = ack };
}

static inline struct spec from_backend(const struct tuple *t, uint16_t flags,
				       uint32_t seq)
{
	return (struct spec){ .smac = MAC_B,
			      .dmac = TUNNEL_MAC,
			      .proto = TCP,
			      .src = POD,
			      .sport = 8080,
			      .dst = t->addr,
			      .dport = t->port,
			      .flags = flags,
			      .seq = seq,
			      .ack = 2 };
}

/* The source of what came out, in network order; 0: it did not. */
static inline uint32_t run(const struct bpf_program *prog, uint32_t ifindex,
			   const struct spec *s, uint32_t *dst)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX + 64];
	struct __sk_buff ctx = { .ifindex = ifindex };
	uint32_t src;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	opts.data_size_in = (uint32_t)packet_build(s, in);
	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
		fail_msg("cannot run");
	if (opts.retval == DROP)
		return 0;
	memcpy(&src, out + 26, 4);
	memcpy(dst, out + 30, 4);
	return src;
}

/* Looked up once: asking the kernel costs as much as a packet. */
static inline uint32_t pod_link(const char *name)
{
	static uint32_t links[128];
	uint32_t *link = &links[(uint8_t)name[0] & 127];

	if (!*link)
		*link = if_nametoindex(name);
	return *link;
}

/* A client's packet reaches the pod. */
static inline bool ask(const struct tuple *t, uint16_t flags, uint32_t ack)
{
	struct spec s = from_client(t, flags, ack);
	uint32_t dst = 0;

	return run(w->bpf->skel->progs.from_uplink, w->uplink, &s, &dst) &&
	       dst == inet_addr(POD);
}

/* The pod's answer comes from the node: its entry is there. */
static inline bool answer(const struct tuple *t, uint16_t flags, uint32_t seq)
{
	struct spec s = from_backend(t, flags, seq);
	uint32_t dst = 0;

	return run(w->bpf->skel->progs.from_pod, pod_link("b"), &s, &dst) ==
	       inet_addr(NODE);
}

#define ISN 0x12345678u

static inline bool handshake(const struct tuple *t)
{
	return ask(t, SYN, 0) && answer(t, SYN | ACK, ISN) &&
	       ask(t, ACK, ISN + 1);
}
