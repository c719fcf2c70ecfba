/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/backend.h"

const struct pmo_backend_ops *const pmo_backends[] = {&pmo_backend_local, NULL};

const char *pmo_instance_phase_name(enum pmo_instance_phase phase)
{
    static const char *const names[] = {[PMO_INSTANCE_STARTING] = "starting",
                                        [PMO_INSTANCE_READY] = "ready",
                                        [PMO_INSTANCE_DRAINING] = "draining",
                                        [PMO_INSTANCE_GONE] = "gone"};

    return names[phase];
}
