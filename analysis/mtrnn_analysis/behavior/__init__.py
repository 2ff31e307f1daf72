"""What the agent does: choices (`psychometric`), response steps (`chronometric`, `drift_diffusion`), and what speed
costs (`speed_accuracy`), each beside the ideal observer or the best policy in the same trials.
"""
