/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-sensor - counts what nd-hostile sent and this namespace gets to see.
 *
 *   nd-sensor IF..
 *
 * Prints `listening`; on SIGTERM `N hostile, N honest, N lost`, where lost is
 * what it was too slow for, and before it, for the first hostile frames, the
 * interface and the number of the kind.
 */
#include <err.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "mark.h"

#define LINKS_MAX 8
#define RECEIVE_BYTES (64 << 20)
#define TELL_MAX 10

static volatile sig_atomic_t stopped;
static unsigned long hostile, honest;

static void on_term(int sig)
{
	(void)sig;
	stopped = 1;
}

static int tap(const char *ifname)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int bytes = RECEIVE_BYTES;

	at.sll_ifindex = (int)if_nametoindex(ifname);
	if (fd < 0 || !at.sll_ifindex)
		err(1, "%s", ifname);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		err(1, "%s", ifname);
	return fd;
}

static void look(int fd, const char *ifname)
{
	char frame[2048];
	ssize_t n;

	while ((n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT)) > 0) {
		const char *mark = memmem(frame, (size_t)n, MARK, strlen(MARK));

		honest += memmem(frame, (size_t)n, MARK_HONEST,
				 strlen(MARK_HONEST)) != NULL;
		if (!mark)
			continue;
		if (hostile++ < TELL_MAX)
			printf("%s: kind %.2s\n", ifname, mark + strlen(MARK));
	}
}

static unsigned int lost(int fd)
{
	struct tpacket_stats stats = { 0 };
	socklen_t len = sizeof(stats);

	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
	return stats.tp_drops;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };
	struct pollfd taps[LINKS_MAX];
	unsigned int missed = 0;
	int len = argc - 1;

	if (len < 1 || len > LINKS_MAX)
		errx(2, "usage: nd-sensor IF..");
	sigaction(SIGTERM, &sa, NULL);
	for (int i = 0; i < len; i++)
		taps[i] = (struct pollfd){ tap(argv[i + 1]), POLLIN, 0 };
	puts("listening");
	fflush(stdout);
	while (!stopped) {
		poll(taps, (nfds_t)len, 1000);
		for (int i = 0; i < len; i++)
			look(taps[i].fd, argv[i + 1]);
	}
	for (int i = 0; i < len; i++) {
		look(taps[i].fd, argv[i + 1]);
		missed += lost(taps[i].fd);
	}
	printf("%lu hostile, %lu honest, %u lost\n", hostile, honest, missed);
	return 0;
}
