// Which experts a token goes through, and with what weight.
#pragma once

#include <cstdint>
#include <span>

namespace stoker {

// Writes the `used` highest of `scores`, best first, the lower number first among equals, to
// experts[used], and their shares in a softmax to weights[used]: over the chosen ones if
// `normalised`, over all otherwise. 1 <= used <= scores.size(). A score that is no number makes
// every weight none; the experts are always valid and different.
void route(std::span<const float> scores, int used, bool normalised, int32_t* experts, float* weights);

}  // namespace stoker
