"""The part of an nginx configuration that takes requests straight to replicas, where and with what
ticket the front says."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from stoker.config.schema import Config
from stoker.config.ticket_key import read_ticket_keys
from stoker.config.topology import STARTED_ELSEWHERE
from stoker.errors import ConfigError
from stoker.fleet.remote_answers import proxy_address
from stoker.fleet.replica_protocol import (
    ANSWER_PATH,
    EDGE_HEADER,
    REPLICA_HEADER,
    TICKET_HEADER,
    VERSION_HEADER,
)
from stoker.fleet.ticket import edge_token

LOCATION = "@direct"
"""Named ones cannot be asked for, and keep the method and the body."""
AGAIN = "@again"
_ADDRESS = re.compile(r"[A-Za-z0-9.:\[\]-]{1,260}:\d{1,5}")


class DirectEdge(msgspec.Struct, frozen=True, kw_only=True):
    """What nginx needs for it."""

    token: str
    """Tells the front that nginx is there."""
    replicas: tuple[str, ...]
    """HOST:PORT of replicas at fixed addresses."""
    ports: tuple[int, ...]
    """Of replicas found by name: at whatever addresses the name has."""


def direct_edge(config: Config) -> DirectEdge | None:
    """None unless edge.mode is direct. Raises ConfigError when no replica can be had directly."""
    if config.edge.mode != "direct":
        return None
    urls = [url for model in config.models if model.placer in STARTED_ELSEWHERE
            for url in model.urls]  # fmt: skip
    found = [proxy_address(url.rstrip("/")) for url in urls]
    addresses = list(dict.fromkeys(one for one in found if _ADDRESS.fullmatch(one)))
    if not addresses:
        raise ConfigError(
            "edge.mode is direct, and no model has a replica at an http:// URL without a path",
            param="edge.mode",
            hint="Replicas on this machine and behind https are proxied; set edge.mode to proxied.",
        )
    fixed = [one for one in addresses if _is_literal(one)]
    named = [one for one in addresses if one not in fixed]
    return DirectEdge(
        token=edge_token(read_ticket_keys(Path(config.edge.ticket_key_file))[0]),
        replicas=tuple(fixed),
        ports=tuple(sorted({int(one.rpartition(":")[2]) for one in named})),
    )


def _is_literal(address: str) -> bool:
    host = urlsplit(f"//{address}").hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def replica_lines(direct: DirectEdge) -> list[str]:
    """At the level of http: who can be a replica. The front names one; any other is none."""
    upstreams = []
    known = []
    for number, address in enumerate(direct.replicas):
        upstreams += ["", f"upstream replica_{number} {{", f"    server {address};",
                      "    keepalive 256;", "}"]  # fmt: skip
        known.append(f'    "{address}" replica_{number};')
    known += [
        rf'    "~^([0-9.]+|\[[0-9a-f:.]+\]):{port}$" $named_replica;' for port in direct.ports
    ]
    return [
        *upstreams,
        "",
        f"map {_said(REPLICA_HEADER)} $named_replica {{",
        f"    default {_said(REPLICA_HEADER)};",
        "}",
        f"map {_said(REPLICA_HEADER)} $replica {{",
        '    default "";',
        *known,
        "}",
    ]


def location_lines(proxy: Sequence[str]) -> list[str]:
    """The location that the front's answer leads to; `proxy` is how any server is asked."""
    return [
        "",
        "    # Where the front sends a request that a replica answers by itself. What the front",
        "    # said is kept before the replica's answer takes its place.",
        f"    location {LOCATION} {{",
        "        set $to_replica $replica;",
        f"        set $replica_name {_said(REPLICA_HEADER)};",
        f"        set $ticket {_said(TICKET_HEADER)};",
        f"        set $version {_said(VERSION_HEADER)};",
        '        if ($to_replica = "") {',
        "            return 502;",
        "        }",
        f"        proxy_pass http://$to_replica{ANSWER_PATH}$request_uri;",
        "        proxy_set_header Host $replica_name;",
        f"        proxy_set_header {_title(TICKET_HEADER)} $ticket;",
        f"        proxy_set_header {_title(VERSION_HEADER)} $version;",
        '        proxy_set_header Authorization "";',
        '        proxy_set_header X-Api-Key "";',
        '        proxy_set_header Cookie "";',
        '        proxy_set_header Origin "";',
        *(f"        {line}" for line in proxy),
        "        proxy_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Charset;",
        f"        error_page 502 = {AGAIN};",
        "        error_page 504 @refused_504;",
        "    }",
    ]


def again_lines(direct: DirectEdge, proxy: Sequence[str]) -> list[str]:
    """Where a request goes of which nothing came from the replica: to the front once more, which
    is told of it by the ticket, and answers this time without sending it on."""
    return [
        "",
        "    # A replica was gone before it answered: the front takes the request back.",
        f"    location {AGAIN} {{",
        "        proxy_pass http://stoker;",
        "        proxy_set_header Host $http_host;",
        f'        proxy_set_header {_title(EDGE_HEADER)} "{direct.token}";',
        f"        proxy_set_header {_title(TICKET_HEADER)} $ticket;",
        *(f"        {line}" for line in proxy),
        "        proxy_ignore_headers X-Accel-Redirect;",
        "        recursive_error_pages on;",
        "    }",
    ]


def front_lines(direct: DirectEdge | None) -> list[str]:
    """For requests to the front. Only the front is obeyed in where a request goes, and that only
    when it was told that nginx is there."""
    if direct is None:
        return [
            f'proxy_set_header {_title(EDGE_HEADER)} "";',
            "proxy_ignore_headers X-Accel-Redirect;",
        ]
    return [f'proxy_set_header {_title(EDGE_HEADER)} "{direct.token}";']


def _said(header: str) -> str:
    """nginx's variable for what the server asked last answered."""
    return f"$upstream_http_{header.replace('-', '_')}"


def _title(header: str) -> str:
    return header.title()
