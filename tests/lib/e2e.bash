# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the end-to-end tests share: a lab of their own, words for its hosts,
# pods and servers, and waiting for conditions.
#
# Load it in a bats file and call lab_up in setup_file, lab_down in
# teardown_file. Everything lives below $RUN or in namespaces $NS*. Two runs
# with different LAB_NAMEs do not see each other.

bats_require_minimum_version 1.5.0
TOP=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
BIN=${LAB_BUILD:-$TOP/build/bin}
LAB_NAME=${LAB_NAME:-test}
RUN=/run/netd-$LAB_NAME
NS=nd-$LAB_NAME-
# shellcheck source=jobs.bash
. "$TOP/tests/lib/jobs.bash"
export TOP BIN RUN NS LAB_NAME LAB_BUILD=$BIN
# An operator's own setting must not steer the tests.
unset NETD_HOST

lab() { "$TOP/tools/lab" "$@"; }

lab_up()
{
	lab down
	lab up "$@" 3>&-
	mkdir -p "$RUN/out" "$RUN/jobs"
}

lab_down()
{
	local bad

	jobs_end
	bad=$(grep -hE 'Sanitizer|runtime error|Assertion' "$RUN"/log/* \
		2>/dev/null || :)
	lab down
	no_trace
	[[ -z $bad ]] || {
		echo "a daemon said: $bad"
		return 1
	}
}

# A lab that has gone leaves nothing.
no_trace()
{
	local left

	left=$(ls -d /run/netns/"$NS"* "$RUN" 2>/dev/null || :)
	left+=$(awk -v d="$RUN/" 'index($5, d) == 1 { print $5 }' \
		/proc/self/mountinfo)
	left+=$(grep -lz "^--root$" /proc/[0-9]*/cmdline 2>/dev/null |
		xargs -r grep -lz "^$RUN/" 2>/dev/null || :)
	[[ -z $left ]] || {
		echo "left behind: $left"
		return 1
	}
}

# until_true SECONDS COMMAND..: waits for a condition; says what it was.
until_true()
{
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		if (($(now_ms) >= end)); then
			echo "still not so: $*"
			"$@" || :
			return 1
		fi
		sleep 0.05
	done
}

# never_within SECONDS COMMAND..: it must stay untrue all that time.
never_within()
{
	local end=$(($(now_ms) + $1 * 1000))
	shift
	while (($(now_ms) < end)); do
		! "$@" >/dev/null 2>&1 || {
			echo "became true: $*"
			return 1
		}
		sleep 0.05
	done
}

# gone PID: ended, whether or not someone has asked how.
gone() { ! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; }

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# --- hosts ----------------------------------------------------------------

# on HOST COMMAND..: HOST is 1..N, ext, etcd or switch.
on()
{
	local host=$1
	shift
	[[ $host != [0-9]* ]] || host=node$host
	nsenter --net="/run/netns/$NS$host" -- "$@"
}

# n K WORDS..: netctl on host K.
n()
{
	local k=$1
	shift
	"$BIN/netctl" -H "unix://$RUN/node$k/netd.sock" "$@"
}

daemon_pid() { cat "$RUN/node$1/netd.pid"; }

# --- pods -----------------------------------------------------------------

# pod K NAME NETWORK [WORDS..]: a pod with a namespace of netd's.
pod()
{
	local k=$1 name=$2 network=$3
	shift 3
	n "$k" pod create "$name" --network "$network" "$@" >/dev/null
}

# in_pod K NAME COMMAND..
in_pod()
{
	local k=$1 name=$2
	shift 2
	n "$k" pod exec "$name" -- "$@"
}

# pod_ip K NAME [NETWORK]
pod_ip()
{
	n "$1" pod inspect "$2" | jq -r --arg net "${3-}" \
		'.[0].networks[] | select($net == "" or .network == $net) | .ip' |
		head -n 1
}

# The same, by IPv6.
pod_ip6()
{
	n "$1" pod inspect "$2" | jq -r --arg net "${3-}" \
		'.[0].networks[] | select($net == "" or .network == $net) | .ip6' |
		head -n 1
}

svc_vip() { n "$1" service inspect "$2" --network "${3:-default}" | jq -r '.[0].vip'; }

svc_vip6() { n "$1" service inspect "$2" --network "${3:-default}" | jq -r '.[0].vip6'; }

# has_backends K SERVICE COUNT [NETWORK]: so many are up, seen from there.
has_backends()
{
	[[ $(n "$1" service ps "$2" --network "${4:-default}" -o json |
		jq '[.[] | select(.state == "up")] | length') -eq $3 ]]
}

# background_in K POD NAME COMMAND..: `background`, in a pod.
background_in()
{
	background "$3" "$BIN/netctl" -H "unix://$RUN/node$1/netd.sock" \
		pod exec "$2" -- "${@:4}"
}

# background_on HOST NAME COMMAND..: and on a host.
background_on()
{
	local host=$1
	[[ $host != [0-9]* ]] || host=node$host
	background "$2" nsenter --net="/run/netns/$NS$host" -- "${@:3}"
}

# serve K POD [-6] PORT..: an echo server named after its pod.
serve()
{
	local k=$1 name=$2
	shift 2
	background_in "$k" "$name" "srv-$k-$name" "$BIN/nd-echo" -n "$name" \
		-l "$RUN/out/log-$k-$name" "$@"
	until_true 5 grep -q listening "$RUN/out/srv-$k-$name"
}

# serve_on HOST NAME PORT..: the same on a host.
serve_on()
{
	local host=$1 name=$2
	shift 2
	background_on "$host" "srv-$host-$name" "$BIN/nd-echo" -n "$name" \
		-l "$RUN/out/log-$host-$name" "$@"
	until_true 5 grep -q listening "$RUN/out/srv-$host-$name"
}

# everywhere SERVICE COUNT: every one of three hosts sees so many.
everywhere() { for k in 1 2 3; do has_backends "$k" "$@" || return 1; done; }

# web_up PORTS WORDS..: a lab of three hosts with the service "web", created
# with these words; a pod of it on each, web-1 to web-3, that serves PORTS;
# and the pod "client" on host 1.
web_up()
{
	local ports=$1 k
	shift
	lab_up 3
	n 1 service create web --selector app=web "$@"
	for k in 1 2 3; do
		until_true 5 n "$k" service inspect web
		pod "$k" "web-$k" default --label app=web
		# shellcheck disable=SC2086 # words
		serve "$k" "web-$k" $ports
	done
	pod 1 client default
	until_true 10 everywhere web 3
}

# --- load -----------------------------------------------------------------

# has_begun NAME: nd-load or nd-crowd in the background had its answers.
has_begun() { grep -qE '^(begun|open)$' "$RUN/out/$1"; }

# for_a_while SECONDS: time itself is the subject: what goes on meanwhile is
# counted, or must not happen.
for_a_while() { sleep "$1"; }

# unharmed NAME: the load is ended; it had answers, and no failure.
unharmed()
{
	job_end "$1"
	until_true 20 grep -q ' ok, ' "$RUN/out/$1"
	echo "$1: $(grep -vE '^(begun|open)$' "$RUN/out/$1")"
	grep -q ' [1-9][0-9]* ok, 0 failed' "$RUN/out/$1"
}

# --- asking ---------------------------------------------------------------

# One line from an echo server: "NAME from CLIENT:PORT at OWN:PORT".
# `tcp ADDR PORT` and `udp ADDR PORT` are commands for `on` and `in_pod`.
tcp() { printf 'echo\n' | timeout 3 nc -N -w 2 "$1" "$2"; }
udp() { printf 'echo\n' | timeout 3 nc -u -W 1 -w 2 "$1" "$2"; }
export -f tcp udp

ask_on()
{
	local host=$1
	shift
	on "$host" bash -c '"$@"' - "$@"
}

ask_pod()
{
	local k=$1 name=$2
	shift 2
	in_pod "$k" "$name" bash -c '"$@"' - "$@"
}

# who COUNT COMMAND..: the names that answered, each once, sorted.
who()
{
	local count=$1 i
	shift
	for ((i = 0; i < count; i++)); do
		"$@" | sed 's/ .*//'
	done | sort -u | xargs
}

# dig with short patience; the answer's data only.
lookup() { dig +short +tries=1 +time=2 "$@"; }
# The response code.
rcode() { dig +tries=1 +time=2 "$@" | sed -n 's/.*status: \([A-Z]*\).*/\1/p'; }
export -f lookup rcode

drops_of()
{
	n "$1" drops -o json | jq --arg r "$2" \
		'[.[] | select(.reason == $r) | .packets] | add // 0'
}

# refused CODE TEXT COMMAND..: fails with that exit code and says that.
refused()
{
	local want=$1 text=$2 out rc=0
	shift 2
	out=$("$@" 2>&1 >/dev/null) || rc=$?
	[[ $rc -eq $want && $out == *"$text"* ]] || {
		echo "$*: exit $rc (want $want), said: $out (want: $text)"
		return 1
	}
}
