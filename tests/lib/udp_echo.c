/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nd-udp-echo - sends every datagram back, as fast as sockets allow.
 *
 *   nd-udp-echo ADDR PORT
 *
 * recvmmsg and sendmmsg, BATCH at a time, and nothing in between: what any
 * UDP server on this machine costs at least. Prints `listening`.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define BATCH 32
#define BYTES 2048
#define RECEIVE_BYTES (4 << 20)

int main(int argc, char **argv)
{
	static struct mmsghdr msgs[BATCH];
	static struct iovec iov[BATCH];
	static struct sockaddr_in peer[BATCH];
	static unsigned char buf[BATCH][BYTES];
	struct sockaddr_in own = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int bytes = RECEIVE_BYTES;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1) {
		fputs("usage: nd-udp-echo ADDR PORT\n", stderr);
		return 2;
	}
	own.sin_port = htons((uint16_t)atoi(argv[2]));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&own, sizeof(own))) {
		perror("nd-udp-echo: bind");
		return 1;
	}
	for (int i = 0; i < BATCH; i++) {
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
		msgs[i].msg_hdr.msg_name = &peer[i];
	}
	puts("listening");
	fflush(stdout);
	for (;;) {
		int n;

		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ buf[i], BYTES };
			msgs[i].msg_hdr.msg_namelen = sizeof(peer[i]);
		}
		n = recvmmsg(fd, msgs, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			iov[i].iov_len = msgs[i].msg_len;
		if (n > 0)
			sendmmsg(fd, msgs, (unsigned)n, 0);
	}
}
