/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server is libmicrohttpd without threads: its epoll descriptor is
 * one ev_io here, its next timeout one ev_timer. We accept ourselves, to know
 * the peer before a connection costs anything, and hand the socket over.
 *
 * A request's life: route (first call of the library), body piece by piece,
 * then check and handler. A handler that does not answer at once leaves the
 * connection suspended; the library does not look at it then, so we watch for
 * its client's leaving. The reply resumes it and the library asks once more.
 *
 * What is not HTTP is refused by the library itself, in its own words.
 */
#include "http.h"

#include <ev.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "lag.h"
#include "netd/log.h"
#include "netd/util.h"

/* Request line and headers of one connection. */
#define HEADERS_MAX (16 * 1024)

/* How long a full descriptor table keeps us from accepting. */
#define ACCEPT_PAUSE_S 0.1

/* How often a client that half closed is asked whether it is still there. */
#define GONE_POLL_S 0.5

/* Connections accepted in one turn of the loop. */
#define ACCEPT_BURST 32

/* What a stream is asked for at a time. */
#define HTTP_STREAM_BLOCK (16 * 1024)

#define MHD_NEVER ((MHD_UNSIGNED_LONG_LONG)-1)

struct http {
	struct ev_loop *loop;
	struct MHD_Daemon *mhd;
	int fd;
	const struct http_router *router;
	http_handler *handler;
	void *arg;
	ev_io accept_io;
	ev_timer accept_pause;
	ev_io mhd_io;
	ev_timer mhd_timer;
	unsigned int connections;
	unsigned int streams;
	bool closing;
	/* A connection was resumed since the library last ran. */
	bool resumed;
	struct request *waiting;
};

struct peer {
	struct http *http;
	int fd;
	struct ucred cred;
	/* Runs while a request is awaited or received. */
	ev_timer silence;
};

struct request {
	struct http_request pub;
	struct peer *peer;
	struct MHD_Connection *connection;
	struct MHD_Response *response;
	int status;
	char *body;
	size_t len;
	bool too_large;
	bool routed;
	bool suspended;
	bool gone;
	struct http_refusal why;
	char allow[48];
	http_gone_fn *gone_fn;
	void *gone_arg;
	/* Of a stream; gone_arg is its argument too. */
	http_fill_fn *fill;
	ev_io gone_io;
	ev_timer gone_timer;
	struct request *prev, *next;
};

static struct request *request_of(struct http_request *pub)
{
	return container_of(pub, struct request, pub);
}

/* ---- the library on the loop ---- */

static void http_pump_in(struct http *http, MHD_UNSIGNED_LONG_LONG ms)
{
	ev_timer_stop(http->loop, &http->mhd_timer);
	if (ms == MHD_NEVER)
		return;
	ev_timer_set(&http->mhd_timer, (double)ms / 1000.0, 0.);
	ev_timer_start(http->loop, &http->mhd_timer);
}

static void http_pump(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	http->resumed = false;
	MHD_run(http->mhd);
	if (http->resumed)
		ms = 0;
	else if (MHD_get_timeout(http->mhd, &ms) != MHD_YES)
		ms = MHD_NEVER;
	http_pump_in(http, ms);
}

static void on_mhd_io(struct ev_loop *loop, ev_io *w, int events)
{
	LAG(LAG_HTTP);
	(void)loop, (void)events;
	http_pump(w->data);
}

static void on_mhd_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	LAG(LAG_HTTP);
	(void)loop, (void)events;
	http_pump(w->data);
}

/* ---- waiting for a reply ---- */

static void request_unwatch(struct request *r)
{
	ev_io_stop(r->peer->http->loop, &r->gone_io);
	ev_timer_stop(r->peer->http->loop, &r->gone_timer);
}

static void request_resume(struct request *r)
{
	struct http *http = r->peer->http;

	request_unwatch(r);
	r->suspended = false;
	DL_DELETE(http->waiting, r);
	MHD_resume_connection(r->connection);
	/* Without threads nothing wakes the library (0.9.75). Not from here:
	 * it may be the one that called. */
	http->resumed = true;
	http_pump_in(http, 0);
}

/*
 * The owner is told while the request is still whole; what is left of it goes
 * when the library ends the connection.
 */
static void request_gone(struct request *r)
{
	http_gone_fn *fn = r->gone_fn;

	if (!fn) {
		request_unwatch(r);
		return;
	}
	r->gone = true;
	r->gone_fn = NULL;
	request_resume(r);
	fn(r->gone_arg);
}

static bool client_left(const struct request *r)
{
	struct pollfd p = { .fd = r->peer->fd };

	/* POLLHUP is both directions: one that only ended its sending reads
	 * the answer still. */
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void on_gone_io(struct ev_loop *loop, ev_io *w, int events)
{
	LAG(LAG_HTTP);
	struct request *r = w->data;

	(void)events;
	if (client_left(r)) {
		request_gone(r);
		return;
	}
	/* Readable for another reason, and for as long as we wait. */
	ev_io_stop(loop, w);
	ev_timer_again(loop, &r->gone_timer);
}

static void on_gone_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	LAG(LAG_HTTP);
	struct request *r = w->data;

	(void)loop, (void)events;
	if (client_left(r))
		request_gone(r);
}

static void request_suspend(struct request *r)
{
	struct http *http = r->peer->http;

	MHD_suspend_connection(r->connection);
	r->suspended = true;
	DL_APPEND(http->waiting, r);
	ev_io_init(&r->gone_io, on_gone_io, r->peer->fd, EV_READ);
	ev_timer_init(&r->gone_timer, on_gone_timer, 0., GONE_POLL_S);
	r->gone_io.data = r->gone_timer.data = r;
	ev_io_start(http->loop, &r->gone_io);
}

void http_on_gone(struct http_request *req, http_gone_fn *fn, void *arg)
{
	struct request *r = request_of(req);

	r->gone_fn = fn;
	r->gone_arg = arg;
}

/* ---- replies ---- */

/* The caller's, and free(); body is taken. */
static char *json_text(json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);

	json_decref(body);
	return text;
}

void http_reply(struct http_request *req, int status, json_t *body)
{
	struct request *r = request_of(req);
	const struct http_router *router = r->peer->http->router;
	char *text = body ? json_text(body) : xstrdup("");

	if (!text) {
		log_err("%s: a reply is no JSON op=%d", router->name, req->op);
		text = json_text(router->error(API_INTERNAL, NULL, NULL, NULL));
		status = 500;
	}
	r->status = status;
	r->response = MHD_create_response_from_buffer(strlen(text), text,
						      MHD_RESPMEM_MUST_FREE);
	if (body)
		MHD_add_response_header(r->response,
					MHD_HTTP_HEADER_CONTENT_TYPE,
					router->content_type);
	if (*r->allow)
		MHD_add_response_header(r->response, MHD_HTTP_HEADER_ALLOW,
					r->allow);
	r->gone_fn = NULL;
	if (r->suspended)
		request_resume(r);
}

void http_reply_error(struct http_request *req, enum api_error error,
		      const char *field, const char *message, const char *hint)
{
	const struct http_router *router = request_of(req)->peer->http->router;
	json_t *body = router->error(error, field, message, hint);

	/* Somebody's bytes are in a text: the code alone is the answer. */
	if (!body)
		body = router->error(error, NULL, NULL, NULL);
	http_reply(req, api_errors[error].http, body);
}

static void reply_refusal(struct request *r)
{
	const struct http_refusal *why = &r->why;

	http_reply_error(&r->pub, why->error, why->field, why->message,
			 why->hint);
	if (why->status)
		r->status = why->status;
}

/* ---- replies that go on ---- */

static ssize_t on_fill(void *arg, uint64_t pos, char *buf, size_t size)
{
	struct request *r = arg;
	ssize_t n;

	(void)pos;
	if (r->gone || r->peer->http->closing)
		return MHD_CONTENT_READER_END_OF_STREAM;
	n = r->fill(r->gone_arg, buf, size);
	if (n < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!n)
		request_suspend(r);
	return n;
}

int http_stream(struct http_request *req, const char *type, http_fill_fn *fill,
		http_gone_fn *gone, void *arg)
{
	struct request *r = request_of(req);
	struct http *http = r->peer->http;

	if (http->streams == HTTP_STREAMS_MAX)
		return -EBUSY;
	http->streams++;
	/* One that does not read for a while is slow, not dead. */
	MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT,
				  0U);
	r->fill = fill;
	http_on_gone(req, gone, arg);
	r->status = 200;
	r->response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, HTTP_STREAM_BLOCK, on_fill, r, NULL);
	MHD_add_response_header(r->response, MHD_HTTP_HEADER_CONTENT_TYPE,
				type);
	/* Not where the handler was called in, but in a later turn. */
	if (r->suspended)
		request_resume(r);
	return 0;
}

void http_stream_more(struct http_request *req)
{
	struct request *r = request_of(req);

	if (r->suspended)
		request_resume(r);
}

/* ---- requests ---- */

static enum MHD_Result request_queue(struct request *r)
{
	if (!r->response)
		return MHD_NO;
	return MHD_queue_response(r->connection, (unsigned int)r->status,
				  r->response);
}

static void too_large(struct request *r)
{
	r->too_large = true;
	r->why = (struct http_refusal){ .error = API_TOO_LARGE };
	snprintf(r->why.message, sizeof(r->why.message),
		 "body has more than %d bytes", API_BODY_MAX);
}

/* Only digits get through the library's own check of the header. */
static bool announces_too_much(struct MHD_Connection *connection)
{
	const char *text = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text && strtoull(text, NULL, 10) > API_BODY_MAX;
}

static struct request *request_new(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct peer *peer = info->socket_context;
	struct request *r = xzalloc(sizeof(*r));

	r->peer = peer;
	r->connection = connection;
	r->pub.peer_pid = peer->cred.pid;
	r->pub.peer_uid = peer->cred.uid;
	r->pub.peer_gid = peer->cred.gid;
	return r;
}

static enum MHD_Result request_begin(struct MHD_Connection *connection,
				     const char *url, const char *method,
				     void **context)
{
	struct request *r = *context = request_new(connection);

	if (announces_too_much(connection)) {
		too_large(r);
		reply_refusal(r);
		return request_queue(r);
	}
	/* A refusal waits until the body was read: whoever is still sending
	 * would see a broken pipe and no answer. */
	r->routed = !r->peer->http->router->route(method, url, &r->pub.op,
						  &r->pub.args, &r->why,
						  r->allow, sizeof(r->allow));
	if (r->routed &&
	    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, NULL,
				      NULL) > 0) {
		r->routed = false;
		r->why = (struct http_refusal){
			.error = API_INVALID,
			.message = "arguments do not go behind a ?",
			.hint = "send them as a JSON object in the body",
		};
	}
	return MHD_YES;
}

static void request_data(struct request *r, const char *data, size_t len)
{
	if (!r->routed || r->too_large)
		return;
	if (len > API_BODY_MAX - r->len) {
		too_large(r);
		return;
	}
	r->body = xrealloc(r->body, r->len + len);
	memcpy(r->body + r->len, data, len);
	r->len += len;
}

static enum MHD_Result request_end(struct request *r)
{
	struct http *http = r->peer->http;

	ev_timer_stop(http->loop, &r->peer->silence);
	if (!r->routed || r->too_large ||
	    http->router->body(r->pub.op, r->body, r->len, r->pub.args,
			       &r->why)) {
		reply_refusal(r);
		return request_queue(r);
	}
	free(take_ptr(r->body));
	http->handler(http->arg, &r->pub);
	if (r->response)
		return request_queue(r);
	request_suspend(r);
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *len, void **context)
{
	struct request *r = *context;

	(void)arg, (void)version;
	if (!r)
		return request_begin(connection, url, method, context);
	if (r->gone)
		return MHD_NO;
	if (r->response)
		return request_queue(r);
	if (*len) {
		request_data(r, data, *len);
		*len = 0;
		return MHD_YES;
	}
	return request_end(r);
}

static void on_completed(void *arg, struct MHD_Connection *connection,
			 void **context, enum MHD_RequestTerminationCode code)
{
	struct request *r = *context;

	(void)arg, (void)connection, (void)code;
	if (!r)
		return;
	/* A stream may end while nobody waits for it. */
	if (r->gone_fn)
		r->gone_fn(r->gone_arg);
	if (r->fill)
		r->peer->http->streams--;
	ev_timer_again(r->peer->http->loop, &r->peer->silence);
	if (r->response)
		MHD_destroy_response(r->response);
	json_decref(r->pub.args);
	free(r->body);
	free(r);
	*context = NULL;
}

/* ---- connections ---- */

static void on_silence(struct ev_loop *loop, ev_timer *w, int events)
{
	struct peer *peer = w->data;

	(void)events;
	ev_timer_stop(loop, w);
	/* The library sees the end and cleans up, as for any that leaves. */
	shutdown(peer->fd, SHUT_RDWR);
}

static int peer_cred(int fd, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len))
		return -errno;
	return 0;
}

static void peer_begin(struct http *http, struct MHD_Connection *connection,
		       void **context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct peer *peer = xzalloc(sizeof(*peer));

	peer->http = http;
	peer->fd = info->connect_fd;
	/* It had credentials when it was accepted, and they do not change. */
	if (peer_cred(peer->fd, &peer->cred))
		peer->cred = (struct ucred){ 0, (uid_t)-1, (gid_t)-1 };
	ev_timer_init(&peer->silence, on_silence, 0., http->router->silence_s);
	peer->silence.data = peer;
	ev_timer_again(http->loop, &peer->silence);
	http->connections++;
	*context = peer;
}

static void on_connection(void *arg, struct MHD_Connection *connection,
			  void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http *http = arg;
	struct peer *peer = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		peer_begin(http, connection, context);
		return;
	}
	if (!peer)
		return;
	ev_timer_stop(http->loop, &peer->silence);
	http->connections--;
	free(peer);
	*context = NULL;
}

/* One too many is told so, as far as it listens, and costs nothing more. */
static void turn_away(const struct http *http, int fd)
{
	AUTO(str_freep)
	char *line = json_text(http->router->error(
		API_UNAVAILABLE, NULL, "too many connections", "try again"));
	AUTO(str_freep)
	char *text = xasprintf("HTTP/1.1 503 Service Unavailable\r\n"
			       "Content-Type: %s\r\n"
			       "Connection: close\r\n\r\n%s",
			       http->router->content_type, line);
	ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		log_debug("%s: one too many, and gone already",
			  http->router->name);
	close(fd);
}

static void http_admit(struct http *http, int fd)
{
	struct sockaddr addr = { .sa_family = AF_UNIX };
	unsigned int limit = HTTP_CONNECTIONS_MAX;
	struct ucred cred;

	if (peer_cred(fd, &cred)) {
		close(fd);
		return;
	}
	if (cred.uid != 0)
		limit -= HTTP_CONNECTIONS_ROOT;
	if (http->connections >= limit) {
		turn_away(http, fd);
		return;
	}
	/* The library closes it when it refuses. */
	if (MHD_add_connection(http->mhd, fd, &addr, sizeof(addr)) != MHD_YES)
		log_debug("api: connection not taken uid=%u", cred.uid);
}

static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	LAG(LAG_HTTP);
	struct http *http = w->data;

	(void)events;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept4(http->fd, NULL, NULL,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			http_admit(http, fd);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR &&
		    errno != ECONNABORTED) {
			/* The socket stays readable until one is free. */
			log_warn_limited("api: accept: %s", strerror(errno));
			ev_io_stop(loop, w);
			ev_timer_again(loop, &http->accept_pause);
		}
		break;
	}
	http_pump(http);
}

static void on_accept_pause(struct ev_loop *loop, ev_timer *w, int events)
{
	struct http *http = w->data;

	(void)events;
	ev_timer_stop(loop, w);
	ev_io_start(loop, &http->accept_io);
}

/* ---- open and close ---- */

/* Names are decoded after the path was cut at its slashes, not before. */
static size_t keep_escaped(void *arg, struct MHD_Connection *connection,
			   char *text)
{
	(void)arg, (void)connection;
	return strlen(text);
}

static void __attribute__((format(printf, 2, 0)))
on_library_log(void *arg, const char *fmt, va_list ap)
{
	char text[256];

	(void)arg;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("api: %s", text);
}

static struct MHD_Daemon *library_start(struct http *http)
{
	/* Content-Length above what is read, and doubled or crooked headers,
	 * are errors: MHD_OPTION_STRICT_FOR_CLIENT. */
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
			MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER,
		on_library_log, NULL, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)HTTP_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, http->router->silence_s + 1,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
		keep_escaped, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_END);
}

static int check_listener(int fd)
{
	int domain, listening, flags;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len))
		return -errno;
	if (domain != AF_UNIX || !listening)
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	return 0;
}

static void http_watch(struct http *http)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD);

	ev_io_init(&http->mhd_io, on_mhd_io, info->epoll_fd, EV_READ);
	ev_timer_init(&http->mhd_timer, on_mhd_timer, 0., 0.);
	ev_io_init(&http->accept_io, on_accept, http->fd, EV_READ);
	ev_timer_init(&http->accept_pause, on_accept_pause, 0., ACCEPT_PAUSE_S);
	http->mhd_io.data = http->mhd_timer.data = http;
	http->accept_io.data = http->accept_pause.data = http;
	ev_io_start(http->loop, &http->mhd_io);
	ev_io_start(http->loop, &http->accept_io);
}

int http_open(struct ev_loop *loop, int fd, const struct http_router *router,
	      http_handler *handler, void *arg, struct http **ret)
{
	AUTO(fd_closep) int taken = fd;
	struct http *http;
	int err = check_listener(fd);

	if (err)
		return err;
	http = xzalloc(sizeof(*http));
	http->loop = loop;
	http->router = router;
	http->handler = handler;
	http->arg = arg;
	http->mhd = library_start(http);
	if (!http->mhd) {
		free(http);
		return -ENOMEM;
	}
	http->fd = take_fd(taken);
	http_watch(http);
	*ret = http;
	return 0;
}

void http_close(struct http *http)
{
	struct request *r, *next;

	if (!http)
		return;
	ev_io_stop(http->loop, &http->accept_io);
	ev_timer_stop(http->loop, &http->accept_pause);
	DL_FOREACH_SAFE (http->waiting, r, next) {
		http_gone_fn *fn = take_ptr(r->gone_fn);

		r->gone = true;
		request_resume(r);
		if (fn)
			fn(r->gone_arg);
	}
	/* Connections still suspended when the library stops are a panic. */
	http->closing = true;
	MHD_run(http->mhd);
	ev_io_stop(http->loop, &http->mhd_io);
	ev_timer_stop(http->loop, &http->mhd_timer);
	MHD_stop_daemon(http->mhd);
	close(http->fd);
	free(http);
}

unsigned int http_connections(const struct http *http)
{
	return http->connections;
}
