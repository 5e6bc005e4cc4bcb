/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow - what was decided for a connection, so that it stays decided.
 *
 * A balanced connection has two entries: client to balanced address with the
 * backend chosen, and backend to client with the address to restore; the node
 * that takes packets for another's backend has the first alone.
 *
 * Both begin in `flows`, which evicts: whoever sends from invented addresses
 * fills nothing else. A connection becomes established, and moves to a table
 * that evicts nothing, when its client shows that he got an answer: in TCP by
 * acknowledging a number that the backend sent, in UDP by still talking two
 * seconds after the first datagram. When that table is full he stays where he
 * is, which works as long as no flood does; it is counted.
 *
 * Established entries say when they were last used, to some seconds, so that
 * most packets write nothing; the loader ages them (flows.c), by what both
 * sides said of closing. RST makes no entry. Whatever is missing is made again
 * by the next packet of the client: the hash picks the same backend.
 */
#pragma once

#include "frag.bpf.h"
#include "maps.bpf.h"
#include "parse.bpf.h"
#include "work.bpf.h"

/* Ticks between two writes of `seen`. */
#define FLOW_TOUCH 16
#define FLOW_TOUCH_CLOSING 2
/* UDP: for how long an answered client has to go on. */
#define FLOW_UDP_PROOF 2
/* TCP: how far an acknowledgement may be from a number that was sent. */
#define FLOW_ACK_WINDOW (1u << 20)

static __always_inline void flow_key_forward(struct abi_flow_key *key,
					     const struct pkt *p)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->src = p->src;
	key->dst = p->dst;
	key->sport = p->sport;
	key->dport = p->dport;
	key->proto = p->proto;
	key->side = ABI_SIDE_FORWARD;
}

/* The key under which a packet that answers this one is looked for. */
static __always_inline void flow_key_answer(struct abi_flow_key *key,
					    const struct pkt *p)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->src = p->dst;
	key->dst = p->src;
	key->sport = p->dport;
	key->dport = p->sport;
	key->proto = p->proto;
	key->side = ABI_SIDE_REVERSE;
}

static __always_inline __u32 flow_now(void)
{
	return bpf_ktime_get_coarse_ns() >> ABI_TICK_SHIFT;
}

static __always_inline struct abi_flow *
flow_find(const struct abi_flow_key *key)
{
	struct abi_flow *flow = bpf_map_lookup_elem(&established, key);

	return flow ? flow : bpf_map_lookup_elem(&flows, key);
}

static __always_inline void flow_del(const struct abi_flow_key *key)
{
	bpf_map_delete_elem(&established, key);
	bpf_map_delete_elem(&flows, key);
}

/* What this packet says of closing; `shift` 0: by the client, 1: by the
 * backend. */
static __always_inline __u32 flow_closing(const struct pkt *p, int shift)
{
	__u32 bits = 0;

	if (p->proto != IPPROTO_TCP)
		return 0;
	if (p->detail & TCP_FLAG_BIT_RST)
		bits |= ABI_FLOW_RST_CLIENT;
	else if (p->detail & TCP_FLAG_FIN)
		bits |= ABI_FLOW_FIN_CLIENT;
	return bits << shift;
}

/* An established flow's entry was used. 1: it was written. */
static __always_inline int flow_touch(struct abi_flow *flow, __u32 bits)
{
	__u32 now = flow_now(), age = now - flow->seen;
	__u32 rare = flow->state & ABI_FLOW_CLOSING ? FLOW_TOUCH_CLOSING
						    : FLOW_TOUCH;

	bits &= ~flow->state;
	if (!bits && age < rare)
		return 0;
	if (bits)
		__sync_fetch_and_or(&flow->state, bits);
	flow->seen = now;
	return 1;
}

/*
 * The backend does not believe in a RST that it goes on after; its own is
 * always meant. 1: the entry was written.
 */
static __always_inline int flow_disbelieve(struct abi_flow *flow,
					   const struct pkt *p)
{
	if (!(flow->state & ABI_FLOW_RST_CLIENT) ||
	    (p->detail & TCP_FLAG_BIT_RST))
		return 0;
	__sync_fetch_and_and(&flow->state, ~ABI_FLOW_RST_CLIENT);
	return 1;
}

/* The client's entry of a connection whose backend's entry was written. */
__noinline int flow_touch_client(const struct pkt *p,
				 const struct abi_flow *flow, __u32 bits)
{
	struct abi_flow_key key;
	struct abi_flow *twin;

	if (!p || !flow)
		return 0;
	__builtin_memset(&key, 0, sizeof(key));
	key.src = flow->kind == ABI_FLOW_HAIRPIN ? flow->vtep : p->dst;
	key.dst = flow->addr;
	key.sport = p->dport;
	key.dport = flow->port;
	key.proto = p->proto;
	key.side = ABI_SIDE_FORWARD;
	twin = bpf_map_lookup_elem(&established, &key);
	if (!twin)
		return 0;
	flow_disbelieve(twin, p);
	return flow_touch(twin, bits);
}

/* A packet of the backend, by an entry of either direction. */
static __always_inline int flow_answered(struct abi_flow *flow,
					 const struct pkt *p)
{
	if (flow->state & ABI_FLOW_ESTABLISHED) {
		int written = flow_disbelieve(flow, p);

		return flow_touch(flow, flow_closing(p, 1)) | written;
	}
	if (p->fragment == PKT_LATER || (p->detail & TCP_FLAG_BIT_RST))
		return 0;
	/* Many numbers on, the first one would prove nothing any more. */
	if (!(flow->state & ABI_FLOW_ANSWERED) ||
	    p->seq - flow->seq > FLOW_ACK_WINDOW / 2) {
		flow->seq = p->seq;
		flow->state |= ABI_FLOW_ANSWERED;
	}
	return 0;
}

/* Has the client of this new flow shown that he gets answers? */
static __always_inline int flow_is_proven(const struct abi_flow *flow,
					  const struct pkt *p)
{
	if (!(flow->state & ABI_FLOW_ANSWERED))
		return 0;
	if (p->proto == IPPROTO_UDP)
		return flow_now() - flow->seen >= FLOW_UDP_PROOF;
	if ((p->detail & (TCP_FLAG_BIT_ACK | TCP_FLAG_BIT_SYN |
			  TCP_FLAG_BIT_RST)) != TCP_FLAG_BIT_ACK)
		return 0;
	return p->ack - flow->seq <= FLOW_ACK_WINDOW;
}

/* Another CPU may have been quicker. On 6.1 errors come back as 32 bits. */
static __always_inline int flow_establish(const struct abi_flow_key *key,
					  struct abi_flow *flow)
{
	int err;

	flow->state |= ABI_FLOW_ESTABLISHED;
	flow->seen = flow_now();
	err = bpf_map_update_elem(&established, key, flow, BPF_NOEXIST);
	return err == -17 /* EEXIST */ ? 0 : err;
}

/* Both entries of `work`, or the client's alone, become established. */
__noinline int flow_promote(int both)
{
	struct work *work = work_get();
	__u32 full = ABI_FLOW_COUNT_FULL;
	__u64 *count;
	int err;

	if (!work)
		return 0;
	err = both ? flow_establish(&work->answer, &work->back) : 0;
	if (!err) {
		err = flow_establish(&work->forward, &work->choice);
		if (err && both)
			bpf_map_delete_elem(&established, &work->answer);
	}
	if (!err) {
		bpf_map_delete_elem(&flows, &work->forward);
		if (both)
			bpf_map_delete_elem(&flows, &work->answer);
		return 0;
	}
	count = bpf_map_lookup_elem(&flow_counts, &full);
	if (count)
		*count += 1;
	return err;
}

/* Does this packet answer a balanced one? */
static __always_inline struct abi_flow *flow_find_reverse(const struct pkt *p)
{
	struct abi_flow_key key;

	if (!flows_used || !pkt_has_ports(p) || p->fragment == PKT_LOST)
		return NULL;
	flow_key_forward(&key, p);
	key.side = ABI_SIDE_REVERSE;
	return flow_find(&key);
}

/* The backend's packet, and its entry. */
static __always_inline void flow_track_reverse(struct abi_flow *flow,
					       const struct pkt *p)
{
	if (flow->kind != ABI_FLOW_PASS && flow_answered(flow, p))
		flow_touch_client(p, flow, flow_closing(p, 1));
}

/* The same where only the client's entry is: the node of entry. */
__noinline int flow_track_reply(const struct pkt *p)
{
	struct abi_flow_key key;
	struct abi_flow *flow;

	if (!p || !flows_used)
		return 0;
	flow_key_answer(&key, p);
	key.side = ABI_SIDE_FORWARD;
	flow = flow_find(&key);
	return flow ? flow_answered(flow, p) : 0;
}

/*
 * A new connection straight to a pod from a port that was used through a VIP
 * before: its answers are not the VIP's.
 */
static __always_inline void flow_forget_answer(const struct pkt *p)
{
	struct abi_flow_key key;
	struct abi_flow *flow;

	if (!flows_used || !pkt_is_syn(p))
		return;
	flow_key_answer(&key, p);
	flow = flow_find(&key);
	if (flow && flow->kind != ABI_FLOW_PASS)
		flow_del(&key);
}

static __always_inline int flow_same(const struct abi_flow *a,
				     const struct abi_flow *b)
{
	return a->kind == b->kind && a->port == b->port &&
	       addr_eq(&a->addr, &b->addr) && addr_eq(&a->vtep, &b->vtep);
}

/* The entry of a connection that ended, `was`, goes with its twin. */
__noinline int flow_end(const struct pkt *p, const struct abi_flow *was)
{
	struct work *work = work_get();

	if (!work || !p || !was)
		return 0;
	__builtin_memset(&work->answer, 0, sizeof(work->answer));
	work->answer.src = was->addr;
	work->answer.dst = p->src;
	work->answer.sport = was->port;
	work->answer.dport = p->sport;
	work->answer.proto = p->proto;
	work->answer.side = ABI_SIDE_REVERSE;
	/* From here on `was` may be another's. */
	bpf_map_delete_elem(&established, &work->forward);
	flow_del(&work->answer);
	return 0;
}

/* What was chosen anew is kept, except for what ends a connection. */
static __always_inline void flow_put_forward(const struct pkt *p,
					     struct work *work)
{
	flows_used = 1;
	work->settled = 0;
	work->choice.state = 0;
	work->choice.seen = flow_now();
	work->choice.seq = 0;
	if (!(p->detail & TCP_FLAG_BIT_RST) || p->proto != IPPROTO_TCP)
		bpf_map_update_elem(&flows, &work->forward, &work->choice,
				    BPF_ANY);
}

/* The client's entry was found, and is in `choice`. */
static __always_inline void flow_track_forward(const struct pkt *p,
					       struct work *work,
					       struct abi_flow *flow)
{
	work->settled = (flow->state & ABI_FLOW_ESTABLISHED) &&
			!flow_touch(flow, flow_closing(p, 0)) && !pkt_is_syn(p);
}

/*
 * An established client's packets come in by another node, as routers before
 * them please: its answers go there from now on.
 */
__noinline int flow_enter(__be32 entry)
{
	struct work *work = work_get();
	struct abi_flow *flow;

	if (!work)
		return 0;
	work->settled = 0;
	flow = bpf_map_lookup_elem(&established, &work->forward);
	if (flow)
		flow->entry = entry;
	return 0;
}

/*
 * `back` is where the answers of this packet, translated already, come from.
 * Stores only what is new: established flows cost no write.
 */
__noinline int flow_put_reverse(const struct pkt *p)
{
	struct work *work = work_get();
	struct abi_flow *old, *back;
	__u32 established_too, bits;

	if (!p || !work || work->settled)
		return 0;
	back = &work->back;
	established_too = work->choice.state & ABI_FLOW_ESTABLISHED;
	bits = flow_closing(p, 0);
	flow_key_answer(&work->answer, p);
	old = flow_find(&work->answer);
	if (old && flow_same(old, back)) {
		*back = *old;
		if (established_too && (old->state & ABI_FLOW_ESTABLISHED))
			return flow_touch(old, bits);
		/* Left from a connection of before. */
		if (old->state & ABI_FLOW_ESTABLISHED) {
			back->state = 0;
			flow_del(&work->answer);
		} else if (established_too || flow_is_proven(old, p)) {
			return flow_promote(1);
		} else {
			return 0;
		}
	} else if (old && established_too &&
		   (old->state & ABI_FLOW_ESTABLISHED)) {
		/* At once: an answer in between would go out as it is. */
		back->state = old->state | bits;
		back->seen = flow_now();
		return bpf_map_update_elem(&established, &work->answer, back,
					   BPF_EXIST);
	} else if (old) {
		flow_del(&work->answer);
	}
	if (bits & ABI_FLOW_RST_CLIENT)
		return 0;
	back->state = 0;
	back->seen = flow_now();
	if (established_too)
		return flow_establish(&work->answer, back);
	return bpf_map_update_elem(&flows, &work->answer, back, BPF_ANY);
}

/* Pods of internal networks may answer the host that asked. */
static __always_inline void flow_put_pass(const struct pkt *p)
{
	struct abi_flow flow = { .kind = ABI_FLOW_PASS };
	struct abi_flow_key key;

	if (!pkt_has_ports(p) || p->fragment == PKT_LOST)
		return;
	flow_key_answer(&key, p);
	flows_used = 1;
	if (!bpf_map_lookup_elem(&flows, &key))
		bpf_map_update_elem(&flows, &key, &flow, BPF_ANY);
}
