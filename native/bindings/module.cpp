// The native core as one extension module. Only stoker.kernels imports it.
#include <nanobind/nanobind.h>

namespace stoker {
void bind_adapter(nanobind::module_& m);
void bind_decoder(nanobind::module_& m);
void bind_kernels(nanobind::module_& m);
void bind_measure(nanobind::module_& m);
void bind_sampler(nanobind::module_& m);
}  // namespace stoker

NB_MODULE(_native, m) {
    m.doc() = "Stoker's native core: packed weights, kernels, and the decoder step.";
    stoker::bind_kernels(m);
    stoker::bind_measure(m);
    stoker::bind_sampler(m);
    stoker::bind_decoder(m);
    stoker::bind_adapter(m);
}
