"""What may stand in a convolution's place: a folder an operator, found through the registry."""
