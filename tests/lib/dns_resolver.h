/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_resolver - an upstream of netd-dns, in a process of its own.
 */
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "dns_live.h"

/*
 * An upstream: every name has the address 192.0.2.80; big.* is cut over UDP;
 * dead.* has no answer. As a loop, it asks us instead.
 */
static inline size_t upstream_answer(const uint8_t *query, size_t len, bool tcp,
				     uint8_t *out)
{
	struct dns_reply reply;
	struct dns_query q;

	if (dns_query_read(query, len, &q) != ns_r_noerror || !q.edns ||
	    dns_label_is(&q.name, 0, "dead"))
		return 0;
	dns_reply_begin(&reply, &q, out, DNS_TCP_MAX);
	if (!tcp && dns_label_is(&q.name, 0, "big")) {
		reply.truncated = true;
		return dns_reply_end(&reply);
	}
	for (int i = 0; i < (tcp ? 100 : 1); i++)
		dns_reply_rr(&reply, DNS_ANSWER, DNS_OWNER(0), ns_t_a, 60,
			     "\xc0\0\2\x50", 4);
	return dns_reply_end(&reply);
}

static inline void upstream_udp(int fd, bool loops)
{
	static uint8_t query[4096], out[DNS_TCP_MAX];
	struct sockaddr_in peer, gateway = sin_of(GATEWAY, 53);
	socklen_t peer_len = sizeof(peer);
	ssize_t n = recvfrom(fd, query, sizeof(query), 0,
			     (struct sockaddr *)&peer, &peer_len);
	size_t len;

	if (n <= 0)
		return;
	if (loops) {
		sendto(fd, query, (size_t)n, 0, (struct sockaddr *)&gateway,
		       sizeof(gateway));
		return;
	}
	len = upstream_answer(query, (size_t)n, false, out);
	if (len)
		sendto(fd, out, len, 0, (struct sockaddr *)&peer, peer_len);
}

static inline void upstream_tcp(int listener)
{
	static uint8_t query[4096], out[2 + DNS_TCP_MAX];
	AUTO(fd_closep) int fd = accept(listener, NULL, NULL);
	ssize_t n = recv(fd, query, 2, MSG_WAITALL);
	size_t len;

	if (n != 2)
		return;
	n = recv(fd, query + 2, (size_t)query[0] << 8 | query[1], MSG_WAITALL);
	if (n <= 0)
		return;
	len = upstream_answer(query + 2, (size_t)n, true, out + 2);
	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	/* Until the other end has it all. */
	if (send(fd, out, len + 2, 0) > 0)
		recv(fd, query, sizeof(query), 0);
}

static inline pid_t upstream_start(const char *addr, bool loops)
{
	struct sockaddr_in sin = sin_of(addr, 53);
	int on = 1;
	struct pollfd p[2] = {
		{ .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		  .events = POLLIN },
		{ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
		  .events = POLLIN },
	};
	pid_t pid;

	setsockopt(p[1].fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			bind(p[i].fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(p[1].fd, 8), 0);
	pid = fork();
	/* Not longer than the test, should that fail. */
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0) {
		poll(p, 2, -1);
		if (p[0].revents)
			upstream_udp(p[0].fd, loops);
		if (p[1].revents)
			upstream_tcp(p[1].fd);
	}
	close(p[0].fd);
	close(p[1].fd);
	return pid;
}

static inline void upstream_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* What the server said when it was asked for itself. */
struct heard {
	int err;
	unsigned times;
	struct dns_told told;
};

static inline void on_told(void *arg, int err, const struct dns_told *told)
{
	struct heard *heard = arg;

	heard->err = err;
	heard->times++;
	if (told)
		heard->told = *told;
}

static inline const struct dns_told *inquire(struct ev_loop *loop,
					     struct dns *dns,
					     enum dns_ask_kind kind,
					     const char *name, uint16_t type)
{
	static struct heard heard;
	struct dns_ask question = { .kind = kind, .type = type };

	question.from = ip(POD);
	str_copy(question.name, sizeof(question.name), name);
	memset(&heard, 0, sizeof(heard));
	dns_ask(dns, &question, on_told, &heard);
	assert_int_equal(heard.times, 0);
	wait_for(loop, heard.times, 7000);
	/* Once, and not again. */
	wait_while(loop, heard.times == 1, 20);
	assert_int_equal(heard.err, 0);
	assert_int_equal(heard.told.kind, kind);
	return &heard.told;
}

/* In whatever order. */
static inline bool has_upstreams(struct ev_loop *loop, struct dns *dns,
				 const struct ip_addr *list, size_t len)
{
	const struct dns_told *told =
		inquire(loop, dns, DNS_ASK_UPSTREAMS, "", 0);
	size_t found = 0;

	for (size_t i = 0; i < told->upstreams.len; i++)
		for (size_t k = 0; k < len; k++)
			found += ip_eq(&told->upstreams.rows[i].addr, &list[k]);
	return found == len && told->upstreams.len == len;
}

/* Opens, and waits until the server has the configuration's upstreams. */
static inline void open_forwarding(struct ev_loop *loop,
				   const struct dns_config *config,
				   struct dns **ret)
{
	open_told(loop, config, ret);
	wait_for(loop,
		 has_upstreams(loop, *ret, config->upstreams,
			       config->upstreams_len),
		 5000);
}
