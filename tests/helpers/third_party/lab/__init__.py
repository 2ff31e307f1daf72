"""A made-up third party's package: one of each kind of extension, one file each."""
