# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # shared with the scripts that read this
# What the kernel does without netd: a bridge and a VXLAN device on each of
# two hosts, and balancing by nftables and iptables. Each gets its best
# layout: no learning, no flooding, no bridge netfilter, entries set by hand,
# tunnel packets kept out of connection tracking.

vip=10.96.0.10

# pod_mac ADDRESS: a MAC made from it.
pod_mac()
{
	local IFS=.
	# shellcheck disable=SC2086 # four numbers
	printf '02:00:%02x:%02x:%02x:%02x' $1
}

# add_bridge HOST [ADDRESS]
add_bridge()
{
	ip -n "ndb-$1" link add br0 type bridge
	ip -n "ndb-$1" link set br0 mtu 1450 up
	set_sysctl "$1" net.bridge.bridge-nf-call-iptables=0
	[[ $# -lt 2 ]] || ip -n "ndb-$1" addr add "$2" dev br0
}

# add_bridge_pod NS HOST PORT ADDRESS/LEN [GATEWAY]
add_bridge_pod()
{
	local ns=$1 host=$2 dev=$3 addr=$4 mac

	mac=$(pod_mac "${addr%/*}")
	add_ns "$ns"
	ip link add "$dev" netns "ndb-$host" mtu 1450 type veth \
		peer name eth0 mtu 1450 address "$mac" netns "ndb-$ns"
	ip -n "ndb-$host" link set "$dev" master br0 up
	ip -n "ndb-$ns" addr add "$addr" dev eth0
	ip -n "ndb-$ns" link set eth0 up
	[[ $# -lt 5 ]] || ip -n "ndb-$ns" route add default via "$5"
	tune_pod "$ns"
}

# add_vxlan HOST LOCAL
add_vxlan()
{
	ip -n "ndb-$1" link add vxlan0 type vxlan id 7 dstport 4789 \
		local "$2" dev eth0 nolearning noudpcsum
	ip -n "ndb-$1" link set vxlan0 mtu 1450 up
}

# bridge_far HOST ADDRESS VTEP: a pod behind the other host.
bridge_far()
{
	local mac

	mac=$(pod_mac "$2")
	bridge -n "ndb-$1" fdb add "$mac" dev vxlan0 dst "$3" self permanent
	bridge -n "ndb-$1" fdb add "$mac" dev vxlan0 master static
}

# meet NS NS..: the first knows the others' MACs, and they its.
meet()
{
	local one=$1 addr mac ns far
	shift
	addr=$(ip -n "ndb-$one" -4 -o addr show eth0 | awk '{ print $4 }')
	mac=$(pod_mac "${addr%/*}")
	for ns; do
		far=$(ip -n "ndb-$ns" -4 -o addr show eth0 |
			awk '{ print $4 }')
		ip -n "ndb-$ns" neigh add "${addr%/*}" lladdr "$mac" \
			dev eth0 nud permanent
		ip -n "ndb-$one" neigh add "${far%/*}" \
			lladdr "$(pod_mac "${far%/*}")" dev eth0 nud permanent
	done
}

# switched P: hosts P-a and P-b with one layer-2 network over both: client
# P-c (10.99.0.10) on a, backends P-s1 and P-s2 (.21, .22) on b.
switched()
{
	local p=$1 host

	add_hosts "$p"
	for host in a b; do
		add_bridge "$p-$host"
	done
	add_vxlan "$p-a" 192.0.2.1
	add_vxlan "$p-b" 192.0.2.2
	for host in a b; do
		ip -n "ndb-$p-$host" link set vxlan0 master br0
		bridge -n "ndb-$p-$host" link set dev vxlan0 learning off \
			flood off
	done
	add_bridge_pod "$p-c" "$p-a" c 10.99.0.10/24
	add_bridge_pod "$p-s1" "$p-b" s1 10.99.0.21/24
	add_bridge_pod "$p-s2" "$p-b" s2 10.99.0.22/24
	bridge_far "$p-a" 10.99.0.21 192.0.2.2
	bridge_far "$p-a" 10.99.0.22 192.0.2.2
	bridge_far "$p-b" 10.99.0.10 192.0.2.1
	meet "$p-c" "$p-s1" "$p-s2"
	ip -n "ndb-$p-c" route add default via 10.99.0.1
	ip -n "ndb-$p-c" neigh add 10.99.0.1 lladdr 02:00:00:00:00:01 \
		dev eth0 nud permanent
}

# routed P: a subnet on each host, routes between them over VXLAN, so that a
# host's netfilter sees both directions: what Kubernetes' nodes look like.
# Client P-c (10.99.1.10) on a, backends P-s1 and P-s2 (10.99.2.21, .22) on
# b, and P-l1 and P-l2 (10.99.1.21, .22) on a.
routed()
{
	local p=$1 k host far

	add_hosts "$p"
	for k in 1 2; do
		host=$p-$([[ $k = 1 ]] && echo a || echo b)
		add_bridge "$host" "10.99.$k.1/24"
		add_vxlan "$host" "192.0.2.$k"
		ip -n "ndb-$host" link set vxlan0 address "02:00:00:00:07:0$k"
		ip -n "ndb-$host" addr add "10.99.$k.0/32" dev vxlan0
		far=$((3 - k))
		bridge -n "ndb-$host" fdb add "02:00:00:00:07:0$far" \
			dev vxlan0 dst "192.0.2.$far" self permanent
		ip -n "ndb-$host" neigh add "10.99.$far.0" nud permanent \
			lladdr "02:00:00:00:07:0$far" dev vxlan0
		ip -n "ndb-$host" route add "10.99.$far.0/24" \
			via "10.99.$far.0" dev vxlan0 onlink
		set_sysctl "$host" net.ipv4.ip_forward=1
		# Thousands of short connections stay in the table no longer
		# than they must.
		set_sysctl "$host" \
			net.netfilter.nf_conntrack_tcp_timeout_time_wait=1
	done
	add_bridge_pod "$p-c" "$p-a" c 10.99.1.10/24 10.99.1.1
	add_bridge_pod "$p-l1" "$p-a" l1 10.99.1.21/24 10.99.1.1
	add_bridge_pod "$p-l2" "$p-a" l2 10.99.1.22/24 10.99.1.1
	add_bridge_pod "$p-s1" "$p-b" s1 10.99.2.21/24 10.99.2.1
	add_bridge_pod "$p-s2" "$p-b" s2 10.99.2.22/24 10.99.2.1
}

# nft_balance NS HOOK ADDRESS FIRST BACKEND BACKEND: ADDRESS:FIRST.. to the
# servers' ports; one look-up for all services, one for the backend.
nft_balance()
{
	local ns=$1 hook=$2 addr=$3 first=$4 one=$5 two=$6 k proto priority
	local elements="" chains=""

	priority=-100
	for ((k = 0; k < ports; k++)); do
		for proto in tcp udp; do
			elements+="$addr . $proto . $((first + k)) : "
			elements+="goto $proto-$((first + k)), "
			chains+="chain $proto-$((first + k)) {
				meta l4proto $proto dnat ip to numgen random mod 2 map {
					0 : $one . $((port + k)),
					1 : $two . $((port + k)) }
			}
			"
		done
	done
	inside "$ns" nft -f - <<-END
		table ip bench-$first {
			$chains
			map services {
				type ipv4_addr . inet_proto . inet_service : verdict
				elements = { $elements }
			}
			chain $hook {
				type nat hook $hook priority $priority
				ip daddr . ip protocol . th dport vmap @services
			}
		}
	END
}

nft_notrack()
{
	inside "$1" nft -f - <<-'END'
		table ip bench-tunnel {
			chain in {
				type filter hook prerouting priority raw
				udp dport 4789 notrack
			}
			chain out {
				type filter hook output priority raw
				udp dport 4789 notrack
			}
		}
	END
}

# nft_masquerade NS DEVICE: answers come back this way.
nft_masquerade()
{
	inside "$1" nft -f - <<-END
		table ip bench-back {
			chain out {
				type nat hook postrouting priority srcnat
				oifname "$2" ct status dnat masquerade
			}
		}
	END
}

# iptables_balance NS ADDRESS FIRST BACKEND BACKEND
iptables_balance()
{
	local ns=$1 addr=$2 first=$3 one=$4 two=$5 k proto chain

	{
		echo '*raw'
		echo '-A PREROUTING -p udp --dport 4789 -j NOTRACK'
		echo '-A OUTPUT -p udp --dport 4789 -j NOTRACK'
		echo 'COMMIT'
		echo '*nat'
		for ((k = 0; k < ports; k++)); do
			for proto in tcp udp; do
				chain=BENCH-$proto-$k
				echo ":$chain -"
				echo "-A PREROUTING -d $addr -p $proto" \
					"--dport $((first + k)) -j $chain"
				echo "-A $chain -p $proto -m statistic" \
					"--mode random --probability 0.5" \
					"-j DNAT --to $one:$((port + k))"
				echo "-A $chain -p $proto" \
					"-j DNAT --to $two:$((port + k))"
			done
		done
		echo 'COMMIT'
	} | inside "$ns" iptables-legacy-restore
}
