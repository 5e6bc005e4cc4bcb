/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnsload - questions in batches, every answer checked.
 *
 *   dnsload flood ADDR SECONDS NAMES SUFFIX	200 questions under way
 *   dnsload one ADDR SECONDS NAMES SUFFIX	one, for latency
 *   dnsload echo|echo-one ...			to nd-udp-echo: the same bytes
 *
 * Asks for A records of svcN.SUFFIX, N a random number below NAMES, whose
 * only address must end in N's lower 16 bits. An answer that is not the one
 * expected is wrong; one that does not come within a second is lost. Prints
 * `rate=N done=N lost=N wrong=N p50_us=N p99_us=N`; 1 when any was lost or
 * wrong.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define WINDOW_MAX 200
#define BATCH 32
#define BYTES 512
#define LOST_NS 1000000000L
#define SAMPLES_MAX 4000000

struct slot {
	unsigned char query[BYTES];
	size_t len;
	unsigned number;
	long sent;
};

static struct slot slots[WINDOW_MAX];
static unsigned idle[WINDOW_MAX], idle_len;
static unsigned window = WINDOW_MAX, names;
static const char *suffix;
static bool is_echo;
static long done, lost, wrong;
static uint32_t *samples;
static size_t samples_len;
static uint64_t seed = 88172645463325252ULL;

static long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static unsigned next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 20);
}

/* The id's lower byte is the slot, its upper one how often it was used. */
static void question_write(unsigned i, unsigned turn)
{
	struct slot *s = &slots[i];
	unsigned char *at = s->query;
	const char *label = suffix;
	int n;

	s->number = next_random() % names;
	ns_put16((turn & 0xff) << 8 | i, at);
	ns_put16(0x0100, at + 2);
	ns_put16(1, at + 4);
	memset(at + 6, 0, 6);
	at += 12;
	n = sprintf((char *)at + 1, "svc%u", s->number);
	*at = (unsigned char)n;
	at += 1 + n;
	while (*label) {
		size_t len = strcspn(label, ".");

		*at++ = (unsigned char)len;
		memcpy(at, label, len);
		at += len;
		label += len + (label[len] == '.');
	}
	*at++ = 0;
	ns_put16(ns_t_a, at);
	ns_put16(ns_c_in, at + 2);
	s->len = (size_t)(at + 4 - s->query);
}

/* One question, one answer: an A record that is this name's. */
static bool is_right(const struct slot *s, const unsigned char *data,
		     size_t len)
{
	const unsigned char *rr = data + s->len;

	if (is_echo)
		return len == s->len && memcmp(data, s->query, len) == 0;
	return len >= s->len + 16 && memcmp(data, s->query, 2) == 0 &&
	       data[2] & 0x80 && (data[3] & 15) == ns_r_noerror &&
	       ns_get16(data + 4) == 1 && ns_get16(data + 6) == 1 &&
	       memcmp(data + 12, s->query + 12, s->len - 12) == 0 &&
	       ns_get16(rr) == 0xc00c && ns_get16(rr + 2) == ns_t_a &&
	       ns_get16(rr + 10) == 4 &&
	       ns_get16(rr + 14) == (s->number & 0xffff);
}

static void answer_take(const unsigned char *data, size_t len, long now)
{
	unsigned i = len >= 2 ? data[1] : WINDOW_MAX;
	struct slot *s;

	/* What was given up as lost and comes all the same. */
	if (i >= window || !slots[i].sent ||
	    memcmp(data, slots[i].query, 2) != 0)
		return;
	s = &slots[i];
	if (!is_right(s, data, len))
		wrong++;
	if (samples_len < SAMPLES_MAX)
		samples[samples_len++] = (uint32_t)(now - s->sent);
	s->sent = 0;
	done++;
	idle[idle_len++] = i;
}

static void send_idle(int fd)
{
	static struct mmsghdr msgs[BATCH];
	static struct iovec iov[BATCH];
	static unsigned turn;
	long now = now_ns();
	unsigned n = 0;

	while (idle_len && n < BATCH) {
		struct slot *s = &slots[idle[--idle_len]];

		question_write((unsigned)(s - slots), ++turn);
		s->sent = now;
		iov[n] = (struct iovec){ s->query, s->len };
		msgs[n].msg_hdr.msg_iov = &iov[n];
		msgs[n++].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned at = 0; at < n;) {
		int sent = sendmmsg(fd, msgs + at, n - at, 0);

		if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
			perror("dnsload: send");
			exit(2);
		}
		at += sent > 0 ? (unsigned)sent : 0;
	}
}

static void receive(int fd)
{
	static struct mmsghdr msgs[BATCH];
	static struct iovec iov[BATCH];
	static unsigned char buf[BATCH][BYTES];
	long now;
	int n;

	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ buf[i], BYTES };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		poll(&p, 1, 100);
		return;
	}
	now = now_ns();
	for (int i = 0; i < n; i++)
		answer_take(buf[i], msgs[i].msg_len, now);
}

static void give_up_old(void)
{
	long now = now_ns();

	for (unsigned i = 0; i < window; i++) {
		if (!slots[i].sent || now - slots[i].sent < LOST_NS)
			continue;
		slots[i].sent = 0;
		lost++;
		idle[idle_len++] = i;
	}
}

static int sample_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(unsigned n)
{
	return samples_len ? samples[samples_len * n / 100] / 1000. : 0;
}

static void run(int fd, double seconds)
{
	long start = now_ns(), end = start + (long)(seconds * 1e9);
	long look = start, took;

	while (now_ns() < end) {
		if (idle_len)
			send_idle(fd);
		receive(fd);
		if (now_ns() - look < LOST_NS / 4)
			continue;
		look = now_ns();
		give_up_old();
	}
	took = now_ns() - start;
	/* Those under way are neither lost nor done until they had time. */
	while (idle_len < window && now_ns() < end + 2 * LOST_NS) {
		receive(fd);
		give_up_old();
	}
	qsort(samples, samples_len, sizeof(*samples), sample_cmp);
	printf("rate=%.0f done=%ld lost=%ld wrong=%ld p50_us=%.1f "
	       "p99_us=%.1f\n",
	       (double)done * 1e9 / (double)took, done, lost, wrong,
	       percentile(50), percentile(99));
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(53) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int bytes = 4 << 20;

	if (argc != 6 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1 ||
	    atoi(argv[4]) < 1) {
		fputs("usage: dnsload flood|one|echo|echo-one ADDR SECONDS "
		      "NAMES SUFFIX\n",
		      stderr);
		return 2;
	}
	is_echo = strncmp(argv[1], "echo", 4) == 0;
	if (strstr(argv[1], "one"))
		window = 1;
	names = (unsigned)atoi(argv[4]);
	suffix = argv[5];
	samples = malloc(SAMPLES_MAX * sizeof(*samples));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (!samples || connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("dnsload");
		return 2;
	}
	while (idle_len < window) {
		idle[idle_len] = idle_len;
		idle_len++;
	}
	run(fd, atof(argv[3]));
	return lost || wrong || !done;
}
