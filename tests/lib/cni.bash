# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The CNI plugin as a runtime calls it: a configuration on standard input,
# variables, a result and an exit code. Containers are namespaces NAME of
# their own, links in them are seen with `inside`.

# What every configuration has that says nothing else.
CNI_NAME=lab

# conf K [JQ-FILTER]: a configuration for host K's netd, changed by a filter.
conf()
{
	jq -nc --arg socket "$RUN/node$1/netd.sock" --arg name "$CNI_NAME" \
		'{cniVersion: "1.1.0", name: $name, type: "netd",
		network: "default", socket: $socket}'" | ${2:-.}"
}

box_path() { echo "/run/netns/$NS$1"; }
box_down() { ip netns del "$NS$1" 2>/dev/null || :; }
box_up()
{
	# One that an earlier run was killed with.
	box_down "$1"
	ip netns add "$NS$1"
	ip -n "$NS$1" link set lo up
}
inside()
{
	local name=$1
	shift
	nsenter --net="$(box_path "$name")" -- "$@"
}

# cni COMMAND ID [CONF [VAR=VALUE..]]: on host 1, about container ID, whose
# namespace is the box of that name.
cni()
{
	local command=$1 id=$2 conf=${3-$(conf 1)}
	shift $(($# < 3 ? $# : 3))
	on 1 env CNI_COMMAND="$command" CNI_CONTAINERID="$id" \
		CNI_NETNS="$(box_path "$id")" CNI_IFNAME=eth0 \
		CNI_PATH=/opt/cni/bin "$@" "$BIN/netd-cni" <<<"$conf"
}

# fails CODE TEXT COMMAND..: ends with an error of this code that says this,
# and with nothing else on standard output.
fails()
{
	local code=$1 text=$2 out rc=0
	shift 2
	out=$("$@" 2>/dev/null) || rc=$?
	((rc)) || rc=none
	jq -e --argjson code "$code" --arg text "$text" --arg rc "$rc" '
		$rc != "none" and .code == $code and
		(.msg + " " + (.details // "") | contains($text)) and
		(.cniVersion | length > 0)' <<<"$out" >/dev/null || {
		echo "$*: exit $rc, said: $out (want $code: $text)"
		return 1
	}
}
