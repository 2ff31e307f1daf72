"""What single units say: how selective they are, and of what (`units`), and whether they line up with the latents
(`unit_alignment`), which is not abstraction.
"""
