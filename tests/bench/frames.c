/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames - datagrams over a wire, as fast as one CPU makes and forwards them.
 *
 *   frames NETNS DEV MAC CLIENT ADDRESS PORT FLOWS SECONDS
 *          SINK_NETNS SINK_DEV xdp|skb
 *
 * They leave by DEV for MAC, which has to take them from its driver (a veth
 * whose other end has GRO or a program), come from CLIENT and go to
 * ADDRESS:PORT; what reaches SINK_DEV inside VXLAN is counted and dropped
 * there, before any stack sees it, by XDP or by tc (tcx, Linux 6.6). Making
 * them is the kernel's own for XDP programs (BPF_F_TEST_XDP_LIVE_FRAMES,
 * Linux 5.18). Prints `rate=N sent=N arrived=N`, the rate that of what
 * arrived.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frames.skel.h"

/*
 * Frames of one system call, and how many the kernel makes at a time. A call
 * begins and ends with the kernel waiting for RCU, 10 ms in which the CPU does
 * nothing: it has to be a small part.
 */
#define BURST (1u << 20)
#define BATCH 64

/* Of 6.6; Debian 12's headers end before. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define FLAG_BEFORE (1u << 3) /* BPF_F_BEFORE */

struct datagram {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	char data[18];
} __attribute__((packed));

static void die(const char *what)
{
	fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(netns);
	close(fd);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint16_t ip_sum(const void *ip)
{
	uint16_t words[10];
	uint32_t sum = 0;

	memcpy(words, ip, sizeof(words));
	for (int i = 0; i < 10; i++)
		sum += words[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static struct datagram make(const char *mac, const char *client,
			    const char *address, const char *port)
{
	struct datagram d = {
		.eth.h_source = { 2, 0, 0, 0, 0, 1 },
		.eth.h_proto = htons(ETH_P_IP),
		.ip = { .version = 4,
			.ihl = 5,
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.tot_len = htons(sizeof(d) - sizeof(d.eth)) },
		.udp.dest = htons((uint16_t)atoi(port)),
		.udp.len = htons(sizeof(d.udp) + sizeof(d.data)),
	};
	unsigned char *m = d.eth.h_dest;
	struct in_addr from, to;

	if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3,
		   m + 4, m + 5) != 6)
		die(mac);
	if (inet_pton(AF_INET, client, &from) != 1 ||
	    inet_pton(AF_INET, address, &to) != 1)
		die("an address");
	d.ip.saddr = from.s_addr;
	d.ip.daddr = to.s_addr;
	d.ip.check = ip_sum((const char *)&d + sizeof(d.eth));
	return d;
}

/* Sends for so long; how many. */
static unsigned long run(int prog, const char *dev, struct datagram *d,
			 double seconds)
{
	struct xdp_md ctx = { .data_end = sizeof(*d),
			      .ingress_ifindex = if_nametoindex(dev) };
	double end = now() + seconds;
	unsigned long sent = 0;

	while (now() < end) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = d,
			    .data_size_in = sizeof(*d), .ctx_in = &ctx,
			    .ctx_size_in = sizeof(ctx), .repeat = BURST,
			    .batch_size = BATCH,
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

		if (bpf_prog_test_run_opts(prog, &opts))
			die("the kernel injects nothing");
		sent += BURST;
	}
	return sent;
}

/* Before every other program there; gone with its descriptor. */
static int attach_sink(const struct frames_bpf *skel, const char *netns,
		       const char *dev, const char *form)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int by_xdp = strcmp(form, "xdp") == 0, index, link;

	enter(netns);
	index = (int)if_nametoindex(dev);
	opts.flags = by_xdp ? XDP_FLAGS_DRV_MODE : FLAG_BEFORE;
	link = bpf_link_create(bpf_program__fd(by_xdp ? skel->progs.sink
						      : skel->progs.sink_skb),
			       index, by_xdp ? BPF_XDP : TCX_INGRESS, &opts);
	if (!index || link < 0)
		die(dev);
	return link;
}

int main(int argc, char **argv)
{
	struct frames_bpf *skel = frames_bpf__open();
	unsigned long sent, before;
	struct datagram d;
	double start;
	int sink;

	if (argc != 12) {
		fprintf(stderr, "usage: frames NETNS DEV MAC CLIENT ADDRESS "
				"PORT FLOWS SECONDS SINK_NETNS SINK_DEV "
				"xdp|skb\n");
		return 2;
	}
	enter(argv[1]);
	if (!skel)
		die("the programs");
	skel->rodata->flows = (uint32_t)atoi(argv[7]);
	skel->rodata->wire = if_nametoindex(argv[2]);
	if (frames_bpf__load(skel))
		die("the programs");
	sink = attach_sink(skel, argv[9], argv[10], argv[11]);

	enter(argv[1]);
	d = make(argv[3], argv[4], argv[5], argv[6]);
	memcpy(skel->bss->frame, &d, sizeof(skel->bss->frame));
	/* Neighbours are found and flows made before it counts. */
	run(bpf_program__fd(skel->progs.spread), argv[2], &d, 0.1);
	before = skel->bss->arrived;
	start = now();
	sent = run(bpf_program__fd(skel->progs.spread), argv[2], &d,
		   atof(argv[8]));
	printf("rate=%.0f sent=%lu arrived=%lu\n",
	       (double)(skel->bss->arrived - before) / (now() - start), sent,
	       (unsigned long)(skel->bss->arrived - before));

	close(sink);
	frames_bpf__destroy(skel);
	return 0;
}
