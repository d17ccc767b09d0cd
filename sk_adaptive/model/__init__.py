"""What is learned: plain arrays and their methods."""
