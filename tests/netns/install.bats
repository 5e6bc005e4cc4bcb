#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` lays down is whole and runs from there.

load ../lib/e2e

setup_file()
{
	lab down
	mkdir -p "$RUN/out"
	cmake --install "$BIN/.." --prefix "$RUN/usr" >"$RUN/out/install"
}

teardown_file() { lab_down; }

@test "programs, units, users and configuration are there" {
	for file in sbin/netd bin/netctl libexec/netd/netd-dns \
		libexec/netd/netd-cni libexec/netd/netd-probe \
		lib/systemd/system/netd.service lib/systemd/system/netd.socket \
		lib/sysusers.d/netd.conf etc/netd/netd.yaml; do
		[ -s "$RUN/usr/$file" ] || { echo "no $file"; false; }
	done
	[ -z "$(find "$RUN/usr" -name 'nd-*')" ]
}

@test "the configuration that is installed is good" {
	"$RUN/usr/sbin/netd" --check-config \
		--config "$RUN/usr/etc/netd/netd.yaml"
}

@test "an operator's configuration is kept" {
	echo "# mine" >>"$RUN/usr/etc/netd/netd.yaml"
	cmake --install "$BIN/.." --prefix "$RUN/usr"
	grep "# mine" "$RUN/usr/etc/netd/netd.yaml"
}

@test "the unit files are understood" {
	command -v systemd-analyze || skip "no systemd-analyze"
	sed "s|=[^ =]*/sbin/netd|=$RUN/usr/sbin/netd|" \
		"$RUN/usr/lib/systemd/system/netd.service" \
		>"$RUN/netd.service"
	cp "$RUN/usr/lib/systemd/system/netd.socket" "$RUN/"
	run systemd-analyze verify --man=no "$RUN/netd.service" \
		"$RUN/netd.socket"
	[[ $output != *"$RUN"/netd.s* ]]
	run ! grep -E '^(Private|Protect|ReadOnly|Inaccessible|TemporaryFile)' \
		"$RUN/netd.service"
}

@test "netd runs from where it is installed" {
	ip netns add "${NS}ext"
	ip -n "${NS}ext" link set lo up
	ip -n "${NS}ext" link add eth0 type veth peer name eth1
	ip -n "${NS}ext" addr add 192.0.2.9/24 dev eth0
	ip -n "${NS}ext" link set eth0 up
	ip -n "${NS}ext" link set eth1 up
	background_on ext installed "$RUN/usr/sbin/netd" --root "$RUN/node9" \
		--node node9 --address 192.0.2.9
	until_true 10 "$RUN/usr/bin/netctl" \
		-H "unix://$RUN/node9/netd.sock" status
	pid=$("$RUN/usr/bin/netctl" -H "unix://$RUN/node9/netd.sock" \
		status -o json | jq .dns_pid)
	[ "$(readlink -f "/proc/$pid/exe")" = \
		"$RUN/usr/libexec/netd/netd-dns" ]
	kill -TERM "$(daemon_pid 9)"
	until_true 5 gone "$(daemon_pid 9)"
	nsenter --net="/run/netns/${NS}ext" -- "$RUN/usr/sbin/netd" \
		--root "$RUN/node9" --node node9 --cleanup
	until_true 2 gone "$pid"
}
