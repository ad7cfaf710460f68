"""K-Prism: one 2-D model that segments by class, by example and by click."""
