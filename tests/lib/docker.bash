# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Real Docker engines inside hosts of the lab, one each: their own data, their
# own sockets, cgroups and mounts; they end without a process, mount or cgroup
# left.
#
# An engine lives in a mount namespace of its own, held by a process, so that
# it finds what is its own again when it is started anew, and so that every
# engine has /etc/docker/plugins and a resolv.conf for itself.

RUN=${RUN:-/run/netd-${LAB_NAME:-test}}
DOCKER_RUN=/run/netd-${LAB_NAME:-test}/docker
DOCKER_CGROUP=nd-${LAB_NAME:-test}

# dkn K WORDS..: docker on host K. dk WORDS..: on host 1.
dkn()
{
	local k=$1
	shift
	timeout 60 docker -H "unix://$DOCKER_RUN/$k/sock" "$@"
}
dk() { dkn 1 "$@"; }

# Runs in the mount namespace of the engine of host K, and in its network.
docker_inside()
{
	local k=$1
	shift
	nsenter -t "$(cat "$RUN/jobs/docker-ns-$k")" -m \
		--net="/run/netns/${NS}node$k" -- "$@"
}

docker_has_ns() { docker_inside "$1" test -e /run/docker/ready; }

docker_ns()
{
	local k=$1 plugin=$2

	# shellcheck disable=SC2016 # for the inner shell
	background "docker-ns-$k" unshare -m sh -c '
		mkdir -p /etc/docker /run/docker &&
		mount -t tmpfs tmpfs /etc/docker &&
		mount -t tmpfs tmpfs /run/docker &&
		mkdir /etc/docker/plugins &&
		echo "unix://$0" >/etc/docker/plugins/netd.spec &&
		echo "nameserver 192.0.2.254" >/run/docker/resolv.conf &&
		mount --bind /run/docker/resolv.conf /etc/resolv.conf &&
		touch /run/docker/ready && exec sleep infinity' "$plugin"
	until_true 5 docker_has_ns "$k"
}

# docker_start K [OPTIONS..]: starts dockerd on host K, and waits for it.
docker_start()
{
	local k=$1 dir=$DOCKER_RUN/$1
	shift
	background "dockerd-$k" nsenter \
		-t "$(cat "$RUN/jobs/docker-ns-$k")" -m \
		--net="/run/netns/${NS}node$k" -- \
		dockerd --data-root "$dir/data" --exec-root "$dir/exec" \
		-H "unix://$dir/sock" --pidfile "$dir/pid" \
		--storage-driver vfs --cgroup-parent "/$DOCKER_CGROUP" "$@"
	until_true 30 dkn "$k" version
}

# An image `box` of busybox: a shell, a web server that says who asks.
docker_image()
{
	local root

	root=$(mktemp -d)
	mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/www/cgi-bin"
	cp /bin/busybox "$root/bin"
	chroot "$root" /bin/busybox --install -s /bin
	cat >"$root/www/cgi-bin/who" <<-'END'
		#!/bin/sh
		printf 'Content-Type: text/plain\r\n\r\n'
		addr=${REMOTE_ADDR#\[}
		addr=${addr%]}
		echo "$(hostname) from ${addr#::ffff:}"
	END
	chmod +x "$root/www/cgi-bin/who"
	tar -C "$root" -c . | dkn "$1" import - box >/dev/null
	rm -rf "$root"
}

# docker_up K [SOCKET]: an engine on host K whose plugin `netd` is there.
docker_up()
{
	mkdir -p "$DOCKER_RUN/$1"
	docker_ns "$1" "${2:-$RUN/node$1/docker.sock}"
	docker_start "$1"
	docker_image "$1"
}

docker_pid()
{
	local pid

	pid=$(cat "$DOCKER_RUN/$1/pid" 2>/dev/null) &&
		[[ $(readlink "/proc/$pid/exe") == *dockerd* ]] && echo "$pid"
}

docker_ended() { ! docker_pid "$1" >/dev/null; }

# docker_end K SIGNAL: and whatever of it would be found as running.
docker_end()
{
	local pid

	pid=$(docker_pid "$1") || return 0
	kill "-$2" "$pid"
	until_true 20 docker_ended "$1"
	rm -f "$DOCKER_RUN/$1/pid" "$RUN/jobs/dockerd-$1"
	[[ $2 != KILL ]] || docker_end_containerd "$1"
}

# containerd dies with its dockerd; where nobody asks how it ended, the next
# dockerd would take it for alive.
docker_end_containerd()
{
	local file=$DOCKER_RUN/$1/exec/containerd/containerd.pid

	[[ -e $file ]] || return 0
	until_true 10 gone "$(cat "$file")"
	rm -f "$file"
}

# Whatever runs with its root below the engines' data: containers whose
# engine was killed.
docker_inhabitants()
{
	grep -lsE "^[0-9]+ [0-9]+ [^ ]+ [^ ]*${DOCKER_RUN#/run}/[^ ]* / " \
		/proc/[0-9]*/mountinfo | tr -dc '0-9\n'
}

# Their shims, which would take what is below them for lost.
docker_shims()
{
	grep -lz "$DOCKER_RUN/.*containerd.sock" /proc/[0-9]*/cmdline \
		2>/dev/null | tr -dc '0-9\n'
}

docker_cgroups() { find /sys/fs/cgroup -depth -type d -path "*/$DOCKER_CGROUP*"; }

# Also what an engine that was killed left behind.
docker_down()
{
	local dir k i

	for dir in "$DOCKER_RUN"/[0-9]*; do
		k=${dir##*/}
		docker_pid "$k" >/dev/null || continue
		dkn "$k" ps -aq | xargs -r timeout 30 docker \
			-H "unix://$dir/sock" rm -f >/dev/null
		docker_end "$k" TERM
	done
	docker_shims | xargs -r kill -KILL 2>/dev/null || :
	docker_inhabitants | xargs -r kill -KILL 2>/dev/null || :
	for ((i = 0; i < 50; i++)); do
		docker_cgroups | xargs -r rmdir 2>/dev/null || :
		[[ -n $(docker_cgroups) ]] || break
		sleep 0.1
	done
	for dir in "$DOCKER_RUN"/[0-9]*; do
		job_end "docker-ns-${dir##*/}"
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
