/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-pass - an XDP program that passes everything, on a veth.
 *
 *   nd-pass DEV
 *
 * What one end's driver sends by itself (XDP_TX), the other end takes up only
 * if it has a program too. It stays until the interface goes.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	unsigned int dev = argc == 2 ? if_nametoindex(argv[1]) : 0;
	int prog, err;

	if (!dev) {
		fputs("usage: nd-pass DEV\n", stderr);
		return 2;
	}
	prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), NULL);
	err = prog < 0 ? prog
		       : bpf_xdp_attach((int)dev, prog, XDP_FLAGS_DRV_MODE,
					NULL);
	if (err)
		fprintf(stderr, "nd-pass: %s: %s\n", argv[1], strerror(-err));
	return err != 0;
}
