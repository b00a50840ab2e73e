"""`stoker bench kernels` on sizes that take no time: what it says holds together."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from stoker.bench.kernels import CODECS, measure_kernels
from stoker.cli.bench import command
from stoker.errors import ConfigError
from stoker.kernels.decoder import available_kernels


def test_every_codec_and_kernel_has_a_figure_within_reason() -> None:
    limits, figures = measure_kernels("auto", threads=2, megabytes=1, rounds=1)
    assert min(limits.read_gb, limits.integer_gops, limits.float_gflops) > 0
    names = {figure.kernel for figure in figures}
    assert names >= {f"matmul {codec}" for codec in CODECS}
    assert names >= {"attention", "rms_norm", "quantize_rows", "silu_multiply"}
    for figure in figures:
        assert figure.milliseconds > 0
        assert figure.gops > 0
        assert figure.twin_ratio > 0
        assert figure.bound in ("read", "int8", "float")
        assert figure.share > 0


def test_the_command_writes_what_it_prints(tmp_path) -> None:
    target = tmp_path / "kernels.json"
    arguments = ["kernels", "--megabytes", "1", "--rounds", "1", "--json", str(target)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(target.read_text())
    assert report["kernels"] == available_kernels()[0]
    lines = result.output.splitlines()
    assert len(lines) == 2 + len(report["figures"])
    assert f"{report['figures'][0]['gops']:.1f}" in lines[2]


def test_kernels_this_machine_lacks_are_refused() -> None:
    with pytest.raises(ConfigError):
        measure_kernels("neon", threads=1, megabytes=1, rounds=1)
