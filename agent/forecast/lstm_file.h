/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What training goes on from, as the bytes of a file: made and checked here, written and read by
 * whoever may touch files (agent/trainer.h). Of the machine that wrote it: another byte order,
 * another layout or version is refused, and training begins anew.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "agent/forecast/lstm_train.h"

struct pmo_lstm_file {
    char magic[8];
    uint32_t version;  /* of what the numbers mean, in this machine's byte order */
    uint32_t bytes;    /* of all of this */
    uint32_t checksum; /* CRC-32 of `training` */
    uint32_t padding;
    struct pmo_lstm_training training;
};

void pmo_lstm_file_fill(struct pmo_lstm_file *file, const struct pmo_lstm_training *training);

/* Whether @bytes of @file are what pmo_lstm_file_fill() made. Returns NULL, or what is wrong, as
 * words that follow the name of the file. */
const char *pmo_lstm_file_check(const struct pmo_lstm_file *file, size_t bytes);
