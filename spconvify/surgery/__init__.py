"""What may be replaced, the plan, carrying it out, and the check that nothing else changed."""
