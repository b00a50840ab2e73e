// The step whose results are hidden states, as a method of the decoder.
#pragma once

#include "arrays.h"
#include "stoker/decoder.h"

namespace stoker {

void bind_pooling(nb::class_<Decoder>& decoder);

}  // namespace stoker
