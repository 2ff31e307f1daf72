"""The network as a dynamical system: where it stands still (`fixed_points`), what it holds with nothing shown
(`rollouts`), what becomes of pushes (`perturbations`), and whether that makes a continuous attractor (`attractor`).
"""
