"""Make a converted network fast where it is deployed: fold, choose forms, export."""
