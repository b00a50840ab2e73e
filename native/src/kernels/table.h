// Fills the table of the instruction set this file is compiled for.
#pragma once

#include "attention.h"
#include "elementwise.h"
#include "limits.h"
#include "matmul.h"

namespace stoker::STOKER_ISA {

constexpr Kernels make_table() {
    return Kernels{
        .name = kName,
        .quantize_rows = quantize_rows,
        .matmul = {quantised_matmul<Codec::U4>, quantised_matmul<Codec::U4M>,
                   quantised_matmul<Codec::U5>, quantised_matmul<Codec::U5M>,
                   quantised_matmul<Codec::U6>, quantised_matmul<Codec::U8>,
                   dense_matmul<Codec::F16>, dense_matmul<Codec::BF16>, dense_matmul<Codec::F32>},
        .unpack_row = {unpack_quantised_row<Codec::U4>, unpack_quantised_row<Codec::U4M>,
                       unpack_quantised_row<Codec::U5>, unpack_quantised_row<Codec::U5M>,
                       unpack_quantised_row<Codec::U6>, unpack_quantised_row<Codec::U8>,
                       unpack_dense_row<Codec::F16>, unpack_dense_row<Codec::BF16>,
                       unpack_dense_row<Codec::F32>},
        .rms_norm = rms_norm,
        .layer_norm = layer_norm,
        .add = add,
        .scale = scale,
        .gate = {silu_multiply, gelu_tanh_multiply, gelu_multiply, clamped_swiglu_multiply},
        .softcap = softcap,
        .rope_halves = rope_halves,
        .rope_pairs = rope_pairs,
        .store_key_value = store_key_value,
        .attention = attention,
        .attention_chunks = attention_chunks,
        .attention_join = attention_join,
        .read_bytes = read_bytes,
        .dot_loop = dot_loop,
        .fma_loop = fma_loop,
        .ops_per_dot = kOpsPerDot,
        .ops_per_fma = kOpsPerFma,
    };
}

}  // namespace stoker::STOKER_ISA
