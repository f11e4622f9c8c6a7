"""What the steady loops return: all has come, or what they ran out of."""

DONE = 0
NEEDS_SLOTS = 1
NEEDS_CONNS = 2
NEEDS_STAYS = 3
NEEDS_REPLIES = 4
NEEDS_CLOSINGS = 5
STRAYED = 6  # something happened that is not steady
