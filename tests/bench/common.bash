# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # shared with the scripts that read this
# What every measurement here shares: a world of its own, hosts and pods as
# namespaces, the load, and tables.
#
# A measurement runs in its own mount and process namespaces below a process
# that dies with its parent. Named network namespaces live on a tmpfs over
# /run, files on one over /mnt: whatever ends the script, SIGKILL included,
# the kernel takes all of it away, and nothing of the machine is changed.

bench=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
top=$(cd "$bench/../.." && pwd)
build=$(readlink -f "${BENCH_BUILD:-$top/build}")
bin=$build/bin
tools=$build/bench
quick=""

die()
{
	echo "${0##*/}: $1" >&2
	[[ $# -lt 2 ]] || echo "hint: $2" >&2
	exit 1
}

# begin WHAT NEEDED.. -- ARGS..: reads the words all measurements take, and
# goes on in a world of its own. NEEDED: programs below the build folder.
begin()
{
	local what=$1 word
	local -a needed=()

	shift
	while [[ $1 != -- ]]; do
		needed+=("$1")
		shift
	done
	shift
	for word; do
		case $word in
		--quick) quick=1 ;;
		*)
			echo "usage: tests/bench/${0##*/} [--quick]" >&2
			echo "$what" >&2
			echo "BENCH_BUILD=DIR: the build (default: build)" >&2
			exit 2
			;;
		esac
	done
	[[ $(id -u) -eq 0 ]] || die "needs root" "sudo tests/bench/${0##*/}"
	for word in "${needed[@]}"; do
		[[ -x $build/$word ]] || die "$build/$word is missing" \
			"cmake -S $top -B $build && make -C $build"
	done
	[[ ${BENCH_WORLD-} ]] || own_world "$@"
	mount -t tmpfs -o mode=0755 ndb-run /run
	mount -t tmpfs -o mode=0755 ndb-mnt /mnt
	mkdir /run/netns /mnt/log
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# Does not return: runs the script again inside, and ends as it ends.
own_world()
{
	local child

	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	BENCH_WORLD=1 setpriv --pdeathsig KILL \
		unshare --fork --pid --mount --mount-proc \
		--propagation private --kill-child=KILL \
		bash "$0" "$@" </dev/null &
	child=$!
	wait "$child"
	exit
}

# until_true SECONDS COMMAND..: waits for a condition.
until_true()
{
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}

# --- namespaces -----------------------------------------------------------

path_of() { echo "/run/netns/ndb-$1"; }

# inside NS COMMAND..
inside()
{
	local ns=$1
	shift
	nsenter --net="/run/netns/ndb-$ns" -- "$@"
}

# spawn LOG NS COMMAND..: in the background; it ends with this world.
spawn()
{
	local log=$1 ns=$2
	shift 2
	nsenter --net="/run/netns/ndb-$ns" -- setsid "$@" \
		</dev/null >>"/mnt/log/$log" 2>&1 &
}

add_ns()
{
	ip netns add "ndb-$1"
	ip -n "ndb-$1" link set lo up
}

# set_sysctl NS KEY=VALUE..
set_sysctl()
{
	inside "$1" sysctl -qw "${@:2}"
}

# What many short connections need: ports, and no hoard of TIME_WAITs.
tune_pod()
{
	set_sysctl "$1" net.ipv4.ip_local_port_range="1024 65535" \
		net.ipv4.tcp_max_tw_buckets=1000 net.ipv4.tcp_tw_reuse=1 \
		net.ipv4.tcp_max_syn_backlog=8192 net.core.somaxconn=8192
}

# cable NS-A NS-B ADDRESS-A ADDRESS-B [DEV-A]: a veth pair, eth0 to eth0.
cable()
{
	local dev=${5:-eth0}

	ip link add "$dev" netns "ndb-$1" type veth \
		peer name eth0 netns "ndb-$2"
	ip -n "ndb-$1" addr add "$3" dev "$dev"
	ip -n "ndb-$2" addr add "$4" dev eth0
	ip -n "ndb-$1" link set "$dev" up
	ip -n "ndb-$2" link set eth0 up
}

# add_hosts P: P-a and P-b, 192.0.2.1 and 192.0.2.2, one cable between them.
add_hosts()
{
	add_ns "$1-a"
	add_ns "$1-b"
	cable "$1-a" "$1-b" 192.0.2.1/24 192.0.2.2/24
}

# copying_wire HOST..: from here on their eth0 copies each frame that it gets,
# as a network card does. A veth alone hands over the sender's own packet, of
# which TCP still holds a part until it is acknowledged.
copying_wire()
{
	local host

	for host; do
		inside "$host" "$bin/nd-pass" eth0
	done
}

# add_outside P: a client beyond host a, 192.0.3.2 to its 192.0.3.1.
add_outside()
{
	add_ns "$1-out"
	cable "$1-a" "$1-out" 192.0.3.1/24 192.0.3.2/24 eth1
	tune_pod "$1-out"
}

# --- load -----------------------------------------------------------------

# First of the ports that servers listen on, and how many there are.
port=7000
ports=4

# One server for all namespaces, on the second CPU; clients run on the first.
# Which of the two costs more then does not depend on the scheduler's luck.
start_server()
{
	local -a spaces=()
	local ns

	for ns; do
		spaces+=("$(path_of "$ns")")
	done
	taskset -c 1 "$tools/load" serve "$port" "$ports" "${spaces[@]}" \
		</dev/null >/mnt/log/server 2>&1 &
	until_true 10 grep -q listening /mnt/log/server ||
		die "the server does not start" "$(cat /mnt/log/server)"
}

# load NS KIND OPTIONS.. ADDRESS..: one line of figures.
load()
{
	local ns=$1
	shift
	nsenter --net="/run/netns/ndb-$ns" -- taskset -c 0 "$tools/load" "$@"
}

# How much of a run others may make it wait, in percent: on a machine that
# does something else as well, figures are those of the something else.
pressure_max=${BENCH_PRESSURE:-30}

# Microseconds in which some process waited for a CPU (0 without PSI).
pressure()
{
	sed -n 's/^some .*total=//p' /proc/pressure/cpu 2>/dev/null || echo 0
}

# Put before a run's kind where it is noted: what else was different.
noted_as=""

# once MODE KIND NS OPTIONS.. ADDRESS..: one run, noted in /mnt/results; made
# again, up to three times, when it was disturbed.
once()
{
	local mode=$1 kind=$2 ns=$3 line try from waited
	local -a figures
	shift 3

	for try in 1 2 3 4; do
		from=$(pressure)
		line=$(load "$ns" "$kind" -t "$each" "$@") ||
			die "$mode, $kind: no answer" "$line"
		waited=$((($(pressure) - from) / (each * 10000)))
		((waited > pressure_max)) || break
		disturbed=$((disturbed + 1))
	done
	# KIND rate=N cpu_us=N steal=N done=N failed=N [first=ERROR]
	read -r -a figures < <(sed -E 's/[a-z_]+=//g' <<<"$line")
	echo "$noted_as$kind $mode $round ${figures[1]} ${figures[2]} ${figures[3]}" \
		"${figures[5]} $waited ${figures[6]-}" >>/mnt/results
}

set_rounds()
{
	rounds=${BENCH_ROUNDS:-$1}
	each=${BENCH_SECONDS:-3}
	if [[ $quick ]]; then
		rounds=${BENCH_ROUNDS:-3}
		each=${BENCH_SECONDS:-1}
	fi
	disturbed=0
	: >/mnt/results
}

# turned: the words of modes[], beginning with another one
# each round, so that none always follows the same one.
turned()
{
	local i len=${#modes[@]}

	for ((i = 0; i < len; i++)); do
		echo "${modes[(i + round) % len]}"
	done
}

# --- tables ---------------------------------------------------------------

# summary KIND REFERENCE MODE: median rate, cpu, and the ratio of the rates
# to the reference's of the same round: median, least, most; failures.
summary()
{
	awk -v kind="$1" -v ref="$2" -v mode="$3" -v max="$pressure_max" '
	function sort(a, n,    i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
				t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
			}
	}
	function median(a, n) {
		sort(a, n)
		return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
	}
	$1 == kind && $2 == mode { failed += $7; why = $9 ? $9 : why }
	# A run from which the hypervisor or others took time counts for
	# nothing.
	$6 > 2 || $8 > max { next }
	$1 == kind && $2 == ref { base[$3] = $4 }
	$1 == kind && $2 == mode { rate[$3] = $4; cpu[$3] = $5 }
	END {
		for (r in rate)
			if (r in base && base[r] > 0) {
				n++
				x[n] = rate[r]; y[n] = cpu[r]
				z[n] = rate[r] / base[r]
			}
		if (!n) { print "0 0 0 0 0 0"; exit }
		m = median(z, n)
		printf "%.0f %.2f %.3f %.3f %.3f %d %s\n", median(x, n),
			median(y, n), m, z[1], z[n], failed, why
	}' /mnt/results
}

missed=0

# verdict RATIO GATE: a word for the table; counts what misses.
verdict()
{
	if awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'; then
		word=pass
	else
		word=MISS
		missed=$((missed + 1))
	fi
}

table_head()
{
	printf '\n%-36s %9s %8s %7s %14s %5s\n' "$1" per-second "us CPU" \
		ratio "least..most" gate
}

# row KIND REFERENCE MODE LABEL [GATE]
row()
{
	local rate cpu ratio least most failed why word=""

	read -r rate cpu ratio least most failed why < <(summary "$1" "$2" "$3")
	[[ $rate != 0 ]] || die "$1, $3: no run was undisturbed" \
		"leave the machine to itself, or raise BENCH_ROUNDS"
	[[ $# -lt 5 ]] || verdict "$ratio" "$5"
	[[ $failed = 0 ]] || word+=" ($failed failed: $why)"
	printf '%-36s %9s %8s %7s %14s %5s %s\n' "$4" "$rate" "$cpu" \
		"$ratio" "$least..$most" "${5-}" "$word"
}

machine()
{
	echo "$(uname -sr), $(nproc) CPUs, load average before:" \
		"$(cut -d ' ' -f 1-2 /proc/loadavg)," \
		"$(date -u '+%F %H:%M UTC')"
}

finish()
{
	local gates="every gate is met"

	[[ ${disturbed:-0} = 0 ]] ||
		printf '\nmade again or left out because others used the CPUs: %s runs\n' \
			"$disturbed"
	((missed == 0)) || gates="gates missed: $missed"
	printf '\n%s\n' "$gates"
	exit $((missed > 0))
}
