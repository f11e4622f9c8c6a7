"""What the steady loops return: all has come, or what they ran out of."""

DONE = 0
NEEDS_SLOTS = 1
NEEDS_CONNS = 2
NEEDS_STAYS = 3
NEEDS_REPLIES = 4
STRAYED = 5  # something happened that is not steady

STAYS_AT_ONCE = 2  # that one event takes: at the pod, and of a port
