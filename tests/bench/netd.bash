# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # shared with the scripts that read this
# Hosts with netd on them. Their folders are /mnt/HOST.

# ctl HOST ARGS..: netctl of that host.
ctl()
{
	local host=$1
	shift
	"$bin/netctl" -H "unix:///mnt/$host/netd.sock" "$@"
}

# start_netd HOST ADDRESS STORE: waits until it has read its store.
start_netd()
{
	local host=$1

	mkdir -m 0700 "/mnt/$host"
	spawn "netd-$host" "$host" env NETD_STORE_INSECURE=true \
		NETD_DNS_UPSTREAMS=192.0.2.254 \
		"$bin/netd" --root "/mnt/$host" --node "$host" \
		--address "$2" --store "$3"
	until_true 20 ctl "$host" network ls ||
		die "netd of $host does not answer" \
			"$(tail -n 5 "/mnt/log/netd-$host")"
}

pid_of() { cat "/mnt/$1/netd.pid"; }

etcd_answers()
{
	inside "$1" curl -fs -m 2 http://127.0.0.1:2379/health
}

start_etcd()
{
	spawn "etcd-$1" "$1" etcd --name bench --data-dir "/mnt/etcd-$1" \
		--listen-client-urls http://192.0.2.1:2379,http://127.0.0.1:2379 \
		--advertise-client-urls http://192.0.2.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 \
		--initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster bench=http://127.0.0.1:2380
	until_true 20 etcd_answers "$1" ||
		die "etcd does not answer" "$(tail -n 3 "/mnt/log/etcd-$1")"
}

# netd_hosts P [LATER [XDP]]: hosts P-a and P-b, a netd on each, one network.
# LATER runs before netd starts. XDP: overlay.xdp of P-a.
netd_hosts()
{
	local host

	add_hosts "$1"
	[[ $# -lt 2 ]] || "$2" "$1"
	start_etcd "$1-a"
	NETD_OVERLAY_XDP=${3-off} start_netd "$1-a" 192.0.2.1 etcd://192.0.2.1:2379
	start_netd "$1-b" 192.0.2.2 etcd://192.0.2.1:2379
	ctl "$1-a" network create bench --subnet 10.77.0.0/24 >/dev/null
	for host in a b; do
		until_true 10 ctl "$1-$host" network inspect bench ||
			die "the network does not come to host $host"
	done
}

# netd_pod HOST NS ROLE
netd_pod()
{
	add_ns "$2"
	ctl "$1" pod create "$2" --netns "$(path_of "$2")" --network bench \
		--label "role=$3" >/dev/null
	tune_pod "$2"
}

pod_address()
{
	ip -n "ndb-$1" -4 -o addr show scope global |
		awk '{ sub(/\/.*/, "", $4); print $4 }'
}

# netd_pods P: client P-c on a, backends P-s1 and P-s2 on b, and P-l1 and
# P-l2 on a. Sets netd_backends.
netd_pods()
{
	netd_pod "$1-a" "$1-c" client
	netd_pod "$1-a" "$1-l1" local
	netd_pod "$1-a" "$1-l2" local
	netd_pod "$1-b" "$1-s1" backend
	netd_pod "$1-b" "$1-s2" backend
	netd_backends=("$(pod_address "$1-s1")" "$(pod_address "$1-s2")")
}

# answers NS ADDRESS PORT
answers()
{
	load "$1" tcp-crr -c 1 -n 1 -p "$3" "$2"
}

# netd_service HOST NAME ROLE [PUBLISHED]: on the ports that servers listen
# on; published from PUBLISHED up, if given. Sets netd_vip.
netd_service()
{
	local -a words=()
	local k proto

	for ((k = 0; k < ports; k++)); do
		for proto in tcp udp; do
			words+=(--port "$((port + k))/$proto")
			[[ $# -lt 4 ]] || words+=(--publish
				"$(($4 + k)):$((port + k))/$proto")
		done
	done
	ctl "$1" service create "$2" --network bench --selector "role=$3" \
		"${words[@]}" >/dev/null
	netd_vip=$(ctl "$1" service inspect "$2" --network bench -o json |
		jq -r '.[0].vip')
}
