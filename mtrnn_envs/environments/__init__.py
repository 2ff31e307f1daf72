"""The Gymnasium environments: a single one, and a native vector of many."""
