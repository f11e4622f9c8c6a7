"""The order of events: one total order that both engines follow (time, class, request, attempt)."""

from __future__ import annotations

FINISH = 0  # a pod finishes an attempt
ANSWER = 1  # the answer or failure reaches the worker: log phase, `done`, retry
CLIENT = 2  # the answer reaches the client
CHANGE = 3  # the cluster changes
VIEW = 4  # a view of the cluster changes: node rules, probe verdict, worker sync
REACH_POD = 5  # an attempt reaches a pod
REACH_WORKER = 6  # a request reaches the worker
TAKE = 7  # the worker takes it and picks
SEND = 8  # a client sends
TIMER = 9  # timeouts and idle timers

MAX_ATTEMPTS = 15

CLASS_BITS = 59
ATTEMPT_BITS = 4


def event_order(kind: int, request: int, attempt: int) -> int:
    """Return the int64 that orders events at equal times; request < 2^55, attempt < 16."""
    return (kind << CLASS_BITS) | (request << ATTEMPT_BITS) | attempt


def event_kind(order: int) -> int:
    """Return the class of an event from its order."""
    return order >> CLASS_BITS
