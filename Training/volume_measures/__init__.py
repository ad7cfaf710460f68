"""What is measured on whole volumes; ``python -m Training.volume_report`` runs it."""
