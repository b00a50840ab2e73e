// Experts are few, so the best are found by looking through all of them once for each.
#include "stoker/router.h"

#include <algorithm>
#include <cmath>

namespace stoker {
namespace {

bool taken(const int32_t* experts, int count, int32_t expert) {
    return std::find(experts, experts + count, expert) != experts + count;
}

}  // namespace

void route(std::span<const float> scores, int used, bool normalised, int32_t* experts, float* weights) {
    for (int rank = 0; rank < used; ++rank) {
        int32_t best = -1;
        for (int32_t expert = 0; expert < int32_t(scores.size()); ++expert) {
            if (taken(experts, rank, expert)) continue;
            if (best < 0 || scores[size_t(expert)] > scores[size_t(best)]) best = expert;
        }
        experts[rank] = best;
    }
    const double most = scores[size_t(experts[0])];
    double total = 0.0;
    for (float score : scores) total += normalised ? 0.0 * double(score) : std::exp(double(score) - most);
    for (int rank = 0; rank < used; ++rank) {
        const double power = std::exp(double(scores[size_t(experts[rank])]) - most);
        if (normalised) total += power;
        weights[rank] = float(power);
    }
    for (int rank = 0; rank < used; ++rank) weights[rank] = float(double(weights[rank]) / total);
}

}  // namespace stoker
