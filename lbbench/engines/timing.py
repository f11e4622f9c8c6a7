"""Arithmetic of time that both engines share: clocks, jitter, nanoseconds."""

from __future__ import annotations

import math

import numpy as np

from lbbench.core.rng import TO_UNIT, U11, mix64

TO_BALANCER = 0
TO_CLIENT = 1
NS = 1e9


def milliseconds(time: float) -> int:
    """Return nginx's clock at ``time`` seconds: whole milliseconds, rounded down."""
    return math.floor(1000.0 * time)


def clock(time: float, ms_clock: int) -> float:
    """Return the time that a balancer sees: nginx's millisecond clock or the exact one."""
    if ms_clock:
        return math.floor(1000.0 * time) / 1000.0
    return time


def nanoseconds(seconds: float) -> int:
    """Return whole nanoseconds, ties to even."""
    return np.int64(np.rint(seconds * NS))  # type: ignore[return-value]


def jitter(salt: np.uint64, request: int, way: int, mean: float) -> float:
    """Return the exponential jitter of one request's way; a function of its number alone.

    ``salt`` is uint64. Being counter-based it needs no stream, so the order of events cannot change
    it and every balancer meets the same network.
    """
    if mean <= 0.0:
        return 0.0
    mixed = mix64(salt ^ mix64(np.uint64(2 * request + way)))
    return -mean * math.log(1.0 - float(mixed >> U11) * TO_UNIT)


def observed_rtt(
    picked: float, connected: float, kept: int, answered: float, ms_clock: int
) -> float:
    """Return the response time that a balancer is told, in seconds.

    ingress-nginx adds ``$upstream_connect_time`` to ``$upstream_response_time``, which begins
    before the connect, so connecting counts twice; both have millisecond resolution
    (kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/ewma.lua; nginx
    src/http/ngx_http_upstream.c). With the exact clock it is simply the elapsed time.
    """
    if ms_clock == 0:
        return answered - picked
    begun = milliseconds(picked)
    connect = 0
    if kept == 0:
        connect = milliseconds(connected) - begun
    return (connect + (milliseconds(answered) - begun)) / 1000.0
