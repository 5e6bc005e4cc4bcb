/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One curl multi handle drives all calls of a client. curl tells which
 * sockets it waits for (fetch_on_socket) and when it wants to be woken
 * (fetch_on_timer); libev wakes it; what arrives is kept in the call's buffer
 * until curl has returned, because curl must not be entered from its own
 * callbacks and ours may do anything. fetch_turn() then hands it out.
 */
#include "fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <ev.h>
#include <utlist.h>

#include "lag.h"
#include "netd/util.h"

/* More calls to one host than this wait for each other inside curl. */
#define FETCH_HOST_CONNECTIONS 32L

struct fetch_socket {
	struct fetch *fetch;
	ev_io io;
};

struct fetch {
	struct ev_loop *loop;
	CURLM *multi;
	ev_timer timer;
	char *ca, *cert, *key;
	struct fetch_call *calls;
	/* Calls that have something to hand out, in order of arrival. */
	struct fetch_call *ready;
};

struct fetch_call {
	struct fetch *fetch;
	CURL *easy;
	struct curl_slist *headers;
	struct fetch_call *prev, *next;
	struct fetch_call *ready_prev, *ready_next;
	bool is_ready;
	/* Its callbacks run at this moment: it is freed after them. */
	bool is_busy;
	bool is_cancelled;
	bool is_done;
	bool is_too_large;
	CURLcode result;
	size_t max;
	uint32_t timeout_ms;
	void (*line)(void *arg, const char *line, size_t len);
	void (*done)(void *arg, const struct fetch_reply *reply);
	void *arg;
	char *data;
	size_t len, size;
	char error[CURL_ERROR_SIZE];
};

static const struct fetch_error {
	CURLcode code;
	int err;
} fetch_errors[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH },
	{ CURLE_COULDNT_CONNECT, -ECONNREFUSED },
	{ CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT },
	{ CURLE_GOT_NOTHING, -ECONNRESET },
	{ CURLE_PARTIAL_FILE, -ECONNRESET },
	{ CURLE_SEND_ERROR, -ECONNRESET },
	{ CURLE_RECV_ERROR, -ECONNRESET },
	{ CURLE_SSL_CONNECT_ERROR, -EKEYREJECTED },
	{ CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED },
	{ CURLE_SSL_CACERT_BADFILE, -EKEYREJECTED },
	{ CURLE_SSL_CERTPROBLEM, -EKEYREJECTED },
};

static void call_mark_ready(struct fetch_call *call)
{
	if (call->is_ready)
		return;
	call->is_ready = true;
	DL_APPEND2(call->fetch->ready, call, ready_prev, ready_next);
}

static void call_unmark_ready(struct fetch_call *call)
{
	if (!call->is_ready)
		return;
	call->is_ready = false;
	DL_DELETE2(call->fetch->ready, call, ready_prev, ready_next);
}

static void call_free(struct fetch_call *call)
{
	curl_slist_free_all(call->headers);
	if (call->easy)
		curl_easy_cleanup(call->easy);
	free(call->data);
	free(call);
}

/* Out of curl and of the client's lists; the memory stays. */
static void call_detach(struct fetch_call *call)
{
	curl_multi_remove_handle(call->fetch->multi, call->easy);
	call_unmark_ready(call);
	DL_DELETE(call->fetch->calls, call);
}

/* How long the line that is being received is by now. */
static size_t call_line_len(const struct fetch_call *call)
{
	const char *nl;

	if (!call->line || !call->len)
		return call->len;
	nl = memrchr(call->data, '\n', call->len);
	return nl ? call->len - (size_t)(nl + 1 - call->data) : call->len;
}

static size_t call_on_data(char *data, size_t size, size_t n, void *arg)
{
	struct fetch_call *call = arg;
	size_t len = size * n;

	if (call_line_len(call) + len > call->max) {
		call->is_too_large = true;
		return 0;
	}
	if (call->len + len + 1 > call->size) {
		call->size = MAX(call->size * 2, call->len + len + 1);
		call->data = xrealloc(call->data, call->size);
	}
	memcpy(call->data + call->len, data, len);
	call->len += len;
	call->data[call->len] = 0;
	if (call->line)
		call_mark_ready(call);
	return len;
}

static void call_hand_lines(struct fetch_call *call)
{
	size_t pos = 0;

	while (!call->is_cancelled && pos < call->len) {
		char *line = call->data + pos;
		char *nl = memchr(line, '\n', call->len - pos);

		if (!nl)
			break;
		*nl = 0;
		pos += (size_t)(nl + 1 - line);
		call->line(call->arg, line, (size_t)(nl - line));
	}
	call->len -= pos;
	if (pos)
		memmove(call->data, call->data + pos, call->len + 1);
}

/* The words of errno fit a sentence better with a small letter. */
static void errno_words(char *buf, size_t size, int err)
{
	if (!str_copy(buf, size, strerror(err)))
		return;
	if (buf[0] && buf[1] && islower((unsigned char)buf[1]))
		buf[0] = (char)tolower((unsigned char)buf[0]);
}

static void call_explain(struct fetch_call *call, struct fetch_reply *reply)
{
	long os_err = 0;

	reply->err = call->is_too_large ? -EMSGSIZE : -EIO;
	for (size_t i = 0; i < ARRAY_LEN(fetch_errors); i++)
		if (fetch_errors[i].code == call->result)
			reply->err = fetch_errors[i].err;

	curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_err);
	if (call->is_too_large)
		snprintf(call->error, sizeof(call->error),
			 "answer larger than %zu bytes", call->max);
	else if (call->result == CURLE_COULDNT_CONNECT && os_err)
		errno_words(call->error, sizeof(call->error), (int)os_err);
	else if (call->result == CURLE_OPERATION_TIMEDOUT)
		snprintf(call->error, sizeof(call->error),
			 "no answer within %u ms", call->timeout_ms);
	else if (!call->error[0])
		snprintf(call->error, sizeof(call->error), "%s",
			 curl_easy_strerror(call->result));
	reply->error = call->error;
}

static void call_hand_end(struct fetch_call *call)
{
	struct fetch_reply reply = { .error = "" };
	long status = 0;

	if (call->result != CURLE_OK)
		call_explain(call, &reply);
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	reply.status = (int)status;
	reply.body = call->data ? call->data : "";
	reply.len = call->len;
	if (call->done)
		call->done(call->arg, &reply);
}

/* Lines that came, then the end; the call may be cancelled on the way. */
static void call_hand_out(struct fetch_call *call)
{
	bool is_done = call->is_done;

	call->is_busy = true;
	if (call->line)
		call_hand_lines(call);
	if (is_done && !call->is_cancelled) {
		/* From here on a cancel finds nothing left to detach. */
		call_detach(call);
		call->is_cancelled = true;
		call_hand_end(call);
	}
	call->is_busy = false;
	if (call->is_cancelled)
		call_free(call);
}

static void fetch_arm(struct fetch *fetch, long ms)
{
	ev_timer_stop(fetch->loop, &fetch->timer);
	if (ms < 0)
		return;
	/* The loop's idea of now may be as old as the caller's computation. */
	ev_now_update(fetch->loop);
	ev_timer_set(&fetch->timer, (double)ms / 1000, 0);
	ev_timer_start(fetch->loop, &fetch->timer);
}

static void fetch_reap(struct fetch *fetch)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(fetch->multi, &left))) {
		struct fetch_call *call = NULL;

		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		if (msg->msg != CURLMSG_DONE || !call)
			continue;
		call->is_done = true;
		call->result = msg->data.result;
		call_mark_ready(call);
	}
}

static void fetch_turn(struct fetch *fetch, curl_socket_t fd, int events)
{
	struct fetch_call *call;
	int running;
	long ms = -1;

	curl_multi_socket_action(fetch->multi, fd, events, &running);
	fetch_reap(fetch);

	/*
	 * curl does not repeat a deadline it told before, so that a timer of
	 * ours which fired a little early would be the last: ask each time.
	 */
	curl_multi_timeout(fetch->multi, &ms);
	fetch_arm(fetch, ms);

	while ((call = fetch->ready)) {
		call_unmark_ready(call);
		call_hand_out(call);
	}
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	LAG(LAG_FETCH);
	struct fetch_socket *sock = container_of(io, struct fetch_socket, io);
	int events = 0;

	(void)loop;
	if (revents & EV_READ)
		events |= CURL_CSELECT_IN;
	if (revents & EV_WRITE)
		events |= CURL_CSELECT_OUT;
	fetch_turn(sock->fetch, io->fd, events);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	LAG(LAG_FETCH);
	(void)loop;
	(void)revents;
	fetch_turn(container_of(timer, struct fetch, timer),
		   CURL_SOCKET_TIMEOUT, 0);
}

static int fetch_on_timer(CURLM *multi, long ms, void *arg)
{
	(void)multi;
	fetch_arm(arg, ms);
	return 0;
}

static int fetch_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
			   void *known)
{
	struct fetch *fetch = arg;
	struct fetch_socket *sock = known;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (sock)
			ev_io_stop(fetch->loop, &sock->io);
		free(sock);
		return 0;
	}
	if (!sock) {
		sock = xzalloc(sizeof(*sock));
		sock->fetch = fetch;
		ev_init(&sock->io, on_io);
		curl_multi_assign(fetch->multi, fd, sock);
	}
	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	ev_io_stop(fetch->loop, &sock->io);
	ev_io_set(&sock->io, fd, events);
	ev_io_start(fetch->loop, &sock->io);
	return 0;
}

int fetch_open(struct ev_loop *loop, const struct fetch_tls *tls,
	       struct fetch **ret)
{
	struct fetch *fetch;
	CURLM *multi;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -EIO;
	multi = curl_multi_init();
	if (!multi)
		return -EIO;

	fetch = xzalloc(sizeof(*fetch));
	fetch->loop = loop;
	fetch->multi = multi;
	if (tls) {
		fetch->ca = tls->ca ? xstrdup(tls->ca) : NULL;
		fetch->cert = tls->cert ? xstrdup(tls->cert) : NULL;
		fetch->key = tls->key ? xstrdup(tls->key) : NULL;
	}
	ev_init(&fetch->timer, on_timer);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, fetch_on_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, fetch);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, fetch_on_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, fetch);
	curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS,
			  FETCH_HOST_CONNECTIONS);
	*ret = fetch;
	return 0;
}

void fetch_close(struct fetch *fetch)
{
	struct fetch_call *call, *next;

	if (!fetch)
		return;
	DL_FOREACH_SAFE (fetch->calls, call, next) {
		call_detach(call);
		call_free(call);
	}
	/* Closes cached connections, and tells us of each socket. */
	curl_multi_cleanup(fetch->multi);
	ev_timer_stop(fetch->loop, &fetch->timer);
	free(fetch->ca);
	free(fetch->cert);
	free(fetch->key);
	free(fetch);
}

static void call_set_headers(struct fetch_call *call,
			     const struct fetch_request *req)
{
	struct curl_slist *list = NULL;

	/* No "100 Continue" round trip before larger bodies. */
	list = curl_slist_append(list, "Expect:");
	if (req->body)
		list = curl_slist_append(list,
					 "Content-Type: application/json");
	for (size_t i = 0; req->headers && req->headers[i]; i++)
		list = curl_slist_append(list, req->headers[i]);
	call->headers = list;
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, list);
}

static void call_set_tls(struct fetch_call *call)
{
	const struct fetch *fetch = call->fetch;

	if (fetch->ca)
		curl_easy_setopt(call->easy, CURLOPT_CAINFO, fetch->ca);
	if (fetch->cert)
		curl_easy_setopt(call->easy, CURLOPT_SSLCERT, fetch->cert);
	if (fetch->key)
		curl_easy_setopt(call->easy, CURLOPT_SSLKEY, fetch->key);
}

static void call_set_connection(struct fetch_call *call,
				const struct fetch_request *req)
{
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A resolver thread that hangs must not hang the loop at the end. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 5L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 2L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)req->timeout_ms);
	if (req->connect_ms)
		curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
				 (long)req->connect_ms);
	if (req->unix_path)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH,
				 req->unix_path);
	if (req->line) {
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	} else if (req->reuse_ms && req->reuse_ms < 2000) {
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	} else if (req->reuse_ms) {
		/* Whole seconds, of which curl takes one too many. */
		curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN,
				 (long)req->reuse_ms / 1000 - 1);
	}
}

static struct fetch_call *call_new(struct fetch *fetch,
				   const struct fetch_request *req)
{
	struct fetch_call *call = xzalloc(sizeof(*call));

	call->fetch = fetch;
	call->max = req->max;
	call->timeout_ms = req->timeout_ms ? req->timeout_ms : req->connect_ms;
	call->line = req->line;
	call->done = req->done;
	call->arg = req->arg;
	call->easy = curl_easy_init();
	return call;
}

int fetch_start(struct fetch *fetch, const struct fetch_request *req,
		struct fetch_call **ret)
{
	struct fetch_call *call = call_new(fetch, req);
	CURL *easy = call->easy;

	if (!easy || curl_easy_setopt(easy, CURLOPT_URL, req->url) != CURLE_OK)
		goto fail;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, call_on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	if (req->body)
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, req->body);
	if (req->method)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, req->method);
	call_set_connection(call, req);
	call_set_headers(call, req);
	call_set_tls(call);
	if (curl_multi_add_handle(fetch->multi, easy) != CURLM_OK)
		goto fail;

	DL_APPEND(fetch->calls, call);
	*ret = call;
	return 0;

fail:
	call_free(call);
	return -EINVAL;
}

void fetch_cancel(struct fetch_call *call)
{
	if (!call || call->is_cancelled)
		return;
	call_detach(call);
	call->is_cancelled = true;
	if (!call->is_busy)
		call_free(call);
}
