/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node - hosts of the cluster, as they describe themselves. Pure.
 */
#pragma once

#include "model.h"

struct node *node_from_json(const char *name, json_t *doc);
json_t *node_to_json(const struct node *node);
void node_free(struct node *node);

struct want_node node_want(const struct node *node, bool self);
