/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an agent must tell the next one. How many instances a service should have: the file
 * <state>/wanted, written before that is brought about. And each instance: a small JSON file
 * <state>/instances/NAME. It is written before anything is made for the instance, so whatever
 * exists has a record, and it is replaced as a whole, so a crash leaves the old or the new one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "agent/act/backend.h"

struct pmo_record {
    char service[64];
    uint16_t number; /* in the mesh */
    uint16_t port;
    pid_t pid; /* 0: not yet started */
    enum pmo_instance_phase phase;
    double ordered_s, ready_s; /* CLOCK_MONOTONIC */
};

/* Returns 0 or a negative errno, logged. */
int pmo_record_write(const char *directory, const char *name, const struct pmo_record *record);
/* Returns 0, or -EINVAL for a file that is no record, not logged. */
int pmo_record_read(const char *directory, const char *name, struct pmo_record *record);
void pmo_record_remove(const char *directory, const char *name);
/* Calls @found with the name of each record; it may remove it. */
void pmo_records_each(const char *directory, void (*found)(void *context, const char *name),
                      void *context);

/* @path: of that file. Returns 0 or a negative errno, logged. */
int pmo_wanted_write(const char *path, const char *service, uint32_t wanted);
/* Returns whether it says anything of this service. */
bool pmo_wanted_read(const char *path, const char *service, uint32_t *wanted);
