// What the sampler needs of its numbers: with others there might be no token left to choose from.
#pragma once

#include <cmath>

#include "arrays.h"
#include "stoker/sampler.h"

namespace stoker {

inline void check_sampling(const SamplingRow& row) {
    require(std::isfinite(row.temperature) && row.temperature >= 0.0f, "temperature must be 0 or more");
    require(row.top_p >= 0.0f && row.top_p <= 1.0f, "top_p must be between 0 and 1");
    require(row.min_p >= 0.0f && row.min_p <= 1.0f, "min_p must be between 0 and 1");
}

}  // namespace stoker
