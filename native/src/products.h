// Matrix products of a step's rows, shared out over the pool.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "stoker/kernels.h"
#include "stoker/thread_pool.h"

namespace stoker {

inline int chunk_size(int total, int threads, int items_per_thread, int least) {
    return std::max(least, (total + threads * items_per_thread - 1) / (threads * items_per_thread));
}

inline int chunks(int total, int size) { return (total + size - 1) / size; }

struct Product {
    const PackedMatrix* matrix;
    float* out;
    size_t out_stride;
};

class Products {
public:
    Products(const Kernels& kernels, ThreadPool& pool) : k_(kernels), pool_(pool) {}

    // Both forms are kept, because matrices that share an input may mix dense and quantised codecs.
    void quantize(const Activations& in, int row) const {
        if (in.columns % kGroup == 0) k_.quantize_rows(in.from_row(row), 1, 0, in.columns / kGroup);
    }

    // out = in x matrix for each product, all tiles of all of them in one phase.
    void multiply(const Activations& in, int rows, std::initializer_list<Product> products) const {
        int tiles = 0;
        for (const Product& product : products) tiles += product.matrix->tiles();
        const int size = chunk_size(tiles, pool_.size(), 4, 1);
        pool_.run(chunks(tiles, size), [&](int item, int) {
            int begin = item * size, end = std::min(tiles, begin + size);
            for (const Product& product : products) {
                const int here = product.matrix->tiles();
                if (begin < here && end > 0) {
                    const int first = std::max(begin, 0);
                    float* out = product.out + size_t(first) * kTileRows;
                    tiles_of(*product.matrix, first, std::min(end, here), in, rows, out, product.out_stride);
                }
                begin -= here;
                end -= here;
            }
        });
    }

    // Tiles [begin, end) of a matrix, for any number of rows; `out` is where the first tile's go.
    void tiles_of(const PackedMatrix& matrix, int begin, int end, const Activations& in, int rows,
                  float* out, size_t out_stride) const {
        for (int row = 0; row < rows; row += kMatmulRows) {
            k_.matmul[int(matrix.codec)](matrix, begin, end, in.from_row(row),
                                         std::min(kMatmulRows, rows - row),
                                         out + size_t(row) * out_stride, out_stride);
        }
    }

private:
    const Kernels& k_;
    ThreadPool& pool_;
};

}  // namespace stoker
