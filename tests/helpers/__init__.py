"""What several test modules share: codes with known truth, small studies, and comparisons."""
