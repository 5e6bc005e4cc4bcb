/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complete - what may stand at a shell's cursor: words of commands, options,
 * names that netd knows.
 *
 * Nothing is ever said on standard error, and netd is asked for a second at
 * most: who presses a key must not wait, or see why there is nothing.
 */
#pragma once

/* `netctl __complete WORDS..`: the last word is the one that is begun. */
int complete(int argc, char **argv);
