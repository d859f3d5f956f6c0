"""Open a network: by name, from a checkpoint, with whatever the keys are prefixed."""
