// What adapters add to the products of a step. Consecutive rows with the same adapter are groups of
// as many as a product takes, and each group's two thin products read the adapter once.
//
// A row's sum does not depend on its group: products of single rows do not (kernels.h), and the two
// results are added once each. Without adapters there are no groups, and nothing is done.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "products.h"
#include "stoker/adapter.h"
#include "workspace.h"

namespace stoker {

class LowRankSums {
public:
    LowRankSums(const Kernels& kernels, ThreadPool& pool, Workspace& workspace, std::span<const SequenceRun> runs)
        : k_(kernels), pool_(pool), workspace_(workspace) {
        for (const SequenceRun& run : runs) {
            for (int done = 0; run.adapter && done < run.count;) done += add_rows(run, done);
            rows_ = run.first_row + run.count;
        }
        if (groups_.empty()) return;
        for (const Group& group : groups_) stride_ = std::max(stride_, padded(group.adapter->max_rank()));
        workspace.reserve_low_rank(kTargets * size_t(rows_) * size_t(stride_));
    }

    // Keeps scale * A x of every row of `in` that has such an adapter, for `add_tiles`.
    void shrink(int layer, std::initializer_list<Target> targets, const Activations& in) const {
        if (groups_.empty()) return;
        const int count = int(targets.size());
        pool_.run(count * int(groups_.size()), [&](int item, int) {
            const Target target = targets.begin()[item % count];
            shrink_group(groups_[size_t(item / count)], layer, target, in);
        });
    }

    // products[i] += scale * B A x for each target, rows `stride` apart. One phase: the products are
    // thin, and waiting for one another would take longer than some of them do.
    void apply(int layer, std::initializer_list<Target> targets, const Activations& in,
               std::initializer_list<float*> products, size_t stride) const {
        if (groups_.empty()) return;
        const int count = int(targets.size());
        pool_.run(count * int(groups_.size()), [&](int item, int thread) {
            const Group& group = groups_[size_t(item / count)];
            const Target target = targets.begin()[item % count];
            float* out = products.begin()[item % count] + size_t(group.first) * stride;
            shrink_group(group, layer, target, in);
            const int tiles = group.adapter->at(layer, target).b.tiles();
            for (int begin = 0; begin < tiles; begin += kStripTiles) {
                const int end = std::min(tiles, begin + kStripTiles);
                add_part(group, layer, target, begin, end, out + size_t(begin) * kTileRows, stride, thread);
            }
        });
    }

    // Adds B of what `shrink` kept to tiles [begin, end), at most a strip of them, of rows
    // [first, first + count): `out` is where the first tile of the first row is.
    void add_tiles(int layer, Target target, int begin, int end, int first, int count, float* out,
                   size_t out_stride, int thread) const {
        for (const Group& group : groups_) {
            const int from = std::max(group.first, first), to = std::min(group.first + group.count, first + count);
            if (from >= to) continue;
            float* row = out + size_t(from - first) * out_stride;
            add_part({group.adapter, from, to - from}, layer, target, begin, end, row, out_stride, thread);
        }
    }

private:
    static constexpr int kStripTiles = kGroup / kTileRows;

    struct Group {
        const Adapter* adapter;
        int first;
        int count;
    };

    // Rows of the run from `done` on, to the last group or a new one. Returns how many it took.
    int add_rows(const SequenceRun& run, int done) {
        const int row = run.first_row + done;
        const Group* last = groups_.empty() ? nullptr : &groups_.back();
        if (!last || last->adapter != run.adapter || last->first + last->count != row || last->count == kMatmulRows) {
            groups_.push_back({run.adapter, row, 0});
        }
        Group& group = groups_.back();
        const int taken = std::min(run.count - done, kMatmulRows - group.count);
        group.count += taken;
        return taken;
    }

    static int padded(int rank) { return chunks(rank, kTileRows) * kTileRows; }

    // [targets][rows][stride]
    Activations kept(Target target, int row) const {
        Activations low;
        low.values = workspace_.low_rank() + (size_t(target) * size_t(rows_) + size_t(row)) * size_t(stride_);
        low.columns = stride_;
        return low;
    }

    void shrink_group(const Group& group, int layer, Target target, const Activations& in) const {
        const LowRank& pair = group.adapter->at(layer, target);
        if (!pair.a.data) return;
        float* low = kept(target, group.first).values;
        k_.matmul[int(pair.a.codec)](pair.a, 0, pair.a.tiles(), in.from_row(group.first), group.count, low,
                                     size_t(stride_));
        k_.scale(low, pair.scale, group.count * stride_);
    }

    void add_part(const Group& group, int layer, Target target, int begin, int end, float* out,
                  size_t out_stride, int thread) const {
        const LowRank& pair = group.adapter->at(layer, target);
        if (!pair.b.data) return;
        float* sums = workspace_.strip_scratch(thread);
        k_.matmul[int(pair.b.codec)](pair.b, begin, end, kept(target, group.first), group.count, sums, kGroup);
        for (int row = 0; row < group.count; ++row) {
            k_.add(out + size_t(row) * out_stride, sums + size_t(row) * kGroup, (end - begin) * kTileRows);
        }
    }

    const Kernels& k_;
    ThreadPool& pool_;
    Workspace& workspace_;
    std::vector<Group> groups_;
    int rows_ = 0;
    int stride_ = 0;
};

}  // namespace stoker
