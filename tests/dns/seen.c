/* SPDX-License-Identifier: Apache-2.0 */
#include "seen.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>
#include <strings.h>

#include "netd/util.h"

static const struct {
	uint16_t value;
	const char *name;
} types[] = {
	{ ns_t_a, "A" },	 { ns_t_ns, "NS" },
	{ ns_t_cname, "CNAME" }, { ns_t_soa, "SOA" },
	{ ns_t_ptr, "PTR" },	 { ns_t_hinfo, "HINFO" },
	{ ns_t_mx, "MX" },	 { ns_t_txt, "TXT" },
	{ ns_t_aaaa, "AAAA" },	 { ns_t_srv, "SRV" },
	{ ns_t_dname, "DNAME" }, { ns_t_opt, "OPT" },
	{ ns_t_ds, "DS" },	 { ns_t_dnskey, "DNSKEY" },
	{ ns_t_any, "ANY" },	 { ns_t_axfr, "AXFR" },
	{ ns_t_ixfr, "IXFR" },	 { 64, "SVCB" },
	{ 65, "HTTPS" },	 { ns_t_mailb, "MAILB" },
	{ ns_t_maila, "MAILA" }, { 257, "CAA" },
};

static const char *const rcodes[] = {
	"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
	"YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE", "RCODE11",
	"RCODE12",  "RCODE13", "RCODE14",  "RCODE15",  "BADVERS",
};

const char *seen_type_str(uint16_t type)
{
	static char buf[16];

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].value == type)
			return types[i].name;
	snprintf(buf, sizeof(buf), "TYPE%u", type);
	return buf;
}

int seen_type_parse(const char *text)
{
	uint32_t value;

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcasecmp(types[i].name, text) == 0)
			return types[i].value;
	text = str_after(text, "TYPE");
	if (!text || str_to_u32(text, 0, UINT16_MAX, &value))
		return -1;
	return (int)value;
}

const char *seen_rcode_str(unsigned rcode)
{
	return rcode < ARRAY_LEN(rcodes) ? rcodes[rcode] : "RCODE?";
}

int seen_rcode_parse(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(rcodes); i++)
		if (str_eq(rcodes[i], text))
			return (int)i;
	return -1;
}

/* Data to text: each writes behind `at` and returns whether it could. */

struct text {
	FILE *out;
	const ns_msg *msg;
	const uint8_t *at;
	const uint8_t *end;
};

static bool put_name(struct text *t)
{
	char name[SEEN_NAME_LEN];
	int n = ns_name_uncompress(ns_msg_base(*t->msg), ns_msg_end(*t->msg),
				   t->at, name, sizeof(name));

	if (n < 0 || t->at + n > t->end)
		return false;
	t->at += n;
	fprintf(t->out, " %s.", str_eq(name, ".") ? "" : name);
	return true;
}

static bool put_u16(struct text *t)
{
	if (t->end - t->at < 2)
		return false;
	fprintf(t->out, " %u", ns_get16(t->at));
	t->at += 2;
	return true;
}

static bool put_u32(struct text *t)
{
	if (t->end - t->at < 4)
		return false;
	fprintf(t->out, " %lu", ns_get32(t->at));
	t->at += 4;
	return true;
}

static bool put_string(struct text *t)
{
	size_t n = t->at < t->end ? *t->at : 0;

	if (t->end - t->at < (ptrdiff_t)n + 1)
		return false;
	fprintf(t->out, " \"%.*s\"", (int)n, (const char *)t->at + 1);
	t->at += n + 1;
	return true;
}

static bool put_addr(struct text *t)
{
	char text[INET6_ADDRSTRLEN];
	size_t n = (size_t)(t->end - t->at);
	int family = n == 4 ? AF_INET : AF_INET6;

	if (n != 4 && n != 16)
		return false;
	fprintf(t->out, " %s", inet_ntop(family, t->at, text, sizeof(text)));
	t->at += n;
	return true;
}

static bool put_hex(struct text *t)
{
	fprintf(t->out, " \\# %td ", t->end - t->at);
	for (; t->at < t->end; t->at++)
		fprintf(t->out, "%02x", *t->at);
	return true;
}

typedef bool put_fn(struct text *t);

/* The last one is repeated while there is data. */
static const struct shape {
	uint16_t type;
	put_fn *puts[8];
} shapes[] = {
	{ ns_t_a, { put_addr } },
	{ ns_t_aaaa, { put_addr } },
	{ ns_t_ns, { put_name } },
	{ ns_t_cname, { put_name } },
	{ ns_t_dname, { put_name } },
	{ ns_t_ptr, { put_name } },
	{ ns_t_mx, { put_u16, put_name } },
	{ ns_t_srv, { put_u16, put_u16, put_u16, put_name } },
	{ ns_t_txt, { put_string } },
	{ ns_t_hinfo, { put_string } },
	{ ns_t_soa,
	  { put_name, put_name, put_u32, put_u32, put_u32, put_u32, put_u32 } },
};

static bool put_data(struct text *t, uint16_t type)
{
	static const struct shape other = { 0, { put_hex } };
	const struct shape *s = &other;

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (shapes[i].type == type)
			s = &shapes[i];
	for (size_t i = 0; s->puts[i]; i++)
		if (!s->puts[i](t))
			return false;
	while (t->at < t->end)
		if ((type != ns_t_txt && type != ns_t_hinfo) || !put_string(t))
			return false;
	return true;
}

static int rr_read(ns_msg *msg, ns_rr *rr, enum seen_section section,
		   struct seen *ret)
{
	struct seen_rr *out = &ret->rrs[ret->len];
	const char *name = ns_rr_name(*rr);
	struct text t = { .msg = msg, .at = ns_rr_rdata(*rr) };
	char *text = NULL;
	size_t size;
	bool good;

	if (ns_rr_type(*rr) == ns_t_opt) {
		ret->edns = true;
		ret->udp_size = (uint16_t)ns_rr_class(*rr);
		ret->rcode |= (unsigned)(ns_rr_ttl(*rr) >> 24) << 4;
		return section == SEEN_ADDITIONAL ? 0 : -EBADMSG;
	}
	t.end = t.at + ns_rr_rdlen(*rr);
	t.out = open_memstream(&text, &size);
	fprintf(t.out, "%s. %s", str_eq(name, ".") ? "" : name,
		seen_type_str((uint16_t)ns_rr_type(*rr)));
	good = put_data(&t, (uint16_t)ns_rr_type(*rr)) &&
	       ns_rr_class(*rr) == ns_c_in;
	fclose(t.out);
	out->text = text;
	out->section = section;
	out->ttl = (uint32_t)ns_rr_ttl(*rr);
	out->type = (uint16_t)ns_rr_type(*rr);
	ret->len++;
	return good ? 0 : -EBADMSG;
}

static int records_read(ns_msg *msg, struct seen *ret)
{
	static const ns_sect sections[] = { ns_s_an, ns_s_ns, ns_s_ar };
	ns_rr rr;

	for (size_t s = 0; s < SEEN_MAX; s++)
		for (int i = 0; i < ns_msg_count(*msg, sections[s]); i++)
			if (ns_parserr(msg, sections[s], i, &rr) ||
			    rr_read(msg, &rr, (enum seen_section)s, ret))
				return -EBADMSG;
	return 0;
}

int seen_read(const uint8_t *data, size_t len, struct seen *ret)
{
	unsigned records;
	ns_msg msg;
	ns_rr rr;

	*ret = (struct seen){ 0 };
	if (len > UINT16_MAX || ns_initparse(data, (int)len, &msg))
		return -EBADMSG;
	ret->id = ns_msg_id(msg);
	ret->flags = (uint16_t)ns_get16(data + 2);
	ret->rcode = ret->flags & 15;
	if (ns_msg_count(msg, ns_s_qd) > 1)
		return -EBADMSG;
	if (ns_msg_count(msg, ns_s_qd) == 1) {
		if (ns_parserr(&msg, ns_s_qd, 0, &rr))
			return -EBADMSG;
		if (str_format(ret->name, sizeof(ret->name), "%s.",
			       str_eq(ns_rr_name(rr), ".") ? ""
							   : ns_rr_name(rr)))
			return -EBADMSG;
		ret->type = (uint16_t)ns_rr_type(rr);
		ret->class = (uint16_t)ns_rr_class(rr);
	}
	records = (unsigned)ns_msg_count(msg, ns_s_an) +
		  ns_msg_count(msg, ns_s_ns) + ns_msg_count(msg, ns_s_ar);
	ret->rrs = xzalloc((records + 1) * sizeof(*ret->rrs));
	if (records_read(&msg, ret)) {
		seen_free(ret);
		return -EBADMSG;
	}
	return 0;
}

void seen_free(struct seen *seen)
{
	for (size_t i = 0; i < seen->len; i++)
		free(seen->rrs[i].text);
	free(seen->rrs);
	*seen = (struct seen){ 0 };
}

static int rr_cmp(const void *a, const void *b)
{
	const struct seen_rr *x = a, *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	return strcmp(x->text, y->text);
}

void seen_sort(struct seen *seen)
{
	qsort(seen->rrs, seen->len, sizeof(*seen->rrs), rr_cmp);
}

void seen_print(const struct seen *seen)
{
	static const char *const sections[] = { "answer", "authority",
						"additional" };

	printf("    %s%s%s %s %s%s\n", seen_rcode_str(seen->rcode),
	       seen->flags & 0x0400 ? " aa" : "",
	       seen->flags & 0x0200 ? " tc" : "", seen->name,
	       seen_type_str(seen->type), seen->edns ? " edns" : "");
	for (size_t i = 0; i < seen->len; i++)
		printf("    %s %u %s\n", sections[seen->rrs[i].section],
		       seen->rrs[i].ttl, seen->rrs[i].text);
}
