"""The main line as library calls: plan, convert, fit, compare, time."""
