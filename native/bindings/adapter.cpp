// Adapters as Python sees them. One lives as long as Python holds it, and keeps its decoder alive.
#include "stoker/adapter.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <cmath>
#include <utility>

#include "arrays.h"

namespace stoker {
namespace {

using Source = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Shape = std::pair<int, int>;

StoredMatrix stored(int type, const Shape& shape, const Source& source) {
    return {TensorType(type), shape.first, shape.second, {source.data(), source.shape(0)}};
}

void set(Adapter& adapter, const std::string& name, float scale, int a_type, const Shape& a_shape,
         const Source& a_source, int b_type, const Shape& b_shape, const Source& b_source) {
    require(std::isfinite(scale), name + ": the scale is not a number");
    adapter.set(name, scale, stored(a_type, a_shape, a_source), stored(b_type, b_shape, b_source));
}

}  // namespace

void bind_adapter(nb::module_& m) {
    nb::class_<Adapter>(m, "Adapter")
        .def(nb::init<const Decoder&>(), nb::arg("decoder"), nb::keep_alive<1, 2>())
        .def_prop_ro("num_bytes", &Adapter::bytes)
        .def("set", &set, nb::arg("name"), nb::arg("scale"), nb::arg("a_type"), nb::arg("a_shape"),
             nb::arg("a_source").noconvert(), nb::arg("b_type"), nb::arg("b_shape"),
             nb::arg("b_source").noconvert());
}

}  // namespace stoker
