from __future__ import annotations

import pytest

from stoker.errors import ModelNotFound, PermissionDenied
from stoker.gateway.routes import ForeignTarget, OwnTarget, Route, merged
from stoker.gateway.tenant import ANONYMOUS, Principal, Privacy, Tenant

AWAY = ForeignTarget("provider", "big")
NEAR = ForeignTarget("next-door", "big", private=True)
TABLE = merged(
    {"Small": [], "tiny": []},
    [
        Route("chat", (OwnTarget("Small"), AWAY)),
        Route("big", (AWAY,)),
        Route("tiny", (NEAR, OwnTarget("tiny"))),
    ],
)
LOCAL = Principal(tenant=Tenant(name="l", privacy=Privacy.LOCAL))
TWO = Tenant(name="f", models=frozenset({"chat", "big"}))
FEW = Principal(tenant=TWO, models=frozenset({"big"}))


def test_names_are_found_in_any_case_and_keep_their_spelling() -> None:
    assert TABLE.resolve("SMALL", ANONYMOUS) == Route("Small", (OwnTarget("Small"),))


def test_a_route_stands_before_the_model_whose_name_it_took() -> None:
    assert TABLE.resolve("tiny", ANONYMOUS).targets == (NEAR, OwnTarget("tiny"))
    assert [route.name for route in TABLE.visible(ANONYMOUS)] == ["chat", "big", "tiny", "Small"]


def test_what_must_stay_is_never_sent_away() -> None:
    assert TABLE.resolve("chat", LOCAL).targets == (OwnTarget("Small"),)
    assert TABLE.resolve("tiny", LOCAL).targets == (NEAR, OwnTarget("tiny"))
    with pytest.raises(PermissionDenied):
        TABLE.resolve("big", LOCAL)
    assert "big" not in [route.name for route in TABLE.visible(LOCAL)]


def test_a_model_a_client_may_not_use_does_not_exist_for_it() -> None:
    assert TABLE.resolve("big", FEW).targets == (AWAY,)
    with pytest.raises(ModelNotFound) as hidden:
        TABLE.resolve("chat", FEW)
    assert "'chat'" in hidden.value.message
    assert "Small" not in hidden.value.message
    assert [route.name for route in TABLE.visible(FEW)] == ["big"]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelNotFound, match="'Small' is"):
        TABLE.resolve("smal", ANONYMOUS)


def test_an_adapter_has_a_name_of_its_own_until_it_goes() -> None:
    table = merged({"Small": ["Poet", "chat"]}, [Route("chat", (AWAY,))])
    poet = Route("Poet", (OwnTarget("Small", "Poet"),))
    assert table.resolve("poet", ANONYMOUS) == poet
    assert table.resolve("chat", ANONYMOUS).targets == (AWAY,)
    without = table.without("poet")
    assert not without.has("Poet")
    assert without.with_route(poet).resolve("POET", ANONYMOUS) == poet
