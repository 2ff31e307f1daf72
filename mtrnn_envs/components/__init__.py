"""What a task is made of: boundaries, noise, the prior over the latents, and the encoder."""
