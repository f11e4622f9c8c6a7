"""Values that a preset switches on; keys given in the scenario win."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NETWORK = {"same_node_rtt": "0.1ms", "cross_node_rtt": "0.99ms"}
"""Round trips between pods: pings across nodes of the seed's cluster took 0.9 to 1.07 ms."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # AKS with kubenet and a present ingress-nginx
    "aks-kubenet": {
        "cluster": {"network": _NETWORK},
        "stages": {
            "ingress": {
                "keepalive": {
                    "upstream": 320,
                    "upstream_requests": 10000,
                    "upstream_timeout": "60s",
                    "client_timeout": "75s",
                    "client_requests": 1000,
                }
            }
        },
    },
    # the cluster of the blog post, 2019: two CPUs per node, Kubernetes 1.11, ingress-nginx 0.21
    "seed": {
        "cluster": {"network": _NETWORK, "ingress": {"workers": 2}},
        "stages": {
            "kube_proxy": {"probability_format": "%0.5f"},
            "ingress": {
                "keepalive": {
                    "upstream": 32,
                    "upstream_requests": 100,
                    "upstream_timeout": "60s",
                    "client_timeout": "75s",
                    "client_requests": 100,
                }
            },
        },
    },
}


def with_preset(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data of a scenario with the values of its preset underneath."""
    preset = data.get("preset")
    if not isinstance(preset, str) or preset not in PRESETS:
        return dict(data)
    return overlaid(PRESETS[preset], data)


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` overlaid with ``over``, mapping by mapping; a null changes nothing."""
    made: dict[str, Any] = dict(base)
    for key, value in over.items():
        below = made.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            made[key] = overlaid(below, value)
        elif value is not None or key not in made:
            made[key] = value
    return made
