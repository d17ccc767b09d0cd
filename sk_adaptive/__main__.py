"""``python -m sk_adaptive`` tells about the installation."""

from ._versions import show_versions

if __name__ == "__main__":
    show_versions()
