"""spconvify: make a trained Paddle network slim with SPConv."""
