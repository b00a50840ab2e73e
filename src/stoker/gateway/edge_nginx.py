"""A complete nginx configuration for a front: TLS, streams that are not held back, and limits that
agree with the front's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stoker.config.schema import Config, LimitsSection
from stoker.errors import (
    ConfigError,
    DeadlineExceeded,
    NoCapacity,
    PayloadTooLarge,
    RateLimitExceeded,
    StokerError,
)
from stoker.gateway.edge_direct import (
    DirectEdge,
    again_lines,
    direct_edge,
    front_lines,
    location_lines,
    replica_lines,
)

_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})")
_PATH = re.compile(r"[A-Za-z0-9/._+@=-]{1,1024}")
SENTENCES = {
    PayloadTooLarge: "the body is too large",
    RateLimitExceeded: "too many requests from this address",
    NoCapacity: "no server is ready to take this request",
    DeadlineExceeded: "the server did not answer in time",
}
MARGIN_SECONDS = 5
"""nginx waits so much longer than the front, so that the front's answer is the one clients get."""


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """What nginx needs to know beyond the configuration of the front."""

    names: tuple[str, ...] = ("_",)
    """Host names it answers to."""
    certificate: str = ""
    certificate_key: str = ""
    listen: int = 443
    requests_a_second: int = 0
    """Of one client address; 0: no limit."""
    connections: int = 0
    """Of one client address; 0: no limit."""
    upstreams: tuple[str, ...] = ()
    """HOST:PORT of every front; empty: the one of the configuration."""
    folder: str = "/run/stoker-nginx"
    """For the process id and for bodies that do not fit into memory."""


def nginx_configuration(config: Config, edge: Edge) -> str:
    """The whole file, for `nginx -c`. Raises ConfigError for a value that could change its
    meaning."""
    _check(edge)
    limits, direct = config.limits, direct_edge(config)
    upstreams = edge.upstreams or (f"{config.server.host}:{config.server.port}",)
    blocks = [
        _head(edge.folder),
        "http {",
        *_indented(_http(edge, limits)),
        *_indented(_upstream(upstreams)),
        *_indented(replica_lines(direct) if direct else []),
        *_indented(_redirect(edge)),
        *_indented(_server(edge, limits, direct)),
        "}",
        "",
    ]
    return "\n".join(blocks)


def _check(edge: Edge) -> None:
    for name in edge.names:
        if name != "_" and not _HOST.fullmatch(name):
            raise ConfigError(f"'{name}' is not a host name", param="--name")
    for path in (edge.certificate, edge.certificate_key, edge.folder):
        if path and not _PATH.fullmatch(path):
            raise ConfigError(
                "a path of the edge may have letters, digits and /._+@=- only", param="path"
            )
    if bool(edge.certificate) != bool(edge.certificate_key):
        raise ConfigError(
            "a certificate needs its key, and a key its certificate", param="--certificate"
        )
    for upstream in edge.upstreams:
        host, _, port = upstream.rpartition(":")
        if not _HOST.fullmatch(host) or not port.isdecimal():
            raise ConfigError(f"'{upstream}' is not HOST:PORT", param="--upstream")


def _head(folder: str) -> str:
    return f"""\
# Made by `stoker edge nginx`; make it again when the configuration changes.
pid {folder}/nginx.pid;
error_log stderr warn;
worker_processes auto;
worker_rlimit_nofile 65536;
events {{
    worker_connections 16384;
}}
"""


def _http(edge: Edge, limits: LimitsSection) -> list[str]:
    zones = []
    if edge.requests_a_second:
        rate = edge.requests_a_second
        zones.append(f"limit_req_zone $binary_remote_addr zone=rate:10m rate={rate}r/s;")
    if edge.connections:
        zones.append("limit_conn_zone $binary_remote_addr zone=connections:10m;")
    return [
        "server_tokens off;",
        "default_type application/octet-stream;",
        "tcp_nodelay on;",
        f"client_body_temp_path {edge.folder}/body;",
        f"proxy_temp_path {edge.folder}/proxy;",
        f"fastcgi_temp_path {edge.folder}/fastcgi;",
        f"uwsgi_temp_path {edge.folder}/uwsgi;",
        f"scgi_temp_path {edge.folder}/scgi;",
        "# No prompts and no keys: neither bodies nor headers are logged.",
        'log_format short \'$remote_addr "$request_method $uri" $status $bytes_sent '
        "$request_time $request_id';",
        "access_log /dev/stdout short buffer=64k flush=1s;",
        f"client_max_body_size {limits.body_bytes};",
        f"client_body_buffer_size {min(limits.body_bytes, 1 << 20)};",
        f"client_header_timeout {limits.header_seconds:g}s;",
        f"client_body_timeout {limits.body_seconds:g}s;",
        f"send_timeout {limits.send_seconds:g}s;",
        f"keepalive_timeout {limits.idle_seconds:g}s;",
        f"large_client_header_buffers 4 {limits.line_bytes};",
        *zones,
    ]


def _upstream(upstreams: Sequence[str]) -> list[str]:
    """A front that refuses a connection is left alone for a while. Requests are not sent again by
    nginx: the front knows better which may be."""
    return [
        "",
        "upstream stoker {",
        *(f"    server {one} max_fails=2 fail_timeout=5s;" for one in upstreams),
        "    least_conn;" if len(upstreams) > 1 else "",
        "    keepalive 256;",
        "}",
    ]


def _redirect(edge: Edge) -> list[str]:
    if not edge.certificate:
        return []
    return [
        "",
        "server {",
        f"    listen {80 if edge.listen == 443 else edge.listen + 1};",
        f"    server_name {' '.join(edge.names)};",
        "    return 308 https://$host$request_uri;",
        "}",
    ]


def _server(edge: Edge, limits: LimitsSection, direct: DirectEdge | None) -> list[str]:
    front = [*_front(), *front_lines(direct), *_proxy(limits)]
    secure = " ssl" if edge.certificate else ""
    return [
        "",
        "server {",
        f"    listen {edge.listen}{secure};",
        f"    server_name {' '.join(edge.names)};",
        *(_tls(edge) if edge.certificate else []),
        *(["    limit_req zone=rate burst=20 nodelay;"] if edge.requests_a_second else []),
        *([f"    limit_conn connections {edge.connections};"] if edge.connections else []),
        "    limit_req_status 429;",
        "    limit_conn_status 429;",
        "",
        "    location / {",
        *(f"        {line}" for line in front),
        "    }",
        "",
        "    # For the operator's network, not for clients.",
        "    location = /metrics {",
        "        allow 127.0.0.1;",
        "        allow ::1;",
        "        deny all;",
        *(f"        {line}" for line in front),
        "    }",
        "    location /replica/ {",
        "        return 404;",
        "    }",
        *(location_lines(_proxy(limits)) if direct else []),
        *(again_lines(direct, _proxy(limits)) if direct else []),
        *_refusals(),
        "}",
    ]


def _refusals() -> list[str]:
    """What nginx refuses by itself looks as the front's own refusals do."""
    lines = []
    for error, statuses in _REFUSALS.items():
        body = f'{{"error":{{"message":"{SENTENCES[error]}","type":"{error.type}","param":null,'
        body += f'"code":"{error.code}","hint":null,"request_id":"$request_id"}}}}'
        retry = f"add_header x-should-retry {str(error.retry).lower()} always;"
        lines += [
            "",
            f"    error_page {statuses} @refused_{error.status};",
            f"    location @refused_{error.status} {{",
            "        internal;",
            "        default_type application/json;",
            f"        {retry}",
            *(["        add_header retry-after 1 always;"] if error.retry else []),
            f"        return {error.status} '{body}';",
            "    }",
        ]
    return lines


_REFUSALS: dict[type[StokerError], str] = {
    PayloadTooLarge: "413",
    RateLimitExceeded: "429",
    NoCapacity: "502 503",
    DeadlineExceeded: "504",
}
"""With the statuses of nginx's own that they stand for."""


def _tls(edge: Edge) -> list[str]:
    return [
        f"    ssl_certificate {Path(edge.certificate)};",
        f"    ssl_certificate_key {Path(edge.certificate_key)};",
        "    ssl_protocols TLSv1.2 TLSv1.3;",
        "    ssl_session_cache shared:tls:10m;",
        "    ssl_session_tickets off;",
        "    add_header Strict-Transport-Security max-age=31536000 always;",
    ]


def _front() -> list[str]:
    """What clients say of themselves in headers of ours does not pass."""
    return [
        "proxy_pass http://stoker;",
        "proxy_set_header Host $http_host;",
        'proxy_set_header X-Stoker-Ticket "";',
    ]


def _proxy(limits: LimitsSection) -> list[str]:
    """Streams pass as they come."""
    return [
        "proxy_http_version 1.1;",
        'proxy_set_header Connection "";',
        "proxy_set_header X-Request-Id $request_id;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_buffering off;",
        "proxy_request_buffering on;",
        "proxy_next_upstream off;",
        "proxy_connect_timeout 5s;",
        f"proxy_read_timeout {limits.request_seconds + MARGIN_SECONDS:g}s;",
        f"proxy_send_timeout {limits.body_seconds + MARGIN_SECONDS:g}s;",
    ]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}".rstrip() for line in lines]
