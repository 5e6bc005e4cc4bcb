/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs - how often netd's eBPF programs run while a command does.
 *
 *   runs PINS.. -- COMMAND [ARG..]
 *
 * PINS are folders with a netd's pinned maps; the programs that use one of
 * those maps are counted, whatever else is loaded on the machine. Prints
 * `PROGRAM RUNS NANOSECONDS` for each name, summed over all folders, and ends
 * as the command does; the command's own words go to standard error.
 *
 * Counting is on for as long as a descriptor is open (BPF_ENABLE_STATS), so
 * it is off again however this ends.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAPS_MAX 256
#define PROGRAMS_MAX 256

struct program {
	__u32 id;
	char name[BPF_OBJ_NAME_LEN];
	__u64 runs, ns;
};

static __u32 maps[MAPS_MAX];
static size_t maps_len;
static struct program programs[PROGRAMS_MAX];
static size_t programs_len;

static void die(const char *what)
{
	fprintf(stderr, "runs: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The id of what is pinned, when that is a map; fdinfo says so, proc(5). */
static int map_id(int fd, __u32 *ret)
{
	char path[64], line[256];
	FILE *f;
	int err = -ENOENT;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (err && fgets(line, sizeof(line), f))
		if (sscanf(line, "map_id: %" SCNu32, ret) == 1)
			err = 0;
	fclose(f);
	return err;
}

static int note_pin(const char *path, const struct stat *st, int type,
		    struct FTW *walk)
{
	int fd;
	__u32 id;

	(void)st;
	(void)walk;
	if (type != FTW_F)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (!map_id(fd, &id) && maps_len < MAPS_MAX)
		maps[maps_len++] = id;
	close(fd);
	return 0;
}

static int uses_a_map(const __u32 *ids, __u32 len)
{
	for (__u32 i = 0; i < len; i++)
		for (size_t k = 0; k < maps_len; k++)
			if (ids[i] == maps[k])
				return 1;
	return 0;
}

static int program_info(__u32 id, struct bpf_prog_info *info, __u32 *ids)
{
	__u32 len = sizeof(*info);
	int fd = bpf_prog_get_fd_by_id(id);
	int err;

	if (fd < 0)
		return -errno;
	*info = (struct bpf_prog_info){
		.nr_map_ids = ids ? MAPS_MAX : 0,
		.map_ids = (__u64)(uintptr_t)ids,
	};
	err = bpf_obj_get_info_by_fd(fd, info, &len);
	close(fd);
	return err;
}

static void find_programs(void)
{
	struct bpf_prog_info info;
	__u32 ids[MAPS_MAX];
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		struct program *p = &programs[programs_len];

		if (program_info(id, &info, ids) ||
		    !uses_a_map(ids, info.nr_map_ids))
			continue;
		if (programs_len == PROGRAMS_MAX) {
			errno = E2BIG;
			die("programs");
		}
		p->id = id;
		memcpy(p->name, info.name, sizeof(p->name));
		p->runs = info.run_cnt;
		p->ns = info.run_time_ns;
		programs_len++;
	}
}

/* What was counted since find_programs(). */
static void read_programs(void)
{
	struct bpf_prog_info info;

	for (size_t i = 0; i < programs_len; i++) {
		struct program *p = &programs[i];

		if (program_info(p->id, &info, NULL))
			die("a program is gone");
		p->runs = info.run_cnt - p->runs;
		p->ns = info.run_time_ns - p->ns;
	}
}

static void print_programs(void)
{
	for (size_t i = 0; i < programs_len; i++) {
		struct program *p = &programs[i];

		for (size_t k = i + 1; k < programs_len; k++) {
			if (strcmp(programs[k].name, p->name))
				continue;
			p->runs += programs[k].runs;
			p->ns += programs[k].ns;
			programs[k--] = programs[--programs_len];
		}
		printf("%s %llu %llu\n", p->name, (unsigned long long)p->runs,
		       (unsigned long long)p->ns);
	}
}

static int run_command(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(argv[0], argv);
		die(argv[0]);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	int i, stats, code;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (nftw(argv[i], note_pin, 16, FTW_PHYS))
			die(argv[i]);
	if (i < 2 || i + 1 >= argc) {
		fputs("usage: runs PINS.. -- COMMAND [ARG..]\n", stderr);
		return 2;
	}
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (stats < 0)
		die("cannot count");
	find_programs();
	if (!programs_len) {
		fputs("runs: no program uses a map pinned there\n", stderr);
		return 1;
	}
	code = run_command(argv + i + 1);
	read_programs();
	close(stats);
	print_programs();
	return code;
}
