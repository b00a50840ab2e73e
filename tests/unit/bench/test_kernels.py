"""`stoker bench kernels` on sizes that take no time: what it says holds together."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from stoker.bench.kernel_cases import BATCHES, CODECS, SHAPES
from stoker.bench.kernels import measure_kernels
from stoker.cli.bench import command
from stoker.errors import ConfigError
from stoker.kernels.decoder import available_kernels

THREADS = 2
OTHER_KERNELS = {
    "attention", "rms_norm", "quantize_rows", "silu_multiply", "rope and KV write", "sampler",
}  # fmt: skip


@pytest.fixture(scope="module")
def printed_and_written(tmp_path_factory) -> tuple[str, dict]:
    target = tmp_path_factory.mktemp("kernels") / "kernels.json"
    arguments = ["kernels", "--threads", str(THREADS), "--megabytes", "1", "--rounds", "1"]
    result = CliRunner().invoke(command, [*arguments, "--json", str(target)])
    assert result.exit_code == 0, result.output
    return result.output, json.loads(target.read_text())


def test_every_codec_shape_and_kernel_has_a_figure(printed_and_written) -> None:
    _, report = printed_and_written
    figures = {(figure["kernel"], figure["shape"]) for figure in report["figures"]}
    assert len(figures) == len(report["figures"])
    for codec in CODECS:
        for rows, columns in SHAPES:
            for batch in BATCHES:
                assert (f"matmul {codec}", f"{columns} to {rows}, {batch} rows") in figures
    assert {kernel for kernel, _ in figures if not kernel.startswith("matmul")} == OTHER_KERNELS


def test_a_share_is_of_the_limit_of_as_many_threads(printed_and_written) -> None:
    _, report = printed_and_written
    rates = {"read": ("gb", "read_gb"), "int8": ("gops", "integer_gops")}
    rates["float"] = ("gops", "float_gflops")
    limits = {limit["threads"]: limit for limit in report["limits"]}
    assert sorted(limits) == [1, THREADS]
    for figure in report["figures"]:
        rate, limit = rates[figure["bound"]]
        assert figure["share"] == pytest.approx(figure[rate] / limits[figure["threads"]][limit])
        assert min(figure["milliseconds"], figure["twin_milliseconds"], figure["gops"]) > 0
        assert figure["gb"] > 0
    of_rows = {f["kernel"]: f["threads"] for f in report["figures"]}
    assert of_rows["rms_norm"] == 1
    assert of_rows["attention"] == THREADS


def test_work_is_rate_times_time_and_follows_from_the_shape(printed_and_written) -> None:
    _, report = printed_and_written
    figures = {(figure["kernel"], figure["shape"]): figure for figure in report["figures"]}
    head = figures["matmul U8", "576 to 49152, 4 rows"]
    assert head["gops"] * head["milliseconds"] / 1e3 == pytest.approx(2 * 49152 * 576 * 4 / 1e9)
    prefill = figures["attention", "512 tokens, 512 x 3 heads of 64"]
    one_head = 4 * 64 * 3 * 512 * 513 / 2 / 1e9
    heads = prefill["gops"] * prefill["milliseconds"] / 1e3 / one_head
    assert heads == pytest.approx(round(heads))


def test_the_names_in_the_file_are_the_ones_scripts_read(printed_and_written) -> None:
    _, report = printed_and_written
    assert list(report) == [
        "machine", "kernels", "threads", "rounds", "megabytes", "limits", "figures",
    ]  # fmt: skip
    assert list(report["limits"][0]) == ["threads", "read_gb", "integer_gops", "float_gflops"]
    assert list(report["figures"][0]) == [
        "kernel", "shape", "threads", "milliseconds", "twin_milliseconds", "gb", "gops", "share",
        "bound",
    ]  # fmt: skip
    assert report["kernels"] == available_kernels()[0]


def test_the_table_has_a_line_for_every_figure(printed_and_written) -> None:
    printed, report = printed_and_written
    lines = printed.splitlines()
    for figure in report["figures"]:
        line = next(x for x in lines if figure["kernel"] in x and f" {figure['shape']} " in x)
        assert f" {figure['share']:.0%} " in line
        assert f" {figure['twin_milliseconds']:.1f} " in line
    assert lines[0].startswith(f"{report['kernels']}, 1 thread: reads ")
    assert lines[1].startswith(f"{report['kernels']}, {THREADS} threads: reads ")


@pytest.mark.parametrize(
    ("kernels", "megabytes"), [("neon", 1), ("auto", 1 << 40)], ids=["kernels", "memory"]
)
def test_what_this_machine_cannot_do_is_refused(kernels, megabytes) -> None:
    with pytest.raises(ConfigError) as refused:
        measure_kernels(kernels, threads=1, megabytes=megabytes, rounds=1)
    assert refused.value.hint
