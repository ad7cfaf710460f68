"""``python -m Training.report``: see ``python -m Training.report --help``."""

from Training.report.command import app

if __name__ == "__main__":
    app(prog_name="python -m Training.report")
