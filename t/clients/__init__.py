"""The clients that sprox is for, each as its users run it."""
