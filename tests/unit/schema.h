/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of JSON Schema that docs/openapi.yaml and policies/schema.json use: $ref, anyOf, allOf,
 * type, enum, const, required, properties (an object has no others), additionalProperties, items,
 * pattern, minimum, maximum, minItems, maxItems, maxLength. Any other keyword is a failure, so that
 * nothing stands in the files unchecked.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "agent/base/document.h"

/* Follows {"$ref": "#/a/b"} from @root; @value itself where it is none; NULL where it leads
 * nowhere. */
const struct pmo_value *schema_resolve(const struct pmo_value *root, const struct pmo_value *value);

/* Does @json keep @schema? If not, @error says where and why. */
bool schema_keeps(const struct pmo_value *root, const struct pmo_value *schema, const json_t *json,
                  char error[256]);
