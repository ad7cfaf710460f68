"""Training core: packed data, augmentation, the simulated user, the joint objective and the loop."""
