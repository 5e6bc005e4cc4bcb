/* SPDX-License-Identifier: Apache-2.0 */
/*
 * farewell - a node that is taken away for good takes its records with it.
 *
 * A node that is merely absent loses nothing: its records go by its own word.
 */
#pragma once

struct ev_loop;
struct store_config;

/*
 * Removes from the store what says that this node exists: its record, pods,
 * offers and blocks, and what others lent it. A block of which another node
 * still uses an address stays. Runs the loop until that is done. -EHOSTDOWN:
 * the store cannot be reached; -EEXIST: another host has this name now.
 */
int farewell_say(struct ev_loop *loop, const struct store_config *config,
		 const char *node);
