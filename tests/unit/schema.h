/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of JSON Schema that docs/openapi.yaml uses: $ref, anyOf, type, enum, required,
 * properties (an object has no others), items, minimum, maximum, minItems, maxItems. Any other
 * keyword is a failure, so that nothing stands in the file unchecked.
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
