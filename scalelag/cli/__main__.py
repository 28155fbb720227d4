"""`python -m scalelag.cli`, where the console script is not on the path."""

from scalelag.cli.main import main

if __name__ == "__main__":
    main()
