#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# One step after the other fails, or is the last that netd does. What was asked
# for is refused with a reason or done, never half, and when all is taken away
# nothing is left. The daemon itself says which steps there are.

load ../lib/e2e

FAULT=$RUN/fault
export NETD_FAULT_FILE=$FAULT

setup_file()
{
	lab_up 1 --store sqlite
	figure >"$RUN/out/before"
}
teardown_file() { lab_down; }

# All that a pod, a network and a service leave their traces in.
figure()
{
	local map

	on 1 ip -o link show | grep -oE '\bn[dp][0-9a-f]{12}\b' || :
	on 1 ip route show table all proto 78
	on 1 ip -o addr show dev netd0 | awk '{ print $4 }'
	on 1 nft list table ip netd 2>/dev/null || :
	ls "$RUN/node1/ns" "$RUN/node1/resolv" "$RUN/node1/bpf/links" \
		2>/dev/null || :
	for map in "$RUN"/node1/bpf/maps-v*/{nets,pods,endpoints,frontends,sockets,routes}; do
		echo "${map##*/} $(bpftool map dump pinned "$map" | tail -n 1)"
	done
	n 1 network ls -q
	n 1 pod ls -q
	n 1 service ls -q
}

as_before() { diff -u "$RUN/out/before" <(figure); }

netd_is_dead() { gone "$(daemon_pid 1)"; }

# Anew, when it has died; the lab waits until it is ready.
revive()
{
	! netd_is_dead || lab start 1
}

# try NO-MATTER WORDS..: netctl, once more where it was refused or broken off.
# The second time it may have been done already.
try()
{
	local fine=$1 out
	shift
	out=$(n 1 "$@" 2>&1) && return
	[ -n "$out" ] || return
	until_true 5 settled
	revive
	out=$(n 1 "$@" 2>&1) || [[ $out == *$fine* ]] || {
		echo "$*: $out"
		return 1
	}
}

# A daemon that was killed takes a moment to be dead.
settled() { netd_is_dead || n 1 version; }

walk()
{
	try exists network create fault
	try exists service create web --network fault --port 80 \
		--selector app=web
	try exists pod create p --network fault --label app=web
	try 'not found' pod rm p
	try 'not found' service rm web --network fault
	try 'not found' network rm fault
	revive
}

# All of them with NETD_LONG=1, else those that fail and every fourth that
# dies, by a seed. Docker's calls have a file of their own.
points()
{
	local seed=${NETD_SEED:-$RANDOM}

	[[ -z ${NETD_LONG-} ]] || { grep -v ^docker "$FAULT.points"; return; }
	echo "# NETD_SEED=$seed" >&2
	grep -v ^docker "$FAULT.points" |
		awk -v s=$((seed % 4)) '/ fail$/ || (NR % 4) == s'
}

@test "every step that fails, or is the last, leaves nothing" {
	[ "$(wc -l <"$FAULT.points")" -ge 20 ]
	points >"$RUN/out/points"
	while read -r point; do
		echo "== $point"
		echo "$point" >"$FAULT"
		walk
		# It came to it.
		until_true 3 test ! -e "$FAULT"
		revive
		until_true 10 as_before
	done <"$RUN/out/points"
}

hears() { grep -qa "$1" "$RUN/out/notify"; }

@test "the service manager hears that the loop runs" {
	lab stop 1
	background notify nc -kluU "$RUN/notify"
	until_true 5 test -S "$RUN/notify"
	WATCHDOG_USEC=200000 NOTIFY_SOCKET=$RUN/notify lab start 1
	until_true 5 hears READY=1
	until_true 5 hears WATCHDOG=1
	# The loop does nothing while it is stopped: nor does it say so.
	kill -STOP "$(daemon_pid 1)"
	: >"$RUN/out/notify"
	never_within 1 hears WATCHDOG=1
	kill -CONT "$(daemon_pid 1)"
	until_true 5 hears WATCHDOG=1
}
