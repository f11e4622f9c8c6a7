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

CLASS_BITS = 59
ATTEMPT_BITS = 7
ATTEMPT_MASK = 2**ATTEMPT_BITS - 1
OWNER_MASK = 2**CLASS_BITS - 1

MAX_ATTEMPTS = 100

LAST_ORDER = 2**63 - 1
"""Behind every event of the same time."""

# what a TIMER event is about, in the place of the attempt; 1 .. MAX_ATTEMPTS: its timeout
SYN_TIMER = 0  # the client sends its SYN again, or gives up connecting
QUOTA_TIMER = 124  # of a pod, as a CHANGE: its CPU budget is used up, or renewed
IDLE_TIMER = 125  # a connection has been idle
FLOW_TIMER = 126  # the load balancer has seen no packet of a connection in use
GIVE_UP_TIMER = 127  # the client gives up on silence


def event_order(kind: int, request: int, attempt: int) -> int:
    """Return the int64 that orders events at equal times; request < 2^52, attempt < 128."""
    return (kind << CLASS_BITS) | (request << ATTEMPT_BITS) | attempt


def event_kind(order: int) -> int:
    """Return the class of an event from its order."""
    return order >> CLASS_BITS


def event_owner(order: int) -> int:
    """Return (request, attempt) of an event as one number, as `owner_of` makes it."""
    return order & OWNER_MASK


def owner_of(request: int, attempt: int) -> int:
    """Return (request, attempt) as one number."""
    return (request << ATTEMPT_BITS) | attempt


def is_before(time: float, order: int, other_time: float, other_order: int) -> bool:
    """Tell whether the event at (``time``, ``order``) comes before the other one."""
    return time < other_time or (time == other_time and order < other_order)
