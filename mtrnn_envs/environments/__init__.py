"""The Gymnasium environments: one trial at a time, and many in a native vector."""
