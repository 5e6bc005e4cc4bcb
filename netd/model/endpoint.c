/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint - pods' attachments as everybody sees them, and the names they
 * bear on their network, without case.
 */
#include "change.h"
#include "json.h"
#include "netd/util.h"

static void endpoint_free(struct endpoint *ep)
{
	if (!ep)
		return;
	json_decref(ep->labels);
	json_decref(ep->aliases);
	free(ep);
}

static void name_add(struct net *net, const char *name, struct endpoint *ep,
		     const struct model_marks *marks)
{
	char key[POD_NAME_LEN];
	struct pod_name *pn;

	str_copy(key, sizeof(key), name);
	name_lower(key);
	pn = FIND(net->names, key);
	if (!pn) {
		pn = xzalloc(sizeof(*pn));
		memcpy(pn->name, key, sizeof(key));
		HASH_ADD_STR(net->names, name, pn);
	}
	pn->eps = xrealloc(pn->eps, (pn->len + 1) * sizeof(struct endpoint *));
	pn->eps[pn->len++] = ep;
	if (marks)
		marks->mark(marks->arg, MARK_NAME, net->name, key);
}

static void name_remove(struct net *net, const char *name, struct endpoint *ep,
			const struct model_marks *marks)
{
	struct pod_name *pn = net_name_of(net, name);

	for (size_t i = 0; pn && i < pn->len; i++) {
		if (pn->eps[i] == ep) {
			pn->eps[i] = pn->eps[--pn->len];
			break;
		}
	}
	if (!pn)
		return;
	if (marks)
		marks->mark(marks->arg, MARK_NAME, net->name, pn->name);
	if (!pn->len) {
		HASH_DEL(net->names, pn);
		free(pn->eps);
		free(pn);
	}
}

struct pod_name *net_name_of(const struct net *net, const char *name)
{
	char key[POD_NAME_LEN];

	if (!str_copy(key, sizeof(key), name))
		return NULL;
	name_lower(key);
	return FIND(net->names, key);
}

/* Services that have this very address among their backends. */
static void mark_statics(const struct net *net, const struct endpoint *ep,
			 const struct model_marks *marks)
{
	const struct service *s = marks ? net->services : NULL;

	for (; s; s = s->hh.next)
		for (size_t i = 0; i < s->statics_len; i++)
			if (ip_eq(&s->statics[i].addr, &ep->addr))
				marks->mark(marks->arg, MARK_SERVICE, net->name,
					    s->name);
}

/* Calls fn for the endpoint's own name and for its aliases. */
static void each_name(struct net *net, struct endpoint *ep,
		      const struct model_marks *marks,
		      void (*fn)(struct net *, const char *, struct endpoint *,
				 const struct model_marks *))
{
	json_t *alias;
	size_t i;

	fn(net, ep->pod, ep, marks);
	json_array_foreach (ep->aliases, i, alias) {
		const char *name = json_string_value(alias);

		if (name && pod_name_is_valid(name) &&
		    strcasecmp(name, ep->pod) != 0)
			fn(net, name, ep, marks);
	}
}

static void endpoint_drop(struct net *net, struct endpoint *ep,
			  const struct model_marks *marks)
{
	each_name(net, ep, marks, name_remove);
	mark_statics(net, ep, marks);
	HASH_DEL(net->endpoints, ep);
	endpoint_free(ep);
}

static void tell_endpoint(const struct model_marks *marks, enum event_id event,
			  const struct net *net, const struct endpoint *ep)
{
	char ip[IP_STRLEN];

	change_tell(marks, event, ep->pod, net->name, ep->node,
		    ip_str(&ep->addr, ip));
}

static bool endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
	return str_eq(a->pod, b->pod) && ip_eq(&a->addr, &b->addr) &&
	       ip_eq(&a->addr6, &b->addr6) &&
	       json_equal(a->labels, b->labels) &&
	       (a->aliases == b->aliases || json_equal(a->aliases, b->aliases));
}

struct endpoint *net_endpoint_put(struct net *net, struct endpoint *ep,
				  const struct model_marks *marks)
{
	struct endpoint *old = FIND(net->endpoints, ep->key);

	if (!old)
		tell_endpoint(marks, EVENT_POD_ATTACHED, net, ep);
	else if (old->unready != ep->unready)
		tell_endpoint(marks,
			      ep->unready ? EVENT_POD_UNREADY : EVENT_POD_READY,
			      net, ep);
	else if (!endpoint_eq(old, ep))
		tell_endpoint(marks, EVENT_POD_UPDATED, net, ep);
	if (old)
		endpoint_drop(net, old, marks);
	HASH_ADD_STR(net->endpoints, key, ep);
	each_name(net, ep, marks, name_add);
	mark_statics(net, ep, marks);
	return ep;
}

void net_endpoint_del(struct net *net, const char *key,
		      const struct model_marks *marks)
{
	struct endpoint *ep = FIND(net->endpoints, key);

	if (!ep)
		return;
	tell_endpoint(marks, EVENT_POD_DETACHED, net, ep);
	endpoint_drop(net, ep, marks);
}

static struct endpoint *endpoint_from_json(const struct key *key, json_t *doc)
{
	struct endpoint *ep = xzalloc(sizeof(*ep));

	if (!str_copy(ep->node, sizeof(ep->node), key->word[1]) ||
	    !str_copy(ep->id, sizeof(ep->id), key->word[2]) ||
	    str_format(ep->key, sizeof(ep->key), "%s/%s", ep->node, ep->id) ||
	    json_get_str(doc, "pod", ep->pod, sizeof(ep->pod)) ||
	    !pod_name_is_valid(ep->pod) ||
	    json_read_ip(json_object_get(doc, "ip"), &ep->addr)) {
		free(ep);
		return NULL;
	}
	/* One that is none is none: the pod is reached by the other. */
	if (json_read_ip(json_object_get(doc, "ip6"), &ep->addr6))
		memset(&ep->addr6, 0, sizeof(ep->addr6));
	if (json_get_mac(doc, &ep->mac))
		ep->mac = mac_from_ip(&ep->addr);
	ep->unready = json_is_false(json_object_get(doc, "ready"));
	ep->leaving = json_is_true(json_object_get(doc, "leaving"));
	ep->labels = json_incref(json_object_get(doc, "labels"));
	ep->aliases = json_incref(json_object_get(doc, "aliases"));
	return ep;
}

int endpoint_apply(struct change *c)
{
	struct endpoint *ep = NULL;
	char key[sizeof(ep->key)];
	struct net *net;

	if (str_eq(c->key.word[1], c->m->self))
		return 0;
	if (c->doc && !(ep = endpoint_from_json(&c->key, c->doc)))
		return -EINVAL;
	if (str_format(key, sizeof(key), "%s/%s", c->key.word[1],
		       c->key.word[2])) {
		endpoint_free(ep);
		return -EINVAL;
	}
	net = change_net(c->m, c->key.word[0]);
	if (ep) {
		ep->rev = c->rev;
		net_endpoint_put(net, ep, c->marks);
	} else {
		net_endpoint_del(net, key, c->marks);
	}
	change_net_sweep(c->m, net);
	return 0;
}
