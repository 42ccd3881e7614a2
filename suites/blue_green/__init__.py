"""Two releases side by side: there by weights, and back."""
