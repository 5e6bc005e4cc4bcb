/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP by libcurl over the daemon's Unix socket. */
#include "client.h"

#include <curl/curl.h>
#include <stdarg.h>

#include "netd/util.h"

/* ---- failures ---- */

void failure_free(struct failure *f)
{
	str_freep(&f->message);
	str_freep(&f->hint);
}

int failure_show(const struct failure *f)
{
	fprintf(stderr, "netctl: %s\n", f->message);
	if (f->hint && *f->hint)
		fprintf(stderr, "hint: %s\n", f->hint);
	return f->exit;
}

int complain(int exit_code, const char *hint, const char *fmt, ...)
{
	va_list ap;

	fputs("netctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (hint)
		fprintf(stderr, "hint: %s\n", hint);
	return exit_code;
}

static int fail(struct failure *why, int exit_code, char *message,
		const char *hint)
{
	*why = (struct failure){
		.exit = exit_code,
		.error = API_INTERNAL,
		.message = message,
		.hint = xstrdup(hint),
	};
	return exit_code;
}

/* ---- the request ---- */

struct text {
	char *data;
	size_t len;
	/* Of a stream: gets each line, as long as it is not refused. */
	bool (*line)(void *arg, const char *text);
	void *arg;
	CURL *curl;
};

static bool hand_lines(struct text *t)
{
	char *end;
	bool more = true;

	while (more && (end = memchr(t->data, '\n', t->len))) {
		size_t used = (size_t)(end + 1 - t->data);

		*end = '\0';
		more = t->line(t->arg, t->data);
		t->len -= used;
		memmove(t->data, t->data + used, t->len + 1);
	}
	return more;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct text *t = arg;

	size *= n;
	t->data = xrealloc(t->data, t->len + size + 1);
	memcpy(t->data + t->len, data, size);
	t->len += size;
	t->data[t->len] = '\0';
	if (t->line) {
		long http = 0;

		curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &http);
		if (http == 200 && !hand_lines(t))
			return 0;
	}
	return size;
}

/* An argument of the path that was left out: the network `default`. */
static const char *path_value(const json_t *args, const char *name)
{
	const char *value = json_string_value(json_object_get(args, name));

	return value ? value : "default";
}

/* Fills the template; what it takes from args is removed there. */
static char *make_path(CURL *curl, const char *template, json_t *args)
{
	char *path = xstrdup("");

	while (*template) {
		size_t plain = strcspn(template, "{");
		size_t len = strcspn(template, "}");
		AUTO(str_freep) char *before = path;
		AUTO(str_freep) char *name = NULL;
		char *value;

		if (!template[plain])
			return xasprintf("%s%s", before, template);
		name = xstrndup(template + plain + 1, len - plain - 1);
		value = curl_easy_escape(curl, path_value(args, name), 0);
		path = xasprintf("%s%.*s%s", before, (int)plain, template,
				 value ? value : "");
		curl_free(value);
		json_object_del(args, name);
		template += len + 1;
	}
	return path;
}

static void trace(const struct ctl *ctl, const char *mark, const char *what,
		  const char *body)
{
	if (ctl->debug)
		fprintf(stderr, "%s %s %s\n", mark, what, body ? body : "");
}

static void set_request(CURL *curl, const struct ctl *ctl, const char *method,
			const char *url, const char *body, struct text *reply)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, ctl->socket);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ctl->timeout);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
	if (body)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

static int transport_failed(const struct ctl *ctl, CURL *curl, CURLcode code,
			    struct failure *why)
{
	long os_errno = 0;

	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return fail(why, EXIT_TIMED_OUT,
			    xasprintf("netd did not answer in %u s",
				      ctl->timeout),
			    "it may still do what was asked; --timeout waits "
			    "longer");
	if (code == CURLE_COULDNT_CONNECT &&
	    (os_errno == EACCES || os_errno == EPERM))
		return fail(why, EXIT_PERMISSION,
			    xasprintf("no permission to use %s", ctl->socket),
			    "run it as root, or as a member of the group netd");
	if (code == CURLE_COULDNT_CONNECT)
		return fail(why, EXIT_UNREACHABLE,
			    xasprintf("netd is not reachable at unix://%s",
				      ctl->socket),
			    "is it running? (systemctl status netd); -H or "
			    "NETD_HOST names another socket");
	return fail(why, EXIT_UNREACHABLE,
		    xasprintf("netd at unix://%s broke off: %s", ctl->socket,
			      curl_easy_strerror(code)),
		    "its log may say why");
}

/* ---- the reply ---- */

static const char *text_of(const json_t *body, const char *name)
{
	const char *text = json_string_value(json_object_get(body, name));

	return text ? text : "";
}

static enum api_error error_of(const char *code, long http)
{
	for (int i = 0; i < API_ERROR_MAX; i++)
		if (str_eq(api_errors[i].code, code))
			return (enum api_error)i;
	for (int i = 0; i < API_ERROR_MAX; i++)
		if (api_errors[i].http == http)
			return (enum api_error)i;
	return API_INTERNAL;
}

static int refused(long http, const json_t *body, struct failure *why)
{
	enum api_error error = error_of(text_of(body, "code"), http);
	const char *message = text_of(body, "message");

	*why = (struct failure){
		.exit = api_errors[error].exit,
		.error = error,
		.message = *message ? xstrdup(message)
				    : xasprintf("netd refused: %s (HTTP %ld)",
						api_errors[error].code, http),
		.hint = xstrdup(text_of(body, "hint")),
	};
	return why->exit;
}

static int take_reply(const struct ctl *ctl, CURL *curl,
		      const struct text *reply, json_t **ret,
		      struct failure *why)
{
	json_error_t error;
	json_t *body = NULL;
	char status[32];
	long http = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
	snprintf(status, sizeof(status), "%ld", http);
	trace(ctl, "<", status, reply->data);
	if (reply->len)
		body = json_loadb(reply->data, reply->len, 0, &error);
	if (http >= 400) {
		int code = refused(http, body, why);

		json_decref(body);
		return code;
	}
	if (reply->len && !body)
		return fail(why, EXIT_FAILED,
			    xasprintf("netd's reply is no JSON: %s",
				      error.text),
			    "netctl and netd may be of different versions");
	*ret = body;
	return 0;
}

static int perform(const struct ctl *ctl, enum api_op op, const json_t *args,
		   struct text *reply, json_t **ret, struct failure *why)
{
	const struct api_op_info *row = &api_ops[op];
	json_t *fields =
		args ? json_copy((json_t *)(uintptr_t)args) : json_object();
	AUTO(str_freep) char *path = NULL;
	AUTO(str_freep) char *url = NULL;
	AUTO(str_freep) char *body = NULL;
	CURL *curl = curl_easy_init();
	CURLcode code;
	int err;

	*ret = NULL;
	path = make_path(curl, row->path, fields);
	url = xasprintf("http://netd%s", path);
	if (json_object_size(fields))
		body = json_dumps(fields, JSON_COMPACT);
	json_decref(fields);
	trace(ctl, ">", row->method, path);
	trace(ctl, ">", "body", body);
	set_request(curl, ctl, row->method, url, body, reply);
	if (reply->line)
		curl_easy_setopt(curl, CURLOPT_TIMEOUT, 0L);
	reply->curl = curl;
	code = curl_easy_perform(curl);
	if (code == CURLE_WRITE_ERROR && reply->line)
		err = 0;
	else
		err = code == CURLE_OK ? take_reply(ctl, curl, reply, ret, why)
				       : transport_failed(ctl, curl, code, why);
	free(reply->data);
	curl_easy_cleanup(curl);
	return err;
}

int client_call(const struct ctl *ctl, enum api_op op, const json_t *args,
		json_t **ret, struct failure *why)
{
	struct text reply = { 0 };

	return perform(ctl, op, args, &reply, ret, why);
}

int client_stream(const struct ctl *ctl, enum api_op op, const json_t *args,
		  bool (*line)(void *arg, const char *text), void *arg)
{
	struct text reply = { .line = line, .arg = arg };
	struct failure why = { 0 };
	json_t *rest;
	int code = perform(ctl, op, args, &reply, &rest, &why);

	if (code)
		failure_show(&why);
	failure_free(&why);
	json_decref(rest);
	return code;
}

int client_ask(const struct ctl *ctl, enum api_op op, const json_t *args,
	       json_t **ret)
{
	struct failure why = { 0 };
	int code = client_call(ctl, op, args, ret, &why);

	if (code)
		failure_show(&why);
	failure_free(&why);
	return code;
}
