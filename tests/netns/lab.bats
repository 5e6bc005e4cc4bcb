#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The lab itself: comes up, goes down without a trace, survives being killed.

load ../lib/e2e

teardown() { lab_down; }

@test "up and down leave no trace, twice" {
	for _ in 1 2; do
		lab up 2 --store sqlite 3>&-
		n 1 version
		n 2 version
		lab down
		no_trace
	done
}

@test "up over a lab that was killed half-way" {
	setsid "$TOP/tools/lab" up 3 3>&- &
	up=$!
	until_true 10 test -s "$RUN/node1/netd.pid"
	kill -KILL -- "-$up"
	lab up 1 --store sqlite 3>&-
	n 1 version
	[ ! -e "/run/netns/${NS}node2" ]
}

@test "down from any folder, with daemons killed" {
	lab up 1 --store sqlite 3>&-
	pod 1 a default
	lab kill 1
	cd /
	lab down
	no_trace
}

@test "stop, start, kill, cut and heal act on one host" {
	lab up 2 --store sqlite 3>&-
	lab stop 1
	refused 5 "not reachable" n 1 version
	n 2 version
	lab status | grep "node1: netd stopped"
	lab start 1
	n 1 version
	first=$(daemon_pid 2)
	lab kill 2
	lab start 2
	[ "$first" != "$(daemon_pid 2)" ]
	on 1 ping -c 1 -W 2 192.0.2.2
	lab cut 2
	run ! on 1 ping -c 1 -W 1 192.0.2.2
	lab heal 2
	until_true 5 on 1 ping -c 1 -W 1 192.0.2.2
}

@test "words that are wrong are refused" {
	refused 2 "usage" lab
	refused 2 "usage" lab up none
	refused 1 "not up" lab status
	lab up 1 --store sqlite 3>&-
	refused 1 "there is no node 7" lab start 7
	refused 1 "runs already" lab start 1
	refused 1 "no etcd" lab start etcd
}
