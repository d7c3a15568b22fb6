"""`python -m xunlou` is the same as `xunlou`."""

from xunlou.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
