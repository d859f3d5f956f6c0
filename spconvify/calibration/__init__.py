"""What layers see on a few images and should give: traced, captured, summed up for least squares."""
