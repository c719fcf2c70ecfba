/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum pmo_log_level pmo_log_max = PMO_LOG_INFO;

static void write_line(enum pmo_log_level level, const char *message)
{
    char line[1200];
    static const char *const names[] = {[PMO_LOG_ERROR] = "error: ",
                                        [PMO_LOG_WARNING] = "warning: ",
                                        [PMO_LOG_INFO] = "",
                                        [PMO_LOG_DEBUG] = "debug: "};
    int n;

    if (level > pmo_log_max)
        return;
    if (getenv("JOURNAL_STREAM"))
        n = snprintf(line, sizeof(line), "<%d>%s\n", level, message);
    else
        n = snprintf(line, sizeof(line), "%s: %s%s\n", program_invocation_short_name, names[level],
                     message);
    if (n >= (int)sizeof(line)) {
        n = sizeof(line) - 1;
        line[n - 1] = '\n';
    }
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nowhere to tell */
}

void pmo_log(enum pmo_log_level level, const char *format, ...)
{
    char message[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    write_line(level, message);
}

int pmo_err_r(int r, const char *format, ...)
{
    char message[1024], line[1100];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    (void)snprintf(line, sizeof(line), "%s: %s", message, strerror(abs(r)));
    write_line(PMO_LOG_ERROR, line);
    return -abs(r);
}
