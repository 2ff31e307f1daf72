"""Four custom tasks: is x* within a ring around the centre?

gym.make("MultiTaskEvidence-v0", n_tasks=4, boundaries="rings:rings")
"""

INNER = (0.0, 0.1, 0.2, 0.3)
WIDTH = 0.15


def rings(latents):
    """Margins `[trials, 4]` of latents `[trials, D]`, numpy or torch: how far x* is inside each ring."""
    radius = (latents**2).sum(-1)[:, None] ** 0.5
    inner = latents.new_tensor(INNER) if hasattr(latents, "new_tensor") else latents.dtype.type(INNER)
    return WIDTH / 2 - abs(radius - inner - WIDTH / 2)
