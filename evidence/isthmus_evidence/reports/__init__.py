"""What is printed of evaluations, and the page of a demo."""
