/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine says of a container, as names, labels and services: replies
 * as Docker 20.10 gives them, shortened, and replies that nobody gives. */
#include <netinet/in.h>

#include "cm.h"
#include "container.h"
#include "json.h"
#include "labels.h"
#include "wishes.h"

#define ID "0f3a5c1e8b7d46f29e0c1a2b3c4d5e6f0f3a5c1e8b7d46f29e0c1a2b3c4d5e6f"

/* A container of compose, on a network of ours. */
static const char web[] =
	"{\"Id\":\"" ID "\",\"Name\":\"/shop_web_1\",\"State\":{\"Status\":"
	"\"running\",\"Running\":true,\"Paused\":false,\"Restarting\":false,"
	"\"Pid\":4711,\"Health\":{\"Status\":\"healthy\"}},\"Config\":{"
	"\"Hostname\":\"0f3a5c1e8b7d\",\"ExposedPorts\":{\"80/tcp\":{},"
	"\"9/sctp\":{},\"53/udp\":{}},\"Labels\":{\"app\":\"web\","
	"\"com.docker.compose.project\":\"shop\","
	"\"com.docker.compose.service\":\"web\",\"netd.enable\":\"true\"}},"
	"\"NetworkSettings\":{\"Networks\":{\"shop_blue\":{\"Aliases\":["
	"\"web\",\"0f3a5c1e8b7d\",\"no good\"],\"EndpointID\":\"ee\","
	"\"IPAddress\":\"10.5.0.7\",\"MacAddress\":\"02:00:0a:05:00:07\"},"
	"\"host\":{\"IPAddress\":\"\"}}}}";

static struct pod *pod_on(const char *owner, const char *network,
			  const char *ip)
{
	AUTO(json_freep)
	json_t *doc = json_pack("{s:s, s:s, s:{}, s:[{s:s, s:s, s:i, s:s}]}",
				"name", "docker-1", "owner", owner, "labels",
				"networks", "id", "aa", "network", network,
				"vni", 4096, "ip", ip);
	struct pod *pod = pod_from_json(doc);

	assert_non_null(pod);
	assert_int_equal(mac_parse("02:00:0a:05:00:07", &pod->nets[0].mac), 0);
	return pod;
}

static struct container *read_text(const char *text)
{
	struct container *c = NULL;

	assert_int_equal(container_read(text, strlen(text), &c), 0);
	return c;
}

static void assert_json(const json_t *value, const char *want)
{
	AUTO(str_freep) char *line = value ? json_line(value) : xstrdup("-");

	assert_string_equal(line, want);
}

static void test_container(void **state)
{
	struct container *c = read_text(web);

	(void)state;
	assert_string_equal(c->name, "shop_web_1");
	assert_int_equal(c->pid, 4711);
	assert_string_equal(c->unready, "");
	assert_int_equal(c->nets_len, 1);
	assert_json(c->nets[0].aliases, "[\"web\",\"0f3a5c1e8b7d\"]");
	assert_json(c->problems, "[]");
	container_free(c);
}

/* One part of the reply is replaced: what becomes of it. */
static void test_container_states(void **state)
{
	static const struct {
		const char *part, *by;
		int err;
		const char *unready;
	} rows[] = {
		{ "healthy", "unhealthy", 0, "unhealthy" },
		{ "healthy", "starting", 0, "starting" },
		{ "healthy", "none", 0, "" },
		{ "healthy", "of another world", 0, "" },
		{ ",\"Health\":{\"Status\":\"healthy\"}", "", 0, "" },
		{ "\"Paused\":false", "\"Paused\":true", 0, "paused" },
		{ "\"Running\":true", "\"Running\":false", -ENOENT, NULL },
		{ "\"Restarting\":false", "\"Restarting\":true", -ENOENT,
		  NULL },
		{ "4711", "0", -ENOENT, NULL },
		{ "4711", "\"4711\"", -ENOENT, NULL },
		{ "4711", "-1", -ENOENT, NULL },
		{ "\"State\"", "\"Stat\"", -EINVAL, NULL },
		{ "\"Config\"", "\"Conf\"", -EINVAL, NULL },
		{ ID, "../../etc/passwd", -EINVAL, NULL },
		{ ID, "0f3a", -EINVAL, NULL },
		{ ID, ID "00", -EINVAL, NULL },
		{ "}}}}", "}}}", -EINVAL, NULL },
		{ web, "", -EINVAL, NULL },
		{ web, "[]", -EINVAL, NULL },
		{ web, "null", -EINVAL, NULL },
		{ "shop_web_1", "\\u0000", -EINVAL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *at = strstr(web, rows[i].part);
		AUTO(str_freep)
		char *text = xasprintf("%.*s%s%s", (int)(at - web), web,
				       rows[i].by, at + strlen(rows[i].part));
		struct container *c = NULL;
		int err = container_read(text, strlen(text), &c);

		if (err != rows[i].err)
			fail_msg("%s: %d", rows[i].by, err);
		if (!err)
			assert_string_equal(c->unready, rows[i].unready);
		container_free(c);
	}
}

/* Every shorter reply is refused or read, never more than that. */
static void test_container_cut_anywhere(void **state)
{
	struct container *c;

	(void)state;
	for (size_t len = 0; len < sizeof(web) - 1; len++) {
		AUTO(str_freep) char *text = xstrndup(web, len);

		c = NULL;
		assert_int_equal(container_read(text, len, &c), -EINVAL);
		assert_null(c);
	}
}

static void test_container_is_pod(void **state)
{
	static const struct {
		const char *owner, *ip;
		uint64_t cookie;
		bool own_ns, same;
	} rows[] = {
		/* Ours by Docker's driver: the address says it. */
		{ "docker", "10.5.0.7", 0, false, true },
		{ "docker", "10.5.0.8", 0, false, false },
		/* A pod of somebody else with the address is no container. */
		{ "", "10.5.0.7", 0, false, false },
		{ "cni", "10.5.0.7", 0, false, false },
		/* The namespace says it for everybody. */
		{ "", "10.6.0.1", 99, false, true },
		{ "", "10.6.0.1", 98, false, false },
		{ "", "10.6.0.1", 99, true, false },
	};
	struct container *c = read_text(web);

	(void)state;
	c->cookie = 99;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pod *pod = pod_on(rows[i].owner, "blue", rows[i].ip);

		pod->nets[0].cookie = rows[i].cookie;
		pod->own_ns = rows[i].own_ns;
		if (container_is_pod(c, pod) != rows[i].same)
			fail_msg("row %zu", i);
		pod_free(pod);
	}
	/* Namespaces that are not known are not one. */
	c->cookie = 0;
	c->nets_len = 0;
	struct pod *pod = pod_on("docker", "blue", "10.5.0.7");

	assert_false(container_is_pod(c, pod));
	pod_free(pod);
	c->nets_len = 1;
	container_free(c);
}

static void test_found(void **state)
{
	struct container *c = read_text(web);
	struct pod *pod = pod_on("docker", "blue", "10.5.0.7");
	AUTO(json_freep) json_t *problems = json_array();
	AUTO(json_freep) json_t *found = container_found(c, pod, problems);

	(void)state;
	assert_json(json_object_get(found, "aliases"),
		    "{\"blue\":[\"web\",\"0f3a5c1e8b7d\"]}");
	/* The image's ports, but for what is neither TCP nor UDP. */
	assert_json(json_object_get(found, "labels"),
		    "{\"app\":\"web\",\"com.docker.compose.project\":\"shop\","
		    "\"com.docker.compose.service\":\"web\",\"netd.enable\":"
		    "\"true\",\"netd.network\":\"blue\",\"netd.port\":"
		    "\"80/tcp,53/udp\",\"netd.service\":\"web\"}");
	assert_json(problems, "[]");
	pod_free(pod);
	container_free(c);
}

/* What labels ask for, and what is wrong with them. */
static const struct {
	const char *labels;
	bool two;
	const char *args, *why;
} asked_by_labels[] = {
	/* Never without being asked. */
	{ "{}", false, NULL, NULL },
	{ "{\"netd.service\":\"a\"}", false, NULL, NULL },
	{ "{\"netd.enable\":\"false\",\"netd.service\":\"a\"}", false, NULL,
	  NULL },
	/* Names. */
	{ "{\"netd.enable\":\"true\"}", false,
	  "{\"endpoint_mode\":\"dnsrr\",\"label\":{\"netd.origin\":"
	  "\"docker\"},\"name\":\"box\",\"network\":\"blue\","
	  "\"selector\":{\"netd.service\":\"box\"}}",
	  NULL },
	{ "{\"netd.enable\":\"1\",\"netd.service\":\"a\","
	  "\"netd.port\":\"80\"}",
	  false,
	  "{\"label\":{\"netd.origin\":\"docker\"},\"name\":\"a\","
	  "\"network\":\"blue\",\"port\":[\"80\"],\"selector\":{"
	  "\"netd.service\":\"a\"}}",
	  NULL },
	{ "{\"netd.enable\":\"True\",\"netd.service\":\"A.b\"}", false, NULL,
	  "A.b" },
	{ "{\"netd.enable\":\"true\",\"netd.service\":\"\"}", false, NULL,
	  "netd.service" },
	/* Ports. */
	{ "{\"netd.enable\":\"true\",\"netd.port\":\"80:8080, "
	  "53/udp\",\"netd.publish\":\"8080:80/tcp\"}",
	  false,
	  "{\"label\":{\"netd.origin\":\"docker\"},\"name\":\"box\","
	  "\"network\":\"blue\",\"port\":[\"80:8080\",\"53/udp\"],"
	  "\"publish\":[\"8080:80/tcp\"],\"selector\":{"
	  "\"netd.service\":\"box\"}}",
	  NULL },
	{ "{\"netd.enable\":\"true\",\"netd.port.http\":\"80\","
	  "\"netd.port.dns\":\"53/udp\"}",
	  false,
	  "{\"label\":{\"netd.origin\":\"docker\"},\"name\":\"box\","
	  "\"network\":\"blue\",\"port\":[\"dns=53/udp\","
	  "\"http=80\"],\"selector\":{\"netd.service\":\"box\"}}",
	  NULL },
	{ "{\"netd.enable\":\"true\",\"netd.port\":\"http\"}", false, NULL,
	  "not a port" },
	{ "{\"netd.enable\":\"true\",\"netd.port\":\"80,80\"}", false, NULL,
	  "there already" },
	{ "{\"netd.enable\":\"true\",\"netd.publish\":\"0:80\"}", false, NULL,
	  "not a port" },
	{ "{\"netd.enable\":\"true\",\"netd.weight\":\"-1\"}", false, NULL,
	  "weight" },
	{ "{\"netd.enable\":\"true\",\"netd.weight\":\"65536\"}", false, NULL,
	  "weight" },
	/* Settings. */
	{ "{\"netd.enable\":\"true\",\"netd.port\":\"80\",\"netd.lb\":"
	  "\"maglev\",\"netd.health\":\"http:/up\"}",
	  false,
	  "{\"algo\":\"maglev\",\"health\":\"http:/up\",\"label\":{"
	  "\"netd.origin\":\"docker\"},\"name\":\"box\",\"network\":"
	  "\"blue\",\"port\":[\"80\"],\"selector\":{\"netd.service\":"
	  "\"box\"}}",
	  NULL },
	{ "{\"netd.enable\":\"true\",\"netd.port\":\"80\",\"netd.lb\":"
	  "\"fair\"}",
	  false, NULL, "fair" },
	{ "{\"netd.enable\":\"true\",\"netd.port\":\"80\","
	  "\"netd.health.interval\":\"1s\"}",
	  false, NULL, "not what to check" },
	/* Networks. */
	{ "{\"netd.enable\":\"true\"}", true, NULL, "several networks" },
	{ "{\"netd.enable\":\"true\",\"netd.network\":\"green\"}", true, NULL,
	  "not on the network" },
	{ "{\"netd.enable\":\"true\",\"netd.network\":\"blue\"}", true,
	  "{\"endpoint_mode\":\"dnsrr\",\"label\":{\"netd.origin\":"
	  "\"docker\"},\"name\":\"box\",\"network\":\"blue\","
	  "\"selector\":{\"netd.service\":\"box\"}}",
	  NULL },
	/* A slip is told. */
	{ "{\"netd.prot\":\"80\"}", false, NULL, "is it netd.port" },
	{ "{\"netd.ports\":\"80\"}", false, NULL, "is it netd.port" },
};

/* Labels, on networks, to the service they ask for: its arguments, or what is
 * wrong. A row's `why` is part of the problem that is shown. */
static void test_labels(void **state)
{
	static const char *const one[] = { "blue" };
	static const char *const two[] = { "blue", "red" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(asked_by_labels); i++) {
		AUTO(json_freep)
		json_t *labels = json_loads(asked_by_labels[i].labels, 0, NULL);
		AUTO(json_freep) json_t *problems = json_array();
		AUTO(json_freep)
		json_t *all = labels_complete(
			labels, "box", NULL, asked_by_labels[i].two ? two : one,
			asked_by_labels[i].two ? 2 : 1, problems);
		AUTO(json_freep) json_t *args = NULL;
		AUTO(str_freep) char *said = json_line(problems);
		struct refusal r = { 0 };

		if (labels_service_name(all, "blue"))
			args = labels_service(all, "blue", &r);
		if (!args != !asked_by_labels[i].args)
			fail_msg("%s: %s", asked_by_labels[i].labels, said);
		if (args)
			assert_json(args, asked_by_labels[i].args);
		if (asked_by_labels[i].why &&
		    !strstr(said, asked_by_labels[i].why))
			fail_msg("%s: %s", asked_by_labels[i].labels, said);
		if (!asked_by_labels[i].why)
			assert_string_equal(said, "[]");
	}
}

/* 2 MiB of labels are not too much to read, and too much to take. */
static void test_labels_without_end(void **state)
{
	AUTO(json_freep) json_t *all = json_object();
	AUTO(json_freep) json_t *problems = json_array();
	AUTO(json_freep) json_t *taken = NULL;
	char key[64], value[200];
	json_t *text;

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "a.label.of.many.%d", i);
		json_object_set_new(all, key, json_string(value));
	}
	json_object_set_new(all, "number", json_integer(1));
	json_object_set_new(all, "netd.enable", json_string("true"));
	json_object_set_new(all, "netd.origin", json_string("me"));
	text = json_string(value);
	for (int i = 0; i < 3; i++)
		json_object_set_new(all, i ? "netd.lb" : "netd.service",
				    json_sprintf("%s%s%s", value, value,
						 value));
	json_decref(text);
	taken = labels_take(all, problems);
	assert_true(json_object_size(taken) <= CONTAINER_LABELS_MAX);
	/* Ours come first, and who made a service is ours to say. */
	assert_non_null(json_object_get(taken, "netd.enable"));
	assert_null(json_object_get(taken, "netd.origin"));
	assert_null(json_object_get(taken, "netd.service"));
	assert_int_equal(json_array_size(problems), 1);
}

/* ---- services of a cluster ---- */

static struct model *make(void)
{
	struct model *m = model_new("n1");

	model_apply(m, "c/nets/blue",
		    "{\"vni\":4096,\"subnets\":[\"10.5.0.0/24\"],\"vips\":["
		    "\"10.80.0.0/22\"],\"labels\":{}}",
		    1, NULL);
	return m;
}

static void put_pod(struct model *m, const char *node, const char *id,
		    const char *name, const char *port)
{
	AUTO(json_freep)
	json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s}}", "pod",
				name, "ip", "10.5.0.9", "labels", "netd.enable",
				"true", "netd.network", "blue", "netd.service",
				"web", "netd.port", port);
	AUTO(str_freep) char *line = json_line(doc);
	char key[128];

	snprintf(key, sizeof(key), "n/blue/e/pods/%s/%s", node, id);
	model_apply(m, key, line, 10, NULL);
}

static void test_wishes_agree(void **state)
{
	struct model *m = make();
	struct net *net = model_net(m, "blue");
	struct wish *wishes = wishes_of(m, net);

	(void)state;
	assert_null(wishes);
	put_pod(m, "n3", "cc", "web-3", "80");
	put_pod(m, "n2", "bb", "web-2", "80");
	put_pod(m, "n2", "aa", "web-1", "90");
	/* Nobody's business here. */
	model_apply(m, "n/blue/e/pods/n2/zz",
		    "{\"pod\":\"x\",\"ip\":\"10.5.0.10\",\"labels\":{\"app\":"
		    "\"web\"}}",
		    11, NULL);
	wishes = wishes_of(m, net);
	assert_int_equal(HASH_COUNT(wishes), 1);
	assert_string_equal(wishes->name, "web");
	assert_false(wishes->own);
	/* The first by node and id, in whatever order they came. */
	assert_string_equal(wishes->first, "n2/aa");
	assert_json(json_object_get(wishes->args, "port"), "[\"90\"]");
	assert_int_equal(json_array_size(wishes->others), 2);
	wishes_free(&wishes);

	/* Labels without sense are not the first's. */
	put_pod(m, "n2", "aa", "web-1", "nonsense");
	wishes = wishes_of(m, net);
	assert_string_equal(wishes->first, "n2/bb");
	assert_json(json_object_get(wishes->args, "port"), "[\"80\"]");
	assert_json(wishes->others, "[\"web-1 on n2\"]");
	wishes_free(&wishes);
	model_free(m);
}

/* What there is, what is wished, and the step between. */
static void test_steps(void **state)
{
	static const char ours[] = "\"labels\":{\"netd.origin\":\"docker\"}";
	static const struct {
		const char *service, *port;
		enum wish_step step;
		const char *args;
	} rows[] = {
		{ NULL, "80", WISH_CREATE, NULL },
		{ NULL, NULL, WISH_DONE, NULL },
		{ "\"ports\":[{\"port\":80,\"target\":80,\"protocol\":\"tcp\"}"
		  "]",
		  "80", WISH_DONE, NULL },
		{ "\"ports\":[{\"port\":80,\"target\":80,\"protocol\":\"tcp\"}"
		  "]",
		  "81", WISH_UPDATE,
		  "{\"name\":\"web\",\"network\":\"blue\",\"port_add\":["
		  "\"81:81/tcp\"],\"port_rm\":[\"80/tcp\"]}" },
		{ "\"ports\":[{\"port\":80,\"target\":80,\"protocol\":\"tcp\"}"
		  "]",
		  "80:8080", WISH_UPDATE,
		  "{\"name\":\"web\",\"network\":\"blue\",\"port_add\":["
		  "\"80:8080/tcp\"],\"port_rm\":[\"80/tcp\"]}" },
		{ "\"ports\":[{\"port\":80,\"target\":80,\"protocol\":\"tcp\"}]"
		  ","
		  "\"published\":[{\"published\":8080,\"target\":80,"
		  "\"protocol\":\"tcp\"}]",
		  "80", WISH_UPDATE,
		  "{\"name\":\"web\",\"network\":\"blue\",\"publish_rm\":["
		  "\"8080/tcp\"]}" },
		/* A setting that labels have no word for is not theirs. */
		{ "\"ports\":[{\"port\":80,\"target\":80,\"protocol\":\"tcp\"}]"
		  ","
		  "\"balance\":{\"on_dead\":\"reset\"}",
		  "80", WISH_DONE, NULL },
		{ "\"ports\":[{\"port\":80,\"target\":80,\"protocol\":\"tcp\"}]"
		  ","
		  "\"balance\":{\"algo\":\"maglev\"}",
		  "80", WISH_UPDATE,
		  "{\"affinity\":\"none\",\"algo\":\"random\",\"health\":"
		  "\"none\",\"name\":\"web\",\"network\":\"blue\",\"policy\":"
		  "\"any\"}" },
		{ "\"mode\":\"dnsrr\"", "80", WISH_REMOVE,
		  "{\"name\":\"web\",\"network\":\"blue\"}" },
		{ "\"ports\":[]", NULL, WISH_REMOVE,
		  "{\"name\":\"web\",\"network\":\"blue\"}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows) * 2; i++) {
		size_t n = i / 2;
		bool foreign = i % 2;
		struct model *m = make();
		struct net *net = model_net(m, "blue");
		AUTO(json_freep) json_t *args = NULL;
		struct wish *wishes;
		enum wish_step step, want = rows[n].step;

		if (rows[n].service) {
			AUTO(str_freep)
			char *doc = xasprintf("{%s,%s}", rows[n].service,
					      foreign ? "\"labels\":{}" : ours);

			model_apply(m, "n/blue/s/services/web", doc, 5, NULL);
			assert_non_null(net_service(net, "web"));
			/* An operator's stays, whatever is wished. */
			if (foreign)
				want = rows[n].port ? WISH_FOREIGN : WISH_DONE;
		}
		if (rows[n].port)
			put_pod(m, "n2", "aa", "web-1", rows[n].port);
		wishes = wishes_of(m, net);
		step = wish_step(net, wishes, net_service(net, "web"), &args);
		if (step != want)
			fail_msg("row %zu: step %d", i, step);
		if (step == WISH_UPDATE || step == WISH_REMOVE)
			assert_json(args, rows[n].args);
		if (step == WISH_CREATE)
			assert_non_null(args);
		if (step == WISH_DONE || step == WISH_FOREIGN)
			assert_null(args);
		wishes_free(&wishes);
		model_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_container_states),
		cmocka_unit_test(test_container_cut_anywhere),
		cmocka_unit_test(test_container_is_pod),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_labels_without_end),
		cmocka_unit_test(test_wishes_agree),
		cmocka_unit_test(test_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
