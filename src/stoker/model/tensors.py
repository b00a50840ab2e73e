"""Every tensor of a model by its canonical name, with its shape.

Shapes are (rows, columns) with the reduction along columns, so `y = x @ W.T`, or (length,). The
matrices of a layer's experts are stacked, one expert's rows after the other's.
"""

from __future__ import annotations

from stoker.model.spec import DecoderSpec, ExpertSpec, LayerSpec, QkNorm

Shape = tuple[int, ...]


def tensor_shapes(spec: DecoderSpec) -> dict[str, Shape]:
    """The names without a layer, then `layers.{i}.NAME` for each layer."""
    hidden = spec.hidden_size
    shapes: dict[str, Shape] = {"embedding": (spec.vocab_size, hidden)}
    if spec.learned_positions:
        shapes["positions"] = (spec.max_context, hidden)
    if spec.token_types:
        shapes["types"] = (spec.token_types, hidden)
    shapes |= _norm(spec, "final_norm")
    if not spec.tied_head:
        shapes["head"] = (spec.vocab_size, hidden)
    if spec.labels:
        shapes |= {"pooler": (hidden, hidden), "pooler_bias": (hidden,)}
        shapes |= {"classifier": (spec.labels, hidden), "classifier_bias": (spec.labels,)}
    for i, layer in enumerate(spec.layers):
        own = _attention(spec) | _feed_forward_norms(spec) | _feed_forward(spec, layer)
        shapes |= {f"layers.{i}.{name}": shape for name, shape in own.items()}
    return shapes


def _norm(spec: DecoderSpec, name: str) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {name: (spec.hidden_size,)}
    if spec.norm_bias:
        shapes[f"{name}_bias"] = (spec.hidden_size,)
    return shapes


def _attention(spec: DecoderSpec) -> dict[str, Shape]:
    hidden = spec.hidden_size
    queries, keys = spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim
    shapes = _norm(spec, "attention_norm") if spec.pre_norms else {}
    shapes |= {
        "q": (queries, hidden),
        "k": (keys, hidden),
        "v": (keys, hidden),
        "o": (hidden, queries),
    }
    if spec.qkv_bias:
        shapes |= {"q_bias": (queries,), "k_bias": (keys,), "v_bias": (keys,)}
    if spec.output_bias:
        shapes["o_bias"] = (hidden,)
    if spec.qk_norm is QkNorm.HEAD:
        shapes |= {"q_norm": (spec.head_dim,), "k_norm": (spec.head_dim,)}
    if spec.qk_norm is QkNorm.WHOLE:
        shapes |= {"q_norm": (queries,), "k_norm": (keys,)}
    if spec.attention_sinks:
        shapes["sinks"] = (spec.num_heads,)
    return shapes


def _feed_forward_norms(spec: DecoderSpec) -> dict[str, Shape]:
    shapes = _norm(spec, "feed_forward_norm") if spec.pre_norms else {}
    if spec.post_norms:
        shapes |= _norm(spec, "attention_post_norm") | _norm(spec, "feed_forward_post_norm")
    return shapes


def _feed_forward(spec: DecoderSpec, layer: LayerSpec) -> dict[str, Shape]:
    if layer.experts is None:
        return _matrices(spec, "", 1, spec.feed_forward_size)
    return _mixture(spec, layer.experts)


def _mixture(spec: DecoderSpec, experts: ExpertSpec) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {"router": (experts.count, spec.hidden_size)}
    if experts.router_bias:
        shapes["router_bias"] = (experts.count,)
    shapes |= _matrices(spec, "experts_", experts.count, experts.size)
    if experts.shared_size:
        shapes |= _matrices(spec, "shared_", 1, experts.shared_size)
        shapes["shared_router"] = (spec.hidden_size,)
    return shapes


def _matrices(spec: DecoderSpec, prefix: str, count: int, size: int) -> dict[str, Shape]:
    inner, outer = count * size, count * spec.hidden_size
    shapes: dict[str, Shape] = {
        "gate": (inner, spec.hidden_size),
        "up": (inner, spec.hidden_size),
        "down": (outer, size),
    }
    if spec.feed_forward_bias:
        shapes |= {"gate_bias": (inner,), "up_bias": (inner,), "down_bias": (outer,)}
    gates = () if spec.gated else ("gate", "gate_bias")
    return {prefix + name: shape for name, shape in shapes.items() if name not in gates}
