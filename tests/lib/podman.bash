# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Real podman with its CNI backend, and a real containerd, on a host of the
# lab: their own data, their own configuration, nothing of the machine's.

ENGINES=/run/netd-${LAB_NAME:-test}/engines
ENGINES_CGROUP=nd-${LAB_NAME:-test}-engines

# A root file system of busybox as a tar file: $ENGINES/box.tar.
box_image()
{
	local root

	root=$(mktemp -d)
	mkdir -p "$ENGINES" "$root/bin" "$root/etc" "$root/tmp" "$root/www"
	cp /bin/busybox "$root/bin"
	chroot "$root" /bin/busybox --install -s /bin
	tar -C "$root" -cf "$ENGINES/box.tar" .
	rm -rf "$root"
}

# pm K WORDS..: podman on host K. runc, as crun refuses hybrid cgroups.
pm()
{
	local k=$1
	shift
	CONTAINERS_CONF=$ENGINES/containers.conf \
		CONTAINERS_STORAGE_CONF=$ENGINES/storage.conf \
		timeout 60 nsenter --net="/run/netns/${NS}node$k" -- \
		podman --tmpdir "$ENGINES/tmp" "$@" </dev/null 3>&-
}

# podman_up K: with netd's network as the default one, and an image `box`.
podman_up()
{
	box_image
	cat >"$ENGINES/containers.conf" <<-END
		[engine]
		runtime = "runc"
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		[engine.runtimes]
		runc = ["/usr/sbin/runc"]
		[network]
		network_backend = "cni"
		cni_plugin_dirs = ["$ENGINES/bin"]
		network_config_dir = "$ENGINES/net.d"
		default_network = "netd"
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
	END
	cat >"$ENGINES/storage.conf" <<-END
		[storage]
		driver = "vfs"
		runroot = "$ENGINES/runroot"
		graphroot = "$ENGINES/root"
	END
	n "$1" cni install --conf-dir "$ENGINES/net.d" \
		--bin-dir "$ENGINES/bin" >/dev/null
	pm "$1" import "$ENGINES/box.tar" box >/dev/null
}

podman_down()
{
	pm "$1" rm -f -t 0 -a >/dev/null || :
	engines_unmount
	rm_cgroups libpod_parent
}

# ct K WORDS..: ctr on host K; it looks for plugins at fixed places.
ct()
{
	local k=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	timeout 60 nsenter --net="/run/netns/${NS}node$k" -- unshare -m bash -c '
		set -e
		dir=$1
		shift
		mkdir -p /etc/cni/net.d /var/lib/cni
		mount -t tmpfs none /opt
		mount -t tmpfs none /var/lib/cni
		mkdir -p /opt/cni/bin
		mount --bind "$dir/net.d" /etc/cni/net.d
		mount --bind "$dir/bin" /opt/cni/bin
		exec ctr -a "$dir/sock" "$@"' - "$ENGINES" "$@" </dev/null 3>&-
}

# containerd_up K: after podman_up, whose image it takes.
containerd_up()
{
	cat >"$ENGINES/config.toml" <<-END
		version = 2
		root = "$ENGINES/ctrd/root"
		state = "$ENGINES/ctrd/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri",
			"io.containerd.internal.v1.opt"]
		[grpc]
		  address = "$ENGINES/sock"
	END
	pm "$1" save --format docker-archive -o "$ENGINES/box.docker.tar" box \
		2>/dev/null
	background containerd nsenter --net="/run/netns/${NS}node$1" -- \
		containerd -c "$ENGINES/config.toml"
	until_true 20 ct "$1" version
	ct "$1" image import --snapshotter native "$ENGINES/box.docker.tar" \
		>/dev/null
}

# ct_run K NAME COMMAND..
ct_run()
{
	local k=$1 name=$2
	shift 2
	ct "$k" run -d --cni --snapshotter native \
		--runc-binary /usr/sbin/runc --cgroup "/$ENGINES_CGROUP/$name" \
		localhost/box:latest "$name" "$@"
}

ct_rm()
{
	ct "$1" task kill -s KILL "$2"
	until_true 5 ct "$1" task rm "$2"
	ct "$1" container rm "$2"
}

containerd_down()
{
	job_end containerd
	engines_unmount
	rm_cgroups "$ENGINES_CGROUP"
}

# Those that are in use stay.
rm_cgroups()
{
	find /sys/fs/cgroup -depth -type d -path "*/$1*" \
		-exec rmdir {} + 2>/dev/null || :
}

engines_unmount()
{
	awk -v d="$ENGINES/" 'index($5, d) == 1 { print $5 }' \
		/proc/self/mountinfo | tac | xargs -r umount -l
}
