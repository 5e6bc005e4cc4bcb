/* SPDX-License-Identifier: Apache-2.0 */
/* What netd knows of this host's Docker engine. */
#include "client.h"
#include "cmd.h"
#include "netd/util.h"

static const char *str_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static const struct out_column container_columns[] = {
	{ "CONTAINER", "name", 0, NULL },
	{ "ID", "short_id", 0, NULL },
	{ "STATE", "state", OUT_STATE, NULL },
	{ "POD", "pod", 0, NULL },
	{ "NETWORK", "network", 0, NULL },
	{ "IP", "ip", 0, NULL },
	{ "SERVICE", "service", OUT_IF_ANY, NULL },
	{ "NAMES", "names", OUT_CUT, NULL },
};

static const struct out_view container_view = { "name", container_columns,
						ARRAY_LEN(container_columns) };

static const struct out_column endpoint_columns[] = {
	{ "ENDPOINT", "short_id", 0, NULL },
	{ "STATE", "state", OUT_STATE, NULL },
	{ "POD", "pod", 0, NULL },
	{ "NETWORK", "network", 0, NULL },
	{ "IP", "ip", 0, NULL },
	{ "GATEWAY", "gateway", 0, NULL },
	{ "PORTS", "ports", OUT_CUT, NULL },
};

static const struct out_view endpoint_view = { "short_id", endpoint_columns,
					       ARRAY_LEN(endpoint_columns) };

/* A row per attachment. */
static json_t *container_rows(const json_t *containers)
{
	json_t *rows = json_array();
	json_t *c, *net;
	size_t i, j;

	json_array_foreach (containers, i, c) {
		json_array_foreach (json_object_get(c, "networks"), j, net) {
			json_t *row = json_copy(c);

			json_object_update(row, net);
			json_object_set_new(row, "short_id",
					    json_sprintf("%.12s",
							 str_of(c, "id")));
			json_array_append_new(rows, row);
		}
	}
	return rows;
}

static void show_problems(const json_t *labels)
{
	json_t *c, *text, *service;
	size_t i, j;

	json_array_foreach (json_object_get(labels, "containers"), i, c) {
		json_array_foreach (json_object_get(c, "problems"), j, text)
			printf("container %s: %s\n", str_of(c, "name"),
			       json_string_value(text));
	}
	json_array_foreach (json_object_get(labels, "services"), i, service) {
		if (*str_of(service, "problem"))
			printf("service %s on %s: %s\n",
			       str_of(service, "service"),
			       str_of(service, "network"),
			       str_of(service, "problem"));
	}
}

static json_int_t count(const json_t *object, const char *name)
{
	return (json_int_t)json_array_size(json_object_get(object, name));
}

/* What the engine asked of the driver. */
static void show_driver(const struct ctl *ctl, const json_t *driver)
{
	json_t *eps = json_object_get(driver, "endpoints");
	json_t *ep, *text;
	size_t i;

	if (!driver) {
		puts("driver  off: adapters.docker.enabled is false");
		return;
	}
	printf("driver  %lld networks, %lld endpoints, %lld addresses held\n",
	       count(driver, "networks"), count(driver, "endpoints"),
	       count(driver, "addresses"));
	json_array_foreach (eps, i, ep)
		json_object_set_new(ep, "short_id",
				    json_sprintf("%.12s", str_of(ep, "id")));
	if (json_array_size(eps))
		out_list(ctl, &endpoint_view, eps);
	json_array_foreach (json_object_get(driver, "problems"), i, text)
		printf("problem: %s\n", json_string_value(text));
}

static void show_engine(const json_t *labels)
{
	const char *state = str_of(labels, "state");

	if (str_eq(state, "off")) {
		puts("engine  not asked: adapters.docker.labels is false");
		return;
	}
	printf("engine  %s: %s", str_of(labels, "host"), state);
	if (*str_of(labels, "version"))
		printf(", version %s", str_of(labels, "version"));
	putchar('\n');
	if (*str_of(labels, "error"))
		printf("        %s\n", str_of(labels, "error"));
}

static int run_status(const struct ctl *ctl, const struct cmd *cmd,
		      struct args *args)
{
	json_t *reply, *rows;
	const json_t *labels;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (code)
		return code;
	labels = json_object_get(reply, "labels");
	rows = container_rows(json_object_get(labels, "containers"));
	if (ctl->form == FORM_JSON) {
		out_json(reply);
	} else if (ctl->quiet || ctl->form == FORM_NAME) {
		out_list(ctl, cmd->view, rows);
	} else {
		show_driver(ctl, json_object_get(reply, "driver"));
		show_engine(labels);
		if (json_array_size(rows))
			out_list(ctl, cmd->view, rows);
		show_problems(labels);
	}
	json_decref(rows);
	json_decref(reply);
	return EXIT_OK;
}

const struct cmd docker_cmds[] = {
	{ .words = "docker status",
	  .op = API_DOCKER_STATUS,
	  .run = run_status,
	  .view = &container_view,
	  .help = "The engine, its containers here, and what is wrong" },
	{ .words = NULL },
};
