"""Any exception as an error of the tree. The unexpected is logged and becomes InternalError."""

from __future__ import annotations

import logging

from stoker.errors import InternalError, StokerError
from stoker.observe.logs import outline

log = logging.getLogger(__name__)


def as_stoker_error(error: Exception, request_id: str) -> StokerError:
    if isinstance(error, StokerError):
        if error.status >= 500:
            log.warning("request failed: %s", error.code, extra={"request_id": request_id})
        return error
    log.error("a defect of ours: %s", outline(error), extra={"request_id": request_id})
    return InternalError("a defect")
