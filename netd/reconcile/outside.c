/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks whose name the world knows as a zone.
 *
 * A network called "dev" takes the names below "dev." from its pods. That is
 * allowed, and may surprise: the upstreams are asked once whether they know
 * such a zone, when a network is made or taken part in, and what they say is
 * told. One question at a time, since a start may bring a thousand networks.
 */
#include "rc.h"

#include "event.h"
#include "netd/dns.h"
#include "netd/util.h"

#define WARNING                                                                \
	"the world has a zone of this name: \"%s.\" outside is hidden "        \
	"from its pods"

/* Asked once more at the next audit when nobody answered. */
void rc_outside_want(struct reconcile *rc, struct told_net *told)
{
	if (told->outside != OUTSIDE_UNKNOWN)
		return;
	told->outside = OUTSIDE_WANTED;
	rc_outside_ask(rc);
}

static enum outside said(int err, const struct dns_told *answer)
{
	if (err || answer->zone.is_unheard)
		return OUTSIDE_UNKNOWN;
	return answer->zone.is_known ? OUTSIDE_ZONE : OUTSIDE_NOTHING;
}

static void on_told(void *arg, int err, const struct dns_told *answer)
{
	struct reconcile *rc = arg;
	struct told_net *told;

	rc->outside_asked = false;
	HASH_FIND_STR(rc->nets, rc->outside_name, told);
	/* Another one may have its name by now: that one is asked anew. */
	if (told && told->outside == OUTSIDE_ASKED) {
		told->outside = said(err, answer);
		if (told->outside == OUTSIDE_ZONE)
			event_tell(EVENT_NETWORK_CONFLICT, told->name, NULL,
				   NULL, WARNING, told->name);
	}
	rc_outside_ask(rc);
}

void rc_outside_ask(struct reconcile *rc)
{
	struct dns_ask ask = { .kind = DNS_ASK_ZONE,
			       .from = ip_from_v4(0x7f000001) };
	struct told_net *told;

	if (rc->outside_asked)
		return;
	for (told = rc->nets; told; told = told->hh.next)
		if (told->outside == OUTSIDE_WANTED)
			break;
	if (!told)
		return;
	rc->outside_asked = true;
	told->outside = OUTSIDE_ASKED;
	str_copy(rc->outside_name, sizeof(rc->outside_name), told->name);
	str_copy(ask.name, sizeof(ask.name), told->name);
	dns_ask(rc->cfg.dns, &ask, on_told, rc);
}

json_t *reconcile_net_warnings(const struct reconcile *rc, const char *name)
{
	json_t *list = json_array();
	const struct told_net *told;

	HASH_FIND_STR(rc->nets, name, told);
	if (told && told->outside == OUTSIDE_ZONE)
		json_array_append_new(list, json_sprintf(WARNING, name));
	return list;
}
