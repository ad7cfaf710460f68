"""One file for each kind of table: from rows to cells, with the paper's numbers beside ours."""
