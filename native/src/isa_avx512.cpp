// The kernels compiled for one instruction set; CMakeLists.txt gives this file its flags.
#define STOKER_ISA avx512
#include <cmath>

#include "simd/avx512.h"

#include "kernels/math.h"

#include "kernels/table.h"

namespace stoker {
constinit const Kernels kAvx512Kernels = avx512::make_table();
}
