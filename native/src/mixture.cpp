#include "mixture.h"

#include <cmath>

#include "stoker/router.h"

namespace stoker {
namespace {

void copy_row(const Activations& from, int row, const Activations& to, int slot) {
    const Activations in = from.from_row(row), out = to.from_row(slot);
    const size_t columns = size_t(from.columns), groups = columns / kGroup;
    std::memcpy(out.values, in.values, columns * sizeof(float));
    std::memcpy(out.quants, in.quants, columns);
    std::memcpy(out.scales, in.scales, groups * sizeof(float));
    std::memcpy(out.scaled_sums, in.scaled_sums, groups * sizeof(float));
    std::memcpy(out.sums, in.sums, columns / 16 * sizeof(int32_t));
}

}  // namespace

Mixture::Mixture(const DecoderSpec& spec, const Kernels& kernels, ThreadPool& pool, Workspace& workspace,
                 const LayerWeights& weights, const ExpertSpec& experts)
    : spec_(spec), k_(kernels), pool_(pool), workspace_(workspace), scratch_(workspace.mixture),
      weights_(weights), experts_(experts), products_(kernels, pool), gated_(scratch_.gated) {
    gated_.columns = experts.size;
}

void Mixture::run(const Activations& in, int rows, float* out) {
    choose(in, rows);
    sort_slots(rows);
    gather(in, rows);
    multiply_experts();
    if (experts_.shared_size > 0) multiply_shared(in, rows);
    pool_.run(rows, [&](int row, int) { join(in, row, out + size_t(row) * spec_.hidden_size); });
}

void Mixture::choose(const Activations& in, int rows) {
    const size_t stride = size_t(weights_.router.tiles()) * kTileRows, used = size_t(experts_.used);
    products_.multiply(in, rows, {Product{&weights_.router, scratch_.scores, stride}});
    pool_.run(rows, [&](int row, int) {
        float* scores = scratch_.scores + size_t(row) * stride;
        for (int i = 0; weights_.router_bias && i < experts_.count; ++i) scores[i] += weights_.router_bias[i];
        route({scores, size_t(experts_.count)}, experts_.used, experts_.normalised,
              scratch_.chosen + size_t(row) * used, scratch_.weights + size_t(row) * used);
    });
}

// A counting sort: slots of one expert are in the order of their rows.
void Mixture::sort_slots(int rows) {
    const int slots = rows * experts_.used;
    std::vector<int> next(size_t(experts_.count) + 1, 0);
    for (int i = 0; i < slots; ++i) ++next[size_t(scratch_.chosen[i]) + 1];
    groups_.clear();
    for (int expert = 0; expert < experts_.count; ++expert) {
        const int first = next[size_t(expert)], count = next[size_t(expert) + 1];
        if (count > 0) groups_.push_back({expert, first, count});
        next[size_t(expert) + 1] += first;
    }
    row_of_slot_.resize(size_t(slots));
    for (int i = 0; i < slots; ++i) {
        const int slot = next[size_t(scratch_.chosen[i])]++;
        scratch_.slots[i] = slot;
        row_of_slot_[size_t(slot)] = i / experts_.used;
    }
}

void Mixture::gather(const Activations& in, int rows) {
    const int slots = rows * experts_.used, size = chunk_size(slots, pool_.size(), 4, 1);
    pool_.run(chunks(slots, size), [&](int item, int) {
        const int end = std::min(slots, (item + 1) * size);
        for (int slot = item * size; slot < end; ++slot) {
            copy_row(in, row_of_slot_[size_t(slot)], scratch_.gathered, slot);
        }
    });
}

template <class Work>
void Mixture::each_part(int units, const Work& work) {
    const int size = chunk_size(units * int(groups_.size()), pool_.size(), 8, 1);
    const int parts = chunks(units, size);
    pool_.run(parts * int(groups_.size()), [&](int item, int thread) {
        const int begin = item % parts * size;
        work(groups_[size_t(item / parts)], begin, std::min(units, begin + size), thread);
    });
}

void Mixture::multiply_experts() {
    each_part(chunks(experts_.size, kGroup), [&](const Group& group, int begin, int end, int thread) {
        const FeedForward feed(spec_, k_, workspace_, weights_.experts, group.expert * experts_.size);
        feed.strips(begin, end, scratch_.gathered.from_row(group.first), group.count,
                    gated_.from_row(group.first), thread);
    });
    const int hidden = spec_.hidden_size, tiles = hidden / kTileRows;
    each_part(tiles, [&](const Group& group, int begin, int end, int) {
        const int base = group.expert * tiles;
        float* out = scratch_.out + size_t(group.first) * hidden + size_t(begin) * kTileRows;
        products_.tiles_of(weights_.experts.down, base + begin, base + end, gated_.from_row(group.first),
                           group.count, out, size_t(hidden));
    });
}

void Mixture::multiply_shared(const Activations& in, int rows) {
    Activations gated = scratch_.shared_gated;
    gated.columns = experts_.shared_size;
    const int strips = chunks(experts_.shared_size, kGroup), size = chunk_size(strips, pool_.size(), 4, 1);
    const FeedForward feed(spec_, k_, workspace_, weights_.shared, 0);
    pool_.run(chunks(strips, size), [&](int item, int thread) {
        feed.strips(item * size, std::min(strips, (item + 1) * size), in, rows, gated, thread);
    });
    products_.multiply(gated, rows, {Product{&weights_.shared.down, scratch_.shared_out, size_t(spec_.hidden_size)}});
}

float Mixture::shared_weight(const float* x) const {
    double score = 0.0;
    for (int i = 0; i < spec_.hidden_size; ++i) score += double(x[i]) * double(weights_.shared_router[i]);
    return float(1.0 / (1.0 + std::exp(-score)));
}

void Mixture::join(const Activations& in, int row, float* out) {
    const int hidden = spec_.hidden_size;
    const auto add_weighted = [&](float* x, const float* bias, float weight) {
        if (bias) k_.add(x, bias, hidden);
        k_.scale(x, weight, hidden);
        k_.add(out, x, hidden);
    };
    std::memset(out, 0, size_t(hidden) * sizeof(float));
    for (int rank = 0; rank < experts_.used; ++rank) {
        const size_t at = size_t(row) * experts_.used + rank;
        const float* bias = weights_.experts.down_bias;
        add_weighted(scratch_.out + size_t(scratch_.slots[at]) * hidden,
                     bias ? bias + size_t(scratch_.chosen[at]) * hidden : nullptr, scratch_.weights[at]);
    }
    if (experts_.shared_size == 0) return;
    add_weighted(scratch_.shared_out + size_t(row) * hidden, weights_.shared.down_bias,
                 shared_weight(in.values + size_t(row) * in.columns));
}

}  // namespace stoker
