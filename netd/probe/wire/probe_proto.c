/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_proto.h"

#include <sys/socket.h>

#include "netd/util.h"

void probe_hello_fill(struct probe_hello *hello, uint32_t states)
{
	memset(hello, 0, sizeof(*hello));
	hello->magic = PROBE_MAGIC;
	hello->version = PROBE_VERSION;
	hello->states = states;
	str_copy(hello->build, sizeof(hello->build), NETD_VERSION);
}

bool probe_hello_same(const struct probe_hello *a, const struct probe_hello *b)
{
	return a->magic == b->magic && a->version == b->version &&
	       memcmp(a->build, b->build, sizeof(a->build)) == 0;
}

void probe_key_clean(struct probe_key *to, const struct probe_key *from)
{
	memset(to, 0, sizeof(*to));
	to->vni = from->vni;
	memcpy(to->service, from->service,
	       strnlen(from->service, sizeof(to->service) - 1));
	to->addr = from->addr;
	to->port = from->port;
}

void want_probe_clean(struct want_probe *to, const struct want_probe *from)
{
	const struct probe_check *check = &from->check;

	memset(to, 0, sizeof(*to));
	probe_key_clean(&to->key, &from->key);
	to->check.kind = check->kind;
	to->check.port = check->port;
	memcpy(to->check.path, check->path,
	       strnlen(check->path, sizeof(to->check.path) - 1));
	to->check.interval_ms = check->interval_ms;
	to->check.timeout_ms = check->timeout_ms;
	to->check.rise = check->rise;
	to->check.fall = check->fall;
}

int probe_send(int fd, const struct probe_msg *msg)
{
	ssize_t n;

	do
		n = send(fd, msg, sizeof(*msg), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return 0;
}

static bool is_check(const struct probe_check *check)
{
	return check->kind > PROBE_NONE && check->kind < PROBE_KIND_MAX &&
	       memchr(check->path, 0, sizeof(check->path)) &&
	       check->interval_ms && check->timeout_ms && check->rise &&
	       check->fall;
}

static bool is_state(const struct probe_state *state)
{
	return state->status < PROBE_STATUS_MAX &&
	       state->reason < PROBE_REASON_MAX;
}

static bool is_key(const struct probe_key *key)
{
	return memchr(key->service, 0, sizeof(key->service));
}

static bool is_valid(const struct probe_msg *msg)
{
	switch (msg->type) {
	case PROBE_MSG_HELLO:
	case PROBE_MSG_QUIT:
		return true;
	case PROBE_MSG_PUT:
		return is_key(&msg->body.want.key) &&
		       is_check(&msg->body.want.check);
	case PROBE_MSG_DEL:
		return is_key(&msg->body.want.key);
	case PROBE_MSG_STATE:
		return is_key(&msg->body.found.key) &&
		       is_state(&msg->body.found.state);
	case PROBE_MSG_MAX:
		break;
	}
	return false;
}

int probe_recv(int fd, struct probe_msg *msg)
{
	ssize_t n;

	do
		n = recv(fd, msg, sizeof(*msg), MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (!n)
		return -ECONNRESET;
	return n == sizeof(*msg) && is_valid(msg) ? 0 : -EBADMSG;
}
