"""The shape of the code: do sides of x* carry over (`ccgp`, `parallelism`), what can be read at all (`shattering`), how
many dimensions (`dimensionality`, `principal`), along which axes (`axes`), and how evenly (`distortion`)?
"""
