"""The benchmark: fixed settings, scores from 0 (chance) to 1 (the ideal observer), and files of results."""
