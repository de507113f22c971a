"""The subcommands of ``ptreetime``; see cli.py for what one looks like."""
