/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin's calls: one row each, with the fields that must be right before
 * its handler runs. Errors have two keys, because the engine reads "Err" from
 * the network driver and "Error" from the IPAM driver, and "Err" from both
 * when the status is not 200. A call that is refused is answered with 200:
 * the engine takes a 404 for a call that is not there.
 */
#include "docker_core.h"

#include <ctype.h>
#include <utlist.h>

#include "http_args.h"
#include "netd/log.h"

#define FIELDS_MAX 4

enum field_type { FIELD_ID, FIELD_STR, FIELD_OBJECT, FIELD_LIST, FIELD_BOOL };

static docker_fn activate, capabilities, ipam_capabilities, spaces, nothing;

static const struct docker_row {
	const char *name;
	docker_fn *fn;
	struct {
		const char *name;
		enum field_type type;
		bool optional;
	} fields[FIELDS_MAX];
} rows[] = {
	{ "Plugin.Activate", activate, { { 0 } } },
	{ "NetworkDriver.GetCapabilities", capabilities, { { 0 } } },
	{ "NetworkDriver.CreateNetwork",
	  docker_create_network,
	  { { "NetworkID", FIELD_ID, false },
	    { "Options", FIELD_OBJECT, true },
	    { "IPv4Data", FIELD_LIST, true },
	    { "IPv6Data", FIELD_LIST, true } } },
	{ "NetworkDriver.DeleteNetwork",
	  docker_delete_network,
	  { { "NetworkID", FIELD_ID, false } } },
	{ "NetworkDriver.CreateEndpoint",
	  docker_create_endpoint,
	  { { "NetworkID", FIELD_ID, false },
	    { "EndpointID", FIELD_ID, false },
	    { "Interface", FIELD_OBJECT, false },
	    { "Options", FIELD_OBJECT, true } } },
	{ "NetworkDriver.EndpointOperInfo",
	  docker_oper_info,
	  { { "EndpointID", FIELD_ID, false } } },
	{ "NetworkDriver.Join",
	  docker_join,
	  { { "NetworkID", FIELD_ID, false },
	    { "EndpointID", FIELD_ID, false },
	    { "SandboxKey", FIELD_STR, false },
	    { "Options", FIELD_OBJECT, true } } },
	{ "NetworkDriver.Leave",
	  docker_leave,
	  { { "EndpointID", FIELD_ID, false } } },
	{ "NetworkDriver.DeleteEndpoint",
	  docker_delete_endpoint,
	  { { "EndpointID", FIELD_ID, false } } },
	{ "NetworkDriver.ProgramExternalConnectivity",
	  docker_program,
	  { { "EndpointID", FIELD_ID, false },
	    { "Options", FIELD_OBJECT, true } } },
	{ "NetworkDriver.RevokeExternalConnectivity",
	  docker_revoke,
	  { { "EndpointID", FIELD_ID, false } } },
	{ "NetworkDriver.DiscoverNew", nothing, { { 0 } } },
	{ "NetworkDriver.DiscoverDelete", nothing, { { 0 } } },
	{ "IpamDriver.GetCapabilities", ipam_capabilities, { { 0 } } },
	{ "IpamDriver.GetDefaultAddressSpaces", spaces, { { 0 } } },
	{ "IpamDriver.RequestPool",
	  docker_request_pool,
	  { { "Pool", FIELD_STR, true },
	    { "SubPool", FIELD_STR, true },
	    { "Options", FIELD_OBJECT, true },
	    { "V6", FIELD_BOOL, true } } },
	{ "IpamDriver.ReleasePool",
	  docker_release_pool,
	  { { "PoolID", FIELD_STR, false } } },
	{ "IpamDriver.RequestAddress",
	  docker_request_address,
	  { { "PoolID", FIELD_STR, false },
	    { "Address", FIELD_STR, true },
	    { "Options", FIELD_OBJECT, true } } },
	{ "IpamDriver.ReleaseAddress",
	  docker_release_address,
	  { { "PoolID", FIELD_STR, false }, { "Address", FIELD_STR, false } } },
};

/* ---- the router ---- */

static int bad(struct http_refusal *why, enum api_error error, int status,
	       const char *field, const char *message)
{
	*why = (struct http_refusal){ .error = error, .status = status };
	snprintf(why->field, sizeof(why->field), "%s", field);
	snprintf(why->message, sizeof(why->message), "%s", message);
	return -EINVAL;
}

static int route(const char *method, const char *path, int *op, json_t **args,
		 struct http_refusal *why, char *allow, size_t allow_size)
{
	*allow = '\0';
	for (size_t i = 0; *path == '/' && i < ARRAY_LEN(rows); i++) {
		if (!str_eq(rows[i].name, path + 1))
			continue;
		if (!str_eq(method, "POST")) {
			str_copy(allow, allow_size, "POST");
			return bad(why, API_INVALID, 405, "",
				   "the plugin's calls are POST");
		}
		*op = (int)i;
		*args = json_object();
		return 0;
	}
	return bad(why, API_NOT_FOUND, 0, "", "the plugin has no such call");
}

/* Becomes part of keys and of names of pods. */
static bool is_id(const char *text)
{
	size_t len = strlen(text);

	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			return false;
	return len > 0 && len < DOCKER_ID_LEN;
}

static bool has_type(const json_t *value, enum field_type type)
{
	switch (type) {
	case FIELD_ID:
		return json_is_string(value) && is_id(json_string_value(value));
	case FIELD_STR:
		return json_is_string(value);
	case FIELD_OBJECT:
		return json_is_object(value);
	case FIELD_LIST:
		return json_is_array(value);
	case FIELD_BOOL:
		return json_is_boolean(value);
	}
	return false;
}

static int check_fields(const struct docker_row *row, json_t *args,
			struct http_refusal *why)
{
	for (size_t i = 0; i < FIELDS_MAX && row->fields[i].name; i++) {
		const char *name = row->fields[i].name;
		const json_t *value = json_object_get(args, name);
		char text[200];

		if (row->fields[i].optional && (!value || json_is_null(value)))
			continue;
		if (value && has_type(value, row->fields[i].type))
			continue;
		snprintf(text, sizeof(text), "%s: %s is %s", row->name, name,
			 value ? "not of its type" : "missing");
		return bad(why, API_INVALID, 0, name, text);
	}
	return 0;
}

static int body(int op, const char *text, size_t len, json_t *args,
		struct http_refusal *why)
{
	json_t *root;

	if (http_body_parse(text, len, &root, why))
		return -EINVAL;
	json_object_update(args, root);
	json_decref(root);
	return check_fields(&rows[op], args, why);
}

static json_t *error(enum api_error code, const char *field,
		     const char *message, const char *hint)
{
	AUTO(str_freep) char *text = NULL;

	(void)code;
	(void)field;
	text = xasprintf("netd: %s%s%s", message ? message : "internal error",
			 hint && *hint ? "; " : "", hint ? hint : "");
	return json_pack("{s:s, s:s}", "Err", text, "Error", text);
}

/*
 * The engine keeps connections, and sends its next call on one without its
 * body when that is closed at the same moment: they are left open for long.
 */
#define SILENCE_S 3600

const struct http_router docker_router = {
	.name = "docker",
	.silence_s = SILENCE_S,
	.content_type = "application/vnd.docker.plugins.v1.1+json",
	.route = route,
	.body = body,
	.error = error,
};

void docker_handle(void *docker, struct http_request *req)
{
	log_debug("docker: %s", rows[req->op].name);
	rows[req->op].fn(docker, req);
}

/* ---- answers ---- */

void docker_reply(struct http_request *req, json_t *reply)
{
	http_reply(req, 200, reply);
}

void docker_refuse(struct http_request *req, const struct refusal *r)
{
	json_t *reply = error(r->code, r->field, r->message, r->hint);

	log_warn_limited("docker: %s refused: %s", rows[req->op].name,
			 r->message);
	event_tell(EVENT_DOCKER_REFUSED, rows[req->op].name, NULL, NULL, "%s",
		   r->message);
	docker_reply(req, reply ? reply : error(r->code, NULL, NULL, NULL));
}

bool docker_is_kept(struct http_request *req, int err)
{
	struct refusal r = { 0 };

	if (!err)
		return true;
	refuse(&r, API_INTERNAL, NULL, "is the disk full?",
	       "the journal cannot be written: %s", strerror(-err));
	docker_refuse(req, &r);
	return false;
}

const char *docker_str(const struct http_request *req, const char *name)
{
	const char *text = json_string_value(json_object_get(req->args, name));

	return text ? text : "";
}

static void activate(struct docker *d, struct http_request *req)
{
	(void)d;
	docker_reply(req, json_pack("{s:[s, s]}", "Implements", "NetworkDriver",
				    "IpamDriver"));
}

/*
 * Not `global`: such networks are for Swarm's managers, which take no plugin
 * of this kind. That the network reaches over hosts is netd's doing.
 */
static void capabilities(struct docker *d, struct http_request *req)
{
	(void)d;
	docker_reply(req, json_pack("{s:s, s:s, s:b}", "Scope", "local",
				    "ConnectivityScope", "global",
				    "GwAllocChecker", false));
}

/* The MAC is what two addresses of one endpoint are known by. */
static void ipam_capabilities(struct docker *d, struct http_request *req)
{
	(void)d;
	docker_reply(req, json_pack("{s:b, s:b}", "RequiresMACAddress", true,
				    "RequiresRequestReplay", false));
}

/* One space: of two, the engine would ask again until a pool suits it. */
static void spaces(struct docker *d, struct http_request *req)
{
	(void)d;
	docker_reply(req, json_pack("{s:s, s:s}", "LocalDefaultAddressSpace",
				    DOCKER_SPACE, "GlobalDefaultAddressSpace",
				    DOCKER_SPACE));
}

static void nothing(struct docker *d, struct http_request *req)
{
	(void)d;
	docker_reply(req, json_object());
}

/* ---- requests that wait ---- */

struct docker_wait {
	struct docker *d;
	struct http_request *req;
	json_t *args;
	docker_done_fn *done;
	struct docker_wait *prev, *next;
};

static void wait_gone(void *arg)
{
	struct docker_wait *wait = arg;

	wait->req = NULL;
}

/* Neither the request nor ops will call any more. */
static void wait_free(struct docker_wait *wait)
{
	json_decref(wait->args);
	free(wait);
}

static void wait_done(void *arg, const struct refusal *r, json_t *reply)
{
	struct docker_wait *wait = arg;

	DL_DELETE(wait->d->waits, wait);
	if (wait->req)
		http_on_gone(wait->req, NULL, NULL);
	wait->done(wait->d, wait->req, wait->args, r, reply);
	wait_free(wait);
}

void docker_ops(struct docker *d, struct http_request *req, const char *name,
		ops_fn *fn, json_t *args, docker_done_fn *done)
{
	struct docker_wait *wait = xzalloc(sizeof(*wait));

	wait->d = d;
	wait->req = req;
	wait->args = json_incref(args);
	wait->done = done;
	DL_APPEND(d->waits, wait);
	if (req)
		http_on_gone(req, wait_gone, wait);
	ops_call(d->cfg.ops, name, fn, args, wait_done, wait);
}

void docker_waits_end(struct docker *d)
{
	struct docker_wait *wait, *next;

	DL_FOREACH_SAFE (d->waits, wait, next) {
		DL_DELETE(d->waits, wait);
		if (wait->req)
			http_on_gone(wait->req, NULL, NULL);
		ops_forget(d->cfg.ops, wait);
		wait_free(wait);
	}
}
