/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node's pods: journal first, then the kernel, then the model's
 * endpoints, names last; removal runs backwards. An endpoint lives as long as
 * its link: when a namespace dies its links die with it, and what was known
 * of it goes.
 */
#include "rc.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "fault.h"
#include "json.h"
#include "netd/dns.h"
#include "netd/ebpf.h"
#include "netd/log.h"
#include "netd/util.h"
#include "netns.h"
#include "network.h"
#include "overlay.h"

void reconcile_new_id(char id[ENDPOINT_ID_LEN])
{
	uint8_t b[6];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		abort();
	snprintf(id, ENDPOINT_ID_LEN, "%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5]);
}

static void journal_key(const struct pod *pod, char key[PATH_LEN])
{
	str_format(key, PATH_LEN, "pods/%s", pod->key);
}

int rc_pod_journal(struct reconcile *rc, const struct pod *pod)
{
	AUTO(json_freep) json_t *doc = pod_to_json(pod);
	AUTO(str_freep) char *line = json_line(doc);
	char key[PATH_LEN];

	journal_key(pod, key);
	return store_journal_note(rc->store, key, line);
}

static void journal_del(struct reconcile *rc, const struct pod *pod)
{
	char key[PATH_LEN];

	journal_key(pod, key);
	store_journal_unnote(rc->store, key);
}

static void load_pod(void *arg, const char *key, const char *value)
{
	struct reconcile *rc = arg;
	AUTO(json_freep) json_t *doc = json_loads(value, 0, NULL);
	struct pod *pod = pod_from_json(doc);

	if (pod)
		model_pod_add(rc->m, pod);
	else
		log_warn("reconcile: journal entry is not ours key=%s", key);
}

static void load_rest(void *arg, const char *key, const char *value)
{
	struct reconcile *rc = arg;
	struct ip_addr addr;

	/* How long it has rested is not known any more: the whole time. */
	if (!ip_parse(str_after(key, "rests/"), &addr))
		rest_put(&rc->rests, &addr, value, mono_ms() + IPAM_REST_MS);
}

void rc_pods_load(struct reconcile *rc)
{
	store_journal_each(rc->store, "pods/", load_pod, rc);
	store_journal_each(rc->store, "rests/", load_rest, rc);
}

static void rest_key(const struct ip_addr *addr, char key[PATH_LEN])
{
	char ip[IP_STRLEN];

	str_format(key, PATH_LEN, "rests/%s", ip_str(addr, ip));
}

static void rest(struct reconcile *rc, const struct attachment *at)
{
	char key[PATH_LEN];

	rest_key(&at->addr, key);
	store_journal_note(rc->store, key, at->network);
	rest_put(&rc->rests, &at->addr, at->network, mono_ms() + IPAM_REST_MS);
}

static void returned(void *arg, int err, int64_t rev)
{
	struct reconcile *rc = arg;

	(void)rev;
	rc->returning = NULL;
	if (err && err != -EAGAIN)
		log_debug("reconcile: a lent address waits: %s",
			  strerror(-err));
}

/* Gives a lent address back first; false while that has to wait. */
static bool give_back(struct reconcile *rc, const struct rest *r)
{
	const struct net *net = model_net(rc->m, r->network);
	AUTO(json_freep) json_t *value = NULL;
	AUTO(str_freep) char *line = NULL;
	struct ipam_change change = { 0 };
	struct store_txn *txn;

	if (!net || !ipam_return(rc->m, net, &r->addr, &change))
		return true;
	value = change.value;
	if (rc->returning)
		return false;
	line = json_line(value);
	txn = store_txn_new();
	store_txn_is(txn, change.key, change.rev);
	store_txn_put(txn, change.key, line);
	rc->returning = store_commit(rc->store, txn, returned, rc);
	return false;
}

void rc_rests_expire(struct reconcile *rc)
{
	int64_t now = mono_ms();
	struct rest *r, *tmp;
	char key[PATH_LEN];

	HASH_ITER (hh, rc->rests, r, tmp) {
		if (r->until > now || !give_back(rc, r))
			continue;
		rest_key(&r->addr, key);
		store_journal_unnote(rc->store, key);
		HASH_DEL(rc->rests, r);
		free(r);
	}
}

static void endpoint_key(const struct reconcile *rc,
			 const struct attachment *at, char *key, size_t size)
{
	str_format(key, size, "%s/%s", rc->m->self, at->id);
}

const struct endpoint *rc_endpoint(const struct reconcile *rc,
				   const struct net *net,
				   const struct attachment *at)
{
	char key[NAME_LEN + ENDPOINT_ID_LEN];
	struct endpoint *ep;

	endpoint_key(rc, at, key, sizeof(key));
	HASH_FIND_STR(net->endpoints, key, ep);
	return ep;
}

void rc_pod_show(struct reconcile *rc, const struct pod *pod,
		 const struct attachment *at)
{
	struct net *net = model_net(rc->m, at->network);
	struct model_marks marks = rc_marks(rc);
	struct endpoint *ep;

	if (!net)
		return;
	ep = xzalloc(sizeof(*ep));
	endpoint_key(rc, at, ep->key, sizeof(ep->key));
	memcpy(ep->node, rc->m->self, sizeof(ep->node));
	memcpy(ep->id, at->id, sizeof(ep->id));
	str_copy(ep->pod, sizeof(ep->pod), pod_shown_name(pod));
	ep->unready = *pod_unready(pod);
	ep->leaving = at->leaves_at;
	ep->addr = at->addr;
	ep->addr6 = at->addr6;
	ep->mac = at->mac;
	ep->labels = pod_labels(pod);
	ep->aliases = pod_aliases(pod, at);
	net_endpoint_put(net, ep, &marks);
	rc_mark(rc, MARK_PUBLISH, net->name, "");
}

void rc_pod_hide(struct reconcile *rc, const struct attachment *at)
{
	struct net *net = model_net(rc->m, at->network);
	struct model_marks marks = rc_marks(rc);
	char key[NAME_LEN + ENDPOINT_ID_LEN];

	dns_client_del(rc->cfg.dns, &at->addr);
	dns_client_del(rc->cfg.dns, &at->addr6);
	if (!net)
		return;
	endpoint_key(rc, at, key, sizeof(key));
	net_endpoint_del(net, key, &marks);
	rc_mark(rc, MARK_PUBLISH, net->name, "");
	rc_mark(rc, MARK_NET, net->name, "");
}

/* Every address of the pod may ask about all its networks. */
void rc_pod_clients(struct reconcile *rc, const struct pod *pod)
{
	struct want_client client = { 0 };

	for (size_t i = 0; i < pod->nets_len; i++)
		client.vni[client.vni_len++] = pod->nets[i].vni;
	for (size_t i = 0; i < pod->nets_len; i++) {
		if (!attachment_is_in(&pod->nets[i]))
			continue;
		client.addr = pod->nets[i].addr;
		dns_client_put(rc->cfg.dns, &client);
		client.addr = pod->nets[i].addr6;
		if (!ip_is_none(&client.addr))
			dns_client_put(rc->cfg.dns, &client);
	}
}

/* A network that left the model while its pod lived: the little we know. */
struct want_pod rc_pod_want(struct reconcile *rc, const struct pod *pod,
			    const struct attachment *at)
{
	const struct net *net = model_net(rc->m, at->network);
	uint32_t mtu = reconcile_mtu(rc);
	struct net unknown = { .vni = at->vni,
			       .subnet = prefix_host(&at->addr) };

	return pod_want(rc->m, pod, at, net ? net : &unknown, mtu);
}

static int attach(struct reconcile *rc, struct pod *pod, struct attachment *at,
		  int netns, struct refusal *r)
{
	struct overlay_link link;
	struct want_pod want;
	int err;

	/* Nobody is told of what this host cannot do. */
	if (!overlay_has_v6())
		memset(&at->addr6, 0, sizeof(at->addr6));
	want = rc_pod_want(rc, pod, at);
	/* Gateway and zone first: the pod's first query must be answered. */
	rc_net(rc, at->network);
	err = overlay_pod_attach(rc->cfg.overlay, &want, netns, &link);
	if (err == -EEXIST) {
		refuse(r, API_CONFLICT, "ifname",
		       "choose another name, or none for the first that is "
		       "free",
		       "pod \"%s\": link \"%s\" exists already in its "
		       "namespace",
		       pod->name, want.ifname);
		return err;
	}
	if (err) {
		refuse(r, API_INTERNAL, "network",
		       "see: netctl status, and the log of netd",
		       "pod \"%s\": cannot attach it to network \"%s\": %s "
		       "(%s)",
		       pod->name, at->network, strerror(-err),
		       overlay_error(rc->cfg.overlay));
		return err;
	}
	at->ifindex = link.ifindex;
	at->cookie = link.cookie;
	memcpy(at->ifname, link.ifname, sizeof(at->ifname));
	at->is_up = true;
	err = rc_ports_put(rc, pod, at);
	if (err)
		refuse(r, API_INTERNAL, "publish", "see the log of netd",
		       "pod \"%s\": cannot publish its ports: %s (%s)",
		       pod->name, strerror(-err), ebpf_error(rc->cfg.bpf));
	return err;
}

static void resolv_path(const struct reconcile *rc, const struct pod *pod,
			char *path, size_t size)
{
	str_format(path, size, "%s/%s", rc->cfg.resolv_dir, pod->key);
}

/* The host's own search list comes after ours (resolv.conf(5)). */
static void host_search(char *buf, size_t size)
{
	AUTO(str_freep) char *text = NULL;
	char *save = NULL;
	char *line;

	buf[0] = '\0';
	if (file_read("/etc/resolv.conf", 65536, &text))
		return;
	line = strtok_r(text, "\n", &save);
	for (; line; line = strtok_r(NULL, "\n", &save)) {
		const char *list = str_after(line, "search ");

		if (list && !str_copy(buf, size, list))
			buf[0] = '\0';
	}
}

void reconcile_search(const struct reconcile *rc, const char *network,
		      char *buf, size_t size)
{
	const char *domain = rc->m->domain;
	char host[512];

	host_search(host, sizeof(host));
	str_format(buf, size, "%s.svc.%s svc.%s %s%s%s", network, domain,
		   domain, domain, *host ? " " : "", host);
}

static int write_resolv(struct reconcile *rc, const struct pod *pod)
{
	const struct net *net = model_net(rc->m, pod->nets[0].network);
	AUTO(str_freep) char *text = NULL;
	char path[PATH_LEN], gateway[IP_STRLEN], search[2048];
	struct ip_addr addr;

	if (!net)
		return 0;
	addr = net_gateway(net);
	reconcile_search(rc, net->name, search, sizeof(search));
	text = xasprintf("nameserver %s\nsearch %s\noptions ndots:1\n",
			 ip_str(&addr, gateway), search);
	resolv_path(rc, pod, path, sizeof(path));
	return file_write(path, 0644, text);
}

static void detach(struct reconcile *rc, struct pod *pod, struct attachment *at)
{
	int err;

	rc_ports_del(rc, pod, at);
	rc_pod_hide(rc, at);
	fault_after(FAULT_POD_HIDDEN);
	err = overlay_pod_del(rc->cfg.overlay, at->id);
	if (err)
		rc_complain(rc, err, "remove the link of", pod->name,
			    overlay_error(rc->cfg.overlay));
	rest(rc, at);
}

/* Also undoes what was only begun; every step runs, whatever failed before. */
static void remove_pod(struct reconcile *rc, struct pod *pod)
{
	char path[PATH_LEN];

	while (pod->nets_len) {
		struct attachment *at = &pod->nets[pod->nets_len - 1];

		detach(rc, pod, at);
		pod_detach(pod, at);
	}
	if (pod->own_ns)
		netns_del(rc->cfg.ns_dir, pod->key);
	fault_after(FAULT_NETNS_GONE);
	resolv_path(rc, pod, path, sizeof(path));
	unlink(path);
	model_pod_remove(rc->m, pod);
	journal_del(rc, pod);
	fault_after(FAULT_POD_FORGOTTEN);
	pod_free(pod);
}

static int open_netns(struct reconcile *rc, struct pod *pod, int netns,
		      struct refusal *r)
{
	int err, fd;

	if (netns >= 0) {
		fd = fcntl(netns, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	pod->own_ns = true;
	err = netns_add(rc->cfg.ns_dir, pod->key);
	if (err) {
		refuse(r, API_INTERNAL, "name", "see the log of netd",
		       "pod \"%s\": cannot make its network namespace: %s",
		       pod->name, strerror(-err));
		return err;
	}
	return netns_open(rc->cfg.ns_dir, pod->key);
}

int reconcile_pod_create(struct reconcile *rc, struct pod *pod, int netns,
			 struct refusal *r)
{
	AUTO(fd_closep) int ns = -1;
	int err;

	pod->own_ns = netns < 0;
	model_pod_add(rc->m, pod);
	err = rc_pod_journal(rc, pod);
	if (!err)
		err = fault_at(FAULT_POD_BEGUN);
	if (err) {
		refuse(r, API_INTERNAL, NULL, "is the disk full?",
		       "pod \"%s\": the journal cannot be written: %s",
		       pod->name, strerror(-err));
		goto undo;
	}
	ns = open_netns(rc, pod, netns, r);
	err = ns < 0 ? ns : fault_at(FAULT_NETNS_MADE);
	for (size_t i = 0; !err && i < pod->nets_len; i++)
		err = attach(rc, pod, &pod->nets[i], ns, r);
	if (!err)
		err = write_resolv(rc, pod);
	if (!err)
		err = fault_at(FAULT_POD_RESOLV);
	if (!err)
		err = rc_pod_journal(rc, pod);
	if (!err)
		err = fault_at(FAULT_POD_NOTED);
	if (err) {
		if (r->code == API_OK)
			refuse(r, API_INTERNAL, NULL, "see the log of netd",
			       "pod \"%s\": %s", pod->name, strerror(-err));
		goto undo;
	}
	rc_pod_clients(rc, pod);
	for (size_t i = 0; i < pod->nets_len; i++)
		rc_pod_show(rc, pod, &pod->nets[i]);
	return 0;
undo:
	event_tell(EVENT_POD_FAILED, pod->name, NULL, NULL, "%s", r->message);
	remove_pod(rc, pod);
	return err;
}

void rc_pod_drop(struct reconcile *rc, struct pod *pod, struct attachment *at)
{
	detach(rc, pod, at);
	pod_detach(pod, at);
	if (pod->nets_len)
		rc_pod_journal(rc, pod);
	else
		remove_pod(rc, pod);
}

int reconcile_pod_remove(struct reconcile *rc, struct pod *pod)
{
	/* From here on a crash is followed by the rest of the removal. */
	pod->leaving = true;
	rc_pod_journal(rc, pod);
	fault_after(FAULT_POD_LEAVING);
	remove_pod(rc, pod);
	return 0;
}

/*
 * A namespace we did not make is not held open (it would outlive its
 * container): it is found again through a process that lives in it.
 */
static int find_netns(struct reconcile *rc, const struct pod *pod)
{
	uint64_t cookie = pod->nets_len ? pod->nets[0].cookie : 0;

	if (pod->own_ns)
		return netns_open(rc->cfg.ns_dir, pod->key);
	return netns_find(cookie);
}

/* Sockets and addresses of a pod are one namespace's. */
static int check_same_netns(const struct pod *pod, const struct attachment *at,
			    struct refusal *r)
{
	if (!pod->nets[0].cookie || at->cookie == pod->nets[0].cookie)
		return 0;
	return refuse(r, API_CONFLICT, "netns_fd",
		      "detach it from what it has there first",
		      "pod \"%s\" is attached in another network namespace",
		      pod->name);
}

int reconcile_pod_connect(struct reconcile *rc, struct pod *pod,
			  const struct attachment *at, int netns,
			  struct refusal *r)
{
	AUTO(fd_closep)
	int ns = netns < 0 ? find_netns(rc, pod)
			   : fcntl(netns, F_DUPFD_CLOEXEC, 0);
	struct attachment *mine = &pod->nets[pod->nets_len++];
	int err;

	*mine = *at;
	if (pod->leaving) {
		pod_detach(pod, mine);
		return refuse(r, API_CONFLICT, "pod",
			      "make it anew when it is gone",
			      "pod \"%s\" is being removed", pod->name);
	}
	if (ns < 0) {
		pod_detach(pod, mine);
		return refuse(r, API_NOT_FOUND, "pod",
			      "is its container running?",
			      "pod \"%s\": no process is in its namespace",
			      pod->name);
	}
	err = rc_pod_journal(rc, pod);
	if (!err)
		err = attach(rc, pod, mine, ns, r);
	if (!err)
		err = check_same_netns(pod, mine, r);
	if (!err)
		err = rc_pod_journal(rc, pod);
	if (err) {
		detach(rc, pod, mine);
		pod_detach(pod, mine);
		rc_pod_journal(rc, pod);
		return err;
	}
	rc_pod_clients(rc, pod);
	rc_pod_show(rc, pod, mine);
	return 0;
}

int reconcile_pod_disconnect(struct reconcile *rc, struct pod *pod,
			     struct attachment *at)
{
	detach(rc, pod, at);
	pod_detach(pod, at);
	/* The gateway that answers for the host's resolvers may be another. */
	for (size_t i = 0; i < pod->nets_len; i++)
		if (pod->nets[i].asks_host)
			rc_pod_adopt(rc, pod, &pod->nets[i]);
	rc_pod_clients(rc, pod);
	return rc_pod_journal(rc, pod);
}

int reconcile_pod_found(struct reconcile *rc, struct pod *pod, json_t *found)
{
	AUTO(json_freep) json_t *next = found;

	if (pod->leaving || json_equal(pod->found, next))
		return 0;
	json_decref(pod->found);
	pod->found = take_ptr(next);
	for (size_t i = 0; i < pod->nets_len; i++)
		if (pod->nets[i].is_up && attachment_is_in(&pod->nets[i]))
			rc_pod_show(rc, pod, &pod->nets[i]);
	/* A crash before this line only has it said again. */
	return rc_pod_journal(rc, pod);
}

/* The tunnel takes more or less than before, and so do its pods' links. */
static void resize(struct reconcile *rc, const struct pod *pod,
		   const struct want_pod *want, const struct overlay_link *link)
{
	AUTO(fd_closep) int ns = find_netns(rc, pod);
	int err = overlay_pod_resize(rc->cfg.overlay, want, link, ns);

	if (err)
		rc_complain(rc, err, "resize the link of", pod->name,
			    overlay_error(rc->cfg.overlay));
	else
		log_info("reconcile: link takes the tunnel's MTU pod=%s "
			 "mtu=%u",
			 pod->name, want->mtu);
}

void rc_pod_adopt(struct reconcile *rc, struct pod *pod, struct attachment *at)
{
	struct want_pod want = rc_pod_want(rc, pod, at);
	struct overlay_link link = { .ifindex = at->ifindex,
				     .cookie = at->cookie };
	int err;

	memcpy(link.ifname, at->ifname, sizeof(link.ifname));
	err = overlay_pod_adopt(rc->cfg.overlay, &want, &link);
	at->is_up = !err;
	at->is_gone = err == -ENODEV;
	if (err && err != -ENODEV)
		rc_complain(rc, err, "adopt", pod->name,
			    overlay_error(rc->cfg.overlay));
	/* Anything but "gone" is tried again by the next audit. */
	if (err == -ENODEV || !attachment_is_in(at))
		return;
	if (!err && !overlay_pod_is_sized(rc->cfg.overlay, &want))
		resize(rc, pod, &want, &link);
	if (rc_ports_put(rc, pod, at))
		rc_complain(rc, -EIO, "publish the ports of", pod->name,
			    ebpf_error(rc->cfg.bpf));
	rc_pod_show(rc, pod, at);
}

/* Was its attaching interrupted? Then it was never answered: undone. */
static bool is_half_done(const struct pod *pod)
{
	bool waits = false;

	for (size_t i = 0; i < pod->nets_len; i++) {
		if (!pod->nets[i].ifindex)
			return true;
		waits |= pod->nets[i].leaves_at != 0;
	}
	return pod->leaving && !waits;
}

/* An engine adds networks one by one: only the one that was begun goes. */
static void drop_half_offered(struct reconcile *rc, struct pod *pod)
{
	for (size_t i = pod->nets_len; i-- > 1;)
		if (pod->nets[i].hand != HAND_OURS && !pod->nets[i].ifindex)
			rc_pod_drop(rc, pod, &pod->nets[i]);
}

void rc_pod_look(struct reconcile *rc, const char *key)
{
	struct pod *pod;

	HASH_FIND_STR(rc->m->pods, key, pod);
	if (!pod)
		return;
	drop_half_offered(rc, pod);
	if (is_half_done(pod)) {
		log_info("reconcile: undoing what was begun pod=%s", pod->name);
		remove_pod(rc, pod);
		return;
	}
	for (size_t i = 0; i < pod->nets_len; i++)
		rc_pod_adopt(rc, pod, &pod->nets[i]);
	rc_pod_clients(rc, pod);
}

/* A link that could not be looked at is not a link that is gone. */
static bool is_gone(const struct reconcile *rc, const struct attachment *at)
{
	return at->is_gone ||
	       (at->is_up && !overlay_pod_is_up(rc->cfg.overlay, at->id));
}

void rc_pods_check(struct reconcile *rc)
{
	struct pod *pod, *tmp;

	HASH_ITER (hh, rc->m->pods, pod, tmp) {
		bool changed = false;

		for (size_t i = pod->nets_len; i-- > 0;) {
			struct attachment *at = &pod->nets[i];

			if (!is_gone(rc, at))
				continue;
			log_info("reconcile: link is gone pod=%s net=%s",
				 pod->name, at->network);
			detach(rc, pod, at);
			pod_detach(pod, at);
			changed = true;
		}
		if (changed && !pod->nets_len)
			remove_pod(rc, pod);
		else if (changed)
			rc_pod_journal(rc, pod);
	}
	rc_handed_check(rc);
}
