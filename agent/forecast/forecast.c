/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a forecast. */
#include "agent/forecast/forecast.h"

#include <assert.h>
#include <math.h>

const double pmo_quantiles[PMO_QUANTILES] = {0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99};
const float pmo_normal[PMO_QUANTILES] = {-1.64485F, -1.28155F, -0.67449F, 0,
                                         0.67449F,  1.28155F,  2.32635F};

double pmo_forecast_quantile(const struct pmo_forecast *forecast, unsigned int h, double q)
{
    const float *value;
    size_t i = 0;
    double share;

    assert(h >= 1 && h <= PMO_HORIZONS);
    value = forecast->value[h - 1];
    while (i + 2 < PMO_QUANTILES && q > pmo_quantiles[i + 1])
        i++;
    share = (q - pmo_quantiles[i]) / (pmo_quantiles[i + 1] - pmo_quantiles[i]);
    return fmax(value[i] + share * ((double)value[i + 1] - value[i]), 0);
}

double pmo_forecast_peak(const struct pmo_forecast *forecast, unsigned int h, double q)
{
    double peak = 0;

    for (unsigned int i = 1; i <= h; i++)
        peak = fmax(peak, pmo_forecast_quantile(forecast, i, q));
    return peak;
}
