"""`python -m triplane`."""

from triplane.cli import main

main()
