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
	{ "ID", "short_id", OUT_IF_ANY, NULL },
	{ "STATE", "state", OUT_STATE, NULL },
	{ "NETWORK", "network", 0, NULL },
	{ "IP", "ip", 0, NULL },
	{ "IP6", "ip6", OUT_IF_ANY, NULL },
	{ "PORTS", "ports", OUT_IF_ANY, NULL },
	{ "SERVICE", "service", OUT_IF_ANY, NULL },
	{ "POD", "pod", OUT_WIDE, NULL },
	{ "GATEWAY", "gateway", OUT_WIDE, NULL },
	{ "NAMES", "names", OUT_WIDE, NULL },
};

static const struct out_view container_view = { "name", container_columns,
						ARRAY_LEN(container_columns) };

/* ---- rows: what the engine's API tells, and what the driver made ---- */

static void add_container(json_t *rows, const json_t *c)
{
	json_t *net;
	size_t i;

	json_array_foreach (json_object_get(c, "networks"), i, net) {
		json_t *row = json_copy((json_t *)(uintptr_t)c);

		json_object_update(row, net);
		json_object_set_new(row, "short_id",
				    json_sprintf("%.12s", str_of(c, "id")));
		json_array_append_new(rows, row);
	}
}

static json_t *row_of(json_t *rows, const json_t *endpoint)
{
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		if (str_eq(str_of(row, "pod"), str_of(endpoint, "pod")) &&
		    str_eq(str_of(row, "network"), str_of(endpoint, "network")))
			return row;
	}
	return NULL;
}

static json_t *container_rows(const json_t *reply)
{
	const json_t *labels = json_object_get(reply, "labels");
	const json_t *driver = json_object_get(reply, "driver");
	json_t *rows = json_array();
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(labels, "containers"), i, item)
		add_container(rows, item);
	json_array_foreach (json_object_get(driver, "endpoints"), i, item) {
		json_t *row = row_of(rows, item);

		if (row)
			json_object_update_missing(row, item);
		else
			json_array_append(rows, item);
	}
	return rows;
}

/* ---- the screen ---- */

static void show_problems(const json_t *reply)
{
	const json_t *labels = json_object_get(reply, "labels");
	const json_t *driver = json_object_get(reply, "driver");
	json_t *item, *text;
	size_t i, j;

	json_array_foreach (json_object_get(driver, "problems"), i, text)
		printf("driver: %s\n", json_string_value(text));
	json_array_foreach (json_object_get(labels, "containers"), i, item) {
		json_array_foreach (json_object_get(item, "problems"), j, text)
			printf("container %s: %s\n", str_of(item, "name"),
			       json_string_value(text));
	}
	json_array_foreach (json_object_get(labels, "services"), i, item) {
		if (*str_of(item, "problem"))
			printf("service %s on %s: %s\n",
			       str_of(item, "service"), str_of(item, "network"),
			       str_of(item, "problem"));
	}
}

static void show_engine(const json_t *labels)
{
	const char *state = str_of(labels, "state");

	if (str_eq(state, "off")) {
		puts("labels  not read: adapters.docker.labels is false");
		return;
	}
	printf("labels  engine %s at %s", state, str_of(labels, "host"));
	if (*str_of(labels, "version"))
		printf(", version %s", str_of(labels, "version"));
	putchar('\n');
	if (*str_of(labels, "error"))
		printf("        %s\n", str_of(labels, "error"));
}

static void show_driver(const json_t *driver)
{
	if (!driver) {
		puts("driver  not offered: adapters.docker.enabled is false");
		return;
	}
	printf("driver  %zu networks, %zu endpoints, %zu addresses held\n",
	       json_array_size(json_object_get(driver, "networks")),
	       json_array_size(json_object_get(driver, "endpoints")),
	       json_array_size(json_object_get(driver, "addresses")));
}

static int run_status(const struct ctl *ctl, const struct cmd *cmd,
		      struct args *args)
{
	json_t *reply, *rows;
	int code = client_ask(ctl, cmd->op, cmd_fields(args), &reply);

	if (code)
		return code;
	rows = container_rows(reply);
	if (ctl->form == FORM_JSON) {
		out_json(reply);
	} else if (ctl->quiet || ctl->form == FORM_NAME) {
		out_list(ctl, cmd->view, rows);
	} else {
		show_driver(json_object_get(reply, "driver"));
		show_engine(json_object_get(reply, "labels"));
		if (json_array_size(rows))
			out_list(ctl, cmd->view, rows);
		show_problems(reply);
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
