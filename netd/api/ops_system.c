/* SPDX-License-Identifier: Apache-2.0 */
/* The one-screen status, version. */
#include "call.h"
#include "lag.h"
#include "netd/dns.h"
#include "netd/probe.h"
#include "netd/util.h"
#include "node.h"
#include "pod.h"

static json_t *store_json(const struct call *call)
{
	static const char *const states[] = {
		[STORE_STARTING] = "starting",
		[STORE_UP] = "up",
		[STORE_MIRROR] = "mirror",
		[STORE_FOREIGN] = "foreign",
	};
	struct store_status st = store_status(call_config(call)->store);
	bool clear = st.is_etcd && str_after(st.where, "http://");

	return json_pack("{s:b, s:s, s:s, s:I, s:I, s:s, s:s}", "clear_text",
			 clear, "backend", st.is_etcd ? "etcd" : "sqlite",
			 "state", states[st.state], "revision",
			 (json_int_t)st.rev, "age_ms", (json_int_t)st.age_ms,
			 "where", st.where, "error", st.error);
}

static json_t *nodes_json(const struct call *call)
{
	json_int_t up = 0, down = 0;

	for (struct node *node = call->m->nodes; node; node = node->hh.next) {
		if (!node->rev)
			continue;
		if (model_node_is_up(call->m, node->name))
			up++;
		else
			down++;
	}
	return json_pack("{s:I, s:I}", "up", up, "down", down);
}

static json_int_t rss_kb(void)
{
	AUTO(str_freep) char *text = NULL;
	const char *line;

	if (file_read("/proc/self/status", 65536, &text))
		return 0;
	line = strstr(text, "VmRSS:");
	return line ? strtoll(line + 6, NULL, 10) : 0;
}

static json_t *lag_json(const struct lag *lag, const struct lag_sum *sum)
{
	struct lag_time longest = lag_longest(lag, sum, mono_us());

	return json_pack("{s:I, s:I, s:I, s:I}", "longest_us",
			 (json_int_t)longest.wall_us, "longest_cpu_us",
			 (json_int_t)longest.cpu_us, "late",
			 (json_int_t)sum->late, "late_cpu",
			 (json_int_t)sum->late_cpu);
}

/* The turns, and what they were made of. */
static json_t *loop_json(const struct lag *lag)
{
	json_t *loop, *steps, *step;

	if (!lag)
		return NULL;
	loop = lag_json(lag, &lag->all);
	steps = json_object();
	json_object_set_new(loop, "turns",
			    json_integer((json_int_t)lag->turns));
	json_object_set_new(loop, "steps", steps);
	for (size_t i = 0; i < LAG_STEP_MAX; i++) {
		step = lag_json(lag, &lag->steps[i]);
		json_object_set_new(steps, lag_step_names[i], step);
	}
	return loop;
}

static bool all_ok(json_t *checks)
{
	json_t *check;
	size_t i;

	json_array_foreach (checks, i, check) {
		if (!json_is_true(json_object_get(check, "ok")))
			return false;
	}
	return true;
}

enum ops_next op_status(struct call *call)
{
	const struct ops_config *cfg = call_config(call);
	json_t *checks = reconcile_checks(call->rc);
	json_int_t networks = 0, services = 0;
	bool healthy = all_ok(checks) && reconcile_is_ready(call->rc);

	for (struct net *net = call->m->nets; net; net = net->hh.next) {
		networks += net->rev != 0;
		services += HASH_COUNT(net->services);
	}
	call->reply = json_pack(
		"{s:b, s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:i, s:i, s:I, "
		"s:o*}",
		"healthy", healthy, "node", call->m->self, "version",
		NETD_VERSION, "store", store_json(call), "checks", checks,
		"nodes", nodes_json(call), "networks", networks, "pods",
		(json_int_t)HASH_COUNT(call->m->pods), "services", services,
		"dns_pid", dns_pid(cfg->dns), "probe_pid",
		probe_pid(cfg->probe), "rss_kb", rss_kb(), "loop",
		loop_json(cfg->lag));
	return OPS_REPLY;
}

enum ops_next op_docker_status(struct call *call)
{
	const struct ops_config *cfg = call_config(call);

	call->reply = cfg->docker(cfg->docker_arg);
	return OPS_REPLY;
}

enum ops_next op_version(struct call *call)
{
	call->reply = json_pack("{s:s}", "version", NETD_VERSION);
	return OPS_REPLY;
}
