"""How well a network does: accuracy on labels, agreement with another network without."""
