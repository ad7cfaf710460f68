"""The command line. A command file declares options; what needs torch is imported when the command runs."""
