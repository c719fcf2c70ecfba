/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/lstm_file.h"

#include <string.h>
#include <zlib.h>

static const char magic[8] = "pmo-lstm";

/* Counts up when inputs, outputs or the order of gates come to mean something else. */
#define VERSION 2

static uint32_t checksum(const struct pmo_lstm_file *file)
{
    return (uint32_t)crc32(0, (const Bytef *)&file->training, sizeof(file->training));
}

void pmo_lstm_file_fill(struct pmo_lstm_file *file, const struct pmo_lstm_training *training)
{
    memset(file, 0, sizeof(*file));
    memcpy(file->magic, magic, sizeof(magic));
    file->version = VERSION;
    file->bytes = sizeof(*file);
    memcpy(&file->training, training, sizeof(*training));
    file->checksum = checksum(file);
}

const char *pmo_lstm_file_check(const struct pmo_lstm_file *file, size_t bytes)
{
    if (bytes < offsetof(struct pmo_lstm_file, training) ||
        memcmp(file->magic, magic, sizeof(magic)))
        return "is no network of an agent";
    if (file->version != VERSION || file->bytes != sizeof(*file))
        return "is of another version";
    if (bytes != sizeof(*file))
        return "is cut short, or longer than written";
    if (file->checksum != checksum(file))
        return "is damaged";
    return NULL;
}
