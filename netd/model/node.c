/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include "json.h"
#include "netd/util.h"

/* A node's routing table can be long; what matters here is not. */
#define ROUTES_MAX 256

void node_free(struct node *node)
{
	if (!node)
		return;
	free(node->routes);
	free(node);
}

static int routes_read(json_t *list, struct node *node)
{
	size_t len = json_array_size(list);
	json_t *item;
	size_t i;

	if (len > ROUTES_MAX)
		return -EINVAL;
	node->routes = xzalloc(len * sizeof(*node->routes));
	json_array_foreach (list, i, item) {
		if (json_read_prefix(item, &node->routes[node->routes_len++]))
			return -EINVAL;
	}
	return 0;
}

struct node *node_from_json(const char *name, json_t *doc)
{
	struct node *node = xzalloc(sizeof(*node));
	json_t *addrs = json_object_get(doc, "addresses");
	json_t *item;
	size_t i;

	if (!str_copy(node->name, sizeof(node->name), name) ||
	    json_read_ip(json_object_get(doc, "vtep"), &node->vtep) ||
	    json_get_u64(doc, "incarnation", &node->incarnation) ||
	    routes_read(json_object_get(doc, "routes"), node))
		goto bad;
	json_array_foreach (addrs, i, item) {
		if (i == NODE_ADDRS_MAX ||
		    json_read_ip(item, &node->addrs[node->addrs_len++]))
			goto bad;
	}
	json_get_str(doc, "version", node->version, sizeof(node->version));
	json_get_u32(doc, "mtu", &node->mtu);
	return node;
bad:
	node_free(node);
	return NULL;
}

json_t *node_to_json(const struct node *node)
{
	json_t *addrs = json_array(), *routes = json_array();

	for (uint32_t i = 0; i < node->addrs_len; i++)
		json_array_append_new(addrs, json_ip(&node->addrs[i]));
	for (size_t i = 0; i < node->routes_len && i < ROUTES_MAX; i++)
		json_array_append_new(routes, json_prefix(&node->routes[i]));
	return json_pack("{s:i, s:o, s:o, s:o, s:I, s:s, s:I}", "schema", 1,
			 "vtep", json_ip(&node->vtep), "addresses", addrs,
			 "routes", routes, "incarnation",
			 (json_int_t)node->incarnation, "version",
			 node->version, "mtu", (json_int_t)node->mtu);
}

struct want_node node_want(const struct node *node, bool self)
{
	struct want_node want = {
		.vtep = node->vtep,
		.addrs_len = node->addrs_len,
		.mtu = node->mtu,
		.self = self,
	};

	memcpy(want.name, node->name, sizeof(want.name));
	memcpy(want.addrs, node->addrs, sizeof(want.addrs));
	return want;
}
