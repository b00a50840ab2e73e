// Array arguments: C-contiguous, on the CPU, of exactly the given type; anything else is a TypeError.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace stoker {

namespace nb = nanobind;

template <class T>
using Array1 = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Array2 = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using NumpyArray = nb::ndarray<nb::numpy, T, nb::c_contig, nb::device::cpu>;

template <class T>
std::span<const T> view(const Array1<T>& array) {
    return {array.data(), array.shape(0)};
}

// Hands a vector to NumPy without copying.
template <class T>
NumpyArray<T> to_numpy(std::vector<T>&& values, std::initializer_list<size_t> shape) {
    auto* owner = new std::vector<T>(std::move(values));
    nb::capsule release(owner, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return NumpyArray<T>(owner->data(), shape, release);
}

inline void require(bool condition, const std::string& message) {
    if (!condition) throw std::invalid_argument(message);
}

}  // namespace stoker
