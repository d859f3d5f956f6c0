"""Whether images look like what a network was trained on."""
