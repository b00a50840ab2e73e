// The kernels compiled for one instruction set; CMakeLists.txt gives this file its flags.
#define STOKER_ISA avx2
#include <cmath>

#include "simd/avx2.h"

#include "kernels/math.h"

#include "kernels/table.h"

namespace stoker {
constinit const Kernels kAvx2Kernels = avx2::make_table();
}
