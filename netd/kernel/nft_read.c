/* SPDX-License-Identifier: Apache-2.0 */
#include "nft_read.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "netd/util.h"

#define READ_TRIES 4

struct nft_question {
	uint8_t type;
	uint8_t family;
	uint16_t flags;
	const char *table;
	uint16_t table_attr;
	const char *name;
	uint16_t name_attr;
};

static void mnl_closep(struct mnl_socket **s)
{
	if (*s)
		mnl_socket_close(*s);
}

static struct nlmsghdr *nft_question_build(const struct nft_question *q,
					   void *buf)
{
	struct nlmsghdr *hdr = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *gen;

	hdr->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | q->type);
	hdr->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | q->flags);
	hdr->nlmsg_seq = 1;
	gen = mnl_nlmsg_put_extra_header(hdr, sizeof(*gen));
	gen->nfgen_family = q->family;
	gen->version = NFNETLINK_V0;
	gen->res_id = 0;
	if (q->table)
		mnl_attr_put_strz(hdr, q->table_attr, q->table);
	if (q->name)
		mnl_attr_put_strz(hdr, q->name_attr, q->name);
	return hdr;
}

static int nft_ask_once(const struct nft_question *q, mnl_cb_t fn, void *arg)
{
	AUTO(mnl_closep)
	struct mnl_socket *s =
		mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	const struct timeval timeout = { .tv_sec = 5 };
	uint8_t buf[16 * 1024] __attribute__((aligned(16)));
	struct nlmsghdr *hdr = nft_question_build(q, buf);
	ssize_t n;
	int more;

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) ||
	    setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		       sizeof(timeout)) ||
	    mnl_socket_sendto(s, hdr, hdr->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		more = mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(s),
				  fn, arg);
		/* A single answer has neither an ack nor an end. */
	} while (more > 0 && (q->flags & NLM_F_DUMP));
	return more < 0 ? -errno : 0;
}

static int nft_read_generation_cb(const struct nlmsghdr *hdr, void *arg)
{
	struct nlattr *a;
	uint32_t *ret = arg;

	mnl_attr_for_each(a, hdr, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_GEN_ID &&
		    !mnl_attr_validate(a, MNL_TYPE_U32))
			*ret = ntohl(mnl_attr_get_u32(a));
	}
	return MNL_CB_OK;
}

int nft_read_generation(uint32_t *ret)
{
	const struct nft_question q = { .type = NFT_MSG_GETGEN };

	return nft_ask_once(&q, nft_read_generation_cb, ret);
}

/* FNV-1a over the attributes of all messages of `table`. */
struct nft_print {
	const char *table;
	uint16_t table_attr;
	uint64_t hash;
	uint32_t count;
};

static int nft_print_cb(const struct nlmsghdr *hdr, void *arg)
{
	const uint8_t *data =
		mnl_nlmsg_get_payload_offset(hdr, sizeof(struct nfgenmsg));
	size_t len = mnl_nlmsg_get_payload_len(hdr);
	struct nft_print *p = arg;
	bool ours = false;
	struct nlattr *a;

	mnl_attr_for_each(a, hdr, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == p->table_attr &&
		    !mnl_attr_validate(a, MNL_TYPE_NUL_STRING))
			ours = str_eq(mnl_attr_get_str(a), p->table);
	}
	if (!ours || len < sizeof(struct nfgenmsg))
		return MNL_CB_OK;
	p->count++;
	len -= sizeof(struct nfgenmsg);
	for (size_t i = 0; i < len; i++)
		p->hash = (p->hash ^ data[i]) * 0x100000001b3;
	return MNL_CB_OK;
}

static int nft_print_add(struct nft_print *p, const struct nft_question *q)
{
	int err = -EINTR;

	/* Interrupted by somebody's commit: the next try sees it whole. */
	for (int i = 0; i < READ_TRIES && err == -EINTR; i++) {
		struct nft_print next = *p;

		next.table_attr = q->table_attr;
		err = nft_ask_once(q, nft_print_cb, &next);
		if (!err)
			*p = next;
	}
	return err;
}

int nft_read_print(const char *table, uint64_t *ret)
{
	const struct nft_question questions[] = {
		{ NFT_MSG_GETCHAIN, NFPROTO_INET, NLM_F_DUMP, NULL,
		  NFTA_CHAIN_TABLE, NULL, 0 },
		{ NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, table,
		  NFTA_RULE_TABLE, NULL, 0 },
		{ NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, table,
		  NFTA_SET_ELEM_LIST_TABLE, "pools4", NFTA_SET_ELEM_LIST_SET },
		{ NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, table,
		  NFTA_SET_ELEM_LIST_TABLE, "pools6", NFTA_SET_ELEM_LIST_SET },
	};
	struct nft_print p = { .table = table, .hash = 0xcbf29ce484222325 };
	int err;

	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		err = nft_print_add(&p, &questions[i]);
		if (err)
			return err;
	}
	if (!p.count)
		return -ENOENT;
	*ret = p.hash;
	return 0;
}

static int nft_policy_cb(const struct nlmsghdr *hdr, void *arg)
{
	struct nlattr *a;
	int *policy = arg;

	mnl_attr_for_each(a, hdr, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_CHAIN_POLICY &&
		    !mnl_attr_validate(a, MNL_TYPE_U32))
			*policy = (int)ntohl(mnl_attr_get_u32(a));
	}
	return MNL_CB_OK;
}

int nft_read_policy(uint8_t family, const char *table, const char *chain,
		    bool *is_drop)
{
	const struct nft_question q = {
		.type = NFT_MSG_GETCHAIN,
		.family = family,
		.table = table,
		.table_attr = NFTA_CHAIN_TABLE,
		.name = chain,
		.name_attr = NFTA_CHAIN_NAME,
	};
	int policy = -1;
	int err = nft_ask_once(&q, nft_policy_cb, &policy);

	if (err)
		return err;
	/* A user chain of that name has none. */
	if (policy < 0)
		return -ENOENT;
	*is_drop = policy == NF_DROP;
	return 0;
}
