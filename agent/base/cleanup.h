/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resources that clean themselves up when their variable goes out of scope. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void pmo_cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void pmo_cleanup_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void pmo_cleanup_fclose(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

#define _cleanup_free_   __attribute__((cleanup(pmo_cleanup_free)))
#define _cleanup_close_  __attribute__((cleanup(pmo_cleanup_close)))
#define _cleanup_fclose_ __attribute__((cleanup(pmo_cleanup_fclose)))

/* Hands ownership out of a cleaned-up variable. */
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })
