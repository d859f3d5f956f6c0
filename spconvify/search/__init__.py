"""A budget in place of a ratio: which layers become what, so that the network keeps what it can."""
