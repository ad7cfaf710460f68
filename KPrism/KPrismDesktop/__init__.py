"""The parts of K-Prism that need Slicer's desktop: widgets, timers, actors in views."""
