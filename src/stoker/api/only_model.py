"""Where nothing in a question names a model: the only one."""

from __future__ import annotations

from stoker.api.dispatch import resolve_only
from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.service import Service
from stoker.core.ids import TokenId
from stoker.errors import UnsupportedConstraint
from stoker.gateway.routes import OwnTarget


def only_own(front: Front, exchange: Exchange) -> Service:
    """Raises InvalidRequest where there are several, UnsupportedConstraint where it is another
    server's."""
    route = resolve_only(front, None, exchange)
    target = route.targets[0]
    if not isinstance(target, OwnTarget):
        raise UnsupportedConstraint("the model is on another server", param="model")
    return front.services[target.model]


def begin_token(service: Service) -> str | None:
    """As the model's files spell it."""
    return _spelled(service, service.text.tokenizer.bos_token_id)


def end_token(service: Service) -> str | None:
    """Of those that end an answer, the one that the model's files name."""
    template = service.text.chat_template
    if template is not None and template.eos:
        return template.eos
    return _spelled(service, min(service.text.tokenizer.eos_token_ids, default=None))


def _spelled(service: Service, token: TokenId | None) -> str | None:
    return None if token is None else service.text.tokenizer.vocabulary.tokens[token]
