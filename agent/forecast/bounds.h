/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounds for what is computed for each second, horizon and quantile. fmaxf() and fminf() are calls,
 * as they look for NAN on both sides; these are one instruction. Where @x is NAN the answer is the
 * bound, as theirs is.
 */
#pragma once

static inline float pmo_at_least(float bound, float x)
{
    return x > bound ? x : bound;
}

static inline float pmo_at_most(float bound, float x)
{
    return x < bound ? x : bound;
}
