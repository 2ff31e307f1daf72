"""What theory says of x* and of answers: x* from the answers alone (`multilateration`), from how many of them
(`rank_condition`), and what more samples tell (`samples`).
"""
