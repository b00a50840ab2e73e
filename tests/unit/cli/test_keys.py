from __future__ import annotations

import re
from pathlib import Path

import pytest

from stoker.cli.main import run
from stoker.config.load import load
from stoker.gateway.identity import Keyring

TENANT = '[[tenants]]\nname = "acme"\n'


def test_a_new_key_opens_a_server_that_has_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["keys", "new", "acme", "--expires", "2100-01-01"]) == 0
    shown = capsys.readouterr()
    found = re.search(r"sk-stoker-acme-\S+", shown.err)
    assert found is not None
    assert found.group() not in shown.out
    path = tmp_path / "stoker.toml"
    path.write_text(TENANT + shown.out)
    config = load(path=str(path)).config
    ring = Keyring(config.tenants, config.keys)
    assert ring.authenticate(found.group().encode(), 0.0).tenant.name == "acme"


@pytest.mark.parametrize(
    "arguments",
    [['a"b'], ["acme", "--id", "x\ny"], ["acme", "--expires", "soon"], ["acme", "--id", "a" * 200]],
)
def test_what_the_configuration_would_refuse_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["keys", "new", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
