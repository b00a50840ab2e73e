// Activations by the names that stoker.model.spec gives them.
#pragma once

#include <algorithm>
#include <array>
#include <string>

#include "arrays.h"
#include "stoker/kernels.h"

namespace stoker {

inline Activation activation_from(const std::string& name) {
    static const std::array<std::string, kActivations> names = {"silu", "gelu_tanh", "gelu", "clamped_swiglu"};
    const auto found = std::find(names.begin(), names.end(), name);
    require(found != names.end(), "unknown activation");
    return Activation(found - names.begin());
}

}  // namespace stoker
