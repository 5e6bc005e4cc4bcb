/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node says of itself in the store: its record and its lease, its
 * endpoints, and per network what it offers to services. Wanted keys are
 * compared with what the store was last seen to hold, and the difference is
 * committed; so a lost lease, a wiped key and a leftover of an earlier life
 * are all the same case.
 */
#include "rc.h"

#include "json.h"
#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"
#include "node.h"
#include "plan.h"

/* etcd takes 128 operations in a transaction (--max-txn-ops). */
#define OPS_MAX 100
#define RETRY_MS 500

struct wanted {
	char key[PATH_LEN];
	char *value;
	bool leased;
	UT_hash_handle hh;
};

struct wants {
	struct reconcile *rc;
	struct wanted *all;
};

static void want(struct wants *w, bool leased, json_t *value, const char *fmt,
		 ...) __attribute__((format(printf, 4, 5)));

/* Takes value. */
static void want(struct wants *w, bool leased, json_t *value, const char *fmt,
		 ...)
{
	struct wanted *wanted = xzalloc(sizeof(*wanted));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(wanted->key, sizeof(wanted->key), fmt, ap);
	va_end(ap);
	wanted->value = json_line(value);
	wanted->leased = leased;
	json_decref(value);
	HASH_ADD_STR(w->all, key, wanted);
}

static void wants_free(struct wants *w)
{
	struct wanted *wanted, *tmp;

	HASH_ITER (hh, w->all, wanted, tmp) {
		HASH_DEL(w->all, wanted);
		free(wanted->value);
		free(wanted);
	}
}

static void want_self(struct wants *w)
{
	struct reconcile *rc = w->rc;

	want(w, false, node_to_json(model_node(rc->m, rc->m->self)),
	     "c/nodes/%s", rc->m->self);
	want(w, true,
	     json_pack("{s:i, s:I}", "schema", 1, "incarnation",
		       (json_int_t)rc->m->incarnation),
	     "c/alive/%s", rc->m->self);
}

static void want_endpoint(struct wants *w, const struct net *net,
			  const struct endpoint *ep)
{
	char mac[MAC_STRLEN];
	json_t *doc = json_pack("{s:i, s:s, s:o, s:s, s:O}", "schema", 1, "pod",
				ep->pod, "ip", json_ip(&ep->addr), "mac",
				mac_str(&ep->mac, mac), "labels", ep->labels);

	if (!ip_is_none(&ep->addr6))
		json_object_set_new(doc, "ip6", json_ip(&ep->addr6));
	json_object_set(doc, "aliases", ep->aliases);
	if (ep->unready)
		json_object_set_new(doc, "ready", json_false());
	if (ep->leaving)
		json_object_set_new(doc, "leaving", json_true());
	want(w, false, doc, "n/%s/e/pods/%s/%s", net->name, ep->node, ep->id);
}

static void want_pod_endpoints(struct wants *w, const struct pod *pod)
{
	for (size_t i = 0; i < pod->nets_len; i++) {
		const struct attachment *at = &pod->nets[i];
		const struct net *net = model_net(w->rc->m, at->network);
		const struct endpoint *ep =
			net ? rc_endpoint(w->rc, net, at) : NULL;

		if (ep)
			want_endpoint(w, net, ep);
	}
}

static void want_up(struct wants *w, const struct net *net)
{
	json_t *doc;
	struct up *up;

	HASH_FIND_STR(net->ups, w->rc->m->self, up);
	if (!up || (!json_object_size(up->services) &&
		    !json_object_size(up->down) && !json_object_size(up->held)))
		return;
	doc = json_pack("{s:i, s:I, s:O, s:O}", "schema", 1, "incarnation",
			(json_int_t)w->rc->m->incarnation, "services",
			up->services, "held", up->held);
	if (json_object_size(up->down))
		json_object_set(doc, "down", up->down);
	want(w, true, doc, "n/%s/s/up/%s", net->name, w->rc->m->self);
}

/* What this node offers now, to its own balancer at once. */
void rc_publish_net(struct reconcile *rc, const char *name)
{
	struct net *net = model_net(rc->m, name);
	struct model_marks marks = rc_marks(rc);
	struct plan_offer offer;
	json_t *held;

	if (!net)
		return;
	held = json_object_get(rc->held, name);
	rc_probes(rc, net);
	offer = rc_offer(rc, net);
	net_up_put(net, rc->m->self, offer.services, offer.down,
		   held ? json_incref(held) : json_object(), 1, &marks);
	rc->publish_wanted = true;
}

/*
 * Two hosts with one name would take each other's records away. The one that
 * finds the name alive under another incarnation waits for that to end.
 */
static bool name_is_free(struct reconcile *rc)
{
	struct node *self = NULL;
	bool taken;

	HASH_FIND_STR(rc->m->nodes, rc->m->self, self);
	taken = self && self->alive_rev &&
		self->alive_incarnation != rc->m->incarnation &&
		store_status(rc->store).is_etcd;
	if (taken && !rc->name_is_taken)
		log_err("reconcile: another host is node \"%s\" now; choose "
			"another --node here",
			rc->m->self);
	rc->name_is_taken = taken;
	return !taken;
}

static size_t add_puts(struct reconcile *rc, struct wants *w,
		       struct store_txn *txn)
{
	struct wanted *wanted;
	size_t ops = 0;

	for (wanted = w->all; wanted && ops < OPS_MAX;
	     wanted = wanted->hh.next) {
		struct own_key *have;

		HASH_FIND_STR(rc->stored, wanted->key, have);
		if (have && str_eq(have->value, wanted->value))
			continue;
		if (wanted->leased)
			store_txn_put_leased(txn, wanted->key, wanted->value);
		else
			store_txn_put(txn, wanted->key, wanted->value);
		ops++;
	}
	return ops;
}

static void add_dels(struct reconcile *rc, struct wants *w,
		     struct store_txn *txn, size_t ops)
{
	struct own_key *have;

	for (have = rc->stored; have && ops < OPS_MAX; have = have->hh.next) {
		struct wanted *wanted;

		HASH_FIND_STR(w->all, have->key, wanted);
		if (!wanted) {
			store_txn_del(txn, have->key);
			ops++;
		}
	}
}

static void published(void *arg, int err, int64_t rev)
{
	struct reconcile *rc = arg;

	(void)rev;
	rc->publishing = NULL;
	/* What the store has by now came through changed(): compare again. */
	rc->publish_wanted = true;
	rc->publish_not_before = err ? mono_ms() + RETRY_MS : 0;
	if (err)
		log_debug("reconcile: publishing waits: %s", strerror(-err));
	else
		rc_mark(rc, MARK_PUBLISH, "", "");
}

void rc_publish(struct reconcile *rc)
{
	LAG(LAG_PUBLISH);
	struct wants w = { .rc = rc };
	struct store_txn *txn;

	if (rc->publishing || mono_ms() < rc->publish_not_before ||
	    store_status(rc->store).state != STORE_UP || !name_is_free(rc))
		return;
	want_self(&w);
	/* Not by networks: one may have a hundred thousand of others'. */
	for (const struct pod *pod = rc->m->pods; pod; pod = pod->hh.next)
		want_pod_endpoints(&w, pod);
	for (const struct net *net = rc->m->nets; net; net = net->hh.next) {
		if (!net->rev)
			continue;
		want_up(&w, net);
	}
	txn = store_txn_new();
	add_dels(rc, &w, txn, add_puts(rc, &w, txn));
	wants_free(&w);
	if (store_txn_is_empty(txn)) {
		store_txn_free(txn);
		rc->publish_wanted = false;
		return;
	}
	rc->publishing = store_commit(rc->store, txn, published, rc);
}

/* c/nodes/SELF, c/alive/SELF, n/NET/e/pods/SELF/ID, n/NET/s/up/SELF */
bool rc_key_is_own(const char *self, const char *key)
{
	const char *rest = str_after(key, "c/nodes/");
	const char *part;
	size_t len = strlen(self);

	if (!rest)
		rest = str_after(key, "c/alive/");
	if (rest)
		return str_eq(rest, self);
	rest = str_after(key, "n/");
	rest = rest ? strchr(rest, '/') : NULL;
	if (!rest)
		return false;
	part = str_after(rest, "/s/up/");
	if (part)
		return str_eq(part, self);
	part = str_after(rest, "/e/pods/");
	return part && !strncmp(part, self, len) && part[len] == '/';
}

static void stored_drop(struct reconcile *rc, struct own_key *have)
{
	HASH_DEL(rc->stored, have);
	free(have->value);
	free(have);
}

void rc_publish_seen(struct reconcile *rc, const struct store_kv *kv)
{
	struct own_key *have;

	if (!rc_key_is_own(rc->m->self, kv->key) || strlen(kv->key) >= PATH_LEN)
		return;
	HASH_FIND_STR(rc->stored, kv->key, have);
	if (have)
		stored_drop(rc, have);
	if (kv->value) {
		have = xzalloc(sizeof(*have));
		str_copy(have->key, sizeof(have->key), kv->key);
		have->value = xstrdup(kv->value);
		HASH_ADD_STR(rc->stored, key, have);
	}
	rc_mark(rc, MARK_PUBLISH, "", "");
}

/* Keys of the old lease will go: as if they were not there. */
void rc_publish_lease_new(struct reconcile *rc)
{
	struct own_key *have, *tmp;

	HASH_ITER (hh, rc->stored, have, tmp) {
		if (str_after(have->key, "c/alive/") ||
		    strstr(have->key, "/s/up/"))
			stored_drop(rc, have);
	}
	rc_mark(rc, MARK_PUBLISH, "", "");
}

void rc_publish_free(struct reconcile *rc)
{
	struct own_key *have, *tmp;

	if (rc->publishing)
		store_cancel(rc->publishing);
	if (rc->returning)
		store_cancel(rc->returning);
	HASH_ITER (hh, rc->stored, have, tmp)
		stored_drop(rc, have);
}
