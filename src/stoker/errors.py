"""Every error Stoker raises on purpose, in one tree.

    StokerError
    ├── RequestError                 the request cannot be served as it is           4xx
    │   ├── InvalidRequest           malformed, wrong type, out of range             400
    │   ├── ContextLengthExceeded    prompt + max_tokens can never fit               400
    │   ├── UnsupportedConstraint    a constraint that cannot be enforced            400
    │   ├── InvalidApiKey            no key, or a wrong one                          401
    │   ├── BudgetExhausted          the window's money is spent                     402
    │   ├── PermissionDenied         a key that may not do this                      403
    │   ├── ModelNotFound            no model of that name is served                 404
    │   ├── RouteNotFound            no such path                                    404
    │   ├── MethodNotAllowed         the path exists, the verb does not              405
    │   ├── RequestTimeout           the body arrived too slowly                     408
    │   ├── PayloadTooLarge          the body is over its limit                      413
    │   ├── UnsupportedMediaType     not JSON                                        415
    │   ├── MisdirectedHost          the Host header is not allowed                  421
    │   └── HeadersTooLarge          headers over their limit                        431
    ├── CapacityError                well-formed, but not now                        429/503
    │   ├── RateLimitExceeded        this tenant is over its own limit               429
    │   ├── Overloaded               the service is full                             429
    │   ├── NoCapacity               no replica is ready                             503
    │   ├── StorageUnavailable       limits or budgets cannot be kept right now      503
    │   ├── Draining                 shutting down                                   503
    │   └── Loading                  the model is still loading                      503
    ├── ServingError                 accepted, then failed                           5xx
    │   ├── ReplicaLost              the engine died and could not be resumed        502
    │   ├── BackendFailed            a server that is not ours failed or fell silent 502
    │   ├── DeadlineExceeded         no time left                                    504
    │   ├── NumericalError           the model produced NaN or infinity              500
    │   └── InternalError            a defect of ours                                500
    └── SetupError                   wrong before serving began; one line, exit 2
        ├── ConfigError              an unknown key, a wrong value
        ├── ModelFileError           a model file that cannot be trusted or read
        ├── UnsupportedModel         a sound file with an architecture we lack
        ├── PullError                a download that failed or did not verify
        └── ProtocolError            two processes that do not speak the same frames

`status`, `type` and `code` are what an HTTP client sees; `retry` says whether the same request may
succeed later; `hint` tells the user what to do and never holds prompts, paths or addresses for 5xx.
"""

from __future__ import annotations

from typing import ClassVar


class StokerError(Exception):
    """Root of the tree. `message` is safe to show to the caller."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal"
    retry: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.hint = self.default_hint if hint is None else hint
        self.retry_after = retry_after


class RequestError(StokerError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class InvalidRequest(RequestError):
    default_hint = "Correct the named field and send the request again."


class ContextLengthExceeded(RequestError):
    code = "context_length_exceeded"
    default_hint = "Shorten the prompt or ask for fewer tokens."


class UnsupportedConstraint(RequestError):
    code = "unsupported_constraint"
    default_hint = "Simplify the schema or grammar, or leave the constraint out."


class InvalidApiKey(RequestError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"
    default_hint = "Send 'Authorization: Bearer KEY' with a key this server knows."


class BudgetExhausted(RequestError):
    """Not a CapacityError: coming back soon does not help."""

    status = 402
    type = "budget_error"
    code = "budget_exhausted"
    default_hint = "Wait for the next budget window, or ask the operator to raise the budget."


class PermissionDenied(RequestError):
    status = 403
    type = "permission_error"
    code = "permission_denied"


class ModelNotFound(RequestError):
    status = 404
    code = "model_not_found"
    default_hint = "GET /v1/models lists the models served here."


class FileNotFound(RequestError):
    status = 404
    code = "file_not_found"
    default_hint = "GET /v1/files lists the files of this key's tenant."


class BatchNotFound(RequestError):
    status = 404
    code = "batch_not_found"
    default_hint = "GET /v1/batches lists the batches of this key's tenant."


class RouteNotFound(RequestError):
    status = 404
    code = "route_not_found"
    default_hint = "GET /docs lists the routes of this server."


class MethodNotAllowed(RequestError):
    status = 405
    code = "method_not_allowed"


class RequestTimeout(RequestError):
    status = 408
    type = "timeout_error"
    code = "request_timeout"
    retry = True


class PayloadTooLarge(RequestError):
    status = 413
    code = "payload_too_large"


class UnsupportedMediaType(RequestError):
    status = 415
    code = "unsupported_media_type"
    default_hint = "Send 'Content-Type: application/json'."


class MisdirectedHost(RequestError):
    status = 421
    code = "misdirected"
    default_hint = "Add the host name to server.allowed_hosts."


class HeadersTooLarge(RequestError):
    status = 431
    code = "headers_too_large"


class CapacityError(StokerError):
    status = 503
    type = "overloaded_error"
    code = "no_capacity"
    retry = True


class RateLimitExceeded(CapacityError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class Overloaded(CapacityError):
    status = 429
    code = "overloaded"
    default_hint = "Retry after the time in the Retry-After header."


class NoCapacity(CapacityError):
    default_hint = "The engine is restarting; retry shortly."


class StorageUnavailable(CapacityError):
    code = "storage_unavailable"
    default_hint = "Retry shortly; the operator's log says which store does not answer."


class Draining(CapacityError):
    code = "draining"
    default_hint = "The server is shutting down; send the request elsewhere."


class Loading(CapacityError):
    code = "loading"
    default_hint = "The model is loading; retry shortly."


class ServingError(StokerError):
    pass


class ReplicaLost(ServingError):
    status = 502
    code = "replica_lost"
    retry = True


class BackendFailed(ServingError):
    status = 502
    code = "backend_failed"
    retry = True


class DeadlineExceeded(ServingError):
    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"


class NumericalError(ServingError):
    code = "numerical_error"
    default_hint = "The model produced a value that is not a number; no other request is affected."


class InternalError(ServingError):
    default_hint = "Report this with the request id."


class SetupError(StokerError):
    """Shown as one line on standard error; the command exits with code 2."""

    code = "setup_error"


class ConfigError(SetupError):
    code = "config_error"


class ModelFileError(SetupError):
    code = "model_file_error"

    def __init__(self, path: object, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {reason}", hint=hint)
        self.path = str(path)
        self.reason = reason


class UnsupportedModel(SetupError):
    code = "unsupported_model"


class PullError(SetupError):
    code = "pull_error"


class ProtocolError(SetupError):
    code = "protocol_error"
