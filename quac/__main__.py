from quac.cli import main

main()
