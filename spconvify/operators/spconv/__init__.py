"""SPConv, the operator of "Split to Be Slim" (IJCAI 2020)."""
