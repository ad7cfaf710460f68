"""K-Prism on Slicer's nodes, without Qt: what the effect, the console and batch runs share.

Importing the package loads nothing else; ask its modules for what they hold.
"""
