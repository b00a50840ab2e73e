// The kernels compiled for one instruction set; CMakeLists.txt gives this file its flags.
#define STOKER_ISA portable
#include <cmath>

#include "simd/portable.h"

#include "kernels/math.h"

#include "kernels/table.h"

namespace stoker {
constinit const Kernels kPortableKernels = portable::make_table();
}
