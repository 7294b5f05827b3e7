"""Run the command line as `python -m downslope`."""

from downslope.cli import main

if __name__ == "__main__":
    main()
