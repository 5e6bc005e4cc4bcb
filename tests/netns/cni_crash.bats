#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The CNI plugin under stress: many at once, killed between steps, and called
# wrongly by the hundred. Whatever happens, DEL or GC leaves nothing.

load ../lib/e2e
load ../lib/cni

MANY=50

setup_file()
{
	lab_up 1
	for i in $(seq "$MANY"); do
		box_up "m$i"
	done
}

teardown_file()
{
	for i in $(seq "$MANY"); do
		box_down "m$i"
	done
	lab_down
}

# Nothing of any container: not in the journal, not as a link, not as a port.
nothing()
{
	local left

	left=$(n 1 pod ls -q)
	left+=$(on 1 ip -br link | grep '^nd[0-9a-f]' || :)
	left+=$(inside "${1:-m1}" ip -br link show type veth)
	left+=$(ls -A "$RUN/node1/resolv")
	left+=$(ask_on ext tcp 192.0.2.1 8080 2>/dev/null || :)
	[[ -z $left ]] || {
		echo "left: $left"
		return 1
	}
}

# all COMMAND: about every container at once; how many failed.
all()
{
	local pids="" failed=0 i

	for i in $(seq "$MANY"); do
		cni "$1" "m$i" "$(conf 1)" >"$RUN/out/m$i" 2>&1 3>&- &
		pids+=" $!"
	done
	for i in $pids; do
		wait "$i" || failed=$((failed + 1))
	done
	echo "$failed"
}

port_conf()
{
	conf 1 '.runtimeConfig.portMappings =
		[{hostPort: 8080, containerPort: 80}]'
}

# begin COMMAND ID [CONF]: in the background; its pid in $plugin.
begin()
{
	local conf=${3:-$(conf 1)}

	printf '%s\n' "$conf" >"$RUN/out/conf"
	CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=$(box_path "$2") \
		CNI_IFNAME=eth0 "$BIN/netd-cni" <"$RUN/out/conf" \
		>"$RUN/out/result" 3>&- &
	plugin=$!
}
wait_ms() { for_a_while "$(printf '0.%03d' "$1")"; }

@test "fifty ADDs at once, each with an address of its own" {
	start=$(now_ms)
	[ "$(all ADD)" = 0 ]
	took=$(($(now_ms) - start))
	echo "# $MANY ADDs at once: $took ms" >&3
	[ "$took" -lt 20000 ]
	[ "$(cat "$RUN"/out/m* | jq -r '.ips[0].address' | sort -u |
		wc -l)" -eq "$MANY" ]
	[ "$(n 1 pod ls -q | wc -l)" -eq "$MANY" ]
	for i in 1 17 "$MANY"; do
		inside "m$i" ping -c 1 -W 2 "$(jq -r '.ips[0].address |
			sub("/.*"; "")' "$RUN/out/m2")"
	done
}

@test "fifty DELs at once, and again" {
	[ "$(all DEL)" = 0 ]
	[ "$(all DEL)" = 0 ]
	nothing
}

@test "a plugin killed at any moment: DEL leaves nothing" {
	for ms in 0 1 2 3 4 5 6 8 10 12 15 20; do
		begin ADD m1 "$(port_conf)"
		wait_ms "$ms"
		kill -9 "$plugin" 2>/dev/null || :
		wait "$plugin" || :
		cni DEL m1
		# One whose request came after DEL's is nobody's: GC's.
		cni GC - "$(conf 1 '."cni.dev/valid-attachments" = []')"
		nothing
	done
}

@test "a plugin killed in DEL: the next one leaves nothing" {
	for ms in 0 2 4 8; do
		cni ADD m1 "$(port_conf)" >/dev/null
		begin DEL m1
		wait_ms "$ms"
		kill -9 "$plugin" 2>/dev/null || :
		wait "$plugin" || :
		cni DEL m1
		nothing
	done
}

@test "netd killed at any moment of ADD: what failed is undone, DEL undoes the rest" {
	local rounds="0 2 4 6 8 10 12 15 20 30"

	for ms in $rounds; do
		begin ADD m1 "$(port_conf)"
		wait_ms "$ms"
		lab kill 1
		added=0
		wait "$plugin" || added=$?
		lab start 1
		if ((added)); then
			# Said to have failed: nobody calls DEL.
			until_true 5 nothing
		fi
		cni DEL m1
		nothing
	done
}

@test "netd killed at any moment of DEL" {
	for ms in 0 3 6 10 20; do
		cni ADD m1 "$(port_conf)" >/dev/null
		begin DEL m1
		wait_ms "$ms"
		lab kill 1
		wait "$plugin"
		lab start 1
		until_true 5 nothing
	done
}

@test "calls that are wrong, by the hundred: refused, and nothing changed" {
	count=300
	[[ -z ${NETD_LONG-} ]] || count=2000
	cni ADD m2 >/dev/null
	n 1 pod ls -o json >"$RUN/out/before"
	on 1 "$BIN/nd-cnimess" 0 "$count" "$BIN/netd-cni" \
		"$(box_path m1)" "$RUN/node1/netd.sock" >&2
	n 1 pod ls -o json | diff "$RUN/out/before" -
	[ -z "$(inside m1 ip -br link show type veth)" ]
	[ -z "$(ls -A "$RUN/node1/cni")" ]
	cni DEL m2
	nothing m2
}
