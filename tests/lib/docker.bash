# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A real Docker engine inside a host of the lab: its own data, its own
# socket, its own cgroups; ends without a process, mount or cgroup left.

DOCKER_RUN=/run/netd-${LAB_NAME:-test}/docker
DOCKER_CGROUP=nd-${LAB_NAME:-test}

dk() { timeout 60 docker -H "unix://$DOCKER_RUN/sock" "$@"; }

# docker_up K: starts dockerd on host K, with an image `box` of busybox.
docker_up()
{
	local root

	mkdir -p "$DOCKER_RUN"
	background dockerd nsenter --net="/run/netns/${NS}node$1" -- \
		dockerd --data-root "$DOCKER_RUN/data" \
		--exec-root "$DOCKER_RUN/exec" -H "unix://$DOCKER_RUN/sock" \
		--pidfile "$DOCKER_RUN/pid" --storage-driver vfs \
		--cgroup-parent "/$DOCKER_CGROUP"
	until_true 30 dk version
	root=$(mktemp -d)
	mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/www"
	cp /bin/busybox "$root/bin"
	chroot "$root" /bin/busybox --install -s /bin
	tar -C "$root" -c . | dk import - box >/dev/null
	rm -rf "$root"
}

# Whatever runs with its root below the engine's data: containers whose
# engine was killed.
docker_inhabitants()
{
	awk -v dir="${DOCKER_RUN#/run}/data/" \
		'$5 == "/" && index($4, dir) { print FILENAME }' \
		/proc/[0-9]*/mountinfo 2>/dev/null | tr -dc '0-9\n'
}

docker_cgroups() { find /sys/fs/cgroup -depth -type d -path "*/$DOCKER_CGROUP*"; }

docker_pid()
{
	local pid

	pid=$(cat "$DOCKER_RUN/pid" 2>/dev/null) &&
		[[ $(readlink "/proc/$pid/exe") == *dockerd* ]] && echo "$pid"
}

docker_ended() { ! docker_pid >/dev/null; }

# Also what an engine that was killed left behind.
docker_down()
{
	local pid i

	if pid=$(docker_pid); then
		dk ps -aq | xargs -r timeout 20 docker \
			-H "unix://$DOCKER_RUN/sock" rm -f >/dev/null
		kill -TERM "$pid"
		for ((i = 0; i < 200; i++)); do
			docker_ended && break
			sleep 0.1
		done
	fi
	docker_inhabitants | xargs -r kill -KILL 2>/dev/null || :
	for ((i = 0; i < 50; i++)); do
		docker_cgroups | xargs -r rmdir 2>/dev/null || :
		[[ -n $(docker_cgroups) ]] || break
		sleep 0.1
	done
	awk -v d="$DOCKER_RUN/" 'index($5, d) == 1 { print $5 }' \
		/proc/self/mountinfo | tac | xargs -r umount -l
	rm -rf "$DOCKER_RUN"
}

# Says what is left, and fails if anything is.
docker_trace()
{
	local left

	left=$(docker_inhabitants)
	left+=$(docker_cgroups)
	left+=$(awk -v d="$DOCKER_RUN/" 'index($5, d) == 1 { print $5 }' \
		/proc/self/mountinfo)
	left+=$(grep -lz "$DOCKER_RUN" /proc/[0-9]*/cmdline 2>/dev/null || :)
	[[ -z $left ]] || {
		echo "docker left: $left"
		return 1
	}
}
