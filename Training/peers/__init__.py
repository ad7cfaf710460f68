"""The systems that the paper compares with, behind the interface that evaluation asks of any model."""
