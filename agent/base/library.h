/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Libraries that few hosts need are loaded when they are needed first. One that the agent is linked
 * with takes memory on every host from the start on, and so does all that it is linked with itself:
 * a Kafka client and a disassembler are ten megabytes that most never use.
 */
#pragma once

#include <stddef.h>

struct pmo_function {
    const char *name;
    void *at; /* of a pointer to a function of this name's type, which is set */
};

/**
 * pmo_library_load - load a library, unless it is loaded
 * @file: as the linker knows it, with the version whose headers this was built with: "libz.so.1"
 * Stays loaded. Returns 0, or -ELIBACC where it is missing or lacks a function: one line is logged,
 * each time. Any thread.
 */
int pmo_library_load(const char *file, const struct pmo_function *functions, size_t count);
