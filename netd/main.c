/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netd - the daemon: opens the rooms in the order in which they lean on each
 * other, runs the loop, closes them in reverse.
 *
 * What it leaves when it ends, by whatever way, is a kernel that goes on
 * forwarding and a DNS server that goes on answering; --cleanup is the only
 * thing that takes them away.
 */
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "config.h"
#include "discover.h"
#include "docker.h"
#include "drops.h"
#include "event.h"
#include "fault.h"
#include "host.h"
#include "http.h"
#include "json.h"
#include "lag.h"
#include "model.h"
#include "netd/dns.h"
#include "netd/ebpf.h"
#include "netd/log.h"
#include "netd/probe.h"
#include "netd/util.h"
#include "nl.h"
#include "ops.h"
#include "overlay.h"
#include "reaper.h"
#include "reconcile.h"

struct netd {
	struct config cfg;
	struct ev_loop *loop;
	struct ev_signal term, interrupt;
	struct lag lag;
	/* Tells the service manager that the loop runs. */
	struct ev_timer alive;
	int lock;
	struct nl *nl;
	struct reaper *reaper;
	struct overlay *overlay;
	struct ebpf *bpf;
	struct dns *dns;
	struct probe *probe;
	struct model *model;
	struct store *store;
	struct reconcile *reconcile;
	struct drops *drops;
	struct ops *ops;
	struct discover *discover;
	struct http *http;
	int http_fd;
	struct docker *docker;
	struct http *docker_http;
	int docker_fd;
	/* Close the rooms and open them again. */
	bool reopen;
	struct ip_addr vtep;
	struct want_guard guards[HOST_GUARDS_MAX];
};

static enum ebpf_xdp xdp_mode(const struct config *cfg)
{
	if (str_eq(cfg->xdp, "on"))
		return EBPF_XDP_ON;
	return str_eq(cfg->xdp, "auto") ? EBPF_XDP_AUTO : EBPF_XDP_OFF;
}

static int open_kernel(struct netd *d)
{
	struct overlay_config overlay = {
		.vtep = d->vtep,
		.port = d->cfg.vxlan_port,
		.mtu = d->cfg.mtu,
		.fast_path = d->cfg.fast_path,
		.pools = d->cfg.pools,
		.pools_len = d->cfg.pools_len,
		.uplinks = (const char *const *)d->cfg.uplinks,
		.uplinks_len = d->cfg.uplinks_len,
		.ns_dir = d->cfg.ns_dir,
	};
	struct ebpf_config bpf = {
		.pin_dir = d->cfg.pin_dir,
		.vxlan_port = d->cfg.vxlan_port,
		.vtep = d->vtep,
		.flows_max = d->cfg.flows,
		.flow_idle_s = d->cfg.flow_idle_s,
		.xdp = xdp_mode(&d->cfg),
	};
	struct overlay_tunnel tunnel;
	int err = nl_open(&d->nl);

	if (!err)
		err = reaper_new(d->loop, &d->reaper);
	if (err)
		return host_fail(err, "netlink", "is netd root?");
	overlay.reaper = d->reaper;
	err = overlay_open(d->nl, &overlay, &d->overlay);
	if (err)
		return host_fail(err, "the tunnel device",
				 overlay_error(d->overlay));
	tunnel = overlay_tunnel(d->overlay);
	bpf.tunnel_ifindex = tunnel.ifindex;
	bpf.tunnel_mac = tunnel.mac;
	err = ebpf_open(&bpf, &d->bpf);
	if (err)
		return host_fail(err, "the data path", ebpf_error(d->bpf));
	overlay_set_ebpf(d->overlay, d->bpf);
	return 0;
}

/* Beside netd as built, or where it is installed: below the same prefix. */
static void find_program(const char *name, char *path, size_t size)
{
	static const char *const places[] = { "", "/../libexec/netd" };
	ssize_t n = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	for (size_t i = 0; slash && i < ARRAY_LEN(places); i++)
		if (!str_format(slash, size - (size_t)(slash - path), "%s/%s",
				places[i], name) &&
		    access(path, X_OK) == 0)
			return;
	str_format(path, size, NETD_LIBEXECDIR "/%s", name);
}

/* None: off, which is no address. */
static struct ip_addr listen_address(const struct config *cfg)
{
	struct ip_addr addr;

	if (ip_parse(cfg->dns_listen, &addr))
		return (struct ip_addr){ { 0 } };
	return addr;
}

static int open_dns(struct netd *d)
{
	char program[4096];
	struct dns_config dns = {
		.run_dir = d->cfg.dns_dir,
		.program = program,
		.domain = d->cfg.domain,
		.upstreams = d->cfg.upstreams,
		.upstreams_len = d->cfg.upstreams_len,
		.settings = d->cfg.dns,
		.listen = listen_address(&d->cfg),
		.user = d->cfg.dns_user,
	};
	int err;

	dns.settings.allow_len = (uint32_t)d->cfg.dns_allow_len;
	for (size_t i = 0; i < d->cfg.dns_allow_len; i++)
		str_copy(dns.settings.allow[i], sizeof(dns.settings.allow[i]),
			 d->cfg.dns_allow[i]);
	find_program("netd-dns", program, sizeof(program));
	err = dns_open(d->loop, &dns, &d->dns);
	return err ? host_fail(err, "the DNS server", program) : 0;
}

static void health_changed(void *arg, const struct probe_key *key)
{
	struct netd *d = arg;

	if (d->reconcile)
		reconcile_health_changed(d->reconcile, key);
}

static int open_probe(struct netd *d)
{
	char program[4096];
	struct probe_config probe = {
		.run_dir = d->cfg.probe_dir,
		.program = program,
		.user = "netd-probe",
		.changed = health_changed,
		.arg = d,
	};
	int err;

	find_program("netd-probe", program, sizeof(program));
	err = probe_open(d->loop, &probe, &d->probe);
	return err ? host_fail(err, "the health prober", program) : 0;
}

static void make_model(struct netd *d)
{
	struct model *m = model_new(d->cfg.node_name);

	memcpy(m->ipam.pools, d->cfg.pools, sizeof(m->ipam.pools));
	m->ipam.pools_len = d->cfg.pools_len;
	m->ipam.network_len = (uint8_t)(96 + d->cfg.network_prefix);
	m->ipam.vips_len = 96 + 22;
	m->ipam.vip_pool = d->cfg.vip_pool;
	str_copy(m->domain, sizeof(m->domain), d->cfg.domain);
	m->name_ttl = d->cfg.dns_ttl;
	d->model = m;
}

/* The state file's own number: another life of this node has another. */
static void read_incarnation(void *arg, const char *key, const char *value)
{
	struct model *m = arg;

	(void)key;
	m->incarnation = strtoull(value, NULL, 10);
}

static int make_incarnation(struct netd *d)
{
	char text[32];
	uint64_t n;
	int err;

	err = store_journal_each(d->store, "node/incarnation", read_incarnation,
				 d->model);
	if (err || d->model->incarnation)
		return err;
	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		return -EIO;
	/* JSON numbers are exact up to 2^53 (RFC 8259, 6). */
	d->model->incarnation = (n >> 11) | 1;
	snprintf(text, sizeof(text), "%llu",
		 (unsigned long long)d->model->incarnation);
	return store_journal_put(d->store, "node/incarnation", text);
}

static int open_store(struct netd *d)
{
	struct store_hooks hooks = reconcile_store_hooks(d->reconcile);
	struct store_config store = host_store(&d->cfg);
	int err = store_open(d->loop, &store, &hooks, &d->store);

	if (err == -EUCLEAN)
		return host_fail(
			err, d->cfg.db_file,
			"the file is damaged; restore it, or move it away "
			"and netd reads the store anew");
	if (err)
		return host_fail(err, d->cfg.db_file,
				 "cannot open the state file");
	err = make_incarnation(d);
	if (!err)
		err = reconcile_load(d->reconcile, d->store);
	if (!err)
		err = store_start(d->store);
	return err ? host_fail(err, d->cfg.db_file, "cannot read the state")
		   : 0;
}

/* What the driver was asked for, and what the engine's API tells. */
static json_t *docker_status(void *arg)
{
	const struct netd *d = arg;

	return json_pack("{s:o, s:o*}", "labels", discover_json(d->discover),
			 "driver", d->docker ? docker_json(d->docker) : NULL);
}

/* A copy of the socket that systemd calls so, -ENOENT when it gave none. */
static int given_socket(const char *name)
{
	char **names = NULL;
	int len = sd_listen_fds_with_names(0, &names), ret = -ENOENT;

	for (int i = 0; i < len; i++) {
		if (ret == -ENOENT && str_eq(names[i], name)) {
			ret = fcntl(SD_LISTEN_FDS_START + i, F_DUPFD_CLOEXEC,
				    3);
			ret = ret < 0 ? -errno : ret;
		}
		free(names[i]);
	}
	if (len > 0)
		free(names);
	return ret;
}

/* systemd's socket if it gave us one, else our own. */
static int open_socket(struct netd *d)
{
	char error[256] = "";

	d->http_fd = given_socket("api");
	/* Activated by somebody who gives no names. */
	if (d->http_fd == -ENOENT)
		d->http_fd = given_socket("unknown");
	if (d->http_fd == -ENOENT)
		d->http_fd = http_listen(d->cfg.socket, d->cfg.group, error,
					 sizeof(error));
	return d->http_fd < 0 ? host_fail(d->http_fd, d->cfg.socket, error) : 0;
}

/* The folder is Docker's, who may not have made it yet. */
static int make_docker_dir(const char *socket)
{
	AUTO(str_freep) char *path = xstrdup(socket);

	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return host_fail(-errno, path,
					 "cannot make the folder");
		*p = '/';
	}
	return 0;
}

/* Requests wait in the socket until there is a driver to answer them. */
static int open_docker_socket(struct netd *d)
{
	const char *path = d->cfg.docker_socket;
	char error[256] = "";
	int err;

	d->docker_fd = given_socket("docker");
	if (d->docker_fd >= 0 || !d->cfg.docker)
		return 0;
	err = make_docker_dir(path);
	if (err)
		return err;
	d->docker_fd = http_listen(path, NULL, error, sizeof(error));
	return d->docker_fd < 0 ? host_fail(d->docker_fd, path, error) : 0;
}

static int open_api(struct netd *d)
{
	struct ops_config ops = {
		.loop = d->loop,
		.model = d->model,
		.store = d->store,
		.reconcile = d->reconcile,
		.docker = docker_status,
		.docker_arg = d,
		.dns = d->dns,
		.dns_listen = listen_address(&d->cfg),
		.probe = d->probe,
		.lag = &d->lag,
	};
	int err;

	d->drops = ops.drops = drops_new(d->loop, d->model, d->bpf);
	err = ops_new(&ops, &d->ops);
	if (!err)
		err = http_open(d->loop, take_fd(d->http_fd), &api_router,
				ops_handle, d->ops, &d->http);
	return err ? host_fail(err, "the API", d->cfg.socket) : 0;
}

static void open_docker(struct netd *d)
{
	struct docker_config docker = {
		.loop = d->loop,
		.model = d->model,
		.store = d->store,
		.reconcile = d->reconcile,
		.ops = d->ops,
		.grace_ms = (int64_t)d->cfg.docker_grace_s * 1000,
		.has_v6 = overlay_has_v6(),
	};
	int err;

	if (d->docker_fd < 0)
		return;
	d->docker = docker_new(&docker);
	err = http_open(d->loop, take_fd(d->docker_fd), &docker_router,
			docker_handle, d->docker, &d->docker_http);
	if (err)
		host_fail(err, "the Docker driver", d->cfg.docker_socket);
	else
		log_info("netd: Docker's driver is ready socket=%s",
			 d->cfg.docker_socket);
}

/* Not fatal: an engine is somebody else's affair, and may come later. */
static void open_discover(struct netd *d)
{
	struct discover_config discover = {
		.loop = d->loop,
		.model = d->model,
		.reconcile = d->reconcile,
		.ops = d->ops,
		.host = d->cfg.docker_host,
	};
	int err = 0;

	if (d->cfg.docker_labels)
		err = discover_open(&discover, &d->discover);
	else
		discover_forget(d->model, d->reconcile);
	if (err)
		host_fail(err, "the Docker engine", d->cfg.docker_host);
}

static void ready(void *arg)
{
	struct netd *d = arg;

	/* Addresses that an engine holds are held before others ask. */
	open_docker(d);
	ops_make_defaults(d->ops);
	open_discover(d);
	sd_notify(0, "READY=1");
	log_info("netd: ready node=%s socket=%s", d->cfg.node_name,
		 d->cfg.socket);
}

static void tunnel_new(void *arg)
{
	struct netd *d = arg;

	d->reopen = true;
	ev_break(d->loop, EVBREAK_ALL);
}

static int open_rooms(struct netd *d)
{
	struct reconcile_config rc = { .loop = d->loop };
	int err = host_address(&d->cfg, &d->vtep);

	if (!err)
		err = host_bpffs(&d->cfg);
	if (!err)
		err = open_socket(d);
	if (!err)
		err = open_docker_socket(d);
	if (!err)
		err = open_kernel(d);
	if (!err)
		err = open_dns(d);
	if (!err)
		err = open_probe(d);
	if (err)
		return err;
	make_model(d);
	rc.model = d->model;
	rc.nl = d->nl;
	rc.overlay = d->overlay;
	rc.bpf = d->bpf;
	rc.dns = d->dns;
	rc.probe = d->probe;
	rc.ns_dir = d->cfg.ns_dir;
	rc.resolv_dir = d->cfg.resolv_dir;
	rc.tombstone_dir = d->cfg.cni_dir;
	rc.vtep = d->vtep;
	rc.guards = d->guards;
	rc.guards_len = host_guards(&d->cfg, d->guards);
	rc.leave_ms = d->cfg.leave_ms;
	rc.upstreams = d->cfg.upstreams;
	rc.upstreams_len = d->cfg.upstreams_len;
	rc.on_tunnel_new = tunnel_new;
	rc.arg = d;
	err = reconcile_new(&rc, &d->reconcile);
	if (!err)
		err = open_store(d);
	if (!err)
		err = open_api(d);
	if (!err)
		reconcile_on_ready(d->reconcile, ready, d);
	return err;
}

static void close_rooms(struct netd *d)
{
	http_close(d->docker_http);
	docker_free(d->docker);
	http_close(d->http);
	discover_close(d->discover);
	reconcile_free(d->reconcile);
	store_close(d->store);
	ops_free(d->ops);
	drops_free(d->drops);
	model_free(d->model);
	probe_close(d->probe);
	dns_close(d->dns);
	overlay_close(d->overlay);
	ebpf_close(d->bpf);
	reaper_free(d->reaper);
	nl_free(d->nl);
	d->docker_http = NULL;
	d->docker = NULL;
	d->http = NULL;
	d->reconcile = NULL;
	d->store = NULL;
	d->ops = NULL;
	d->drops = NULL;
	d->discover = NULL;
	d->model = NULL;
	d->probe = NULL;
	d->dns = NULL;
	d->overlay = NULL;
	d->bpf = NULL;
	d->reaper = NULL;
	d->nl = NULL;
	if (d->http_fd >= 0)
		close(d->http_fd);
	if (d->docker_fd >= 0)
		close(d->docker_fd);
	d->http_fd = -1;
	d->docker_fd = -1;
}

static void stop_cb(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	(void)w;
	(void)revents;
	log_info("netd: stopping; packets and names go on");
	sd_notify(0, "STOPPING=1");
	ev_break(loop, EVBREAK_ALL);
}

static void alive_cb(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	sd_notify(0, "WATCHDOG=1");
}

/* Twice in the time after which the service manager would start it anew. */
static void start_watchdog(struct netd *d)
{
	uint64_t usec = 0;
	double half;

	if (sd_watchdog_enabled(0, &usec) <= 0 || !usec)
		return;
	half = (double)usec / 2e6;
	ev_timer_init(&d->alive, alive_cb, half, half);
	ev_timer_start(d->loop, &d->alive);
}

static int run(struct netd *d)
{
	int err;

	fault_open();
	event_self(d->cfg.node_name);
	d->loop = ev_default_loop(EVFLAG_AUTO);
	ev_signal_init(&d->term, stop_cb, SIGTERM);
	ev_signal_init(&d->interrupt, stop_cb, SIGINT);
	ev_signal_start(d->loop, &d->term);
	ev_signal_start(d->loop, &d->interrupt);
	lag_start(&d->lag, d->loop);
	start_watchdog(d);
	do {
		d->reopen = false;
		err = open_rooms(d);
		if (!err)
			ev_run(d->loop, 0);
		close_rooms(d);
	} while (d->reopen && !err);
	lag_stop(&d->lag, d->loop);
	return err;
}

int main(int argc, char **argv)
{
	struct netd d = { .lock = -1, .http_fd = -1, .docker_fd = -1 };
	char error[1024] = "";
	int err =
		config_load(argc, argv, environ, &d.cfg, error, sizeof(error));

	if (err || d.cfg.action == CONFIG_SHOW) {
		fprintf(err ? stderr : stdout, "%s", error);
		config_free(&d.cfg);
		return err ? 2 : 0;
	}
	log_set_level(d.cfg.log_level);
	if (geteuid() != 0) {
		log_err("netd: needs root: it makes links and loads eBPF "
			"programs");
		config_free(&d.cfg);
		return 1;
	}
	/* Replies to clients that left are errors, not signals. */
	signal(SIGPIPE, SIG_IGN);
	err = host_folders(&d.cfg);
	if (!err)
		err = host_lock(&d.cfg, &d.lock);
	if (!err)
		err = d.cfg.action == CONFIG_CLEANUP ? host_clean(&d.cfg)
						     : run(&d);
	config_free(&d.cfg);
	return err ? 1 : 0;
}
