/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "agent/base/log.h"

static int load(const char *file, const struct pmo_function *functions, size_t count)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_NODELETE);

    for (size_t i = 0; library && i < count; i++) {
        void *found = dlsym(library, functions[i].name);

        if (!found)
            return pmo_fail(ELIBACC, "%s has no %s; install the version that this was built with",
                            file, functions[i].name);
        memcpy(functions[i].at, &found, sizeof(found));
    }
    return library ? 0 : pmo_fail(ELIBACC, "cannot load a library: %s; install it", dlerror());
}

int pmo_library_load(const char *file, const struct pmo_function *functions, size_t count)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    void *last;
    int r = 0;

    (void)pthread_mutex_lock(&lock);
    memcpy(&last, functions[count - 1].at, sizeof(last));
    if (!last)
        r = load(file, functions, count);
    (void)pthread_mutex_unlock(&lock);
    return r;
}
