"""The main job on real medical pictures that installed packages carry along; no network needed."""
