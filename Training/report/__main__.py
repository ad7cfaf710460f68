"""``python -m Training.report``: see ``python -m Training.report --help``."""

from KPrismLib.command.code_pages import tolerate_code_pages
from Training.report.command import app

if __name__ == "__main__":
    tolerate_code_pages()
    app(prog_name="python -m Training.report")
