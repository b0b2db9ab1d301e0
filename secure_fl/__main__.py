"""`python -m secure_fl` is `secure-fl`."""

from secure_fl.cli.app import main

main()
